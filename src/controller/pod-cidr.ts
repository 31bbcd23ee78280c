/**
 * Decides which pod CIDRs nodes get. Pure: pools, reserved ranges and nodes in; allocations, problems and the use of the pools out.
 *
 * What a node has is respected, whoever set it: a Node's podCIDRs can be set once and never changed. A node without gets one block of each
 * family that has a pool, the lowest free one, or none at all when one family has no room: the other could not be added later.
 */

import {
  type AddressRange,
  blockLengthFor,
  blockSize,
  freeBlocks,
  mergeRanges,
  prefixAt,
} from '../lib/address-range.ts'
import { FAMILIES, type Family, familyOf, prefixRange } from '../lib/ip.ts'

export interface PodCIDRConfig {
  /** Pools, IPv4 and IPv6, that do not overlap. Used in this order. */
  readonly podCIDRs: readonly string[]
  readonly podsPerNode: number
  readonly serviceCIDRs: readonly string[]
  readonly vpcCIDRs: readonly string[]
  readonly dataCenterCIDRs: readonly string[]
}

/** A node and the podCIDRs it has, canonical. `createdAt` (RFC 3339) tells which of two in conflict was first. */
export interface PodCIDRNode {
  readonly name: string
  readonly podCIDRs: readonly string[]
  readonly createdAt: string
}

export interface NodeProblem {
  readonly node: string
  readonly reason: 'PodCIDRPoolExhausted' | 'PodCIDROverlap' | 'PodCIDROutsidePools'
  readonly message: string
}

export interface PoolUse {
  readonly podCIDR: string
  readonly blockLength: number
  /** Blocks in the pool. Of a large IPv6 pool more than a number holds exactly. */
  readonly blocks: number
  /** Blocks that nodes have or that lie in a reserved range. */
  readonly used: number
}

export interface Allocation {
  /** What each node without podCIDRs gets. */
  readonly allocated: ReadonlyMap<string, readonly string[]>
  readonly problems: readonly NodeProblem[]
  /** podCIDRs not to be published: those of another node overlap them, and that one was first. By node. */
  readonly withheld: ReadonlyMap<string, ReadonlySet<string>>
  readonly pools: readonly PoolUse[]
}

export function allocatePodCIDRs(
  config: PodCIDRConfig,
  nodes: readonly PodCIDRNode[],
  allocating: boolean,
): Allocation {
  const owned = ownedInOrder(nodes)
  const { withheld, problems: overlapping } = findOverlaps(owned)
  const problems: NodeProblem[] = [...overlapping, ...placeProblems(config, owned, allocating)]
  const busy = busyRanges(config, owned)
  const pools = config.podCIDRs.map(pool => openPool(pool, config.podsPerNode, busy))
  const allocated = new Map<string, readonly string[]>()
  const families = FAMILIES.filter(family => pools.some(pool => pool.family === family))
  const waiting = allocating ? nodes.filter(node => node.podCIDRs.length === 0) : []
  for (const { name } of [...waiting].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const places = families.map(family => pools.find(pool => pool.family === family && peek(pool) !== undefined))
    const full = families.filter((_, index) => places[index] === undefined)
    if (full.length > 0 || families.length === 0) problems.push(exhausted(name, full, config))
    else
      allocated.set(
        name,
        places.flatMap(pool => (pool === undefined ? [] : [take(pool)])),
      )
  }
  return { allocated, problems, withheld, pools: pools.map(poolUse) }
}

interface Pool {
  readonly podCIDR: string
  readonly family: Family
  readonly range: AddressRange
  readonly blockLength: number
  readonly size: bigint
  readonly free: Generator<bigint>
  /** The free block that was looked at and not yet taken. */
  next: bigint | undefined
  used: number
}

/** What is not to be given out, merged. */
function busyRanges(config: PodCIDRConfig, owned: readonly Owned[]): Readonly<Record<Family, readonly AddressRange[]>> {
  const all: readonly Pick<Owned, 'family' | 'range'>[] = [...reservedOf(config), ...owned]
  const of = (family: Family) => mergeRanges(all.filter(other => other.family === family).map(({ range }) => range))
  return { ipv4: of('ipv4'), ipv6: of('ipv6') }
}

function openPool(podCIDR: string, podsPerNode: number, taken: ReturnType<typeof busyRanges>): Pool {
  const family = familyOf(podCIDR)
  const blockLength = blockLengthFor(family, podsPerNode)
  const size = blockSize(family, blockLength)
  const range = prefixRange(podCIDR)
  const busy = taken[family]
  return {
    podCIDR,
    family,
    range,
    blockLength,
    size,
    free: freeBlocks(range, size, busy),
    next: undefined,
    used: usedBlocks(range, size, busy),
  }
}

function peek(pool: Pool): bigint | undefined {
  pool.next ??= pool.free.next().value ?? undefined
  return pool.next
}

function take(pool: Pool): string {
  const first = peek(pool)
  if (first === undefined) throw new Error(`the pool ${pool.podCIDR} was looked at and is empty`)
  pool.next = undefined
  pool.used++
  return prefixAt(pool.family, first, pool.blockLength)
}

function poolUse({ podCIDR, blockLength, range, size, used }: Pool): PoolUse {
  return { podCIDR, blockLength, blocks: Number((range.last - range.first + 1n) / size), used }
}

