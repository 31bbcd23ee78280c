/**
 * Which peers this node speaks to and what it announces to each, from what it knows of the cluster.
 * Pure.
 *
 * A podCIDR (here: prefix, as BGP says) goes out with the address of the node that owns it as next
 * hop (RFC 4271 section 5.1.3), so the speaker itself carries no traffic of others; which of its
 * addresses, and where our connections come from: peer-link.ts. This file opens no session and
 * writes no status.
 */

import { createHash } from 'node:crypto'
import type { BfdSessionConfig } from '../bfd/bfd-types.ts'
import type { Announcement, PeerConfig } from '../bgp/speaker-types.ts'
import { type BGPPeer, type BGPPeerSpec, compareByAge } from '../kube/bgp-peer.ts'
import type { ClusterView } from '../kube/cluster-view-types.ts'
import type { RouteEntry } from '../kube/route-slice.ts'
import { compareAddresses, FAMILIES, type Family, familyOf } from '../lib/ip.ts'
import type { Secret } from '../lib/secret.ts'
import { sessionSettings } from '../model/session-settings.ts'
import { desiredBfd } from './desired-bfd.ts'
import { isLinkLocal } from './link-local.ts'
import { type LocalAddress, linkOf, type NextHop, nextHopFor, sourceFor } from './peer-link.ts'
import type { SpeakerProblem } from './speaker-problem.ts'

export interface DesiredPeers {
  readonly peers: readonly PeerConfig[]
  /** By BGPPeer name, for every one in `peers`; sorted by prefix. */
  readonly announcements: ReadonlyMap<string, readonly Announcement[]>
  /** For those of `peers` that ask for BFD. */
  readonly bfd: readonly BfdSessionConfig[]
  readonly problems: readonly SpeakerProblem[]
}

export interface DesiredPeersInput {
  /** The name of this node. */
  readonly self: string
  readonly view: ClusterView
  readonly local: readonly LocalAddress[]
  /** For BFD: see `DesiredBfdInput`. */
  readonly links?: ReadonlyMap<string, string>
  readonly formerBfd?: readonly BfdSessionConfig[]
  /** The peers of the last time: one that could not work any more stays as it was. */
  readonly former?: ReadonlyMap<string, PeerConfig>
}

/**
 * The sessions and announcements that this node should have. Peers come in the order of their
 * names.
 */
export function desiredPeers(input: DesiredPeersInput): DesiredPeers {
  const problems: SpeakerProblem[] = []
  const peers: PeerConfig[] = []
  const announcements = new Map<string, readonly Announcement[]>()
  const taken = new Map<string, string>()
  for (const peer of [...spokenTo(input.self, input.view)].sort(compareByAge)) {
    const owner = taken.get(peer.spec.peerIP)
    if (owner !== undefined) {
      const message = `${peer.spec.peerIP} is already the peer of BGPPeer ${owner} on ${input.self}: one session per peer address; give this one another peerIP or remove one of them`
      problems.push({ bgpPeer: peer.name, kind: 'PeerTaken', message })
      continue
    }
    if (input.local.some(({ address }) => address === peer.spec.peerIP)) {
      const message = `peerIP ${peer.spec.peerIP} is an address of ${input.self} itself: name the address of the LAN's switch`
      problems.push({ bgpPeer: peer.name, kind: 'OwnAddress', message })
      continue
    }
    const config = peerConfig(peer, input, problems)
    if (config === undefined) continue
    taken.set(peer.spec.peerIP, peer.name)
    peers.push(config)
    announcements.set(peer.name, announcementsFor(peer, input, problems))
  }
  peers.sort((a, b) => (a.key < b.key ? -1 : 1))
  const { links = new Map(), formerBfd: former = [] } = input
  const bfd = desiredBfd({ peers, bgpPeers: input.view.peers, links, former })
  return { peers, announcements, bfd: bfd.sessions, problems: [...problems, ...bfd.problems] }
}

