/**
 * How many nodes and pods the pools hold, how far that goes at the growth given, and what appending
 * a pool would give. Of the cloud: how many pods the pod vSwitches hold. Numbers of blocks are
 * those that the controller gives out. Pure.
 */
import { blockLengthFor, blockSize, mergeRanges } from '../lib/address-range.ts'
import { blocksText, counted } from '../lib/count-text.ts'
import { addressBits, FAMILIES, FAMILY_NAMES, type Family, familyOf, overlaps, prefixRange } from '../lib/ip.ts'
import { type CloudCapacity, cloudCapacityFindings, cloudCapacityOf, VSWITCH_RESERVED } from './cloud-capacity.ts'
import type { Finding } from './finding.ts'
import { HORIZON_YEARS, monthAfter, nodesAfter, yearsUntil } from './growth.ts'
import { lansOf, type Network } from './network.ts'
import { rangesOf } from './ranges.ts'
import { freeRange } from './suggest.ts'

/** One family's pools. */
export interface FamilyCapacity {
  readonly family: Family
  readonly pools: readonly { readonly podCIDR: string; readonly blocks: number }[]
  /** The mask of a node's block, such as 25. */
  readonly blockLength: number
  /** Addresses of a block that pods can have. */
  readonly podsPerBlock: number
  /** Nodes that find a block. */
  readonly nodes: number
  /** Until the pools are full; absent: not within 50 years. */
  readonly yearsLeft?: number
  /** The month in which they are, such as 2031-05. */
  readonly fullIn?: string
  /** A free range that could be appended, and what it gives. */
  readonly append?: { readonly podCIDR: string; readonly nodes: number; readonly fullIn?: string }
}

export interface LanCapacity {
  readonly lan: string
  readonly nodes: number
  readonly nodesInFiveYears: number
  /**
   * Prefixes that its speakers announce to each switch in five years: what a limit of prefixes must
   * leave room for.
   */
  readonly prefixesInFiveYears: number
}

export interface Capacity {
  readonly podsPerNode: number
  readonly families: readonly FamilyCapacity[]
  readonly lans: readonly LanCapacity[]
  readonly nodesExpected: number
  /** Pods that the pod vSwitches have addresses for; absent where there are none. */
  readonly cloudPods?: number
  /** Nodes of the cloud and of Edge Node Service, by where their pods' addresses come from. */
  readonly cloud: readonly CloudCapacity[]
}

/** Years that the limits of prefixes and tables look ahead. */
const PLANNED_YEARS = 5

/** `now` in milliseconds: forecasts are months of the calendar. */
export function capacityOf(network: Network, now: number): Capacity {
  const lans = lansOf(network).map(({ lan }) => lan)
  const families = FAMILIES.filter(family => network.edge.podCIDRs.some(cidr => familyOf(cidr) === family))
  const cloudPods = cloudPodsOf(network)
  return {
    podsPerNode: network.edge.podsPerNode,
    families: families.map(family => familyCapacity(network, family, now)),
    lans: lans.map(lan => ({
      lan: lan.name,
      nodes: lan.nodes,
      nodesInFiveYears: nodesAfter(lan, PLANNED_YEARS),
      prefixesInFiveYears: nodesAfter(lan, PLANNED_YEARS) * families.length,
    })),
    nodesExpected: lans.reduce((sum, { nodes }) => sum + nodes, 0),
    cloud: cloudCapacityOf(network, now),
    ...(cloudPods !== undefined && { cloudPods }),
  }
}

function familyCapacity(network: Network, family: Family, now: number): FamilyCapacity {
  const { podCIDRs, podsPerNode } = network.edge
  const blockLength = blockLengthFor(family, podsPerNode)
  const pools = podCIDRs
    .filter(cidr => familyOf(cidr) === family)
    .map(podCIDR => ({ podCIDR, blocks: freeBlocksOf(network, podCIDR, blockLength) }))
  const nodes = pools.reduce((sum, { blocks }) => sum + blocks, 0)
  const lans = lansOf(network).map(({ lan }) => lan)
  const yearsLeft = yearsUntil(lans, nodes)
  const append = appendable(network, family, { now, nodes, blockLength })
  return {
    family,
    pools,
    blockLength,
    podsPerBlock: podsPerBlock(family, blockLength),
    nodes,
    ...(yearsLeft !== undefined && { yearsLeft, fullIn: monthAfter(now, yearsLeft) }),
    ...(append !== undefined && { append }),
  }
}

