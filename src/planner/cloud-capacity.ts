/**
 * How many pods the nodes of the cloud (ECS) and of Edge Node Service can have: by the interfaces
 * of a node, and by the addresses of the vSwitches of its zone. Sources: Terway's limits
 * (interfaces but the primary one, times addresses of each), and the page on Terway in ENS (25
 * addresses an interface, ten interfaces, the primary one not for pods). Pure.
 */
import { familyOf, prefixRange } from '../lib/ip.ts'
import type { Finding } from './finding.ts'
import { monthAfter, yearsUntil } from './growth.ts'
import type { Network } from './network.ts'

/** Nodes that take their pods' addresses from one place. */
export interface CloudCapacity {
  /** `zone a`, or `ENS shop`. */
  readonly where: string
  readonly nodes: number
  /** Pods that are expected on all of them. */
  readonly pods: number
  /** Addresses that there are for pods. */
  readonly addresses: number
  /** The month in which they are used up at the growth given; absent: not within 50 years. */
  readonly fullIn?: string
}

type NodePool = Network['vpc']['nodePools'][number]
type EnsNodes = Network['ens'][number]

/** The first address and the last three of a vSwitch are the cloud's. */
export const VSWITCH_RESERVED = 4

const ENS_ADDRESSES = 25
const ENS_INTERFACES = 10

export function cloudCapacityOf(network: Network, now: number): readonly CloudCapacity[] {
  const { nodePools, podVSwitches } = network.vpc
  const zones = [...Map.groupBy(nodePools, ({ zone }) => zone)].map(([zone, pools]) => {
    const cidrs = podVSwitches.filter(one => one.zone === zone).map(({ cidr }) => cidr)
    const addresses = cidrs.filter(isIPv4).reduce((sum, cidr) => sum + addressesOf(cidr), 0)
    return capacity(`zone ${zone}`, pools.map(podsOfPool), { addresses, now })
  })
  const sites = network.ens.map(site => {
    // nodes and their primary interfaces live in the same vSwitch
    const addresses = Math.max(0, addressesOf(site.cidr) - site.nodes)
    return capacity(`ENS ${site.name}`, [{ ...site, pods: ensPodsPerNode(site) }], { addresses, now })
  })
  return [...zones, ...sites]
}

interface Demand extends Pick<NodePool, 'nodes' | 'growthPerYear'> {
  /** Of each node. */
  readonly pods: number
}

function capacity(
  where: string,
  demands: readonly Demand[],
  { addresses, now }: { addresses: number; now: number },
): CloudCapacity {
  const pods = demands.reduce((sum, demand) => sum + demand.nodes * demand.pods, 0)
  const growing = demands.map(({ nodes, growthPerYear, pods: each }) => ({
    nodes: nodes * each,
    growthPerYear: typeof growthPerYear === 'number' ? growthPerYear * each : growthPerYear,
  }))
  const years = yearsUntil(growing, addresses)
  return {
    where,
    nodes: demands.reduce((sum, { nodes }) => sum + nodes, 0),
    pods,
    addresses,
    ...(years !== undefined && { fullIn: monthAfter(now, years) }),
  }
}

function podsOfPool(pool: NodePool): Demand {
  return { ...pool, pods: Math.min(pool.podsPerNode ?? Number.POSITIVE_INFINITY, podsPerCloudNode(pool)) }
}

/** Of an instance type. */
function podsPerCloudNode({ interfaces, addressesPerInterface }: NodePool): number {
  return (interfaces - 1) * addressesPerInterface
}

function ensPodsPerNode({ interfaces }: EnsNodes): number {
  return (interfaces - 1) * ENS_ADDRESSES
}

function isIPv4(cidr: string): boolean {
  return familyOf(cidr.split('/')[0] ?? '') === 'ipv4'
}

function addressesOf(cidr: string): number {
  const { first, last } = prefixRange(cidr)
  return Math.max(0, Number(last - first + 1n) - VSWITCH_RESERVED)
}

export function cloudCapacityFindings(network: Network, cloud: readonly CloudCapacity[]): readonly Finding[] {
  return [
    ...network.vpc.nodePools.flatMap(poolFindings(network)),
    ...network.ens.flatMap(ensFindings),
    ...cloud.filter(({ pods, addresses }) => addresses > 0 && pods > addresses).map(tooSmall),
  ]
}

function tooSmall({ where, nodes, pods, addresses }: CloudCapacity): Finding {
  const ens = where.startsWith('ENS ')
  return {
    severity: 'problem',
    rule: 'pod-vswitch-full',
    message: `${where} has ${addresses} addresses for pods, and its ${nodes} nodes are to have ${pods} pods: the last ones get no address`,
    places: [{ path: ens ? 'ens' : 'vpc.podVSwitches', value: where }],
    wayOut: ens
      ? 'choose a larger vSwitch, or fewer interfaces a node'
      : 'add a pod vSwitch in this zone (possible later too), or say how many pods a node really has (podsPerNode)',
  }
}

function poolFindings({ vpc }: Network): (pool: NodePool, index: number) => readonly Finding[] {
  return (pool, index) => {
    const path = `vpc.nodePools[${index}]`
    const found: Finding[] = []
    if (!vpc.podVSwitches.some(({ zone }) => zone === pool.zone))
      found.push({
        severity: 'problem',
        rule: 'zone-without-pod-vswitch',
        message: `node pool ${pool.name} is in zone ${pool.zone}, which has no pod vSwitch: pods on its nodes get no address`,
        places: [{ path: `${path}.zone`, value: pool.zone }],
        wayOut: `add a pod vSwitch in zone ${pool.zone}: a pod vSwitch must be in the zone of its nodes`,
      })
    const most = podsPerCloudNode(pool)
    if (pool.podsPerNode !== undefined && pool.podsPerNode > most)
      found.push({
        severity: 'problem',
        rule: 'instance-too-small',
        message: `a node of pool ${pool.name} has addresses for ${most} pods (${pool.interfaces} interfaces but the primary one, ${pool.addressesPerInterface} addresses each), and ${pool.podsPerNode} are planned`,
        places: [{ path: `${path}.podsPerNode`, value: String(pool.podsPerNode) }],
        wayOut: 'take a larger instance type, or plan fewer pods a node',
      })
    return found
  }
}

function ensFindings(site: EnsNodes, index: number): readonly Finding[] {
  const place = { path: `ens[${index}].interfaces`, value: String(site.interfaces) }
  if (site.interfaces > ENS_INTERFACES)
    return [
      {
        severity: 'problem',
        rule: 'ens-interfaces',
        message: `nodes of ENS ${site.name} are to have ${site.interfaces} interfaces, and an instance takes ${ENS_INTERFACES}`,
        places: [place],
        wayOut: `plan ${ENS_INTERFACES} at most: that is ${(ENS_INTERFACES - 1) * ENS_ADDRESSES} pods a node`,
      },
    ]
  if (site.interfaces > 1) return []
  return [
    {
      severity: 'problem',
      rule: 'ens-interfaces',
      message: `nodes of ENS ${site.name} have the primary interface alone, which pods cannot use`,
      places: [place],
      wayOut: `buy and attach further interfaces while the instances are stopped: ${ENS_ADDRESSES} pods each`,
    },
  ]
}
