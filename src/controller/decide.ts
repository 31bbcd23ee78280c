/**
 * One pass of the controller as a value: from everything it sees to everything that shall be. Pure;
 * `reconcile.ts` carries it out.
 */
import type { BGPPeerObject } from '../kube/bgp-peer.ts'
import { decodeBGPPeer } from '../kube/decode-bgp-peer.ts'
import { entryRemovals, keysOf, withKept } from '../kube/held-entries.ts'
import { holdRemovals, type RemovalDecision, type RemovalLimits, type RemovalState } from '../kube/mass-removal.ts'
import type { SecretAnswer } from '../kube/merge-cluster.ts'
import {
  decodeRouteSlice,
  entriesByNode,
  newestWord,
  nextWord,
  REMOVALS_CONFIRMED,
  type RouteEntry,
  type RouteSlice,
} from '../kube/route-slice.ts'
import { type EvaluatedPeer, evaluatePeers, selectedNodes } from './bgp-peers.ts'
import { type FormerPodCIDRs, type FormerRecord, nextRecord } from './former-pod-cidrs.ts'
import type { NodeFacts } from './nodes.ts'
import { type Allocation, allocatePodCIDRs, type Memory, type PodCIDRConfig } from './pod-cidr.ts'
import type { Lifeline, NodeProblem } from './pod-cidr-place.ts'
import { planSlices, type SliceChanges } from './slices.ts'

/** What one pass sees of the cluster. */
export interface ObservedCluster {
  readonly nodes: readonly NodeFacts[]
  readonly peers: readonly BGPPeerObject[]
  readonly slices: readonly RouteSlice[]
  readonly secret: (name: string) => SecretAnswer | undefined
  /** RFC 3339. */
  readonly now: string
  /**
   * What is recorded of nodes that are gone, what nodes say of themselves, and whether to wait for
   * more of that.
   */
  readonly memory: Memory
  /** Addresses of the API server. */
  readonly apiServers: readonly string[]
  readonly removals: ObservedRemovals
  /** Addresses at which this process answers probes of paths; absent: none. */
  readonly controllers?: readonly string[]
}

/**
 * What is known of removals beside the objects themselves; times in Clock.monotonic() milliseconds.
 */
export interface ObservedRemovals {
  readonly state: RemovalState
  readonly limits: RemovalLimits
  readonly at: number
  /** When the last whole lists came in. */
  readonly listedAt: number
  /** Nodes that were cordoned when they were last seen: their removal is meant. */
  readonly drained: ReadonlySet<string>
}

/** What an operator should know of a Node: a line on the page and an Event each. */
export interface NodeIssue {
  readonly node: string
  readonly reason: NodeProblem['reason'] | 'InvalidPodCIDR'
  readonly message: string
}

export interface Decision {
  readonly allocation: Allocation
  readonly peers: readonly EvaluatedPeer[]
  /**
   * What all slices together shall say, by node name. Of a node that gets its podCIDRs in this pass
   * it is what it will have, and not to be said before it has them (`withoutPromises`).
   */
  readonly entries: readonly RouteEntry[]
  readonly slices: SliceChanges
  readonly issues: readonly NodeIssue[]
  /** What is to be remembered of nodes that are gone. */
  readonly record: FormerRecord
  /** Removals that are held. */
  readonly removals: RemovalDecision
}

export function decide(config: PodCIDRConfig, allocating: boolean, observed: ObservedCluster): Decision {
  const published = publishedEntries(observed.slices)
  const labels = new Map(observed.nodes.map(({ name, labels }) => [name, labels]))
  const byName = new Map(observed.nodes.map(node => [node.name, node]))
  const record = nextRecord(observed.memory.record, { published, nodes: byName, now: observed.now })
  const allocation = allocatePodCIDRs(config, observed.nodes, {
    allocating,
    lifelines: [...observed.apiServers.map(apiServer), ...peerLifelines(observed.peers, labels)],
    memory: { ...observed.memory, record: withPublished(record, published, byName) },
    published,
  })
  const peers = evaluatePeers({
    peers: observed.peers,
    nodes: labels,
    addresses: new Map(observed.nodes.map(({ name, addresses }) => [name, addresses])),
    unheard: new Set(observed.nodes.flatMap(({ name, unheardSince }) => (unheardSince === undefined ? [] : [name]))),
    published: nodesByPeer(published),
    refused: allocation.refusedPeers,
    secret: observed.secret,
  })
  const wanted = new Map(
    routeEntries(observed.nodes, { peers, allocation, published }).map(entry => [entry.node, entry]),
  )
  const removals = decideRemovals(observed, published, wanted)
  const entries = [...withKept(published, wanted, removals.kept).values()].sort((a, b) => (a.node < b.node ? -1 : 1))
  return {
    allocation,
    peers,
    entries,
    slices: planSlices(entries, observed.slices, {
      released: removals.released ? nextWord(observed.slices, observed.now) : undefined,
      controllers: observed.controllers ?? [],
    }),
    removals,
    issues: [...allocation.problems, ...unreadableCIDRs(observed.nodes)],
    record,
  }
}

