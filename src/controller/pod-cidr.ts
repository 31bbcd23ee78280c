/**
 * Decides which pod CIDRs nodes get. Pure: pools, reserved ranges and nodes in; allocations,
 * problems and the use of the pools out.
 *
 * What a node has is respected, whoever set it: a Node's podCIDRs can be set once and never
 * changed. An edge node without gets one block of each family that has a pool: those that it had
 * before where they are still free, else the lowest that nobody had, and only when there is none
 * such the one that is free for longest. None at all when one family has no room: the other could
 * not be added later.
 */
import {
  type AddressRange,
  blockLengthFor,
  blockSize,
  freeBlocks,
  mergeRanges,
  prefixAt,
} from '../lib/address-range.ts'
import { FAMILIES, FAMILY_NAMES, type Family, familyOf, hostPrefix, prefixRange } from '../lib/ip.ts'
import { type NodeSelector, selects } from '../lib/node-selector.ts'
import type { FormerRecord } from './former-pod-cidrs.ts'
import {
  judgePodCIDRs,
  type Lifeline,
  type NodeProblem,
  type PlaceConfig,
  type Placed,
  type Placement,
  type PodCIDRNode,
  type Published,
  reservedOf,
} from './pod-cidr-place.ts'

export interface PodCIDRConfig extends PlaceConfig {
  /** Which nodes get podCIDRs; undefined: none does. */
  readonly edgeNodes: NodeSelector | undefined
}

export interface EdgeNode extends PodCIDRNode {
  readonly labels: Readonly<Record<string, string>>
}

/** What nodes had, and whether to wait for those that may still say so. */
export interface Memory {
  /** Nodes that left since the last pass, and those that are recorded as gone. */
  readonly record: FormerRecord
  /** What the nodes themselves say. */
  readonly claims: ReadonlyMap<string, readonly string[]>
  /**
   * Whether nodes are given time to say which they had: this cluster remembers nothing, and they
   * may.
   */
  readonly waiting: boolean
  /** Whether a node has said so: then others that have not come yet may, too. */
  readonly restored?: boolean
}

export const NO_MEMORY: Memory = { record: new Map(), claims: new Map(), waiting: false }

export interface PoolUse {
  readonly podCIDR: string
  readonly blockLength: number
  /** Blocks in the pool. Of a large IPv6 pool more than a number holds exactly. */
  readonly blocks: number
  /** Blocks that nodes have or that lie in a reserved range. */
  readonly used: number
}

export interface Allocation extends Omit<Placement, 'busy'> {
  /** What each node without podCIDRs gets. */
  readonly allocated: ReadonlyMap<string, readonly string[]>
  /**
   * Nodes that get theirs when the `silent` ones have said which they had, or when that takes too
   * long.
   */
  readonly waiting: readonly string[]
  /** Nodes without podCIDRs that have not said whether they had any. */
  readonly silent: readonly string[]
  readonly pools: readonly PoolUse[]
}

export function allocatePodCIDRs(
  config: PodCIDRConfig,
  nodes: readonly EdgeNode[],
  given: {
    readonly allocating: boolean
    readonly lifelines?: readonly Lifeline[]
    readonly memory?: Memory
    /** Also of nodes that are gone: until their entries are too, it is routed. */
    readonly published?: Published
  },
): Allocation {
  const { allocating, lifelines = [], memory = NO_MEMORY, published = new Map() } = given
  const { busy: owned, ...placement } = judgePodCIDRs(config, nodes, { allocating, lifelines, published })
  const addresses = [...lifelines.map(({ address }) => address), ...nodes.flatMap(node => node.addresses)]
  const gone = ofOthers(published, nodes)
  const taken = [...reservedOf(config), ...owned, ...[...addresses.map(hostPrefix), ...gone].map(placedAt)]
  const without = allocating ? nodes.filter(node => node.podCIDRs.length === 0 && isEdge(config, node)) : []
  const inOrder = without.sort((a, b) => (a.name < b.name ? -1 : 1))
  const returned = givenBack(config, inOrder, { taken, memory })
  const knows = ({ name }: EdgeNode) => memory.record.has(name) || memory.claims.has(name)
  // a block given to a new node may be the one that an old one is about to say it had
  const silent = memory.waiting ? inOrder.filter(node => !knows(node)).map(({ name }) => name) : []
  const isWaiting = memory.waiting && (silent.length > 0 || memory.restored === true)
  const blocks = new Blocks(config, [...taken, ...[...returned.values()].flat().map(placedAt)], {
    record: memory.record,
    claims: memory.claims,
    given: new Set(returned.keys()),
  })
  const allocated = new Map<string, readonly string[]>()
  const problems: NodeProblem[] = [...placement.problems]
  const waiting: string[] = []
  for (const { name } of inOrder) {
    const former = returned.get(name)
    if (former === undefined && isWaiting) {
      waiting.push(name)
      continue
    }
    const found = former ?? blocks.takeOne()
    if (Array.isArray(found)) allocated.set(name, found)
    else if ('full' in found) problems.push(exhausted(name, found.full, config))
  }
  return { ...placement, problems, allocated, waiting, silent, pools: blocks.use() }
}

