/**
 * Judges the podCIDRs that nodes have: which may be routed. Whoever wrote them, a route over the
 * API server, a switch or a Service would cut nodes off, so such a podCIDR is withheld, not only
 * warned of: it gets no entry, and so no route, announcement or firewall rule. The same for
 * addresses of nodes.
 *
 * Who was there first is right: what is published before what is not, then an older node, an older
 * BGPPeer, a node's own BGPPeers. Another object that comes to name an address in a podCIDR that
 * works takes nothing away, however old it is: it is refused itself. Pure.
 */
import type { RouteEntry } from '../kube/route-slice.ts'
import { type AddressRange, blockLengthFor } from '../lib/address-range.ts'
import { AddressSet } from '../lib/address-set.ts'
import { type Family, familyOf, prefixRange } from '../lib/ip.ts'

export interface PlaceConfig {
  /** Pools, IPv4 and IPv6, that do not overlap. Used in this order. */
  readonly podCIDRs: readonly string[]
  readonly podsPerNode: number
  readonly serviceCIDRs: readonly string[]
  readonly vpcCIDRs: readonly string[]
  readonly dataCenterCIDRs: readonly string[]
  /** Whether podCIDRs outside of the pools, in those ranges or larger than a block are routed. */
  readonly foreignPodCIDRs: boolean
}

/**
 * A node and the podCIDRs it has, canonical. `createdAt` (RFC 3339) tells which of two in conflict
 * was first.
 */
export interface PodCIDRNode {
  readonly name: string
  readonly addresses: readonly string[]
  readonly podCIDRs: readonly string[]
  readonly createdAt: string
}

/** An address that packets of nodes must reach themselves. */
export interface Lifeline {
  readonly address: string
  /** For messages: `the API server`, `peerIP of BGPPeer lan-a`. */
  readonly what: string
  /** The BGPPeer that it is of; absent: the API server, which is always right. */
  readonly bgpPeer?: {
    readonly name: string
    readonly createdAt: string
    readonly nodes: ReadonlySet<string>
    /** Its spec as it is now was not accepted yet. */
    readonly isNew?: boolean
  }
}

/** What is published, by node. */
export type Published = ReadonlyMap<string, Pick<RouteEntry, 'podCIDRs' | 'addresses'>>

export interface NodeProblem {
  readonly node: string
  readonly reason:
    | 'PodCIDRPoolExhausted'
    | 'PodCIDROverlap'
    | 'PodCIDROutsidePools'
    | 'PodCIDRTooLarge'
    | 'PodCIDRCoversAddress'
    | 'AddressInPodCIDR'
    | 'DuplicateAddress'
  readonly message: string
}

export interface Placement {
  /** podCIDRs not to be published, by node. */
  readonly withheld: ReadonlyMap<string, ReadonlySet<string>>
  /** Addresses not to be published, by node. */
  readonly unusable: ReadonlyMap<string, ReadonlySet<string>>
  /** BGPPeers whose peerIP or gateway lies in a podCIDR that was there first: why, by name. */
  readonly refusedPeers: ReadonlyMap<string, string>
  /** What nodes have and nobody else may get, by family; not what was withheld for its place. */
  readonly busy: readonly Placed[]
  readonly problems: readonly NodeProblem[]
}

export interface Placed {
  readonly family: Family
  readonly range: AddressRange
}

interface Owned extends Placed {
  readonly node: PodCIDRNode
  readonly podCIDR: string
  readonly isPublished: boolean
}

const AGAIN = 'delete the Node and register it again to get another'

export function judgePodCIDRs(
  config: PlaceConfig,
  nodes: readonly PodCIDRNode[],
  given: { readonly allocating: boolean; readonly lifelines: readonly Lifeline[]; readonly published: Published },
): Placement {
  const { published } = given
  const verdict = new Verdict()
  const places = placesOf(config)
  const placed = ownedInOrder(nodes, published).filter(owned => isWellPlaced(places, owned, given.allocating, verdict))
  const apart = withoutOverlaps(placed, verdict)
  withoutTwins(nodes, published, verdict)
  coverings(apart, { nodes, published, lifelines: given.lifelines }, verdict)
  return { ...verdict, busy: placed }
}

/** What was found, gathered. */
class Verdict {
  readonly withheld = new Map<string, Set<string>>()
  readonly unusable = new Map<string, Set<string>>()
  readonly refusedPeers = new Map<string, string>()
  readonly problems: NodeProblem[] = []

  withhold({ node, podCIDR }: Owned, reason: NodeProblem['reason'], message: string): void {
    this.withheld.set(node.name, (this.withheld.get(node.name) ?? new Set()).add(podCIDR))
    this.problems.push({ node: node.name, reason, message })
  }
  refuseAddress(node: string, address: string, problem: Omit<NodeProblem, 'node'>): void {
    const set = this.unusable.get(node) ?? new Set()
    if (set.has(address)) return
    this.unusable.set(node, set.add(address))
    this.problems.push({ node, ...problem })
  }
}

