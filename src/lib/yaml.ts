/**
 * YAML that people write (js-yaml, YAML 1.2 core schema, of which JSON is a part). A key that
 * stands twice in one mapping is an error, because the first one would be lost without a word, and
 * so is an alias that contains itself. Pure.
 */
import { dump, load, loadAll, YAMLException } from 'js-yaml'
import { UserError } from './errors.ts'

/**
 * The value of one document; undefined where there is nothing but comments. `what` names it in the
 * error, of exit status 2.
 */
export function parseYaml(text: string, what: string): unknown {
  return parse(what, () => (isBlank(text) ? undefined : load(text)))
}

/** The values of all documents of a text (`---` between them), without empty ones. */
export function parseYamlDocuments(text: string, what: string): unknown[] {
  const documents = parse(what, () => (isBlank(text) ? [] : loadAll(text)))
  return documents.filter(document => document !== null && document !== undefined)
}

function parse<T>(what: string, read: () => T): T {
  let value: T
  try {
    value = read()
  } catch (cause) {
    if (!(cause instanceof YAMLException)) throw cause
    const { mark, reason } = cause
    const place = mark === undefined ? '' : ` (line ${mark.line + 1}, column ${mark.column + 1})`
    throw new UserError(`${what} is not YAML${place}: ${reason}`, { exitStatus: 2 })
  }
  if (containsItself(value, [])) {
    throw new UserError(`${what}: an alias contains itself; write the value out`, { exitStatus: 2 })
  }
  return value
}

/** Nothing but comments, document marks and space: no document for the parser. */
function isBlank(text: string): boolean {
  return text.split('\n').every(line => /^\s*(#.*|---\s*)?$/.test(line))
}

function containsItself(value: unknown, open: readonly unknown[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (open.includes(value)) return true
  const way = [...open, value]
  return Object.values(value).some(part => containsItself(part, way))
}

/** A value of JSON as YAML. */
export function yamlText(value: unknown): string {
  return dump(value, { lineWidth: -1, noRefs: true })
}
