/**
 * The configuration: one schema, every default in one place. A file (`--config FILE`, else
 * /etc/terway-edge/config.yaml if it is there) and flags that override it make one `Config`;
 * unknown keys are errors, and all problems are listed at once with their paths.
 *
 * This file and main.ts are the only readers of the environment, beside cni, whose parameters come
 * that way.
 */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'
import { type Problem, problemsError, UserError } from './lib/errors.ts'
import { readFileIfPresent } from './lib/files.ts'
import { covers, overlaps, parsePrefix } from './lib/ip.ts'
import { LOG_LEVELS } from './lib/log.ts'
import { parseNodeSelector } from './lib/node-selector.ts'
import { cidrs, plainMessage, schemaProblems } from './lib/schema.ts'
import { parseYaml } from './lib/yaml.ts'

export const DEFAULT_CONFIG_FILE = '/etc/terway-edge/config.yaml'

/** rtnetlink table numbers that have names (linux/rtnetlink.h). */
const TABLES: Readonly<Record<string, number>> = { main: 254, default: 253 }

const LOCAL_TABLE = 255

const nodeSelector = z.string().superRefine((text, context) => {
  const parsed = parseNodeSelector(text)
  if ('problem' in parsed) context.addIssue({ code: 'custom', message: parsed.problem })
})

const network = z
  .strictObject({
    /** Pools for edge nodes, IPv4 and IPv6. May be appended to. */
    podCIDRs: cidrs.default([]),
    /** Gives the mask: the smallest block with room for so many pods. */
    podsPerNode: z.int().min(2, 'a podCIDR of one address cannot be served').max(65_536).default(128),
    /**
     * Which Nodes get a podCIDR, as a node selector or `all()`. The controller wants it where it
     * allocates: a podCIDR is for ever, and a Node of the cloud has no use for one.
     */
    edgeNodes: nodeSelector.optional(),
    /**
     * Whether podCIDRs that others gave and that lie outside of the pools, touch a Service, VPC or
     * data center range or are larger than a block are published all the same.
     */
    foreignPodCIDRs: z.boolean().default(false),
    /** How long a cluster that remembers no podCIDR waits for its nodes to say which they had. */
    rememberSeconds: z.int().min(0).max(3600).default(60),
    serviceCIDRs: cidrs.default([]),
    vpcCIDRs: cidrs.default([]),
    dataCenterCIDRs: cidrs.default([]),
  })
  .superRefine((value, context) => {
    for (const [index, pool] of value.podCIDRs.entries()) {
      if (parsePrefix(pool) === undefined) continue
      const problem = poolProblem(pool, value.podCIDRs.slice(0, index), {
        serviceCIDRs: value.serviceCIDRs,
        vpcCIDRs: value.vpcCIDRs,
        dataCenterCIDRs: value.dataCenterCIDRs,
      })
      if (problem !== undefined) context.addIssue({ code: 'custom', path: ['podCIDRs', index], message: problem })
    }
  })

/**
 * Why nothing useful can come from `pool`. Part of a pool may be reserved for something else
 * (allocation steps around it), but not all of it, and no address may stand in two pools.
 */
function poolProblem(
  pool: string,
  earlier: readonly string[],
  reserved: Readonly<Record<string, readonly string[]>>,
): string | undefined {
  const twin = earlier.find(other => parsePrefix(other) !== undefined && overlaps(pool, other))
  if (twin !== undefined) return `${pool} overlaps the pool ${twin}: no address may stand in two pools`
  for (const [key, ranges] of Object.entries(reserved)) {
    const outer = ranges.find(range => parsePrefix(range) !== undefined && covers(range, pool))
    if (outer !== undefined) return `${pool} lies inside ${outer} of network.${key}: nothing can be allocated from it`
  }
  return undefined
}

const listen = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$/, {
    error: 'write it as ADDRESS:PORT, such as 127.0.0.1:9179',
    abort: true,
  })
  .refine(text => Number(text.slice(text.lastIndexOf(':') + 1)) <= 65_535, 'a port is at most 65535')

const status = z.strictObject({
  /** Where the page and the API listen; port 0 takes a free one. */
  listen: listen.default('127.0.0.1:9179'),
  /**
   * A file with the bearer token that callers must show. Needed for any address but loopback,
   * unless `tls.clientCA` is set.
   */
  tokenFile: z.string().optional(),
  tls: z.strictObject({ certificate: z.string(), key: z.string(), clientCA: z.string().optional() }).optional(),
})

