/**
 * Which routes this node should have: to the podCIDRs of nodes in its LAN via those nodes, to all
 * others via the LAN's gateway, and an `unreachable` route for its own podCIDRs, so that a dead
 * pod's address never loops. Pods are reached all the same: their host routes are more specific.
 *
 * Pure: what the kernel knows (who is on-link, the default gateway) comes in as values. Which
 * podCIDRs are believed is decided before (kube/sound-entries.ts); which of these routes exist is
 * `plan.ts`.
 */
import { type BGPPeer, devicesOf } from '../kube/bgp-peer.ts'
import type { ClusterView } from '../kube/cluster-view-types.ts'
import type { RouteEntry } from '../kube/route-slice.ts'
import { nothingLeft } from '../lib/fields.ts'
import { compareAddresses, FAMILIES, type Family, familyOf } from '../lib/ip.ts'
import { mergePrefixes } from '../lib/merge-prefixes.ts'
import type { NextHop } from '../netlink/types.ts'
import type { Candidate, Judged } from './gateway-evidence.ts'
import { type DefaultGateways, type Gateways, gatewaysOf } from './gateways.ts'

/**
 * What a route leads to: a node of this LAN, the way out of it, this node's own pods (a dead one's
 * address goes no further), or nothing, where packets would go around in a circle.
 */
export type RouteTarget = 'this node' | 'gateway' | 'nowhere' | { readonly node: string }

/** For people. */
export function targetText(to: RouteTarget): string {
  return typeof to === 'string' ? to : to.node
}

/** What the kernel says of the links. */
export interface ObservedNetwork {
  /** Interface index by address, of those asked for that are on-link. */
  readonly onLink: ReadonlyMap<string, number>
  /** The ways of the default routes, made by others than this agent. */
  readonly defaultGateways: DefaultGateways
  /** Addresses of this machine's interfaces. */
  readonly ownAddresses: readonly string[]
  /** Which of several gateways count; absent: nobody has asked. */
  readonly judged?: Judged
}

/** All of it as a text: equal networks give equal ones. */
export function networkText({ onLink, defaultGateways, ownAddresses, judged, ...rest }: ObservedNetwork): string {
  nothingLeft(rest)
  const counting = judged && { counting: [...judged.counting], reasons: [...judged.reasons] }
  return JSON.stringify([[...onLink], defaultGateways, ownAddresses, counting])
}

export interface RoutingView {
  readonly entries: readonly RouteEntry[]
  readonly peers: readonly BGPPeer[]
  /** podCIDRs whose packets are to end here. */
  readonly unreachable?: readonly string[]
}

/** What of a view decides about routes. */
export function routingView({ entries, peers, refused = [] }: ClusterView): RoutingView {
  const taken = new Set(entries.flatMap(({ podCIDRs }) => podCIDRs))
  const unreachable = refused.filter(one => one.unreachable && !taken.has(one.podCIDR)).map(({ podCIDR }) => podCIDR)
  return { entries, peers, unreachable: [...new Set(unreachable)] }
}

export interface RoutingInput {
  /** The name of this node. */
  readonly self: string
  readonly view: RoutingView
  readonly network: ObservedNetwork
}

export interface DesiredRoute {
  readonly destination: string
  readonly type: 'unicast' | 'unreachable'
  /** Sorted by gateway; none for unreachable. An IPv4 destination may have an IPv6 gateway. */
  readonly nextHops: readonly NextHop[]
  readonly to: RouteTarget
}

export interface Routing {
  /** In order of destination. */
  readonly routes: readonly DesiredRoute[]
  readonly problems: readonly string[]
  /** This node's own. */
  readonly podCIDRs: readonly string[]
  readonly addresses: readonly string[]
}

/** A gateway that routes go by, on a link. */
export interface UsedGateway {
  readonly address: string
  /** Interface index. */
  readonly interface: number
}

/** Those of the routes out of the LAN, and so of the BGPPeers or the default route. */
export function usedGateways(routes: readonly DesiredRoute[]): UsedGateway[] {
  const hops = routes.filter(({ to }) => to === 'gateway').flatMap(({ nextHops }) => nextHops)
  const used = hops.flatMap(({ gateway: address, interface: index }) =>
    address === undefined || index === undefined ? [] : [[address, { address, interface: index }] as const],
  )
  return [...new Map(used).values()]
}

/** The addresses of which `desiredRoutes` wants to know whether they are on-link. */
export function addressesToAsk({ self, view }: Omit<RoutingInput, 'network'>): string[] {
  const own = view.entries.find(({ node }) => node === self)
  if (own === undefined) return []
  const members = view.entries.filter(entry => entry.node !== self && inLan(own, entry))
  const devices = peersOf(own, view.peers).flatMap(({ spec }) => devicesOf(spec))
  return [...new Set([...members.flatMap(({ addresses }) => addresses), ...devices])]
}

