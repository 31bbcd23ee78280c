/**
 * Which paths a node could measure, from what it knows of the cluster, and which of them it
 * measures next. However large the cluster is, the packets of a minute are bounded, and every node
 * is asked by at least three others of its LAN: the three behind it in the order of names. Pure.
 *
 * Kinds of path:
 * - `direct`: to a neighbour's podCIDR as pods' packets go, by the route to that neighbour;
 * - `by-switch`: to the same podCIDR, but handed to the LAN's switch although the direct route
 *   exists: it comes out at the neighbour only if the switch holds the route with that next hop;
 * - `far`: to a node of another LAN, as pods' packets go. The answer comes back by the other LAN's
 *   routes to this node's podCIDR, so it proves both switches.
 */

import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { RouteEntry } from '../kube/route-slice.ts'
import { type Family, familyOf } from '../lib/ip.ts'
import { probeAddress } from './probe-address.ts'

export type PathKind = 'direct' | 'by-switch' | 'far'

/** `full`: a packet as large as pods may send, with DF: nothing on the way may cut it. */
export type ProbeSize = 'small' | 'full'

export interface PathTarget {
  readonly kind: PathKind
  readonly size: ProbeSize
  readonly family: Family
  /** The node that answers. */
  readonly node: string
  readonly podCIDR: string
  /** Its probe address. */
  readonly address: string
  /**
   * Names of the BGPPeers whose LAN the node is in; for `by-switch`, the one whose switch is used.
   */
  readonly lan: string
  /** For `by-switch`: the device that the packet is handed to. */
  readonly via?: string
}

/** One string for one target. */
export function targetKey({ kind, size, node, podCIDR, via }: PathTarget): string {
  return [kind, size, node, podCIDR, via ?? ''].join(' ')
}

/** All that could be measured from a node. */
export interface PathChoice {
  readonly direct: readonly PathTarget[]
  readonly bySwitch: readonly PathTarget[]
  /** Other LANs, each with its nodes. */
  readonly far: readonly (readonly PathTarget[])[]
}

export interface ChoiceInput {
  readonly self: string
  readonly entries: readonly RouteEntry[]
  readonly peers: readonly BGPPeer[]
  /** Addresses that are on-link here, of those that BGPPeers name. */
  readonly onLink: ReadonlySet<string>
}

/** What the name of a LAN is where no BGPPeer selects its nodes. */
const NO_PEER = 'nodes without a BGPPeer'

export function pathChoice({ self, entries, peers, onLink }: ChoiceInput): PathChoice {
  const own = entries.find(({ node }) => node === self)
  if (own === undefined) return { direct: [], bySwitch: [], far: [] }
  const ring = ringBehind(self, entries)
  const neighbours = ring.filter(entry => sharesLan(own, entry))
  const switches = switchesOf(own, peers, onLink)
  const bySwitch = neighbours.flatMap(entry =>
    targetsOf(entry, 'by-switch').flatMap(target =>
      switches
        .filter(({ family, lan }) => family === target.family && entry.peers.includes(lan))
        .map(({ lan, via }): PathTarget => ({ ...target, lan, via })),
    ),
  )
  const others = Map.groupBy(
    ring.filter(entry => !sharesLan(own, entry)),
    lanOf,
  )
  const far = [...others.keys()].sort().map(lan => (others.get(lan) ?? []).flatMap(entry => targetsOf(entry, 'far')))
  return { direct: neighbours.flatMap(entry => targetsOf(entry, 'direct')), bySwitch, far }
}

/** Nodes are in one LAN when they share a BGPPeer, or when no BGPPeer selects either. */
function sharesLan(a: RouteEntry, b: RouteEntry): boolean {
  return (a.peers.length === 0 && b.peers.length === 0) || a.peers.some(peer => b.peers.includes(peer))
}

export function lanOf({ peers }: Pick<RouteEntry, 'peers'>): string {
  return peers.length === 0 ? NO_PEER : peers.join(',')
}

/** All other nodes, from the one behind `self` in the order of names round to the one before it. */
function ringBehind(self: string, entries: readonly RouteEntry[]): RouteEntry[] {
  const sorted = entries.filter(({ node }) => node !== self).toSorted((a, b) => (a.node < b.node ? -1 : 1))
  const split = sorted.findIndex(({ node }) => node > self)
  return split < 0 ? sorted : [...sorted.slice(split), ...sorted.slice(0, split)]
}

function targetsOf(entry: RouteEntry, kind: PathKind): PathTarget[] {
  return entry.podCIDRs.flatMap(podCIDR => {
    const address = probeAddress(podCIDR)
    if (address === undefined) return []
    const common = { kind, family: familyOf(podCIDR), node: entry.node, podCIDR, address, lan: lanOf(entry) }
    return [{ ...common, size: 'small' as const }]
  })
}

interface Switch {
  readonly lan: string
  readonly via: string
  readonly family: Family
}

/**
 * The devices that hold the container routes, where they can be handed a packet: they are on-link.
 */
function switchesOf(own: RouteEntry, peers: readonly BGPPeer[], onLink: ReadonlySet<string>): Switch[] {
  return peers
    .filter(({ name, spec }) => own.peers.includes(name) && onLink.has(spec.peerIP))
    .map(({ name, spec }) => ({ lan: name, via: spec.peerIP, family: familyOf(spec.peerIP) }))
}

/** How many of those nearest in the ring are asked again and again; the rest takes turns. */
const REGULARS = 3
/**
 * Every so many turns the packet has full size: prime to how many are in turn, so that each has its
 * own.
 */
const FULL_SIZE_EVERY = 5
/** Nodes of another LAN that are asked in turn: two, as one may be down for reasons of its own. */
const VANTAGE_POINTS = 2

/**
 * The next target within the LAN, by the number of the turn: regulars and one of the rest, directly
 * and by way of the switch.
 */
export function lanTarget(choice: PathChoice, turn: number): PathTarget | undefined {
  const lists = [choice.direct, choice.bySwitch].filter(list => list.length > 0)
  const list = lists[turn % Math.max(lists.length, 1)]
  if (list === undefined) return undefined
  const turnOfList = Math.floor(turn / lists.length)
  return sized(inTurn(list, turnOfList), turnOfList)
}

/**
 * The next target of another LAN. LANs take turns, and within one its vantage points, which change
 * slowly.
 */
export function farTarget(choice: PathChoice, turn: number): PathTarget | undefined {
  const lan = choice.far[turn % Math.max(choice.far.length, 1)]
  if (lan === undefined) return undefined
  const round = Math.floor(turn / choice.far.length)
  const first = Math.floor(round / 60) % lan.length
  return sized(lan[(first + (round % VANTAGE_POINTS)) % lan.length], round)
}

function inTurn(list: readonly PathTarget[], turn: number): PathTarget | undefined {
  const regulars = Math.min(REGULARS, list.length)
  const place = turn % (regulars + 1)
  if (place < regulars) return list[place]
  const rest = list.length - regulars
  return rest === 0
    ? list[Math.floor(turn / (regulars + 1)) % regulars]
    : list[regulars + (Math.floor(turn / (regulars + 1)) % rest)]
}

function sized(target: PathTarget | undefined, turn: number): PathTarget | undefined {
  if (target === undefined) return undefined
  return turn % FULL_SIZE_EVERY === FULL_SIZE_EVERY - 1 ? { ...target, size: 'full' } : target
}
