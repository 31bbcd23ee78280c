/**
 * What a configuration file may say: one schema, every default and every key's meaning in one
 * place. Unknown keys are errors, and so is what could not work. docs/reference/configuration.md is
 * made of it (`scripts/reference.ts`); load.ts reads files by it. Pure.
 */
import { resolve } from 'node:path'
import { z } from 'zod'
import { covers, overlaps, parsePrefix } from '../lib/ip.ts'
import { LOG_LEVELS } from '../lib/log-level.ts'
import { parseNodeSelector } from '../lib/node-selector.ts'
import { cidrs } from '../lib/schema.ts'

/** rtnetlink table numbers that have names (linux/rtnetlink.h). */
const TABLES: Readonly<Record<string, number>> = { main: 254, default: 253 }

const LOCAL_TABLE = 255

const nodeSelector = z.string().superRefine((text, context) => {
  const parsed = parseNodeSelector(text)
  if ('problem' in parsed) context.addIssue({ code: 'custom', message: parsed.problem })
})

const network = z
  .strictObject({
    podCIDRs: cidrs.default([]).describe('Pools for edge nodes, IPv4 and IPv6. May be appended to.'),
    podsPerNode: z
      .int()
      .min(2, 'a podCIDR of one address cannot be served')
      .max(65_536)
      .default(128)
      .describe('Gives the mask: the smallest block with room for so many pods.'),
    edgeNodes: nodeSelector
      .optional()
      .describe(
        'Which Nodes get a podCIDR, as a node selector or `all()`. The controller wants it where it allocates: a podCIDR is for ever, and a Node of the cloud has no use for one.',
      ),
    foreignPodCIDRs: z
      .boolean()
      .default(false)
      .describe(
        'Whether podCIDRs that others gave and that lie outside of the pools, touch a Service, VPC or data center range or are larger than a block are published all the same.',
      ),
    rememberSeconds: z
      .int()
      .min(0)
      .max(3600)
      .default(60)
      .describe('How long a cluster that remembers no podCIDR waits for its nodes to say which they had.'),
    serviceCIDRs: cidrs
      .default([])
      .describe(
        'Service ranges of the cluster: no podCIDR is taken from them, and pods are never masqueraded towards them.',
      ),
    vpcCIDRs: cidrs.default([]).describe('Ranges of the cloud network, as serviceCIDRs.'),
    dataCenterCIDRs: cidrs.default([]).describe('Ranges of the sites, hosts and devices, as serviceCIDRs.'),
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
  listen: listen.default('127.0.0.1:9179').describe('Where the page and the API listen; port 0 takes a free one.'),
  tokenFile: z
    .string()
    .optional()
    .describe(
      'A file with the bearer token that callers must show. Needed for any address but loopback, unless `tls.clientCA` is set.',
    ),
  tls: z
    .strictObject({ certificate: z.string(), key: z.string(), clientCA: z.string().optional() })
    .optional()
    .describe('Serve HTTPS; with clientCA only clients with a certificate of it are answered.'),
})

const route = z.strictObject({
  protocol: z
    .int()
    .min(5, '1 to 4 belong to the kernel and the administrator')
    .max(255)
    .default(187)
    .describe('The rtnetlink protocol number that marks our routes.'),
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
    .transform(table => (typeof table === 'string' ? (TABLES[table] ?? 254) : table))
    .describe('The table of routes, by number or as main or default.'),
})

const cni = z.strictObject({
  confDir: z.string().default('/etc/cni/net.d').describe('Where the container runtime looks for CNI configurations.'),
  binDir: z.string().default('/opt/cni/bin').describe('Where it looks for CNI plugins.'),
  mtu: z
    .union([z.literal('auto'), z.int().min(1280).max(65_535)], 'auto, or a number from 1280 to 65535')
    .default('auto')
    .describe("Of the pods' interfaces; auto: the uplink's."),
  allowSourceAddresses: z
    .boolean()
    .default(false)
    .describe('Whether pods may send from any address, not from their own alone.'),
})

