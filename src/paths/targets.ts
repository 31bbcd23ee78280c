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
 *   routes to this node's podCIDR, so it proves both switches;
 * - `vpc`: to the controller, from this node's podCIDR; the answer needs a route in the VPC.
 */

import type { BGPPeer } from '../kube/bgp-peer.ts'
import { VPC } from '../kube/path-check.ts'
import type { RouteEntry } from '../kube/route-slice.ts'
import { type Family, familyOf, hostPrefix } from '../lib/ip.ts'
import { probeAddress } from './probe-address.ts'

export type PathKind = 'direct' | 'by-switch' | 'far' | 'vpc'

/** `full`: a packet as large as pods may send, with DF: nothing on the way may cut it. */
export type ProbeSize = 'small' | 'full'

export interface PathTarget {
  readonly kind: PathKind
  readonly size: ProbeSize
  readonly family: Family
  /** The node that answers, or the controller. */
  readonly node: string
  /** The controller has its address alone. */
  readonly podCIDR: string
  /** Where it answers. */
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
  /** The controller, at each of its addresses. */
  readonly vpc: readonly PathTarget[]
  /** BGPPeers that select this node alone: only who is far away can prove their switch. */
  readonly alone: readonly LoneLan[]
}

/** A LAN of one node. */
export interface LoneLan {
  readonly bgpPeer: string
  /** Its device. */
  readonly via: string
  readonly podCIDRs: readonly string[]
}

export const NO_CHOICE: PathChoice = { direct: [], bySwitch: [], far: [], vpc: [], alone: [] }

export interface ChoiceInput {
  readonly self: string
  readonly entries: readonly RouteEntry[]
  readonly peers: readonly BGPPeer[]
  /** Addresses that are on-link here, of those that BGPPeers name. */
  readonly onLink: ReadonlySet<string>
  /** Addresses at which the controller answers. */
  readonly controllers: readonly string[]
}

/** What the name of a LAN is where no BGPPeer selects its nodes. */
const NO_PEER = 'nodes without a BGPPeer'

export function pathChoice({ self, entries, peers, onLink, controllers }: ChoiceInput): PathChoice {
  const own = entries.find(({ node }) => node === self)
  if (own === undefined) return NO_CHOICE
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
  const families = new Set(own.podCIDRs.map(familyOf))
  return {
    direct: neighbours.flatMap(entry => targetsOf(entry, 'direct')),
    bySwitch,
    far: farLans(ring.filter(entry => !sharesLan(own, entry))),
    vpc: controllers.filter(address => families.has(familyOf(address))).map(controllerTarget),
    alone: peers
      .filter(({ name }) => own.peers.includes(name) && !neighbours.some(entry => entry.peers.includes(name)))
      .map(({ name, spec }) => ({ bgpPeer: name, via: spec.peerIP, podCIDRs: own.podCIDRs })),
  }
}

/** What the controller could measure: from the VPC, to every LAN. */
export function choiceOfController(entries: readonly RouteEntry[]): PathChoice {
  return { ...NO_CHOICE, far: farLans(ringBehind('', entries)) }
}

function farLans(entries: readonly RouteEntry[]): PathTarget[][] {
  const lans = Map.groupBy(entries, lanOf)
  return [...lans.keys()].sort().map(lan => (lans.get(lan) ?? []).flatMap(entry => targetsOf(entry, 'far')))
}

function controllerTarget(address: string): PathTarget {
  const podCIDR = hostPrefix(address)
  return { kind: 'vpc', size: 'small', family: familyOf(address), node: 'controller', podCIDR, address, lan: VPC }
}

/** What lies beyond the LAN: other LANs, and the VPC. */
export function farLists({ far, vpc }: PathChoice): readonly (readonly PathTarget[])[] {
  return vpc.length === 0 ? far : [...far, vpc]
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
 * Every so many turns the packet has full size: within a LAN prime to how many are in turn, so that
 * each has its own.
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
 * slowly. Every fifth packet has full size, whoever's turn it is: a line that all LANs share is
 * tried as often however many there are.
 */
export function farTarget(choice: PathChoice, turn: number): PathTarget | undefined {
  const lists = farLists(choice)
  const lan = lists[turn % Math.max(lists.length, 1)]
  if (lan === undefined) return undefined
  const round = Math.floor(turn / lists.length)
  const first = Math.floor(round / 60) % lan.length
  // where five divides their number, one LAN would have all of them
  const shift = lists.length % FULL_SIZE_EVERY === 0 ? round : 0
  return sized(lan[(first + (round % VANTAGE_POINTS)) % lan.length], turn + shift)
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
