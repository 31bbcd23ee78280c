/**
 * The rules of ARCHITECTURE.md that nobody has to remember: ranks and rooms, no circles, what is
 * pure stays pure, and each effect has one owner. Everything here is derived from the sources.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { EFFECTS, type EffectKind, foreignGlobals, handsOf, ownedFiles, owns } from './support/effects.ts'
import {
  codeOf,
  files,
  headerOf,
  type Import,
  imports,
  importsByFile,
  importsOf,
  RANKS,
  room,
  wordsOf,
} from './support/sources.ts'

test('every room has a rank, and every rank a room', () => {
  expect([...new Set(files.map(room))].sort()).toEqual(Object.keys(RANKS).sort())
})

test('a file imports only lower ranks and its own room', () => {
  const wrong = imports.filter(({ file, target, path }) => {
    if (!target.startsWith('.')) return false
    // what is embedded
    if (path === undefined) return !/^(\.\.\/)+(ui|config|package\.json)/.test(target)
    const [from, to] = [room(file), room(path)]
    return from !== to && (RANKS[to] ?? 99) >= (RANKS[from] ?? -1)
  })
  expect(wrong).toEqual([])
})

test('what a file imports is seen here: a file by its way, a package that README can name, nothing computed', () => {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as { dependencies: object }
  const known = (target: string) =>
    /^(\.|node:|bun(:|$))/.test(target) || Object.keys(dependencies).some(name => `${target}/`.startsWith(`${name}/`))
  expect(imports.filter(({ target }) => !known(target))).toEqual([])
  const computed = /\brequire\(\s*['"`]|\bmeta\.require\b|\bcreateRequire\b|\bimport\((?!\s*['"`][^$'"`]+['"`]\s*[,)])/
  expect(files.filter(file => computed.test(codeOf(file)))).toEqual([])
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
  expect(files.filter(file => /\bBun\.FFI\b/.test(codeOf(file)))).toEqual([])
})

test('only lib/stdout.ts writes to stdout', () => {
  const writing =
    /\bprocess\.stdout\b|\bBun\.stdout\b|\bconsole\.(?!error\b)\w+|=\s*console\b(?!\.)|\/dev\/stdout\b|\/fd\/1\b|\bwriteSync\(1\b|\bfd: 1\b/
  const wrong = files.filter(file => file !== 'lib/stdout.ts' && writing.test(codeOf(file)))
  expect(writing.test(codeOf('lib/stdout.ts'))).toBe(true)
  expect(wrong).toEqual([])
})

test('only kube imports the Kubernetes client', () => {
  const users = imports.filter(({ target }) => target.startsWith('@kubernetes/')).map(({ file }) => room(file))
  expect([...new Set(users)]).toEqual(['kube'])
})

/**
 * A file whose header has the word *pure* decides: it is a function of values. A header that uses
 * the word of another file names that file: "(`x.ts`, pure)" is not meant; say "decided in `x.ts`".
 */
const pure = new Set(files.filter(file => /\bpure\b/i.test(headerOf(file))))

/**
 * What a pure file has not: any effect, by whatever spelling; waiting, a language or a time zone of
 * the machine, and state of its own. Of `Date`, `Math` and `Bun` it takes what computes, by its
 * name, and of the other globals nothing.
 */
const IMPURE = new RegExp(
  [
    ...Object.values(EFFECTS).flatMap(effect => ('spelled' in effect ? effect.spelled.source : [])),
    // of a clock or a log that is handed
    String.raw`\.(?:now|monotonic|after|random)\(|\blog\.\w+\(|\.(?:info|warn|debug|fatal)\(`,
    String.raw`\b(?:await|async)\b|\bPromise\.|\bnew Promise\b|\.then\(|\bimport\(`,
    String.raw`\.(?:localeCompare|toLocale\w+|to(?:Date|Time)String|getTimezoneOffset)\(|(?:[eE]rror|cause|\))\.stack\b|\.constructor\b`,
    String.raw`\.[gs]et(?:FullYear|Month|Date|Day|Hours|Minutes|Seconds|Milliseconds)\(`,
    String.raw`^(?:export )?(?:let|var) |\bstatic (?:readonly )?[#\w]+ ?[:=]|^(?:export )?const .*= \((?:function|\(\) =>)`,
  ].join('|'),
  'm',
)