/** podCIDRs that are published of nodes that are not among `nodes`. */
function ofOthers(published: Published, nodes: readonly EdgeNode[]): readonly string[] {
  const present = new Set(nodes.map(({ name }) => name))
  return [...published].flatMap(([name, { podCIDRs }]) => (present.has(name) ? [] : podCIDRs))
}

/**
 * Pods of a node of Edge Node Service get addresses of its network interfaces: it needs no podCIDR,
 * though it is a node of the edge.
 */
const ENS_INSTANCE_LABEL = 'alibabacloud.com/ens-instance-id'

function isEdge({ edgeNodes }: PodCIDRConfig, { labels }: EdgeNode): boolean {
  return edgeNodes !== undefined && selects(edgeNodes, labels) && !labels[ENS_INSTANCE_LABEL]
}

function placedAt(prefix: string): Placed {
  return { family: familyOf(prefix), range: prefixRange(prefix) }
}

/**
 * The former podCIDRs of nodes, as far as they are blocks of the pools and free. Who said it first
 * (the record before the node) has it.
 */
function givenBack(
  config: PodCIDRConfig,
  nodes: readonly EdgeNode[],
  { taken, memory }: { readonly taken: readonly Placed[]; readonly memory: Memory },
): ReadonlyMap<string, readonly string[]> {
  const families = FAMILIES.filter(family => config.podCIDRs.some(pool => familyOf(pool) === family))
  const back = new Map<string, readonly string[]>()
  if (families.length === 0 || nodes.length === 0) return back
  const busy = byFamily(taken)
  const given = new Set<string>()
  const recordedOf = new Map(
    [...memory.record].flatMap(([node, { podCIDRs }]) => podCIDRs.map(podCIDR => [podCIDR, node])),
  )
  const fits = (name: string, podCIDR: string) => {
    const { family, range } = placedAt(podCIDR)
    const length = blockLengthFor(family, config.podsPerNode)
    const inPool = config.podCIDRs.map(placedAt).some(pool => pool.family === family && covers(pool.range, range))
    const owner = recordedOf.get(podCIDR)
    const another = given.has(podCIDR) || (owner !== undefined && owner !== name)
    return podCIDR.endsWith(`/${length}`) && inPool && !another && !isTaken(busy[family], range)
  }
  const sources = [(name: string) => memory.record.get(name)?.podCIDRs, (name: string) => memory.claims.get(name)]
  for (const source of sources) {
    for (const { name } of nodes) {
      const former = source(name) ?? []
      const whole = families.every(family => former.filter(podCIDR => familyOf(podCIDR) === family).length === 1)
      if (back.has(name) || !whole || former.length !== families.length) continue
      if (!former.every(podCIDR => fits(name, podCIDR))) continue
      back.set(name, former)
      for (const podCIDR of former) given.add(podCIDR)
    }
  }
  return back
}

function byFamily(placed: readonly Placed[]): Ranges {
  const of = (family: Family) => mergeRanges(placed.filter(other => other.family === family).map(({ range }) => range))
  return { ipv4: of('ipv4'), ipv6: of('ipv6') }
}

function covers(outer: AddressRange, inner: AddressRange): boolean {
  return outer.first <= inner.first && inner.last <= outer.last
}

/** Whether `range` has an address in `busy` (merged). */
function isTaken(busy: readonly AddressRange[], range: AddressRange): boolean {
  let low = 0
  let high = busy.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((busy[middle]?.last ?? 0n) < range.first) low = middle + 1
    else high = middle
  }
  const next = busy[low]
  return next !== undefined && next.first <= range.last
}

/**
 * The blocks of the pools, to be taken one by one: first those that nobody had, then those that are
 * free for longest.
 */
