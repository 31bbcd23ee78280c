/**
 * What a lab consists of, worked out from its options alone: LANs, nodes, switches, border router,
 * VPC host, their namespaces, addresses and AS numbers. The world of the documented example: data
 * center 172.16.0.0/16, VPC 192.168.0.0/16, edge pods inside 10.0.0.0/8. Pure.
 */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { type Problem, problemsError } from '../lib/errors.ts'
import { CLOUD_NAMES, type CloudPlan, planCloud } from './cloud-plan.ts'

export const DEFAULT_DIRECTORY = '/run/terway-edge-lab'
export const DATA_CENTER_CIDR = '172.16.0.0/16'
export const VPC_CIDR = '192.168.0.0/16'
export const POD_POOL = '10.0.0.0/8'
/**
 * The same world in IPv6, with --ipv6: unique local addresses (RFC 4193) that read like the IPv4
 * ones.
 */
export const DATA_CENTER_CIDR6 = 'fd00:172:16::/48'
export const VPC_CIDR6 = 'fd00:192:168::/48'
export const POD_POOL6 = 'fd00:10::/64'
export const PODS_PER_NODE = 128
export const API_PORT = 6443
export const STATUS_PORT = 9179
export const NODE_POOL_LABEL = 'alibabacloud.com/nodepool-id'
/** What Nodes of the edge LANs say of themselves, as ACK Edge labels them. */
export const EDGE_WORKER_LABEL = 'alibabacloud.com/is-edge-worker'
export const EDGE_NODES = `${EDGE_WORKER_LABEL}=true`
/** On every object that the lab makes in a cluster. */
export const LAB_LABEL = 'terway-edge.lab'

export type RouterKind = 'bird' | 'frr'

export interface LabOptions {
  readonly directory: string
  /** One router per LAN. */
  readonly switches: readonly [RouterKind, RouterKind]
  /** An even number of them; the first half is in LAN a. */
  readonly nodes: readonly string[]
  /** Dual stack. */
  readonly ipv6: boolean
  /** A simulated cloud with nodes of ECS and of ENS. */
  readonly cloud: boolean
}

/** A node and the namespace of its pod, wherever it stands. */
export interface MachinePlan extends LinkEnd {
  readonly name: string
  readonly namespace: string
  readonly podNamespace: string
}

/** A node of an edge LAN. */
export interface NodePlan extends MachinePlan {
  /** The port of the switch that it hangs on. */
  readonly port: string
}

export interface LanPlan {
  readonly id: 'a' | 'b'
  readonly bgpPeer: string
  readonly nodePool: string
  readonly cidr: string
  readonly cidr6?: string
  readonly localAsNumber: number
  readonly password?: string
  readonly nodes: readonly NodePlan[]
  readonly speakers: readonly NodePlan[]
  readonly switch: SwitchPlan
}

export interface SwitchPlan {
  readonly name: string
  readonly namespace: string
  readonly router: RouterKind
  readonly asNumber: number
  /** Its address in the LAN: the nodes' default gateway and BGP peer. */
  readonly address: string
  readonly address6?: string
  /** Towards the other switch and the border router, with their lengths. */
  readonly core: LinkEnd
  readonly border: LinkEnd
}

/** One end of a link between routers. */
export interface LinkEnd {
  readonly address: string
  /** With --ipv6, like every `…6`. */
  readonly address6?: string
}

export interface LabPlan {
  readonly directory: string
  /** What the name of every namespace begins with. */
  readonly prefix: string
  readonly lans: readonly [LanPlan, LanPlan]
  readonly border: {
    readonly name: string
    readonly namespace: string
    readonly asNumber: number
    /** Towards switch a, switch b. */
    readonly links: readonly [LinkEnd, LinkEnd]
    readonly vpc: LinkEnd
  }
  readonly vpc: { readonly name: string; readonly namespace: string } & LinkEnd
  readonly cloud?: CloudPlan
}

const LANS = [
  { id: 'a', third: 0, localAsNumber: 65010, switchAsNumber: 65001, password: 'mySecretValue' },
  { id: 'b', third: 1, localAsNumber: 65020, switchAsNumber: 65002, password: undefined },
] as const

/** Link networks between the routers, each a /30. */
const CORE = ['172.16.254.1', '172.16.254.2'] as const
const BORDER = [
  { switch: '172.16.254.5', border: '172.16.254.6' },
  { switch: '172.16.254.9', border: '172.16.254.10' },
] as const

