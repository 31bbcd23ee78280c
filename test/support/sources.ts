/** The files of src/ as the rules of the house look at them: their code, headers and imports. */
import { readFileSync } from 'node:fs'
import { dirname, normalize } from 'node:path'

export interface Import {
  readonly file: string
  /** As written: `./x.ts`, `node:fs`, `hono`. */
  readonly target: string
  /** The file of `src/` that it names; undefined for packages and what lies outside. */
  readonly path: string | undefined
  /** Whether it is imported for its types alone. */
  readonly typeOnly: boolean
  /** The values taken by name; `*` for the whole of it, however that is written. */
  readonly values: readonly string[]
}

export const files = [...new Bun.Glob('**/*.{ts,tsx}').scanSync('src')].filter(file => !file.endsWith('.d.ts')).sort()
const sources = new Map(files.map(file => [file, readFileSync(`src/${file}`, 'utf8')]))
export const imports = files.flatMap(file => importsOf(file, source(file)))
export const importsByFile = Map.groupBy(imports, ({ file }) => file)

function source(file: string): string {
  return sources.get(file) ?? ''
}

/** The code without comments. */
export function codeOf(file: string): string {
  return source(file)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:])\/\/.*$/gm, '$1')
}

/** A text or a pattern, on one line or, as a template, on several. */
const LITERAL =
  /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\/(?![/*\s])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\/[a-z]*(?=[.,;)\s])/g
const TEMPLATE = /`(?:\\.|[^`\\])*`/g

/** The code without comments and texts; what stands within templates is code. */
export function wordsOf(file: string): string {
  return codeOf(file)
    .replace(LITERAL, "''")
    .replace(TEMPLATE, template => [...template.matchAll(/\$\{([^}]*)\}/g)].map(([, code]) => `(${code})`).join(' '))
}

/** What the head of a file says of it: its first comment. */
export function headerOf(file: string): string {
  return /^\s*\/\*\*([\s\S]*?)\*\//.exec(source(file))?.[1] ?? ''
}

/**
 * A file imports only lower ranks and its own room. `model/`, what several rooms and readers share
 * as values, lies below those of rank 1 that speak of it.
 */
export const RANKS: Readonly<Record<string, number>> = {
  lib: 0,
  model: 0.5,
  bfd: 1,
  bgp: 1,
  cloud: 1,
  config: 1,
  kube: 1,
  netlink: 1,
  agent: 2,
  apiserver: 2,
  cloudsim: 2,
  cni: 2,
  controller: 2,
  eni: 2,
  firewall: 2,
  host: 2,
  paths: 2,
  planner: 2,
  speaker: 2,
  status: 2,
  doctor: 3,
  lab: 3,
  commands: 4,
  'main.ts': 5,
}

export function room(path: string): string {
  return path.split('/')[0] ?? ''
}

export function importsOf(file: string, text: string, base = dirname(file)): Import[] {
  const pattern =
    /\b(import|export)\s+(type\s+)?(?:([^'"();=]*?)\s+from\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"`]([^'"`]+)['"`]/g
  return [...text.matchAll(pattern)].map(([, , typed, names, target = '', lazy]) => {
    const named = target || lazy || ''
    const path = named.startsWith('.') ? normalize(`${base}/${named}`) : undefined
    const inner = /^\{([\s\S]*)\}$/.exec(names?.trim() ?? '')?.[1]
    const parts =
      inner
        ?.split(',')
        .map(part => part.trim())
        .filter(Boolean) ?? []
    const typeOnly = typed !== undefined || (parts.length > 0 && parts.every(part => part.startsWith('type ')))
    const values = inner === undefined ? ['*'] : parts.filter(part => !part.startsWith('type '))
    return {
      file,
      target: named,
      path: path?.startsWith('..') ? undefined : path,
      typeOnly,
      values: typeOnly ? [] : values.map(part => part.split(/\s+as\s+/)[0] ?? part),
    }
  })
}