/** How many blocks of the pool have an address in `busy` (merged). */
function usedBlocks(pool: AddressRange, size: bigint, busy: readonly AddressRange[]): number {
  let used = 0n
  let uncounted = 0n // the first block that was not counted
  for (const range of busy) {
    if (range.last < pool.first || range.first > pool.last) continue
    const first = range.first < pool.first ? 0n : (range.first - pool.first) / size
    const behind = (range.last > pool.last ? pool.last - pool.first : range.last - pool.first) / size + 1n
    used += behind - (first < uncounted ? uncounted : first)
    uncounted = behind
  }
  return Number(used)
}

/** A configured range and how a message names it. */
interface Named {
  readonly what: string
  readonly family: Family
  readonly range: AddressRange
}

function named(cidrs: readonly string[], what: string): readonly Named[] {
  return cidrs.map(cidr => ({ what: `${what} ${cidr}`, family: familyOf(cidr), range: prefixRange(cidr) }))
}

function reservedOf(config: PodCIDRConfig): readonly Named[] {
  return [
    ...named(config.serviceCIDRs, 'the Service CIDR'),
    ...named(config.vpcCIDRs, 'the VPC CIDR'),
    ...named(config.dataCenterCIDRs, 'the data center CIDR'),
  ]
}

/** What is wrong with where nodes' own podCIDRs lie. They are used all the same: somebody wanted them there. */
function placeProblems(config: PodCIDRConfig, owned: readonly Owned[], allocating: boolean): readonly NodeProblem[] {
  const reserved = reservedOf(config)
  const pools = named(config.podCIDRs, 'the pool')
  return owned.flatMap(({ node, podCIDR, family, range }): NodeProblem[] => {
    const hit = reserved.find(other => other.family === family && meet(other.range, range))
    if (hit !== undefined) {
      const message = `its pod CIDR ${podCIDR} overlaps ${hit.what}; delete the Node and register it again to get another`
      return [{ node: node.name, reason: 'PodCIDROverlap', message }]
    }
    const inside = pools.some(
      pool => pool.family === family && pool.range.first <= range.first && range.last <= pool.range.last,
    )
    if (!allocating || inside || pools.length === 0) return []
    const message = `its pod CIDR ${podCIDR} lies in none of network.podCIDRs (${config.podCIDRs.join(', ')}); it is used as it is`
    return [{ node: node.name, reason: 'PodCIDROutsidePools', message }]
  })
}

function meet(a: AddressRange, b: AddressRange): boolean {
  return a.first <= b.last && b.first <= a.last
}

interface Owned {
  readonly node: PodCIDRNode
  readonly podCIDR: string
  readonly family: Family
  readonly range: AddressRange
}

/** Finds podCIDRs of different nodes that overlap. The younger node is at fault. */
function findOverlaps(owned: readonly Owned[]): { problems: NodeProblem[]; withheld: Map<string, Set<string>> } {
  const problems: NodeProblem[] = []
  const withheld = new Map<string, Set<string>>()
  let open: Owned[] = [] // prefixes nest or are apart, so those that cover the current one form a stack
  for (const current of owned) {
    open = open.filter(({ family, range }) => family === current.family && range.last >= current.range.first)
    for (const other of open) {
      if (other.node === current.node) continue
      const [loser, winner] = isOlder(other.node, current.node) ? [current, other] : [other, current]
      const set = withheld.get(loser.node.name) ?? new Set()
      if (set.has(loser.podCIDR)) continue
      withheld.set(loser.node.name, set.add(loser.podCIDR))
      const message = `its pod CIDR ${loser.podCIDR} overlaps ${winner.podCIDR} of node ${winner.node.name}, which was there first, and is not routed; delete the Node and register it again to get another`
      problems.push({ node: loser.node.name, reason: 'PodCIDROverlap', message })
    }
    open.push(current)
  }
  return { problems, withheld }
}

/** All podCIDRs by family and where they begin, outer ones first. */
function ownedInOrder(nodes: readonly PodCIDRNode[]): readonly Owned[] {
  return nodes
    .flatMap(node =>
      node.podCIDRs.map(podCIDR => ({ node, podCIDR, family: familyOf(podCIDR), range: prefixRange(podCIDR) })),
    )
    .sort((a, b) => {
      if (a.family !== b.family) return a.family < b.family ? -1 : 1
      if (a.range.first !== b.range.first) return a.range.first < b.range.first ? -1 : 1
      return a.range.last > b.range.last ? -1 : 1
    })
}

function isOlder(a: PodCIDRNode, b: PodCIDRNode): boolean {
  return a.createdAt === b.createdAt ? a.name < b.name : a.createdAt < b.createdAt
}

function exhausted(node: string, full: readonly Family[], config: PodCIDRConfig): NodeProblem {
  const names = full.map(family => (family === 'ipv4' ? 'IPv4' : 'IPv6')).join(' and ')
  const message =
    config.podCIDRs.length === 0
      ? 'it has no pod CIDR and network.podCIDRs names no pool; add one, or set allocatePodCIDRs: false'
      : `no ${names} block for ${config.podsPerNode} pods is left in ${config.podCIDRs.join(', ')}; append a pool to network.podCIDRs`
  return { node, reason: 'PodCIDRPoolExhausted', message }
}