const route = z.strictObject({
  /** The rtnetlink protocol number that marks our routes. */
  protocol: z.int().min(5, '1 to 4 belong to the kernel and the administrator').max(255).default(187),
  table: z
    .union(
      [
        z.enum(['main', 'default']),
        z
          .int()
          .min(1)
          .max(2 ** 32 - 1)
          .refine(
            table => table !== LOCAL_TABLE,
            "255 is the kernel's table of local addresses; leave it out for main",
          ),
      ],
      'main, default, or a number from 1 to 4294967295',
    )
    .default('main')
    .transform(table => (typeof table === 'string' ? (TABLES[table] ?? 254) : table)),
})

const cni = z.strictObject({
  confDir: z.string().default('/etc/cni/net.d'),
  binDir: z.string().default('/opt/cni/bin'),
  /** Of the pods' interfaces; auto: the uplink's. */
  mtu: z
    .union([z.literal('auto'), z.int().min(1280).max(65_535)], 'auto, or a number from 1280 to 65535')
    .default('auto'),
  /** Whether pods may send from any address, not from their own alone. */
  allowSourceAddresses: z.boolean().default(false),
})

const bgp = z.strictObject({
  /** Where peers may dial in; 0: do not listen. */
  listenPort: z.int().min(0).max(65_535).default(179),
  /**
   * How long `drain` announces the routes with GRACEFUL_SHUTDOWN (RFC 8326) before it withdraws
   * them; 0: withdraws at once.
   */
  drainSeconds: z.int().min(0).max(600).default(5),
})

const firewall = z.strictObject({
  /**
   * Whether pods' packets are let through where the FORWARD chain of this host drops (Docker, ufw,
   * firewalld).
   */
  acceptPodTraffic: z.boolean().default(true),
})

const tableNumber = z
  .int()
  .min(1)
  .max(2 ** 31 - 1)
const priority = z.int().min(1).max(32_765, "32766 is the kernel's rule for table main")

/** Of the policy routes of a node whose pods sit on elastic network interfaces. */
const eni = z
  .strictObject({
    /** The one rule, and the table behind it, that leads to the pods of this node. */
    pods: z.strictObject({ priority: priority.default(512), table: tableNumber.default(512) }).prefault({}),
    /**
     * For answers to what came in by the primary interface: they leave by it. `mark` is one bit of
     * packets and connections.
     */
    marked: z
      .strictObject({
        priority: priority.default(600),
        table: tableNumber.default(600),
        mark: z
          .int()
          .min(1)
          .max(2 ** 31)
          .refine(mark => (mark & (mark - 1)) === 0, 'one bit: a power of two')
          .default(0x10),
      })
      .prefault({}),
    /**
     * The rules that send what pods send to the table of their interface: `tableBase` and the
     * interface's index.
     */
    interfaces: z.strictObject({ priority: priority.default(2048), tableBase: tableNumber.default(1000) }).prefault({}),
  })
  .superRefine(({ pods, marked, interfaces }, context) => {
    if (pods.priority < marked.priority && marked.priority < interfaces.priority) return
    const message = 'the priorities of pods, marked and interfaces must rise in this order'
    context.addIssue({ code: 'custom', message })
  })

/**
 * An endpoint: host, or host:port; with http:// in front without TLS, which only a simulated cloud
 * takes.
 */
const endpoint = z
  .string()
  .regex(
    /^(https?:\/\/)?[A-Za-z0-9.-]+(:\d{1,5})?$/,
    'write it as HOST or HOST:PORT, such as ecs.cn-hangzhou.aliyuncs.com',
  )