/** All podCIDRs by family and where they begin, outer ones first. */
function ownedInOrder(nodes: readonly PodCIDRNode[], published: Published): readonly Owned[] {
  return nodes
    .flatMap(node =>
      node.podCIDRs.map(podCIDR => ({
        ...{ node, podCIDR, family: familyOf(podCIDR), range: prefixRange(podCIDR) },
        isPublished: published.get(node.name)?.podCIDRs.includes(podCIDR) === true,
      })),
    )
    .sort((a, b) => {
      if (a.family !== b.family) return a.family < b.family ? -1 : 1
      if (a.range.first !== b.range.first) return a.range.first < b.range.first ? -1 : 1
      return a.range.last > b.range.last ? -1 : 1
    })
}

/**
 * Whether it lies where podCIDRs belong: in a pool, in no range of something else, no larger than a
 * block.
 */
function isWellPlaced(places: Places, owned: Owned, allocating: boolean, verdict: Verdict): boolean {
  const { podCIDR, node } = owned
  const found = misplacement(places, owned, allocating)
  if (found === undefined) return true
  if (!places.config.foreignPodCIDRs) {
    const remedy = `${AGAIN}, or set network.foreignPodCIDRs: true where it is meant so`
    verdict.withhold(owned, found.reason, `its pod CIDR ${podCIDR} ${found.what} and is not routed; ${remedy}`)
    return false
  }
  const message = `its pod CIDR ${podCIDR} ${found.what}; it is used as it is (network.foreignPodCIDRs)`
  verdict.problems.push({ node: node.name, reason: found.reason, message })
  return true
}

/** The ranges of a configuration. */
interface Places {
  readonly config: PlaceConfig
  readonly reserved: readonly Named[]
  readonly pools: readonly Named[]
}

function placesOf(config: PlaceConfig): Places {
  return { config, reserved: reservedOf(config), pools: named(config.podCIDRs, 'the pool') }
}

function misplacement(
  { config, reserved, pools }: Places,
  { podCIDR, family, range }: Owned,
  allocating: boolean,
): { readonly reason: NodeProblem['reason']; readonly what: string } | undefined {
  const hit = reserved.find(other => other.family === family && meet(other.range, range))
  if (hit !== undefined) return { reason: 'PodCIDROverlap', what: `overlaps ${hit.what}` }
  if (config.podCIDRs.length === 0) return undefined
  const holds = (pool: Named) => pool.range.first <= range.first && range.last <= pool.range.last
  if (!pools.some(pool => pool.family === family && holds(pool))) {
    const what = `lies in none of network.podCIDRs (${config.podCIDRs.join(', ')})`
    return { reason: 'PodCIDROutsidePools', what }
  }
  const blockLength = blockLengthFor(family, config.podsPerNode)
  if (!allocating || Number(podCIDR.split('/')[1]) >= blockLength) return undefined
  return { reason: 'PodCIDRTooLarge', what: `is larger than a node's block, /${blockLength} for network.podsPerNode` }
}

/** A configured range and how a message names it. */
interface Named extends Placed {
  readonly what: string
}

function named(cidrs: readonly string[], what: string): readonly Named[] {
  return cidrs.map(cidr => ({ what: `${what} ${cidr}`, family: familyOf(cidr), range: prefixRange(cidr) }))
}

/** What is never a node's. */
export function reservedOf(
  config: Pick<PlaceConfig, 'serviceCIDRs' | 'vpcCIDRs' | 'dataCenterCIDRs'>,
): readonly Named[] {
  return [
    ...named(config.serviceCIDRs, 'the Service CIDR'),
    ...named(config.vpcCIDRs, 'the VPC CIDR'),
    ...named(config.dataCenterCIDRs, 'the data center CIDR'),
  ]
}

function meet(a: AddressRange, b: AddressRange): boolean {
  return a.first <= b.last && b.first <= a.last
}

/**
 * Those that overlap no other node's. Of two that do, the one that came first stays; one that lost
 * takes nothing from others.
 */
function withoutOverlaps(owned: readonly Owned[], verdict: Verdict): readonly Owned[] {
  const rivals = rivalsOf(owned)
  const lost = new Set<Owned>()
  for (const loser of [...rivals.keys()].sort((a, b) => (isFirst(a, b) ? -1 : 1))) {
    const winner = rivals.get(loser)?.find(other => !lost.has(other) && isFirst(other, loser))
    if (winner === undefined) continue
    lost.add(loser)
    const message = `its pod CIDR ${loser.podCIDR} overlaps ${winner.podCIDR} of node ${winner.node.name}, which was there first, and is not routed; ${AGAIN}`
    verdict.withhold(loser, 'PodCIDROverlap', message)
  }
  return owned.filter(other => !lost.has(other))
}

