/**
 * Which podCIDRs a node believes: one whose route would cut it off from what it lives by is
 * refused, and so is one that an older node has. Agent, firewall and speaker take what is left, so
 * that no route, rule or announcement of ours ever covers a lifeline. Pure.
 *
 * A veto is for those that were there first: a node's own lifelines and peers, older nodes, older
 * BGPPeers that select somebody. A newcomer whose address lies in a podCIDR in use is refused
 * itself. What does no harm to anybody stays: a podCIDR larger than others that lie in it, say.
 */
import { AddressSet } from '../lib/address-set.ts'
import { covers } from '../lib/ip.ts'
import { memoByText } from '../lib/memo.ts'
import { type BGPPeer, devicesOf } from './bgp-peer.ts'
import type { RouteEntry } from './route-slice.ts'

/** An address that this node must reach by other ways than pods'. */
export interface Lifeline {
  /** Canonical. */
  readonly address: string
  /** What it is, for people: `the API server`, `a gateway`. */
  readonly what: string
  /** Its own: its own podCIDR may hold it (a bridge of a runtime has an address there). */
  readonly own?: boolean
}

/** A podCIDR that is not believed. */
export interface Refusal {
  readonly node: string
  readonly podCIDR: string
  /** `holds 192.168.0.10, the API server`. */
  readonly reason: string
  /** Whether packets to it are to end here rather than to go where they would come back from. */
  readonly unreachable: boolean
}

export interface SoundEntries {
  readonly entries: readonly RouteEntry[]
  readonly refused: readonly Refusal[]
}

export interface SoundEntriesInput {
  /** The name of this node. */
  readonly self: string
  readonly entries: readonly RouteEntry[]
  readonly peers: readonly BGPPeer[]
  readonly lifelines: readonly Lifeline[]
}

/** Of so many podCIDRs it is remembered what was found: each change of one asks for all. */
const MOST_POD_CIDRS = 20_000

/**
 * What no podCIDR is: this host, loopback, links, multicast, broadcast (RFC 6890, RFC 4291 section
 * 2.4), IPv4 in the form of IPv6, which sockets send as IPv4 (RFC 4291 section 2.5.5.2).
 */
const NEVER_PODS = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/128',
  '::1/128',
  '::ffff:0:0/96',
  'fe80::/10',
  'ff00::/8',
] as const

/** Which of them a podCIDR touches. */
const touchesNever = memoByText(MOST_POD_CIDRS, podCIDR =>
  NEVER_PODS.find(range => covers(range, podCIDR) || covers(podCIDR, range)),
)

export function soundEntries(input: SoundEntriesInput): SoundEntries {
  const placed = placesOf(input)
  const nowhere = nowhereOf(input, placed)
  const refused: Refusal[] = []
  const entries = input.entries.map(entry => {
    const missing = nowhere(entry)
    const verdicts = entry.podCIDRs.map(podCIDR => ({
      podCIDR,
      verdict: placed.get(entry)?.get(podCIDR) ?? missing,
    }))
    for (const { podCIDR, verdict } of verdicts) {
      if (verdict !== undefined) refused.push({ node: entry.node, podCIDR, ...verdict })
    }
    const podCIDRs = verdicts.flatMap(({ podCIDR, verdict }) => (verdict === undefined ? [podCIDR] : []))
    return podCIDRs.length === entry.podCIDRs.length ? entry : { ...entry, podCIDRs }
  })
  return { entries, refused }
}

/** For people: `192.168.0.8/29 of node edge-9 holds 192.168.0.10, the API server: not routed`. */
export function refusalText({ node, podCIDR, reason }: Refusal): string {
  return `${podCIDR} of node ${node} ${reason}: neither routed nor announced`
}

type Verdict = Pick<Refusal, 'reason' | 'unreachable'>

/** An address that may veto a podCIDR, and of whom it is. */
interface Veto {
  readonly address: string
  readonly what: string
  /** The node whose it is. */
  readonly node?: string
  /** When it came, RFC 3339; absent: that does not matter, or nobody knows. */
  readonly since?: string
  /** Of this node: its own podCIDR may hold it. */
  readonly own?: boolean
}

/** Why podCIDRs lie where they may not, by entry; of the others nothing. */
type Places = ReadonlyMap<RouteEntry, ReadonlyMap<string, Verdict>>