/**
 * Packages and built-in modules that compute and touch nothing: the whole of one, or those of its
 * values that do not.
 */
const PURE_PACKAGES = new Map<string, readonly string[] | 'all'>([
  ['ip-num', 'all'],
  ['js-yaml', 'all'],
  ['zod', 'all'],
  ['hono/html', 'all'],
  ['node:path', 'all'],
  ['node:util', ['isDeepStrictEqual']],
  ['node:crypto', ['X509Certificate', 'createHash', 'createHmac', 'timingSafeEqual']],
])

function computes({ target, values }: Import): boolean {
  const names = PURE_PACKAGES.get(target)
  return names === 'all' || (names !== undefined && values.every(name => names.includes(name)))
}

test('what says that it is pure has no clock, chance, socket, file, log or await', () => {
  expect(pure.size).toBeGreaterThan(280)
  const wrong = [...pure].flatMap(file => {
    const found = IMPURE.exec(codeOf(file))
    return found === null ? [] : [`${file}: ${found[0]}`]
  })
  expect(wrong).toEqual([])
})

test('what says that it is pure takes of the globals what computes, and keeps nothing between two calls', () => {
  expect([...pure].flatMap(file => foreignGlobals(file).map(name => `${file}: ${name}`))).toEqual([])
  // a memo by object changes no answer, and scratch memory is begun anew by each call
  const kept = [...pure].flatMap(file => {
    const words = wordsOf(file)
    const names = [...words.matchAll(/^(?:export )?const (\w+)\b(?!.*= new (?:WeakMap|Writer|Uint\d+Array)\b)/gm)].map(
      ([, name]) => name,
    )
    const changed = (name = '') =>
      new RegExp(
        String.raw`\b(?:assign|defineProperty|defineProperties|Reflect\.set)\(\s*${name}\b|(?<![\w.])${name}(?:\[[^\]]*\]|\.\w+)*(?:\.(?:set|add|delete|clear|push|pop|shift|unshift|splice|sort|reverse|fill|length|copyWithin)\(| ?(?:[-+*/|&?]{0,2}=(?![=>])|\+\+|--))`,
      ).test(words.replace(/^(?:export )?(?:const|type) .*?=/gm, ''))
    return names.filter(changed).map(name => `${file}: ${name}`)
  })
  expect(kept).toEqual([])
})

test('what says that it is pure imports what is pure, and types', () => {
  const wrong = [...pure].flatMap(file =>
    (importsByFile.get(file) ?? [])
      .filter(imported => {
        if (imported.typeOnly) return false
        if (imported.path !== undefined) return !pure.has(imported.path)
        return !imported.target.startsWith('.') && !computes(imported)
      })
      .map(({ target, path }) => `${file} imports ${path ?? target}`),
  )
  expect(wrong).toEqual([])
})

/**
 * Whoever is handed one of these works with it: a shell, though it makes none of its effects
 * itself.
 */
const HANDED_EFFECTS =
  /\b(?:Clock|Cancel|Log|KubeApi|ApiTransport|EventRecorder|Rtnetlink|NetworkDoor|Nft|AddressStore|Disk|CloudApi)\b/

test('what says that it is pure is handed nothing to work with; it may say what others are handed', () => {
  const typesAlone = /^import type [\s\S]*? from .*$|^(?:export )?interface [\s\S]*?^\}/gm
  expect([...pure].filter(file => HANDED_EFFECTS.test(codeOf(file).replace(typesAlone, '')))).toEqual([])
})