/** Those that overlap another node's, with these. `owned` is in order. */
function rivalsOf(owned: readonly Owned[]): ReadonlyMap<Owned, readonly Owned[]> {
  const rivals = new Map<Owned, Owned[]>()
  const add = (one: Owned, other: Owned) => {
    const known = rivals.get(one)
    if (known === undefined) rivals.set(one, [other])
    else known.push(other)
  }
  // prefixes nest or are apart, so those that cover the current one form a stack
  let open: Owned[] = []
  for (const current of owned) {
    open = open.filter(({ family, range }) => family === current.family && range.last >= current.range.first)
    for (const other of open) {
      if (other.node === current.node) continue
      add(current, other)
      add(other, current)
    }
    open.push(current)
  }
  return rivals
}

function isFirst(a: Owned, b: Owned): boolean {
  return a.isPublished === b.isPublished ? isOlder(a.node, b.node) : a.isPublished
}

/**
 * Two Nodes with one address (renamed, cloned): packets for the second would go round between node
 * and switch.
 */
function withoutTwins(nodes: readonly PodCIDRNode[], published: Published, verdict: Verdict): void {
  const owners = new Map<string, PodCIDRNode>()
  const oldestFirst = [...nodes].sort((a, b) => (isOlder(a, b) ? -1 : 1))
  for (const node of oldestFirst) {
    for (const address of node.addresses) {
      if (isPublishedAt(published, node, address) && !owners.has(address)) owners.set(address, node)
    }
  }
  for (const node of oldestFirst) {
    for (const address of node.addresses) {
      const owner = owners.get(address)
      if (owner === undefined) owners.set(address, node)
      if (owner === undefined || owner === node) continue
      const message = `its InternalIP ${address} is also that of node ${owner.name}, which was there first, so its pods cannot be reached by it; delete the Node that is none any more, or give the machine an address of its own`
      verdict.refuseAddress(node.name, address, { reason: 'DuplicateAddress', message })
      const told = `its InternalIP ${address} is also that of node ${node.name}, which came later and is not routed; delete the Node that is none any more, or give the machine an address of its own`
      verdict.problems.push({ node: owner.name, reason: 'DuplicateAddress', message: told })
    }
  }
}

function isPublishedAt(published: Published, { name }: PodCIDRNode, address: string): boolean {
  return published.get(name)?.addresses.includes(address) === true
}

/** An address, who has it, and whether it is right against a podCIDR. */
interface Claim {
  readonly address: string
  readonly what: string
  readonly isRight: (owned: Owned) => boolean
  readonly refuse: (owned: Owned) => void
}

/**
 * podCIDRs that hold addresses which packets must reach themselves: of the API server, nodes and
 * BGPPeers.
 */
function coverings(
  owned: readonly Owned[],
  given: {
    readonly nodes: readonly PodCIDRNode[]
    readonly published: Published
    readonly lifelines: readonly Lifeline[]
  },
  verdict: Verdict,
): void {
  const { nodes, published, lifelines } = given
  const claims: Claim[] = []
  for (const { address, what, bgpPeer } of lifelines) {
    claims.push({
      address,
      what: `${address}, ${what}`,
      isRight: ({ node: owner, isPublished }) => {
        if (bgpPeer === undefined) return true
        if (isPublished && bgpPeer.isNew === true) return false
        return bgpPeer.nodes.has(owner.name) || isOlder(bgpPeer, owner)
      },
      refuse: ({ node, podCIDR }) => {
        if (bgpPeer === undefined) return
        const message = `${address} (${what}) lies in ${podCIDR}, a pod CIDR of node ${node.name}, which was there first; name another address, or, where this one is right, delete that Node and register it again to get another pod CIDR`
        if (!verdict.refusedPeers.has(bgpPeer.name)) verdict.refusedPeers.set(bgpPeer.name, message)
      },
    })
  }
  for (const node of nodes) {
    for (const address of node.addresses) {
      claims.push({
        address,
        what: `${address}, an address of ${node.name}`,
        isRight: ({ node: owner, isPublished }) => {
          if (owner.name === node.name) return true
          const isKnown = isPublishedAt(published, node, address)
          return isKnown === isPublished ? isOlder(node, owner) : isKnown
        },
        refuse: ({ node: owner, podCIDR }) => {
          const message = `its InternalIP ${address} lies in ${podCIDR}, a pod CIDR of node ${owner.name}, which was there first, so its pods cannot be reached by it`
          verdict.refuseAddress(node.name, address, { reason: 'AddressInPodCIDR', message })
        },
      })
    }
  }
  const all = new AddressSet(claims)
  for (const current of owned) {
    const right = all.within(current.podCIDR, ({ isRight }) => isRight(current))
    if (right !== undefined) {
      const message = `its pod CIDR ${current.podCIDR} holds ${right.what}, and is not routed; ${AGAIN}`
      verdict.withhold(current, 'PodCIDRCoversAddress', message)
    } else
      all.within(current.podCIDR, claim => {
        claim.refuse(current)
        return false
      })
  }
}

/** Of one second the names decide. */
export function isOlder(
  a: { readonly name: string; readonly createdAt: string },
  b: { readonly name: string; readonly createdAt: string },
): boolean {
  return a.createdAt === b.createdAt ? a.name < b.name : a.createdAt < b.createdAt
}