function placesOf(input: SoundEntriesInput): Places {
  const { self, entries } = input
  const vetoes = new AddressSet(vetoesOf(input))
  const own = entries.find(({ node }) => node === self)
  const byCIDR = firstBy(entries, self, ({ podCIDRs }) => podCIDRs)
  const place = (entry: RouteEntry, podCIDR: string): Verdict | undefined => {
    const mine = entry.node === self
    const never = touchesNever(podCIDR)
    if (never !== undefined) return refusal(`touches ${never}, which is nobody's`)
    const owner = byCIDR.get(podCIDR)
    if (owner !== undefined && owner.node !== entry.node) return refusal(`is also that of node ${owner.node}`)
    const around = mine ? undefined : own?.podCIDRs.find(other => covers(other, podCIDR))
    if (around !== undefined) return refusal(`lies in ${around} of this node`)
    const veto = vetoes.within(podCIDR, candidate => {
      if (mine && (candidate.own === true || candidate.node === self)) return false
      return !isYounger(candidate.since, entry.createdAt)
    })
    return veto && refusal(`holds ${veto.address}, ${veto.what}`)
  }
  return new Map(
    entries.map(entry => {
      const verdicts = entry.podCIDRs.flatMap((podCIDR): (readonly [string, Verdict])[] => {
        const verdict = place(entry, podCIDR)
        return verdict === undefined ? [] : [[podCIDR, verdict]]
      })
      return [entry, new Map(verdicts)]
    }),
  )
}

/** Why an entry's node is not where it is said to be, whatever its podCIDRs are. */
function nowhereOf({ self, entries }: SoundEntriesInput, placed: Places): (entry: RouteEntry) => Verdict | undefined {
  const own = entries.find(({ node }) => node === self)
  const byAddress = firstBy(entries, self, ({ addresses }) => addresses)
  const taken = new AddressSet(
    entries.flatMap(({ node, addresses, createdAt }) => addresses.map(address => ({ address, node, createdAt }))),
  )
  /** Nodes whose address lies in the podCIDR of an older one. */
  const inside = new Map<string, string>()
  for (const entry of entries) {
    // one that is not routed itself hides nobody
    for (const podCIDR of entry.podCIDRs.filter(podCIDR => placed.get(entry)?.has(podCIDR) !== true)) {
      taken.within(podCIDR, ({ node, address, createdAt }) => {
        if (node === entry.node || !isYounger(createdAt, entry.createdAt)) return false
        inside.set(node, `is said to be at ${address}, which lies in ${podCIDR} of the older node ${entry.node}`)
        return false
      })
    }
  }
  return entry => {
    if (entry.node === self) return undefined
    const twin = sharedAddress(entry, address => own?.addresses.includes(address) === true)
    // this machine would send it to the gateway, and that back
    if (twin !== undefined) return { reason: `is said to be at ${twin}, which is this node`, unreachable: true }
    const shared = sharedAddress(entry, address => byAddress.get(address)?.node !== entry.node)
    if (shared !== undefined) {
      const reason = `is said to be at ${shared}, where node ${byAddress.get(shared)?.node} was before`
      return { reason, unreachable: true }
    }
    const hidden = inside.get(entry.node)
    return hidden === undefined ? undefined : refusal(hidden)
  }
}

function refusal(reason: string): Verdict {
  return { reason, unreachable: false }
}

function sharedAddress(entry: RouteEntry, isOthers: (address: string) => boolean): string | undefined {
  return entry.addresses.find(isOthers)
}

function vetoesOf({ self, entries, peers, lifelines }: SoundEntriesInput): Veto[] {
  const own = entries.find(({ node }) => node === self)
  const nodes = entries.flatMap(({ node, addresses, createdAt }) =>
    addresses.map(
      (address): Veto => ({
        address,
        node,
        what: node === self ? 'this node' : `node ${node}`,
        ...(node !== self && createdAt !== undefined && { since: createdAt }),
      }),
    ),
  )
  // one that selects nobody, or never could work, has no say, whoever shall speak for it
  const working = new Set(entries.flatMap(entry => entry.peers))
  const devices = peers.flatMap(({ name, createdAt, spec }) => {
    if (!working.has(name)) return []
    const ours = own?.peers.includes(name) === true || spec.localSpeakers.includes(self)
    return devicesOf(spec).map(
      (address): Veto => ({
        address,
        what: `the switch or gateway of BGPPeer ${name}`,
        ...(!ours && createdAt !== undefined && { since: createdAt }),
      }),
    )
  })
  return [
    ...lifelines.map(({ address, what, own }): Veto => ({ address, what, ...(own === true && { own }) })),
    ...nodes,
    ...devices,
  ]
}

/** Whether what came at `since` came after `other`; not where nobody knows. */
function isYounger(since: string | undefined, other: string | undefined): boolean {
  return since !== undefined && other !== undefined && since > other
}

/**
 * The oldest entry that has each of the texts; of those of one age this node's, then the first by
 * name.
 */
function firstBy(
  entries: readonly RouteEntry[],
  self: string,
  textsOf: (entry: RouteEntry) => readonly string[],
): ReadonlyMap<string, RouteEntry> {
  const first = new Map<string, RouteEntry>()
  for (const entry of entries) {
    for (const text of textsOf(entry)) {
      const other = first.get(text)
      if (other === undefined || comesFirst(entry, other, self)) first.set(text, entry)
    }
  }
  return first
}

function comesFirst(a: RouteEntry, b: RouteEntry, self: string): boolean {
  if (isYounger(b.createdAt, a.createdAt)) return true
  if (isYounger(a.createdAt, b.createdAt)) return false
  if (a.node === self || b.node === self) return a.node === self
  return a.node < b.node
}
