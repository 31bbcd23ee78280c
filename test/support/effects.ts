/**
 * What a file of src/ reaches for beyond values, by kind: known by how the code spells it, by the
 * modules and packages it imports, and by the doors of our own that it takes by name. `OWNERS` says
 * who may: `test/layers.test.ts` compares the two, both ways.
 */
import { codeOf, type Import, importsByFile, wordsOf } from './sources.ts'

interface Effect {
  /** How the code spells it, without comments. */
  readonly spelled?: RegExp
  /** Modules and packages. */
  readonly modules?: readonly string[]
  /** Files of src/, for the values that they export; with names: these alone. */
  readonly doors?: Readonly<Record<string, readonly string[] | 'all'>>
}

/** A name that is a global, not a property, a text or part of a path. */
const GLOBAL = String.raw`(?<![.\w$'"\x60/-])`

export const EFFECTS = {
  clock: {
    spelled: new RegExp(
      String.raw`${GLOBAL}Date\b(?!\.(?:parse|UTC)\()(?<!new Date(?=\(\s*(?!\.\.\.)[^\s)]))|=\s*performance\s*$|\b(?:performance\.|Temporal\.|systemClock\b)`,
      'm',
    ),
  },
  timers: { spelled: /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b/ },
  chance: {
    spelled: new RegExp(
      String.raw`${GLOBAL}Math\b(?!\.(?!random\b)\w)|=\s*crypto\s*$|\b(?:randomUUID|randomBytes|randomInt|getRandomValues|crypto\.(?!createH))`,
      'm',
    ),
  },
  process: {
    spelled: /\b(?:globalThis|import\.meta|console\.|navigator\.|Atomics\.|process\.)|=\s*(?:process|console)\s*$/m,
    modules: ['node:child_process', 'node:os', 'node:worker_threads', 'node:process'],
  },
  Bun: {
    spelled: new RegExp(
      String.raw`${GLOBAL}Bun\b(?!\.(?:Glob|hash|CryptoHasher|deepEquals|inspect|semver|stringWidth|YAML)\b)`,
    ),
  },
  network: {
    spelled: /\bfetch\(|=\s*fetch\s*$|\bWebSocket|\bnew (?:Worker|BroadcastChannel|MessageChannel|EventSource)\b/m,
    modules: ['node:dgram', 'node:dns', 'node:dns/promises', 'node:http', 'node:https', 'node:net', 'node:tls'],
  },
  files: {
    modules: ['node:fs', 'node:fs/promises', 'node:readline'],
    doors: { 'lib/disk.ts': 'all', 'lib/file-lock.ts': 'all', 'lib/files.ts': 'all' },
  },
  'system calls': { modules: ['bun:ffi'], doors: { 'lib/libc.ts': 'all' } },
  stdout: { doors: { 'lib/stdout.ts': 'all' } },
  log: { modules: ['pino'], doors: { 'lib/log.ts': ['createLog', 'silentLog'] } },
  kernel: {
    doors: {
      'netlink/door.ts': 'all',
      'netlink/on-link.ts': 'all',
      'netlink/rtnetlink.ts': ['Rtnetlink'],
      'netlink/ruleset-watch.ts': 'all',
      'netlink/socket.ts': 'all',
      'netlink/watch.ts': 'all',
    },
  },
  'API server': {
    modules: ['@kubernetes/client-node'],
    doors: { 'kube/client.ts': 'all', 'kube/transport.ts': 'all' },
  },
  cloud: { modules: ['@alicloud/credentials', '@alicloud/openapi-core'], doors: { 'cloud/door.ts': 'all' } },
} as const satisfies Readonly<Record<string, Effect>>

export type EffectKind = keyof typeof EFFECTS

/** Globals that compute and touch nothing. `Date`, `Math` and `Bun` are looked at part by part. */
const COMPUTING = new Set([
  ...['Array', 'ArrayBuffer', 'BigInt', 'Boolean', 'Buffer', 'DataView', 'Iterator', 'JSON', 'Map', 'Number', 'Object'],
  ...[
    'RegExp',
    'Set',
    'String',
    'Symbol',
    'TextDecoder',
    'TextEncoder',
    'URL',
    'URLSearchParams',
    'WeakMap',
    'WeakSet',
  ],
  ...['Error', 'AggregateError', 'RangeError', 'SyntaxError', 'TypeError', 'URIError', 'Reflect', 'Promise'],
  ...['Int8Array', 'Int16Array', 'Int32Array', 'Uint8Array', 'Uint16Array', 'Uint32Array', 'BigUint64Array'],
  ...['Infinity', 'NaN', 'undefined', 'isFinite', 'isNaN', 'parseFloat', 'parseInt', 'structuredClone'],
  ...['Headers', 'atob', 'btoa', 'decodeURIComponent', 'encodeURIComponent', 'Date', 'Math', 'Bun'],
])
const OTHER_GLOBALS = Object.getOwnPropertyNames(globalThis).filter(name => !COMPUTING.has(name))

/** Globals of the runtime that a file takes, beside what computes, whatever it does with them. */
export function foreignGlobals(file: string): string[] {
  const words = wordsOf(file)
  return OTHER_GLOBALS.filter(name => {
    const own = new RegExp(
      String.raw`\b(?:function|const|let|type|interface|class) ${name}\b|\b${name}\b[^;()=]* from ''`,
    )
    // `self` is the name of a node in many places, and of all globals otherwise
    const taken = name === 'self' ? /(?<![\w.$#])self\s*[.[]/ : new RegExp(String.raw`(?<![\w.$#])${name}\b(?!\s*\??:)`)
    return taken.test(words) && !own.test(words)
  })
}

/** The kinds of effect that a file reaches for itself. */
export function handsOf(file: string): EffectKind[] {
  const code = codeOf(file)
  const imported = (importsByFile.get(file) ?? []).filter(({ typeOnly }) => !typeOnly)
  return (Object.keys(EFFECTS) as EffectKind[]).filter(kind => {
    const effect: Effect = EFFECTS[kind]
    return effect.spelled?.test(code) === true || imported.some(one => reaches(effect, one))
  })
}

function reaches({ modules, doors }: Effect, { target, path, values }: Import): boolean {
  if (modules?.includes(target) === true) return true
  const names = path === undefined ? undefined : doors?.[path]
  return names === 'all' || (names !== undefined && values.some(name => name === '*' || names.includes(name)))
}

type Owners = Readonly<Record<string, readonly string[]>>

/**
 * Who reaches for what, by room: the names of files, or `*` for a room whose whole business it is.
 * To any other file what it needs is handed.
 */
export const OWNERS: Readonly<Record<EffectKind, Owners>> = {
  clock: {
    bfd: ['worker'],
    cni: ['address-store command reservation server turns'],
    commands: [
      'answer-checks check-cluster check cluster-snapshot cni-server confirm controller-paths',
      'controller drain kubeconfig node-network node-parts node-paths node-status node',
      'observe-cluster plan show uninstall upgrade',
    ],
    doctor: ['inspect observe-interfaces'],
    kube: ['transport try-kubeconfig'],
    lab: ['*'],
    lib: ['clock files log'],
    status: ['app'],
  },
  timers: {
    bgp: ['tcp/tcp-connection'],
    cni: ['command turns'],
    host: ['signals'],
    lib: ['clock stdout'],
    status: ['trace-stream'],
  },
  chance: {
    apiserver: ['*'],
    cloudsim: ['*'],
    cni: ['add detach'],
    commands: ['check-cluster controller'],
    lib: ['clock'],
    paths: ['check prober'],
  },
  process: {
    '': ['main'],
    apiserver: ['*'],
    bfd: ['bfd worker'],
    cloud: ['door'],
    cni: ['command server'],
    commands: ['bgp check-cluster check-text controller install plan show trace uninstall version'],
    config: ['environment load'],
    doctor: ['inspect'],
    host: ['drain executable signals state-folder'],
    lab: ['*'],
    lib: ['disk files libc stdout'],
    status: ['process-metrics'],
  },
  Bun: {
    agent: ['cni-plugins'],
    apiserver: ['*'],
    bfd: ['transport'],
    bgp: ['tcp/tcp-connection tcp/transport'],
    cloudsim: ['*'],
    cni: ['command server'],
    commands: ['bgp switch-config version'],
    eni: ['controller-start'],
    firewall: ['nftables'],
    host: ['accounts executable systemd upgrade'],
    lab: ['*'],
    lib: ['file-lock stdout'],
    netlink: ['ruleset-watch watch'],
    paths: ['udp'],
    status: ['page server'],
  },
  network: {
    agent: ['lifelines'],
    apiserver: ['*'],
    bfd: ['bfd'],
    cloudsim: ['*'],
    controller: ['api-server-addresses'],
    eni: ['metadata'],
    kube: ['transport'],
    lab: ['*'],
    status: ['ask server'],
  },
  files: {
    agent: ['cni-config cni-plugins lifelines sysctl'],
    apiserver: ['*'],
    cni: ['add address-store boot counts interface-pool-file leaks readiness server sysctl turns'],
    commands: ['doctor install kubeconfig network-file node-network plan switch-config uninstall upgrade'],
    config: ['load'],
    doctor: ['cni inspect listeners observe-interfaces'],
    eni: ['controller-start gateway-source'],
    firewall: ['legacy'],
    host: [
      'accounts boot-config capabilities carry-out drain drained-file executable hand-over look',
      'state-folder state-watch systemd upgrade upgrade-record',
    ],
    kube: [
      'claim-pod-cidrs cluster-state eni-node-source held-state kubeconfig local-word',
      'token-renewal watch-expiry',
    ],
    lab: ['*'],
    lib: ['disk files stdout'],
    netlink: ['ipsec'],
    speaker: ['restart-marker'],
    status: ['credentials process-metrics'],
  },
  'system calls': {
    agent: ['sysctl'],
    bfd: ['transport'],
    bgp: ['tcp/transport tcp/ttl-trial'],
    cni: ['leaks server veth'],
    doctor: ['arp-probe'],
    firewall: ['legacy nftables'],
    host: ['chroot notify'],
    lab: ['*'],
    lib: ['file-lock libc'],
    netlink: ['socket'],
    paths: ['source-address udp'],
  },
  stdout: {
    '': ['main'],
    cni: ['command'],
    commands: [
      'bgp check-cluster check completion config confirm doctor drain install kubeconfig manifests',
      'plan show switch-config terminal trace uninstall upgrade version',
    ],
    lab: ['*'],
    lib: ['command-line'],
  },
  log: {
    commands: ['cni-server confirm controller kubeconfig node observe-cluster'],
    doctor: ['inspect'],
    kube: ['try-kubeconfig'],
    lab: ['*'],
    lib: ['log'],
    status: ['app'],
  },
  kernel: {
    agent: ['leave lifelines observe reconcile'],
    cni: ['add detach inspect keep-wiring node-interfaces operations rebuild veth'],
    doctor: ['inspect lan observe-interfaces observe'],
    eni: ['keep-datapath keep-marks leave'],
    firewall: ['reconcile'],
    host: ['local-addresses'],
    netlink: ['door ipsec rtnetlink ruleset-watch watch'],
    paths: ['kernel stand'],
  },
  'API server': {
    commands: ['confirm controller kubeconfig node-parts observe-cluster'],
    doctor: ['inspect'],
    kube: ['client issue-kubeconfig kubeconfig token-renewal try-kubeconfig'],
    lab: ['*'],
  },
  cloud: {
    cloud: ['credentials door'],
    eni: ['controller-start'],
  },
}

/** Whether `OWNERS` has a file for a kind of effect. */
export function owns(file: string, kind: EffectKind): boolean {
  const [room = '', ...rest] = file.includes('/') ? file.split('/') : ['', file]
  const names = (OWNERS[kind][room] ?? []).flatMap(line => line.split(' '))
  return names.includes('*') || names.includes(rest.join('/').replace(/\.tsx?$/, ''))
}

/** Every file of `OWNERS` with its kind, `*` left out. */
export function ownedFiles(): { readonly kind: EffectKind; readonly file: string }[] {
  return (Object.keys(OWNERS) as EffectKind[]).flatMap(kind =>
    Object.entries(OWNERS[kind]).flatMap(([room, lines]) =>
      lines
        .flatMap(line => line.split(' '))
        .filter(name => name !== '*')
        .map(name => ({ kind, file: `${room === '' ? '' : `${room}/`}${name}.ts` })),
    ),
  )
}
