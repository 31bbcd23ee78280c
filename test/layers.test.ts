/**
 * The rules of ARCHITECTURE.md that nobody has to remember: ranks and rooms, no circles, what is
 * pure stays pure, and each effect has one owner. Everything here is derived from the sources.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname, normalize } from 'node:path'

/**
 * A file imports only lower ranks and its own room. `model/`, what several rooms and readers share
 * as values, lies below those of rank 1 that speak of it.
 */
const RANKS: Readonly<Record<string, number>> = {
  lib: 0,
  model: 0.5,
  bfd: 1,
  bgp: 1,
  cloud: 1,
  'config.ts': 1,
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

interface Import {
  readonly file: string
  /** As written: `./x.ts`, `node:fs`, `hono`. */
  readonly target: string
  /** The file of `src/` that it names; undefined for packages and what lies outside. */
  readonly path: string | undefined
  /** Whether it is imported for its types alone. */
  readonly typeOnly: boolean
}

const files = [...new Bun.Glob('**/*.{ts,tsx}').scanSync('src')].filter(file => !file.endsWith('.d.ts')).sort()
const sources = new Map(files.map(file => [file, readFileSync(`src/${file}`, 'utf8')]))
const imports = files.flatMap(file => importsOf(file, source(file)))
const importsByFile = Map.groupBy(imports, ({ file }) => file)

function source(file: string): string {
  return sources.get(file) ?? ''
}

/** The code without comments and the texts of strings. */
function codeOf(file: string): string {
  return source(file)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:])\/\/.*$/gm, '$1')
}

function room(path: string): string {
  return path.split('/')[0] ?? ''
}

