/**
 * One pass of the controller as a value: from everything it sees to everything that shall be. Pure; `reconcile.ts` carries it out.
 */
import type { BGPPeerObject } from '../kube/bgp-peer.ts'
import type { SecretAnswer } from '../kube/merge-cluster.ts'
import { decodeRouteSlice, entriesByNode, type RouteEntry, type RouteSlice } from '../kube/route-slice.ts'
import { type EvaluatedPeer, evaluatePeers } from './bgp-peers.ts'
import type { NodeFacts } from './nodes.ts'
import { type Allocation, allocatePodCIDRs, type PodCIDRConfig } from './pod-cidr.ts'
import { planSlices, type SliceChanges } from './slices.ts'

/** What one pass sees of the cluster. */
export interface ObservedCluster {
  readonly nodes: readonly NodeFacts[]
  readonly peers: readonly BGPPeerObject[]
  readonly slices: readonly RouteSlice[]
  readonly secret: (name: string) => SecretAnswer | undefined
}

export interface NodeIssue {
  readonly node: string
  readonly reason: 'PodCIDRPoolExhausted' | 'PodCIDROverlap' | 'PodCIDROutsidePools' | 'InvalidPodCIDR'
  readonly message: string
}

export interface Decision {
  readonly allocation: Allocation
  readonly peers: readonly EvaluatedPeer[]
  /** What all slices together shall say, by node name. */
  readonly entries: readonly RouteEntry[]
  readonly slices: SliceChanges
  readonly issues: readonly NodeIssue[]
}

export function decide(config: PodCIDRConfig, allocating: boolean, observed: ObservedCluster): Decision {
  const published = publishedEntries(observed.slices)
  const allocation = allocatePodCIDRs(config, observed.nodes, allocating)
  const peers = evaluatePeers({
    peers: observed.peers,
    nodes: new Map(observed.nodes.map(({ name, labels }) => [name, labels])),
    addresses: new Map(observed.nodes.map(({ name, addresses }) => [name, addresses])),
    unheard: new Set(observed.nodes.flatMap(({ name, unheardSince }) => (unheardSince === undefined ? [] : [name]))),
    published: nodesByPeer(published),
    secret: observed.secret,
  })
  const entries = routeEntries(observed.nodes, { peers, allocation, published })
  return {
    allocation,
    peers,
    entries,
    slices: planSlices(entries, observed.slices),
    issues: [...allocation.problems, ...unreadableCIDRs(observed.nodes)],
  }
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

/** An entry for each node that has a podCIDR and an address, also for those that no BGPPeer selects or that are not Ready. */
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
      const podCIDRs = node.podCIDRs.filter(podCIDR => withheld?.has(podCIDR) !== true)
      // a kubelet or cloud controller that restarts may clear the addresses for a moment: the node has not moved
      const addresses = node.addresses.length > 0 ? node.addresses : (from.published.get(node.name)?.addresses ?? [])
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