const bgp = z.strictObject({
  listenPort: z.int().min(0).max(65_535).default(179).describe('Where peers may dial in; 0: do not listen.'),
  drainSeconds: z
    .int()
    .min(0)
    .max(600)
    .default(5)
    .describe(
      'How long `drain` announces the routes with GRACEFUL_SHUTDOWN (RFC 8326) before it withdraws them; 0: withdraws at once.',
    ),
})

const firewall = z.strictObject({
  acceptPodTraffic: z
    .boolean()
    .default(true)
    .describe(
      "Whether pods' packets are let through where the FORWARD chain of this host drops (Docker, ufw, firewalld).",
    ),
})

const tableNumber = z
  .int()
  .min(1)
  .max(2 ** 31 - 1)
const priority = z.int().min(1).max(32_765, "32766 is the kernel's rule for table main")

/** Of the policy routes of a node whose pods sit on elastic network interfaces. */
const eni = z
  .strictObject({
    pods: z
      .strictObject({ priority: priority.default(512), table: tableNumber.default(512) })
      .prefault({})
      .describe('The one rule, and the table behind it, that leads to the pods of this node.'),
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
      .prefault({})
      .describe(
        'For answers to what came in by the primary interface: they leave by it. `mark` is one bit of packets and connections.',
      ),
    interfaces: z
      .strictObject({ priority: priority.default(2048), tableBase: tableNumber.default(1000) })
      .prefault({})
      .describe(
        "The rules that send what pods send to the table of their interface: `tableBase` and the interface's index.",
      ),
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
  credentials: z
    .discriminatedUnion('from', [
      z.strictObject({
        from: z.literal('oidc'),
        roleArn: z.string().min(1).describe('The RAM role to take.'),
        oidcProviderArn: z.string().min(1).describe('The provider that vouches for the cluster.'),
        tokenFile: z
          .string()
          .default('/var/run/secrets/ack.alibabacloud.com/rrsa-tokens/token')
          .describe('The token of the service account.'),
      }),
      z.strictObject({
        from: z.literal('secret'),
        name: z.string().min(1).describe('A Secret in kube-system with accessKeyId and accessKeySecret.'),
      }),
      z.strictObject({
        from: z.literal('ram-role'),
        roleName: z.string().min(1).optional().describe('Default: the role that the instance says.'),
      }),
    ])
    .optional()
    .describe('Where the keys come from.'),
  network: z
    .enum(['vpc', 'public'])
    .default('vpc')
    .describe('vpc: endpoints that are reached from inside a VPC; public: those of the internet.'),
  endpoints: z
    .strictObject({
      ecs: endpoint.optional(),
      vpc: endpoint.optional(),
      ens: endpoint.optional(),
      sts: endpoint.optional(),
    })
    .prefault({})
    .describe('Hosts of the APIs, where the usual ones cannot be reached.'),
  caFile: z.string().min(1).optional().describe('PEM of the CA of these endpoints; default: the usual ones.'),
  clusterID: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,128}$/, 'at most 128 letters, digits, dots, - and _')
    .optional()
    .describe("Tells this cluster's interfaces from another's; default: the uid of the namespace kube-system."),
  degradation: z
    .enum(['none', 'no-releases', 'no-calls'])
    .default('none')
    .describe('no-releases: nothing is given back; no-calls: nothing is changed in the cloud.'),
})

/** Off: pod addresses are routed as they are. */
const ipMasq = z.strictObject({
  enabled: z.boolean().default(false).describe('Whether pods leave the cluster with the address of their node.'),
  nonMasqueradeCIDRs: cidrs
    .default([])
    .describe(
      'Where pods keep their own address, beside podCIDRs and nodes of the cluster and what `network` names on this node.',
    ),
})

/**
 * Paths between nodes are measured by packets, so many a minute as is said here, whatever the size
 * of the cluster.
 */