/** The cloud whose nodes' pods sit on elastic network interfaces: for the controller alone. */
const cloud = z.strictObject({
  /** Where the keys come from. */
  credentials: z
    .discriminatedUnion('from', [
      z.strictObject({
        from: z.literal('oidc'),
        roleArn: z.string().min(1),
        oidcProviderArn: z.string().min(1),
        tokenFile: z.string().default('/var/run/secrets/ack.alibabacloud.com/rrsa-tokens/token'),
      }),
      z.strictObject({ from: z.literal('secret'), name: z.string().min(1) }),
      z.strictObject({ from: z.literal('ram-role'), roleName: z.string().min(1).optional() }),
    ])
    .optional(),
  /** vpc: endpoints that are reached from inside a VPC; public: those of the internet. */
  network: z.enum(['vpc', 'public']).default('vpc'),
  endpoints: z
    .strictObject({
      ecs: endpoint.optional(),
      vpc: endpoint.optional(),
      ens: endpoint.optional(),
      sts: endpoint.optional(),
    })
    .prefault({}),
  /** PEM of the CA of these endpoints; default: the usual ones. */
  caFile: z.string().min(1).optional(),
  /**
   * Tells this cluster's interfaces from another's; default: the uid of the namespace kube-system.
   */
  clusterID: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,128}$/, 'at most 128 letters, digits, dots, - and _')
    .optional(),
  /** no-releases: nothing is given back; no-calls: nothing is changed in the cloud. */
  degradation: z.enum(['none', 'no-releases', 'no-calls']).default('none'),
})

/** Off: pod addresses are routed as they are. */
const ipMasq = z.strictObject({
  enabled: z.boolean().default(false),
  /**
   * Where pods keep their own address, beside podCIDRs and nodes of the cluster and what `network`
   * names on this node.
   */
  nonMasqueradeCIDRs: cidrs.default([]),
})

/**
 * Paths between nodes are measured by packets, so many a minute as is said here, whatever the size
 * of the cluster.
 */
const paths = z.strictObject({
  enabled: z.boolean().default(true),
  /** The UDP port at which nodes answer, the same on all nodes. */
  port: z.int().min(1).max(65_535).default(9179),
  /** Questions to nodes of the LAN; 0: none. Each is answered by one packet. */
  lanPacketsPerMinute: z.int().min(0).max(600).default(60),
  /** Questions to nodes of other LANs, which cross the line between. */
  farPacketsPerMinute: z.int().min(0).max(120).default(12),
  /** Whether neighbours are also asked by way of the switch, which proves its routes. */
  bySwitch: z.boolean().default(true),
})

/** Folders of the machine that others keep things in (hier(7)). */
const SHARED_FOLDERS: ReadonlySet<string> = new Set(
  '/ /bin /boot /dev /etc /home /lib /lib64 /media /mnt /opt /proc /root /run /sbin /srv /sys /tmp /usr /usr/lib /usr/local /var /var/lib /var/log /var/tmp'.split(
    ' ',
  ),
)

/** What controller and nodes hold of removals that are more likely a mistake than a wish. */
const removal = z.strictObject({
  /**
   * The share of all, or of a LAN, whose removal within ten minutes is held; more than 1: none is.
   */
  share: z.number().min(0).max(2).default(0.5),
  /** Fewer than so many always go at once. */
  number: z.int().min(1).default(2),
  /** How long; then a second whole list must say the same. */
  delaySeconds: z.int().min(0).max(86_400).default(600),
})

const schema = z.strictObject({
  node: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'a node name has lower-case letters, digits, - and .')
    .optional(),
  kubeconfig: z.string().min(1).optional(),
  state: z
    .string()
    .min(1)
    .refine(path => !SHARED_FOLDERS.has(resolve(path)), 'name a folder of its own: uninstall --purge removes it whole')
    .default('/var/lib/terway-edge'),
  logLevel: z.enum(LOG_LEVELS).default('info'),
  /** Where this node's pods get their addresses; auto: as the controller decides. */
  mode: z.enum(['auto', 'route', 'eni-ecs', 'eni-ens']).default('auto'),
  network: network.prefault({}),
  allocatePodCIDRs: z.boolean().default(true),
  removal: removal.prefault({}),
  status: status.prefault({}),
  route: route.prefault({}),
  bgp: bgp.prefault({}),
  cni: cni.prefault({}),
  eni: eni.prefault({}),
  cloud: cloud.prefault({}),
  firewall: firewall.prefault({}),
  ipMasq: ipMasq.prefault({}),
  paths: paths.prefault({}),
})

export type Config = Readonly<Omit<z.output<typeof schema>, 'node'>> & {
  /** This node's name. */
  readonly node: string
}

/** Flags that override the file, named as on the command line. */
export interface ConfigFlags {
  readonly config?: string
  readonly kubeconfig?: string
  readonly state?: string
  readonly statusListen?: string
  readonly logLevel?: string
  readonly node?: string
}