/** A file of which nothing but its silence keeps it from being pure. */
function couldBePure(): string[] {
  const not = new Set(
    files.filter(file => {
      const code = codeOf(file)
      const foreign = (importsByFile.get(file) ?? []).some(
        imported => !imported.typeOnly && imported.path === undefined && !computes(imported),
      )
      return foreign || IMPURE.test(code) || HANDED_EFFECTS.test(code)
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

/** Packages that do nothing by themselves, and are no value either. */
const FRAMEWORKS = ['commander', 'hono']

test('a file reaches for the clock, the kernel, a server and all else only where that is its business', () => {
  const beyond = files.flatMap(file =>
    handsOf(file)
      .filter(kind => !owns(file, kind))
      .map(kind => `${file} reaches for ${kind}: let it be handed, or name it in OWNERS of test/support/effects.ts`),
  )
  expect(beyond).toEqual([])
  const idle = ownedFiles().filter(({ file, kind }) => !files.includes(file) || !handsOf(file).includes(kind))
  expect(idle).toEqual([])
})

test('every package and module is known for what it does', () => {
  const known = new Set<string>(Object.values(EFFECTS).flatMap(effect => ('modules' in effect ? effect.modules : [])))
  const unknown = imports.filter(
    imported =>
      imported.path === undefined &&
      !imported.typeOnly &&
      !imported.target.startsWith('.') &&
      !computes(imported) &&
      !known.has(imported.target) &&
      !FRAMEWORKS.includes(imported.target) &&
      !(imported.target === 'node:crypto' && handsOf(imported.file).includes('chance' satisfies EffectKind)),
  )
  expect(unknown).toEqual([])
})

test('routes are written by the agent (between nodes), cni (to pods), eni (of interfaces) and paths (for probes), nowhere else', () => {
  const writers = imports.filter(({ target }) => /netlink\/route\.ts$/.test(target)).map(({ file }) => room(file))
  expect([...new Set(writers)].sort()).toEqual(['agent', 'cni', 'eni', 'paths'])
})

test('commands put rooms together and wait for a signal: nothing there comes again and again by itself', () => {
  const commands = files.filter(file => room(file) === 'commands')
  expect(commands.length).toBeGreaterThan(25)
  const again =
    /\bnew Loop\b|\bfor await\b|\b(?:while|do) ?[({]|\bfor ?\(;|\.after\(|\bsetInterval\b|\b(?:sleep|setTimeout)\(/
  // `--watch` prints again and again, the others what they read to its end: they decide nothing
  const printing = ['commands/bgp.ts', 'commands/show.ts', 'commands/trace.ts']
  expect(commands.filter(file => again.test(codeOf(file)))).toEqual(printing)
  const itself = commands.flatMap(file =>
    [...codeOf(file).matchAll(/^(?:export )?(?:async )?function (\w+)([\s\S]*?^\})/gm)]
      .filter(([, name = '', body = '']) => new RegExp(`\\b${name}\\(`).test(body))
      .map(([, name]) => `${file}: ${name}`),
  )
  expect(itself).toEqual([])
})

/** What reads, of the module that also writes. */
const READS = /^(?:constants|(?:access|exists|lstat|stat|readdir|readFile|readlink|realpath)(?:Sync)?)$/

/** Files that can write: to the disk, to the kernel, or by a signal or a program. */
const canWrite = new Set(
  files.filter(file => {
    const hands =
      /\b(?:writeFileWhole|removeFile|removeLeftovers|process\.kill|Bun\.(?:spawn|write))\b|\.(?:execute|run)\(/
    return (
      hands.test(codeOf(file)) ||
      (importsByFile.get(file) ?? []).some(
        ({ target, values }) => /^node:fs(\/promises)?$/.test(target) && !values.every(name => READS.test(name)),
      )
    )
  }),
)

/** What the doctor takes of those, because it reads. */
const TAKEN_TO_READ: Readonly<Record<string, readonly string[]>> = {
  'agent/cni-config.ts': ['cniConfigFile', 'cniConfigText'],
  'agent/sysctl.ts': ['changedSettings', 'sysctlNeeds', 'wrongSettings'],
  'cni/server.ts': ['isServed'],
  'eni/keep-datapath.ts': ['observeDatapath'],
  'firewall/nftables.ts': ['Nft'],
  'host/state-folder.ts': ['runningProcess'],
  'kube/cluster-state.ts': ['loadClusterState'],
  'kube/eni-node-source.ts': ['readENINode'],
  'kube/token-renewal.ts': ['renewedTokenFile'],
  'lib/files.ts': ['readFileIfPresent'],
  'netlink/rtnetlink.ts': ['Rtnetlink'],
}

test('of files that can write the doctor takes only what is named as reading', () => {
  const taken = files
    .filter(file => room(file) === 'doctor')
    .flatMap(file => importsByFile.get(file) ?? [])
    .flatMap(({ path, values }) =>
      path === undefined || room(path) === 'doctor' || !canWrite.has(path) ? [] : values.map(name => `${path} ${name}`),
    )
  const named = Object.entries(TAKEN_TO_READ).flatMap(([path, names]) => names.map(name => `${path} ${name}`))
  expect([...new Set(taken)].sort()).toEqual(named.sort())
})

test('the doctor writes nothing', () => {
  const doctor = files.filter(file => room(file) === 'doctor')
  expect(doctor.length).toBeGreaterThan(5)
  const foreign = doctor
    .flatMap(file => importsByFile.get(file) ?? [])
    .filter(({ target, typeOnly }) => !typeOnly && !target.startsWith('.'))
    .filter(imported => !computes(imported))
    .filter(
      ({ target, values }) =>
        target !== 'node:os' && !(/^node:fs(\/promises)?$/.test(target) && values.every(name => READS.test(name))),
    )
  expect(foreign).toEqual([])
  const hands =
    /^(?:write|append|apply|carry|change|claim|kill|leave|notify|create(?!KubeApi|Transport)|delete|install|keep|probe|remove|replace|restore|save|set|store|add)[A-Z]/
  const taken = doctor.flatMap(file =>
    (importsByFile.get(file) ?? []).flatMap(({ values }) =>
      values.filter(name => hands.test(name)).map(name => `${file} imports ${name}`),
    ),
  )
  expect(taken).toEqual([])
  const writing =
    /\b(?:addRoute|deleteRoute|replaceRoute|changeRequest|applySettings|restoreSettings|write[A-Z]\w*(?=\()|append\w*|removeCniConfig|removeFile|mkdir\w*|rm\w*Sync|unlink\w*|symlink\w*|chmod\w*|rename\w*|Bun|createFirewall|removeFirewall|serverSideApply)\b|process\.kill\b|\.(?:execute|run|apply|update|makeFolder)\(|\b(?:create|replace|(?:delete|remove)\w*|\w*[pP]atch)\(/
  const wrong = doctor.flatMap(file => {
    const found = writing.exec(codeOf(file).replace(/\.(?:replace|replaceAll|apply)\((?=['"`/])/g, '('))
    return found === null ? [] : [`${file}: ${found[0]}`]
  })
  expect(wrong).toEqual([])
})

test('the page imports nothing of what is outside of it but types of src/model/', () => {
  const ui = [...new Bun.Glob('**/*.{ts,tsx}').scanSync('ui')]
  const wrong = ui.flatMap(file =>
    importsOf(file, readFileSync(`ui/${file}`, 'utf8'), dirname(file))
      .filter(
        ({ path, target, typeOnly }) => path === undefined && !(typeOnly && /^(\.\.\/)+src\/model\//.test(target)),
      )
      .map(({ target }) => `${file} imports ${target}`),
  )
  expect(ui.length).toBeGreaterThan(5)
  expect(wrong).toEqual([])
})