const paths = z.strictObject({
  enabled: z.boolean().default(true).describe('Whether nodes and the leading controller send each other probes.'),
  port: z
    .int()
    .min(1)
    .max(65_535)
    .default(9179)
    .describe('The UDP port at which nodes and the controller answer, the same everywhere.'),
  lanPacketsPerMinute: z
    .int()
    .min(0)
    .max(600)
    .default(60)
    .describe('Questions to nodes of the LAN; 0: none. Each is answered by one packet.'),
  farPacketsPerMinute: z
    .int()
    .min(0)
    .max(120)
    .default(12)
    .describe(
      'Questions to nodes of other LANs and to the controller, which cross the line between; the controller sends five times as many, to all LANs together.',
    ),
  bySwitch: z
    .boolean()
    .default(true)
    .describe('Whether neighbours are also asked by way of the switch, which proves its routes.'),
})

/** Folders of the machine that others keep things in (hier(7)). */
const SHARED_FOLDERS: ReadonlySet<string> = new Set(
  '/ /bin /boot /dev /etc /home /lib /lib64 /media /mnt /opt /proc /root /run /sbin /srv /sys /tmp /usr /usr/lib /usr/local /var /var/lib /var/log /var/tmp'.split(
    ' ',
  ),
)

/** What controller and nodes hold of removals that are more likely a mistake than a wish. */
const removal = z.strictObject({
  share: z
    .number()
    .min(0)
    .max(2)
    .default(0.5)
    .describe('The share of all, or of a LAN, whose removal within ten minutes is held; more than 1: none is.'),
  number: z.int().min(1).default(2).describe('Fewer than so many always go at once.'),
  delaySeconds: z
    .int()
    .min(0)
    .max(86_400)
    .default(600)
    .describe('How long; then a second whole list must say the same.'),
})

export const configSchema = z.strictObject({
  node: z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'a node name has lower-case letters, digits, - and .')
    .optional()
    .describe("This node's name in Kubernetes; default: the host's name in lower case."),
  kubeconfig: z
    .string()
    .min(1)
    .optional()
    .describe('How to reach the API server; default: the service account of the pod.'),
  state: z
    .string()
    .min(1)
    .refine(path => !SHARED_FOLDERS.has(resolve(path)), 'name a folder of its own: uninstall --purge removes it whole')
    .default('/var/lib/terway-edge')
    .describe('A folder of its own for the last good state: what a reboot without the API server lives on.'),
  logLevel: z.enum(LOG_LEVELS).default('info').describe('What is logged, as JSON lines on stderr.'),
  mode: z
    .enum(['auto', 'route', 'eni-ecs', 'eni-ens'])
    .default('auto')
    .describe("Where this node's pods get their addresses; auto: as the controller decides."),
  network: network
    .prefault({})
    .describe('The ranges of the cluster. For the controller; of a node only the ranges that ipMasq leaves alone.'),
  allocatePodCIDRs: z
    .boolean()
    .default(true)
    .describe(
      'false: Nodes get their podCIDRs from elsewhere (kube-controller-manager, the cloud). For the controller.',
    ),
  plan: z
    .string()
    .min(1)
    .optional()
    .describe(
      'A network.yaml of `terway-edge plan`: the page of the controller shows the plan beside what is. For the controller.',
    ),
  removal: removal
    .prefault({})
    .describe('What controller and nodes hold of removals that are more likely a mistake than a wish.'),
  status: status.prefault({}).describe('The page, the API behind it, and metrics.'),
  route: route.prefault({}).describe('How the routes of the node are marked, and where they are.'),
  bgp: bgp.prefault({}).describe('The BGP speaker.'),
  cni: cni.prefault({}).describe('The CNI plugin and its configuration.'),
  eni: eni.prefault({}).describe('Policy routes of a node whose pods sit on elastic network interfaces.'),
  cloud: cloud
    .prefault({})
    .describe("The cloud whose nodes' pods sit on elastic network interfaces. For the controller."),
  firewall: firewall.prefault({}).describe('Rules of the host that drop what it forwards.'),
  ipMasq: ipMasq.prefault({}).describe('Masquerade; off, pod addresses are routed as they are.'),
  paths: paths
    .prefault({})
    .describe(
      'Paths between nodes are measured by packets, so many a minute as is said here, whatever the size of the cluster.',
    ),
})

export type Config = Readonly<Omit<z.output<typeof configSchema>, 'node'>> & {
  /** This node's name. */
  readonly node: string
}