/** The BGPPeers that name this node as a speaker, by name. */
export function spokenTo(self: string, view: ClusterView): readonly BGPPeer[] {
  return view.peers
    .filter(peer => peer.spec.localSpeakers.includes(self))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

function peerConfig(peer: BGPPeer, input: DesiredPeersInput, problems: SpeakerProblem[]): PeerConfig | undefined {
  const { name, spec } = peer
  const password = passwordOf(peer, input, problems)
  if (spec.authPassword !== undefined && password === undefined) return formerConfig(peer, input)
  if (spec.sourceAddress !== undefined && !input.local.some(({ address }) => address === spec.sourceAddress)) {
    const message = `sourceAddress ${spec.sourceAddress} is on no interface of ${input.self}: add it there or leave sourceAddress out`
    problems.push({ bgpPeer: name, kind: 'NoSourceAddress', message })
  }
  const own = input.view.entries.find(({ node }) => node === input.self)?.addresses ?? []
  const preferred = spec.sourceAddress === undefined ? sourceFor(spec.peerIP, own, input.local) : undefined
  return {
    key: name,
    localAs: spec.localAsNumber,
    peerAs: spec.peerAsNumber,
    peerAddress: spec.peerIP,
    ...sessionSettings(spec),
    ...(preferred === undefined ? {} : { preferredSource: preferred }),
    routerId: routerId(input),
    ...(password === undefined ? {} : { password }),
    families: families(peer, input),
  }
}

/**
 * A session that runs is not ended for a password that nobody has yet: it stays as it was until the
 * Secret is there. One that is to another peer now is another session.
 */
function formerConfig({ name, spec }: BGPPeer, { former }: DesiredPeersInput): PeerConfig | undefined {
  const before = former?.get(name)
  const same = before?.peerAddress === spec.peerIP && before.peerAs === spec.peerAsNumber
  return same && before.localAs === spec.localAsNumber ? before : undefined
}

/**
 * The TCP MD5 key, or undefined (with a problem) when one is asked for and none is known: never a
 * session without it. A view keeps the last good password of a Secret that is lost, so that takes
 * no session down.
 */
function passwordOf(peer: BGPPeer, input: DesiredPeersInput, problems: SpeakerProblem[]): Secret | undefined {
  if (peer.spec.authPassword === undefined) return undefined
  const { name, key } = peer.spec.authPassword.secretKeyRef
  const problem = input.view.passwordProblems.get(peer.name)
  const password = input.view.passwords.get(peer.name)
  if (problem !== undefined || password === undefined) {
    const why = problem ?? `Secret kube-system/${name} with key ${key} has not been read yet`
    const consequence =
      password !== undefined
        ? 'the session keeps the password it has'
        : formerConfig(peer, input) === undefined
          ? 'no session is opened without the password'
          : 'the session stays as it was before that was asked for'
    problems.push({ bgpPeer: peer.name, kind: 'SecretNotFound', message: `${why}; ${consequence}` })
  }
  return password
}

/**
 * The families to negotiate: that of the session's own addresses, and those of the LAN's podCIDRs.
 * Of a BGPPeer so new that no node is known to be its LAN's, those of this node's own, so that the
 * session need not be opened again when the LAN is known.
 */
function families(peer: BGPPeer, { self, view }: DesiredPeersInput): readonly Family[] {
  const lan = view.entries.filter(entry => entry.peers.includes(peer.name))
  const known = lan.length > 0 ? lan : view.entries.filter(entry => entry.node === self)
  const wanted = new Set([peer.spec.peerIP, ...known.flatMap(({ podCIDRs }) => podCIDRs)].map(familyOf))
  return FAMILIES.filter(family => wanted.has(family))
}

/**
 * Every podCIDR of every node that the BGPPeer selects; of one that two nodes claim, the first by
 * name has it. Without those that are to be announced to nobody for now.
 */
function announcementsFor(
  peer: BGPPeer,
  input: DesiredPeersInput,
  problems: SpeakerProblem[],
): readonly Announcement[] {
  const { spec, name } = peer
  const attributes = {
    ...(spec.med === undefined ? {} : { med: spec.med }),
    ...(spec.communities.length === 0 ? {} : { communities: spec.communities }),
    ...(spec.largeCommunities.length === 0 ? {} : { largeCommunities: spec.largeCommunities }),
  }
  const owners = new Map<string, { node: string; nextHop: string }>()
  const entries = input.view.entries.filter(entry => entry.peers.includes(name))
  for (const entry of [...entries].sort((a, b) => (a.node < b.node ? -1 : 1))) {
    for (const prefix of entry.podCIDRs) {
      if (input.view.unannounced?.includes(prefix)) continue
      const owner = owners.get(prefix)
      const nextHop = nextHopOf(entry, prefix, peer, input)
      if (owner !== undefined) {
        const message = `${prefix} belongs to the nodes ${owner.node} and ${entry.node}: announced for ${owner.node} only; give one of them another podCIDR`
        problems.push({ bgpPeer: name, kind: 'PrefixTaken', message })
      } else if ('missing' in nextHop) {
        const message = `${prefix} of node ${entry.node} is not announced: ${nextHop.missing}`
        problems.push({ bgpPeer: name, kind: 'NoNextHop', message, family: familyOf(prefix) })
      } else {
        owners.set(prefix, { node: entry.node, nextHop: nextHop.address })
      }
    }
  }
  return [...owners]
    .map(([prefix, { nextHop }]) => ({ prefix, nextHop, ...attributes }))
    .sort((a, b) => compareAddresses(a.prefix, b.prefix))
}

/**
 * The next hop of a prefix of `entry`: an address of its owner, as near to the peer as there is
 * one. An address of this node is the next hop of its own prefixes alone, unless the BGPPeer wants
 * ours for all.
 */
function nextHopOf(entry: RouteEntry, prefix: string, { spec }: BGPPeer, input: DesiredPeersInput): NextHop {
  const { self, local, view } = input
  const to = { peerIP: spec.peerIP, local }
  const family = familyOf(prefix)
  if (announcesItself(spec)) {
    const own = view.entries.find(({ node }) => node === self)?.addresses ?? []
    const source = spec.sourceAddress ?? sourceFor(spec.peerIP, own, local)
    const here = own.filter(address => local.some(of => of.address === address))
    const link = linkOf(spec.peerIP, local).map(({ address }) => address)
    return nextHopFor(family, [...(source === undefined ? [] : [source]), ...here, ...link], to)
  }
  const mine = (address: string) => entry.node !== self && local.some(of => of.address === address)
  return nextHopFor(
    family,
    entry.addresses.filter(address => !mine(address)),
    to,
  )
}

/**
 * RFC 4271 section 5.1.3: third-party next hops can be switched off, and are, unless asked for,
 * towards an eBGP peer several hops away.
 */
function announcesItself({ nextHopSelf, ebgpMultihop = 1, localAsNumber, peerAsNumber }: BGPPeerSpec): boolean {
  return nextHopSelf ?? (localAsNumber !== peerAsNumber && ebgpMultihop > 1)
}

/**
 * The BGP Identifier (RFC 6286: any non-zero number unique in the AS): this node's IPv4 address; on
 * a node with none, four octets of a hash of its name, the same after every start.
 */
function routerId(input: DesiredPeersInput): string {
  const own = input.view.entries.find(entry => entry.node === input.self)?.addresses ?? []
  const candidates = [...own, ...input.local.map(({ address }) => address)]
  const address = candidates.find(text => familyOf(text) === 'ipv4' && !text.startsWith('127.') && !isLinkLocal(text))
  return address ?? routerIdOfName(input.self)
}

/**
 * Kept inside 1.0.0.0 to 126.255.255.255, because routers from before RFC 6286 want a valid host
 * address.
 */
export function routerIdOfName(node: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = createHash('sha256').update(node).digest()
  return `${1 + (a % 126)}.${b}.${c}.${d}`
}