/** What a configuration lacks for the controller: a node's needs none of it. */
export function controllerProblems({ allocatePodCIDRs, network }: Config): Problem[] {
  if (!allocatePodCIDRs) return []
  const elsewhere = 'or set allocatePodCIDRs: false where something else allocates them'
  const problems: Problem[] = []
  if (network.podCIDRs.length === 0) {
    const message = `is empty: name the pools that pod CIDRs come from, ${elsewhere}`
    problems.push({ path: 'network.podCIDRs', message })
  }
  if (network.edgeNodes === undefined) {
    const message = `is required: say which Nodes get a pod CIDR, for ever (a label selector, or all()), ${elsewhere}`
    problems.push({ path: 'network.edgeNodes', message })
  }
  return problems
}

/** Reads, overrides, checks. Throws a `UserError` of exit status 2 that lists every problem. */
export function loadConfig(flags: ConfigFlags): Config {
  const file = flags.config ?? DEFAULT_CONFIG_FILE
  const text = flags.config === undefined ? (readFileIfPresent(file) ?? '') : readNamedFile(file)
  return parseConfig(text, file, flags)
}

/**
 * The pure part of `loadConfig`: the text of a file (YAML, of which JSON is a part) and flags to a
 * configuration.
 */
export function parseConfig(text: string, file: string, flags: ConfigFlags = {}, hostName = hostname()): Config {
  const document = override(parseDocument(text, file), flags)
  const result = schema.safeParse(document, { error: plainMessage })
  if (!result.success) {
    const problems = schemaProblems(result.error).map(problem => ofFlag(problem, flags))
    const fromFlags = problems.every(({ path }) => path.startsWith('--'))
    throw problemsError(fromFlags ? 'the command line' : file, problems)
  }
  return { ...result.data, node: result.data.node ?? hostName.toLowerCase() }
}

function readNamedFile(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new UserError(`cannot read the configuration file ${file}`, { exitStatus: 2, cause })
  }
}

function parseDocument(text: string, file: string): Record<string, unknown> {
  const value = parseYaml(text, file)
  if (value === null || value === undefined) return {} // only comments
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new UserError(
      `${file} is not a configuration: expected keys and values, such as "state: /var/lib/terway-edge"`,
      { exitStatus: 2 },
    )
  }
  return { ...value }
}

function override(document: Record<string, unknown>, flags: ConfigFlags): Record<string, unknown> {
  const status = typeof document.status === 'object' ? document.status : {}
  return {
    ...document,
    ...(flags.kubeconfig !== undefined && { kubeconfig: flags.kubeconfig }),
    ...(flags.state !== undefined && { state: flags.state }),
    ...(flags.logLevel !== undefined && { logLevel: flags.logLevel }),
    ...(flags.node !== undefined && { node: flags.node }),
    ...(flags.statusListen !== undefined && { status: { ...status, listen: flags.statusListen } }),
  }
}

const FLAGS = {
  kubeconfig: { path: 'kubeconfig', flag: '--kubeconfig' },
  state: { path: 'state', flag: '--state' },
  logLevel: { path: 'logLevel', flag: '--log-level' },
  node: { path: 'node', flag: '--node' },
  statusListen: { path: 'status.listen', flag: '--status-listen' },
} as const

/** The problem as one of the flag that gave the value, where a flag did. */
function ofFlag(problem: Problem, flags: ConfigFlags): Problem {
  const entry = Object.entries(FLAGS).find(([, { path }]) => path === problem.path)
  const given =
    entry !== undefined && Object.entries(flags).some(([name, value]) => name === entry[0] && value !== undefined)
  return given ? { ...problem, path: entry[1].flag } : problem
}

/** What the service manager and the cluster put into the environment. */
export const environment = {
  /** systemd's notification socket (sd_notify(3)). */
  notifySocket: () => process.env.NOTIFY_SOCKET,
  /**
   * Within how many microseconds systemd wants to hear of the service, where it does
   * (sd_watchdog_enabled(3)).
   */
  watchdogMicroseconds: () => Number(process.env.WATCHDOG_USEC ?? 0),
  /** Proxies that every request of this process goes by, where the operator set any. */
  proxies: () => ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].flatMap(name => process.env[name] || []),
}