export function planLab(options: LabOptions): LabPlan {
  const prefix = prefixOf(options.directory)
  const half = options.nodes.length / 2
  const end = (address: string, address6: string): LinkEnd => (options.ipv6 ? { address, address6 } : { address })
  const lan = (index: 0 | 1): LanPlan => {
    const { id, third, localAsNumber, switchAsNumber, password } = LANS[index]
    const nodes = options.nodes
      .slice(index * half, (index + 1) * half)
      .map((name, position) =>
        planNode({ prefix, name, third, position, host: 11 + index * half + position, ipv6: options.ipv6 }),
      )
    return {
      id,
      bgpPeer: `lan-${id}`,
      nodePool: `np-${id}`,
      cidr: `172.16.${third}.0/24`,
      ...(options.ipv6 ? { cidr6: `${lanPrefix6(third)}/64` } : {}),
      localAsNumber,
      ...(password === undefined ? {} : { password }),
      nodes,
      speakers: nodes.slice(0, 2),
      switch: {
        name: `switch-${id}`,
        namespace: `${prefix}-switch-${id}`,
        router: options.switches[index],
        asNumber: switchAsNumber,
        ...end(`172.16.${third}.1`, `${lanPrefix6(third)}1`),
        core: end(CORE[index], `fd00:172:16:fe::${index + 1}`),
        border: end(BORDER[index].switch, `fd00:172:16:f${index}::1`),
      },
    }
  }
  const border = { name: 'border', namespace: `${prefix}-border`, vpc: end('192.168.0.1', 'fd00:192:168::1') }
  const vpc = { name: 'vpc', namespace: `${prefix}-vpc`, ...end('192.168.0.10', 'fd00:192:168::10') }
  const cidrs = options.ipv6 ? [VPC_CIDR, VPC_CIDR6] : [VPC_CIDR]
  const surroundings = { prefix, ipv6: options.ipv6, border: { ...border, ...border.vpc }, host: vpc, cidrs }
  return {
    directory: options.directory,
    prefix,
    lans: [lan(0), lan(1)],
    border: {
      ...border,
      asNumber: 65000,
      links: [end(BORDER[0].border, 'fd00:172:16:f0::2'), end(BORDER[1].border, 'fd00:172:16:f1::2')],
    },
    vpc,
    ...(options.cloud ? { cloud: planCloud(surroundings) } : {}),
  }
}

/** As RFC 5952 writes it. */
function lanPrefix6(third: number): string {
  return third === 0 ? 'fd00:172:16::' : `fd00:172:16:${third}::`
}

function planNode(from: {
  prefix: string
  name: string
  third: number
  position: number
  host: number
  ipv6: boolean
}): NodePlan {
  const { prefix, name, third, position, host, ipv6 } = from
  return {
    name,
    namespace: `${prefix}-${name}`,
    address: `172.16.${third}.${host}`,
    ...(ipv6 ? { address6: `${lanPrefix6(third)}${host}` } : {}),
    podNamespace: `${prefix}-pod-${name}`,
    port: `port-${position + 1}`,
  }
}

/**
 * `te-lab`, with something of the folder's name when it is not the usual one: labs in several
 * folders do not meet.
 */
function prefixOf(directory: string): string {
  if (resolve(directory) === DEFAULT_DIRECTORY) return 'te-lab'
  return `te-lab-${createHash('sha256').update(resolve(directory)).digest('hex').slice(0, 6)}`
}

/** Everything that runs in a namespace, by its short name: what `lab exec` accepts. */
export function namespacesOf(plan: LabPlan): ReadonlyMap<string, string> {
  const places: (readonly [string, string])[] = []
  for (const lan of plan.lans) {
    places.push([lan.switch.name, lan.switch.namespace])
    for (const node of lan.nodes) places.push([node.name, node.namespace], [`pod-${node.name}`, node.podNamespace])
  }
  places.push([plan.border.name, plan.border.namespace], [plan.vpc.name, plan.vpc.namespace])
  const { cloud } = plan
  if (cloud !== undefined) {
    for (const { name, namespace } of [cloud.vpc, cloud.ens]) places.push([name, namespace])
    for (const node of cloud.nodes) places.push([node.name, node.namespace], [`pod-${node.name}`, node.podNamespace])
  }
  return new Map(places)
}

/** The nodes of the edge LANs. */
export function nodesOf(plan: LabPlan): readonly NodePlan[] {
  return plan.lans.flatMap(lan => lan.nodes)
}

/** All nodes, of LANs and of the cloud. */
export function machinesOf(plan: LabPlan): readonly MachinePlan[] {
  return [...nodesOf(plan), ...(plan.cloud?.nodes ?? [])]
}

/** The addresses of a link's end, one of each family that there is. */
export function addressesOf({ address, address6 }: LinkEnd): readonly string[] {
  return address6 === undefined ? [address] : [address, address6]
}

/** Decodes what was given on the command line; throws a usage error that lists every problem. */
export function decodeOptions(given: {
  dir: string
  switch: string
  nodes: string
  ipv6?: true
  cloud?: true
}): LabOptions {
  const problems: Problem[] = []
  const words = given.switch.split(',').map(word => word.trim())
  const [first, second = first] = words.map(word => (word === 'bird' || word === 'frr' ? word : undefined))
  if (first === undefined || second === undefined || words.length > 2) {
    problems.push({
      path: '--switch',
      message: `${JSON.stringify(given.switch)} is not bird, frr, or one for each LAN such as bird,frr`,
    })
  }
  const nodes = given.nodes.split(',').map(name => name.trim())
  if (nodes.length < 2 || nodes.length % 2 !== 0 || nodes.length > 40) {
    problems.push({
      path: '--nodes',
      message: 'name an even number of nodes, from 2 to 40: the first half is in LAN a',
    })
  }
  const cloud = given.cloud === true
  const taken = new Set<string>(['vpc', 'border', 'switch-a', 'switch-b', ...(cloud ? CLOUD_NAMES : [])])
  for (const name of nodes) {
    if (!/^[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?$/.test(name)) {
      problems.push({
        path: '--nodes',
        message: `${JSON.stringify(name)} is not a node name: lower-case letters, digits and -`,
      })
    } else if (taken.has(name))
      problems.push({ path: '--nodes', message: `${name} is there twice, or is the lab's own name` })
    taken.add(name)
  }
  if (problems.length > 0 || first === undefined || second === undefined) throw problemsError('the lab', problems)
  return { directory: resolve(given.dir), switches: [first, second], nodes, ipv6: given.ipv6 === true, cloud }
}