/**
 * Blocks of a pool that touch no range of the cluster's other parts: the controller gives those
 * out, and no others.
 */
function freeBlocksOf(network: Network, pool: string, blockLength: number): number {
  const { family, length, first, last } = prefixRange(pool)
  if (blockLength < length) return 0
  const size = blockSize(family, blockLength)
  const reserved = rangesOf(network).filter(
    ({ kind, cidr }) => ['service', 'vpc', 'data-center'].includes(kind) && overlaps(cidr, pool),
  )
  const busy = mergeRanges(reserved.map(({ cidr }) => prefixRange(cidr)))
  const blockOf = (at: bigint) => (at < first ? 0n : at > last ? last - first : at - first) / size
  const taken = busy.reduce((sum, range) => sum + blockOf(range.last) - blockOf(range.first) + 1n, 0n)
  const blocks = (last - first + 1n) / size - taken
  return Number(blocks > 0n ? blocks : 0n)
}

/**
 * Not given to pods: the first and the last address of an IPv4 block, the first of an IPv6 block.
 */
function podsPerBlock(family: Family, blockLength: number): number {
  const bits = addressBits(family) - blockLength
  if (bits < 2) return 2 ** bits
  return 2 ** bits - (family === 'ipv4' ? 2 : 1)
}

/** The smallest free range that doubles the pools, or else holds as many nodes as fit. */
function appendable(
  network: Network,
  family: Family,
  { now, nodes, blockLength }: { now: number; nodes: number; blockLength: number },
): FamilyCapacity['append'] {
  const bits = Math.ceil(Math.log2(Math.max(nodes, 1)))
  for (let length = Math.max(blockLength - bits, 1); length <= blockLength; length++) {
    const podCIDR = freeRange(network, family, length)
    if (podCIDR === undefined) continue
    const more = 2 ** (blockLength - length)
    const years = yearsUntil(
      lansOf(network).map(({ lan }) => lan),
      nodes + more,
    )
    return { podCIDR, nodes: more, ...(years !== undefined && { fullIn: monthAfter(now, years) }) }
  }
  return undefined
}

function cloudPodsOf({ vpc }: Network): number | undefined {
  const ipv4 = vpc.podVSwitches.filter(({ cidr }) => familyOf(cidr) === 'ipv4')
  if (ipv4.length === 0) return undefined
  return ipv4.reduce((sum, { cidr }) => {
    const { first, last } = prefixRange(cidr)
    return sum + Math.max(0, Number(last - first + 1n) - VSWITCH_RESERVED)
  }, 0)
}

/** kubelet's default for pods on a node. */
const KUBELET_MAX_PODS = 110

/** A forecast closer than this is a warning. */
const SOON_YEARS = 3

/** Nodes and pods in one basic security group (CreateCluster). */
const BASIC_SECURITY_GROUP = 2000