function decideRemovals(
  { slices, peers, removals, now }: ObservedCluster,
  published: ReadonlyMap<string, RouteEntry>,
  wanted: ReadonlyMap<string, RouteEntry>,
): RemovalDecision {
  const there = new Set(peers.map(({ metadata }) => metadata.name))
  const seen = entryRemovals(published, wanted, { peers: there, state: removals.state })
  const input = {
    ...seen,
    explained: new Set(keysOf(seen.standing.keys(), removals.drained)),
    now: removals.at,
    listedAt: removals.listedAt,
    time: Date.parse(now),
    word: newestWord(slices, [REMOVALS_CONFIRMED]),
  }
  return holdRemovals(removals.state, input, removals.limits)
}

/**
 * A node that registered again before its entry was taken away: what is published of it is the best
 * that is known.
 */
function withPublished(
  record: FormerRecord,
  published: ReadonlyMap<string, RouteEntry>,
  nodes: ReadonlyMap<string, NodeFacts>,
): FormerRecord {
  const known = [...published].flatMap(([name, { podCIDRs }]): [string, FormerPodCIDRs][] => {
    const node = nodes.get(name)
    return node !== undefined && node.podCIDRs.length === 0 ? [[name, { podCIDRs, since: '' }]] : []
  })
  return new Map([...record, ...known])
}

function apiServer(address: string): Lifeline {
  return { address, what: 'the API server' }
}

/** Where nodes of a LAN send packets for others. */
function peerLifelines(
  objects: readonly BGPPeerObject[],
  nodes: ReadonlyMap<string, Readonly<Record<string, string>>>,
): readonly Lifeline[] {
  return objects.flatMap((object): Lifeline[] => {
    const decoded = decodeBGPPeer(object)
    if (!('peer' in decoded)) return []
    const { name, createdAt = '', spec } = decoded.peer
    const bgpPeer = { name, createdAt, nodes: new Set(selectedNodes(decoded.peer, nodes)), isNew: !isAccepted(object) }
    const { peerIP, gateway } = spec
    return [
      { address: peerIP, what: `peerIP of BGPPeer ${name}`, bgpPeer },
      ...(gateway === undefined ? [] : [{ address: gateway, what: `gateway of BGPPeer ${name}`, bgpPeer }]),
    ]
  })
}

/** Whether its spec as it is now was accepted before. */
function isAccepted({ metadata, status }: BGPPeerObject): boolean {
  const accepted = status?.conditions?.find(({ type }) => type === 'Accepted')
  return accepted?.status === 'True' && accepted.observedGeneration === metadata.generation
}

function publishedEntries(slices: readonly RouteSlice[]): ReadonlyMap<string, RouteEntry> {
  return entriesByNode(slices.map(slice => [slice.metadata.name, decodeRouteSlice(slice).entries]))
}

function nodesByPeer(published: ReadonlyMap<string, RouteEntry>): ReadonlyMap<string, readonly string[]> {
  const byPeer = new Map<string, string[]>()
  for (const { node, peers } of published.values()) {
    for (const peer of peers) {
      const nodes = byPeer.get(peer)
      if (nodes === undefined) byPeer.set(peer, [node])
      else nodes.push(node)
    }
  }
  for (const nodes of byPeer.values()) nodes.sort()
  return byPeer
}

/**
 * An entry for each node that has a podCIDR, or gets one now, and an address, also for those that
 * no BGPPeer selects or that are not Ready.
 */
function routeEntries(
  nodes: readonly NodeFacts[],
  from: {
    peers: readonly EvaluatedPeer[]
    allocation: Allocation
    published: ReadonlyMap<string, RouteEntry>
  },
): readonly RouteEntry[] {
  const peersOf = new Map<string, string[]>(nodes.map(({ name }) => [name, []]))
  for (const peer of from.peers) for (const node of peer.members) peersOf.get(node)?.push(peer.name)
  return nodes
    .flatMap((node): RouteEntry[] => {
      const withheld = from.allocation.withheld.get(node.name)
      const has = node.podCIDRs.length > 0 ? node.podCIDRs : (from.allocation.allocated.get(node.name) ?? [])
      const podCIDRs = has.filter(podCIDR => withheld?.has(podCIDR) !== true)
      const unusable = from.allocation.unusable.get(node.name)
      // a kubelet or cloud controller that restarts may clear the addresses for a moment: the node
      // has not moved
      const known = node.addresses.length > 0 ? node.addresses : (from.published.get(node.name)?.addresses ?? [])
      const addresses = known.filter(address => unusable?.has(address) !== true)
      if (podCIDRs.length === 0 || addresses.length === 0) return []
      const { name, createdAt } = node
      const peers = (peersOf.get(name) ?? []).sort()
      return [{ node: name, addresses, podCIDRs, peers, ...(createdAt !== '' && { createdAt }) }]
    })
    .sort((a, b) => (a.node < b.node ? -1 : 1))
}

function unreadableCIDRs(nodes: readonly NodeFacts[]): readonly NodeIssue[] {
  return nodes.flatMap(({ name, unreadable }) =>
    unreadable.map((text): NodeIssue => {
      const message = `its pod CIDR ${JSON.stringify(text)} is not a prefix and is not routed`
      return { node: name, reason: 'InvalidPodCIDR', message }
    }),
  )
}