class Blocks {
  readonly #families: readonly Family[]
  readonly #pools: readonly Pool[]
  /** Blocks that nodes had who are not there, the longest free last. */
  readonly #remembered: Readonly<Record<Family, string[]>>

  constructor(
    config: PodCIDRConfig,
    taken: readonly Placed[],
    memory: Pick<Memory, 'record' | 'claims'> & { readonly given: ReadonlySet<string> },
  ) {
    const busy = byFamily(taken)
    const free = rememberedBlocks(config, busy, memory)
    this.#remembered = free
    const untouched = byFamily([...taken, ...free.ipv4.map(placedAt), ...free.ipv6.map(placedAt)])
    this.#pools = config.podCIDRs.map(pool => openPool(pool, config.podsPerNode, { busy, untouched }))
    this.#families = FAMILIES.filter(family => this.#pools.some(pool => pool.family === family))
  }

  /** One of each family, or the families that have none. */
  takeOne(): string[] | { readonly full: readonly Family[] } {
    const places = this.#families.map(family => ({
      family,
      pool: this.#pools.find(pool => pool.family === family && peek(pool) !== undefined),
      spare: this.#remembered[family].at(-1),
    }))
    const full = places.filter(({ pool, spare }) => pool === undefined && spare === undefined)
    if (full.length > 0 || places.length === 0) return { full: full.map(({ family }) => family) }
    return places.flatMap(({ family, pool }) => {
      if (pool !== undefined) return [take(pool)]
      const spare = this.#remembered[family].pop()
      const home = this.#pools.find(other => spare !== undefined && covers(other.range, prefixRange(spare)))
      if (home !== undefined) home.used++
      return spare === undefined ? [] : [spare]
    })
  }

  use(): readonly PoolUse[] {
    return this.#pools.map(poolUse)
  }
}

function rememberedBlocks(
  config: PodCIDRConfig,
  busy: Ranges,
  { record, claims, given }: Pick<Memory, 'record' | 'claims'> & { readonly given: ReadonlySet<string> },
): Record<Family, string[]> {
  const since = new Map<string, string>()
  for (const [node, podCIDRs] of claims) if (!given.has(node)) for (const podCIDR of podCIDRs) since.set(podCIDR, '')
  for (const [node, former] of record)
    if (!given.has(node)) for (const podCIDR of former.podCIDRs) since.set(podCIDR, former.since)
  const of = (family: Family) => {
    const length = blockLengthFor(family, config.podsPerNode)
    const pools = config.podCIDRs.map(placedAt).filter(pool => pool.family === family)
    return [...since]
      .filter(([podCIDR]) => familyOf(podCIDR) === family && podCIDR.endsWith(`/${length}`))
      .map(([podCIDR, freedAt]) => ({ podCIDR, freedAt, range: prefixRange(podCIDR) }))
      .filter(({ range }) => pools.some(pool => covers(pool.range, range)) && !isTaken(busy[family], range))
      .sort((a, b) => (a.freedAt > b.freedAt ? -1 : a.freedAt < b.freedAt ? 1 : a.range.first > b.range.first ? -1 : 1))
      .map(({ podCIDR }) => podCIDR)
  }
  return { ipv4: of('ipv4'), ipv6: of('ipv6') }
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

type Ranges = Readonly<Record<Family, readonly AddressRange[]>>

/** A pool whose use counts what is `busy`, and which gives what is `untouched` by anybody. */
function openPool(podCIDR: string, podsPerNode: number, from: { busy: Ranges; untouched: Ranges }): Pool {
  const family = familyOf(podCIDR)
  const blockLength = blockLengthFor(family, podsPerNode)
  const size = blockSize(family, blockLength)
  const range = prefixRange(podCIDR)
  const busy = from.busy[family]
  return {
    podCIDR,
    family,
    range,
    blockLength,
    size,
    free: freeBlocks(range, size, from.untouched[family]),
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

function exhausted(node: string, full: readonly Family[], config: PodCIDRConfig): NodeProblem {
  const names = full.map(family => FAMILY_NAMES[family]).join(' and ')
  const message =
    config.podCIDRs.length === 0
      ? 'it has no pod CIDR and network.podCIDRs names no pool; add one, or set allocatePodCIDRs: false'
      : `no ${names} block for ${config.podsPerNode} pods is left in ${config.podCIDRs.join(', ')}; append a pool to network.podCIDRs`
  return { node, reason: 'PodCIDRPoolExhausted', message }
}
