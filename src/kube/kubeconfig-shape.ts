/**
 * Whether a kubeconfig has the shape that it must have (k8s.io/client-go, clientcmd/api/v1): the
 * client takes what it finds, and would send a map as a token or a line feed within a header. Pure.
 */
import { isObject } from '../lib/json.ts'

/** Keys that must hold texts, by list, and where they are within an entry. */
const TEXTS = {
  clusters: [
    'cluster',
    ['server', 'certificate-authority', 'certificate-authority-data', 'tls-server-name', 'proxy-url'],
  ],
  users: [
    'user',
    [
      ...['token', 'tokenFile', 'username', 'password'],
      ...['client-certificate', 'client-certificate-data', 'client-key', 'client-key-data'],
    ],
  ],
  contexts: ['context', ['cluster', 'user', 'namespace']],
} as const

/** What goes into one line of a header. */
const LINES: readonly string[] = ['token', 'username', 'password']

/** What is wrong with it, at which place; undefined: nothing. */
export function kubeconfigShapeProblem(document: unknown): string | undefined {
  if (!isObject(document)) return 'it is no map'
  const current = document['current-context']
  if (given(current) && typeof current !== 'string') return 'current-context is not a text'
  for (const [list, [inner, keys]] of Object.entries(TEXTS)) {
    const entries = document[list]
    if (!given(entries)) continue
    if (!Array.isArray(entries)) return `${list} is not a list`
    for (const [index, entry] of entries.entries()) {
      const problem = entryProblem(entry, inner, keys)
      if (problem !== undefined) return `${list}[${index}]${problem}`
    }
  }
  return undefined
}

function entryProblem(entry: unknown, inner: string, keys: readonly string[]): string | undefined {
  if (!isObject(entry)) return ' is no map'
  if (typeof entry.name !== 'string') return '.name is not a text'
  const content = entry[inner]
  if (!given(content)) return inner === 'user' ? undefined : `.${inner} is missing`
  if (!isObject(content)) return `.${inner} is no map`
  for (const key of keys) {
    const value = content[key]
    if (given(value) && typeof value !== 'string') return `.${inner}.${key} is not a text`
    if (LINES.includes(key) && typeof value === 'string' && hasControls(value.trim()))
      return `.${inner}.${key} is more than a line`
  }
  const { exec } = content
  if (inner === 'user' && given(exec) && !(isObject(exec) && typeof exec.command === 'string' && exec.command !== ''))
    return '.user.exec names no command'
  return undefined
}

/** Whether it is there: a key without a value is none. */
function given(value: unknown): boolean {
  return value !== undefined && value !== null
}

function hasControls(text: string): boolean {
  return [...text].some(character => character < ' ' || character === '\x7f')
}