export function capacityFindings(network: Network, capacity: Capacity): readonly Finding[] {
  const { podsPerNode, families, nodesExpected } = capacity
  const found: Finding[] = []
  for (const family of families) {
    const name = FAMILY_NAMES[family.family]
    const places = family.pools.map(({ podCIDR }) => ({ path: 'edge.podCIDRs', value: podCIDR }))
    const append =
      family.append === undefined
        ? ''
        : `: ${family.append.podCIDR} is free and gives ${blocksText(family.append.nodes)} more`
    for (const { podCIDR, blocks } of family.pools) {
      if (blocks > 0) continue
      found.push({
        severity: 'problem',
        rule: 'pool-without-block',
        message: `edge pod CIDR ${podCIDR} has no free block of /${family.blockLength} for ${podsPerNode} pods: no node gets anything from it`,
        places: [{ path: 'edge.podCIDRs', value: podCIDR }],
        wayOut: `choose a larger pool, or fewer pods a node${append}`,
      })
    }
    if (family.nodes < nodesExpected) {
      found.push({
        severity: 'problem',
        rule: 'pools-too-small',
        message: `the ${name} pools have blocks for ${counted(family.nodes, 'node')}, and ${nodesExpected} are expected`,
        places,
        wayOut: `append a pool${append}; or give nodes fewer pods (edge.podsPerNode)`,
      })
    } else if (family.yearsLeft !== undefined && family.yearsLeft < SOON_YEARS) {
      found.push({
        severity: 'warning',
        rule: 'pools-full-soon',
        message: `the ${name} pools have blocks for ${counted(family.nodes, 'node')} and are full in ${family.fullIn} at the growth given`,
        places,
        wayOut: `reserve a range to append now, and keep others off it${append}`,
      })
    }
    if (family.podsPerBlock < KUBELET_MAX_PODS && podsPerNode < KUBELET_MAX_PODS) {
      found.push({
        severity: 'warning',
        rule: 'kubelet-max-pods',
        message: `a node's block of /${family.blockLength} has addresses for ${family.podsPerBlock} pods, and a kubelet takes ${KUBELET_MAX_PODS} by default: the rest gets no address`,
        places: [{ path: 'edge.podsPerNode', value: String(podsPerNode) }],
        wayOut: `set maxPods of the kubelets to ${family.podsPerBlock}, or less`,
      })
    }
  }
  return [
    ...found,
    ...tableFindings(network),
    ...cloudFindings(network, capacity),
    ...cloudCapacityFindings(network, capacity.cloud),
  ]
}

/**
 * A switch that serves every LAN of its data center, as all that is announced reaches it, must hold
 * all of it.
 */
function tableFindings(network: Network): readonly Finding[] {
  const families = new Set(network.edge.podCIDRs.map(familyOf)).size
  const all = lansOf(network).reduce((sum, { lan }) => sum + nodesAfter(lan, PLANNED_YEARS), 0) * families
  return lansOf(network).flatMap(({ lan, path }) =>
    lan.switches.flatMap(({ address, maximumRoutes }, index): Finding[] => {
      if (maximumRoutes === undefined || maximumRoutes >= all) return []
      return [
        {
          severity: 'warning',
          rule: 'switch-table',
          message: `switch ${address} of LAN ${lan.name} holds ${maximumRoutes} routes, and all nodes together have ${all} in ${PLANNED_YEARS} years`,
          places: [{ path: `${path}.switches[${index}].maximumRoutes`, value: String(maximumRoutes) }],
          wayOut:
            'let it take only its own LAN and a default route from the core, or give LANs pools of their own that are aggregated',
        },
      ]
    }),
  )
}

function cloudFindings({ vpc }: Network, { cloudPods }: Capacity): readonly Finding[] {
  const found: Finding[] = []
  if (vpc.pods !== undefined && cloudPods !== undefined && cloudPods < vpc.pods) {
    found.push({
      severity: 'problem',
      rule: 'pod-vswitches-too-small',
      message: `the pod vSwitches have ${cloudPods} addresses (each keeps ${VSWITCH_RESERVED} for itself), and ${vpc.pods} pods are expected in the cloud`,
      places: [{ path: 'vpc.podVSwitches', value: vpc.podVSwitches.map(({ cidr }) => cidr).join(', ') }],
      wayOut: 'add a pod vSwitch; pod vSwitches can be added later as well',
    })
  }
  if (vpc.pods !== undefined && vpc.pods > BASIC_SECURITY_GROUP) {
    found.push({
      severity: 'warning',
      rule: 'basic-security-group',
      message: `a basic security group holds ${BASIC_SECURITY_GROUP} private addresses of nodes and pods, and ${vpc.pods} pods are expected`,
      places: [{ path: 'vpc.pods', value: String(vpc.pods) }],
      wayOut: 'make the cluster with an advanced (enterprise) security group: the kind cannot be changed later',
    })
  }
  return found
}

/** How a forecast reads: `2031-05`, or that it lies beyond what is looked at. */
export function forecastText({ fullIn }: { readonly fullIn?: string }): string {
  return fullIn ?? `more than ${HORIZON_YEARS} years from now`
}