/** The gateways that BGPPeers name for this node, or their peers in the place of one. */
export function namedGateways({ self, view }: Omit<RoutingInput, 'network'>): Omit<Candidate, 'answers'>[] {
  const own = view.entries.find(({ node }) => node === self)
  if (own === undefined) return []
  const specs = peersOf(own, view.peers).map(({ spec }) => spec)
  const named = new Set(specs.flatMap(({ gateway }) => gateway ?? []))
  const addresses = new Set(specs.map(({ gateway, peerIP }) => gateway ?? peerIP))
  return [...addresses].map(address => ({ address, isDerived: !named.has(address) }))
}

/**
 * Undefined while no entry names this node: then nothing is known about its LAN, and the last good
 * routes stay.
 */
export function desiredRoutes(input: RoutingInput): Routing | undefined {
  const { self, view, network } = input
  const own = view.entries.find(({ node }) => node === self)
  if (own === undefined) return undefined
  const problems: string[] = []
  const others = view.entries.filter(({ node }) => node !== self).sort((a, b) => (a.node < b.node ? -1 : 1))
  const direct: DesiredRoute[] = []
  const distant: string[] = []
  for (const entry of others) {
    for (const podCIDR of entry.podCIDRs) {
      const hop = inLan(own, entry) ? nextHopTo(entry, familyOf(podCIDR), network) : undefined
      if (hop === undefined) distant.push(podCIDR)
      else direct.push({ destination: podCIDR, type: 'unicast', nextHops: [hop], to: { node: entry.node } })
    }
  }
  const near = [
    ...own.podCIDRs.map(podCIDR => unreachable(podCIDR, 'this node')),
    ...(view.unreachable ?? []).map(podCIDR => unreachable(podCIDR, 'nowhere')),
    ...direct,
  ]
  const gateways = gatewaysOf({ peers: peersOf(own, view.peers), addresses: own.addresses, network })
  const viaGateway = FAMILIES.flatMap(family => {
    const podCIDRs = distant.filter(podCIDR => familyOf(podCIDR) === family)
    return gatewayRoutes({ family, podCIDRs, near, gateways: gateways[family], problems })
  })
  return {
    routes: [...near, ...viaGateway].sort((a, b) => compareAddresses(a.destination, b.destination)),
    problems: [...problems, ...(own.podCIDRs.length === 0 ? [`node ${self} has no podCIDR yet`] : [])],
    podCIDRs: own.podCIDRs,
    addresses: own.addresses,
  }
}

/**
 * Two nodes are in one LAN when they share a BGPPeer. Those that no BGPPeer selects may be, by
 * link: the kernel says.
 */
function inLan(a: RouteEntry, b: RouteEntry): boolean {
  if (a.peers.length === 0 && b.peers.length === 0) return true
  return a.peers.some(peer => b.peers.includes(peer))
}

function peersOf(entry: RouteEntry, peers: readonly BGPPeer[]): BGPPeer[] {
  return peers.filter(({ name }) => entry.peers.includes(name))
}

/**
 * The first address of that family that is on-link; for IPv4 pods of a node that has none such, its
 * first IPv6 one that is.
 */
function nextHopTo(entry: RouteEntry, family: Family, network: ObservedNetwork): NextHop | undefined {
  const hops = entry.addresses.flatMap(gateway => {
    const via = network.onLink.get(gateway)
    return via === undefined ? [] : [{ gateway, interface: via }]
  })
  return hops.find(({ gateway }) => familyOf(gateway) === family) ?? (family === 'ipv4' ? hops[0] : undefined)
}

function unreachable(destination: string, to: RouteTarget): DesiredRoute {
  return { destination, type: 'unreachable', nextHops: [], to }
}

function gatewayRoutes(input: {
  readonly family: Family
  readonly podCIDRs: readonly string[]
  readonly near: readonly DesiredRoute[]
  readonly gateways: Gateways
  readonly problems: string[]
}): DesiredRoute[] {
  const { family, podCIDRs, near, gateways, problems } = input
  if (podCIDRs.length === 0) return []
  problems.push(...gateways.problems)
  if (gateways.nextHops.length === 0) {
    problems.push(`no ${family} gateway: ${podCIDRs.length} podCIDRs outside of this LAN have no route`)
    return []
  }
  const elsewhere = near.map(({ destination }) => destination).filter(destination => familyOf(destination) === family)
  return mergePrefixes(podCIDRs, elsewhere).map(destination => ({
    destination,
    type: 'unicast',
    nextHops: gateways.nextHops,
    to: 'gateway',
  }))
}