function importsOf(file: string, text: string, base = dirname(file)): Import[] {
  const pattern =
    /\b(import|export)\s+(type\s+)?(?:([^'"();]*?)\s+from\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g
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
    return { file, target: named, path: path?.startsWith('..') ? undefined : path, typeOnly }
  })
}

test('every room has a rank, and every rank a room that is there or to come', () => {
  expect(files.map(room).filter(name => RANKS[name] === undefined)).toEqual([])
})

test('a file imports only lower ranks and its own room', () => {
  const wrong = imports.filter(({ file, target, path }) => {
    if (!target.startsWith('.')) return false
    if (path === undefined) return !/^(\.\.\/)+(ui|config|package\.json)/.test(target) // what is embedded
    const [from, to] = [room(file), room(path)]
    return from !== to && (RANKS[to] ?? 99) >= (RANKS[from] ?? -1)
  })
  expect(wrong).toEqual([])
})

test('no file imports itself by way of others, not even for types', () => {
  const circles = new Set<string>()
  const done = new Set<string>()
  const walk = (file: string, way: readonly string[]) => {
    if (way.includes(file)) circles.add([...way.slice(way.indexOf(file)), file].join(' > '))
    else if (!done.has(file)) {
      for (const { path } of importsByFile.get(file) ?? []) if (path !== undefined) walk(path, [...way, file])
      done.add(file)
    }
  }
  for (const file of files) walk(file, [])
  expect([...circles]).toEqual([])
})

test('only lib/libc.ts imports bun:ffi', () => {
  expect(imports.filter(({ file, target }) => target === 'bun:ffi' && file !== 'lib/libc.ts')).toEqual([])
})

test('only lib/stdout.ts writes to stdout', () => {
  const writing =
    /\bprocess\.stdout\b|\bBun\.stdout\b|\bconsole\.(?!error\b)\w+|\/dev\/(?:stdout|fd\/1)\b|\bwriteSync\(1\b|\bfd: 1\b/
  const wrong = files.filter(file => file !== 'lib/stdout.ts' && writing.test(codeOf(file)))
  expect(writing.test(codeOf('lib/stdout.ts'))).toBe(true)
  expect(wrong).toEqual([])
})

test('only kube imports the Kubernetes client', () => {
  const users = imports.filter(({ target }) => target === '@kubernetes/client-node').map(({ file }) => room(file))
  expect([...new Set(users)]).toEqual(['kube'])
})

/** What the head of a file says of it: its first comment. */
function headerOf(file: string): string {
  return /^\s*\/\*\*([\s\S]*?)\*\//.exec(source(file))?.[1] ?? ''
}

/**
 * A file whose header has the word *pure* decides: it is a function of values. A header that uses
 * the word of another file names that file: "(`x.ts`, pure)" is not meant; say "decided in `x.ts`".
 */
const pure = new Set(files.filter(file => /\bpure\b/i.test(headerOf(file))))

/** Clock, chance, process, files, sockets, waiting. */
const EFFECTS =
  /\b(?:systemClock|new Date\(\)|Date\.now|performance\.now|Math\.random|randomUUID|getRandomValues|setTimeout|setInterval|setImmediate|queueMicrotask|process\.|Bun\.(?!Glob\b|hash\b|CryptoHasher\b|deepEquals\b|inspect\b|semver\b|stringWidth\b|YAML\b)\w+|fetch\(|WebSocket|localeCompare\(\)|await\b|async\b)/

/** Packages and built-in modules that compute and touch nothing. */
const PURE_PACKAGES = new Set([
  'ip-num',
  'js-yaml',
  'zod',
  'hono/html',
  'node:path',
  'node:util',
  'node:crypto',
  'node:net',
])

test('what says that it is pure has no clock, chance, socket, file, log or await', () => {
  expect(pure.size).toBeGreaterThan(80)
  const wrong = [...pure].flatMap(file => {
    const found = EFFECTS.exec(codeOf(file))
    return found === null ? [] : [`${file}: ${found[0]}`]
  })
  expect(wrong).toEqual([])
})

test('what says that it is pure imports what is pure, and types', () => {
  const wrong = [...pure].flatMap(file =>
    (importsByFile.get(file) ?? [])
      .filter(({ typeOnly, target, path }) => {
        if (typeOnly) return false
        if (path !== undefined) return !pure.has(path)
        return !target.startsWith('.') && !PURE_PACKAGES.has(target)
      })
      .map(({ target, path }) => `${file} imports ${path ?? target}`),
  )
  expect(wrong).toEqual([])
})

/** Whoever is handed one of these works with it: a shell, though it makes none of its effects itself. */
const HANDED_EFFECTS = /\b(?:Clock|Cancel|Log|KubeApi|Rtnetlink|AddressStore)\b/

/** A file of which nothing but its silence keeps it from being pure. */
function couldBePure(): string[] {
  const not = new Set(
    files.filter(file => {
      const code = codeOf(file)
      const foreign = (importsByFile.get(file) ?? []).some(
        ({ typeOnly, target, path }) => !typeOnly && path === undefined && !PURE_PACKAGES.has(target),
      )
      return foreign || EFFECTS.test(code) || HANDED_EFFECTS.test(code)
    }),
  )
  for (let before = -1; before !== not.size; ) {
    before = not.size
    for (const { file, path, typeOnly } of imports) if (!typeOnly && path !== undefined && not.has(path)) not.add(file)
  }
  return files.filter(file => !not.has(file))
}

test('what could say that it is pure says so: nobody has to remember to guard a file', () => {
  expect(couldBePure().filter(file => !pure.has(file))).toEqual([])
})

test('routes are written by the agent (between nodes), cni (to pods), eni (of interfaces) and paths (for probes), nowhere else', () => {
  const writers = imports.filter(({ target }) => /netlink\/route\.ts$/.test(target)).map(({ file }) => room(file))
  expect([...new Set(writers)].sort()).toEqual(['agent', 'cni', 'eni', 'paths'])
})

test('the doctor writes nothing', () => {
  const doctor = files.filter(file => room(file) === 'doctor')
  expect(doctor.length).toBeGreaterThan(5)
  const writing =
    /\b(?:addRoute|deleteRoute|replaceRoute|changeRequest|applySettings|restoreSettings|writeFile\w*|writeCniConfig|removeCniConfig|removeFile|mkdir\w*|rm\w*Sync|unlink\w*|symlink\w*|chmod\w*|rename\w*|Bun\.write|createFirewall|removeFirewall|\.apply\(|serverSideApply|create\(|replace\(|patch\(|delete\()/
  const wrong = doctor.flatMap(file => {
    const found = writing.exec(codeOf(file).replace(/\.(?:replace|replaceAll|apply)\((?=['"`/])/g, '('))
    return found === null ? [] : [`${file}: ${found[0]}`]
  })
  expect(wrong).toEqual([])
})

test('the page imports nothing of src but types', () => {
  const ui = [...new Bun.Glob('*.ts').scanSync('ui')]
  const wrong = ui.flatMap(file =>
    importsOf(file, readFileSync(`ui/${file}`, 'utf8'), 'ui')
      .filter(({ target, typeOnly }) => target.includes('/src/') && !typeOnly)
      .map(({ target }) => `${file} imports ${target}`),
  )
  expect(ui.length).toBeGreaterThan(5)
  expect(wrong).toEqual([])
})
