/**
 * Decides what a node takes over from what the API server shows: pure, from the last good state and
 * the objects as they are now to the next state and what there is to say about it. An object that
 * cannot be used leaves its last good version in place; one that is gone is gone, unless all
 * RouteSlices are: then nothing is.
 */
import { AddressSet } from '../lib/address-set.ts'
import { memoByObject } from '../lib/memo.ts'
import { Secret } from '../lib/secret.ts'
import { decodePassword } from './bgp-password.ts'
import { type BGPPeer, type BGPPeerObject, devicesOf, type SpeakerStatus, sessionKey } from './bgp-peer.ts'
import type { ClusterState } from './cluster-state.ts'
import type { ClusterView } from './cluster-view-types.ts'
import { decodeBGPPeer } from './decode-bgp-peer.ts'
import { type EntryRemovals, entryRemovals, standsIn, withKept } from './held-entries.ts'
import {
  holdRemovals,
  type RemovalDecision,
  type RemovalInput,
  type RemovalLimits,
  type RemovalState,
} from './mass-removal.ts'
import type { KubeObject, KubeSecret } from './resources.ts'
import {
  controllersIn,
  decodeRouteSlice,
  entriesByNode,
  newestWord,
  REMOVALS_CONFIRMED,
  REMOVALS_RELEASED,
  type RouteEntry,
} from './route-slice.ts'

/**
 * What the caches hold. `secret` tells what is known of a Secret: undefined while nobody has
 * answered yet.
 */
export interface ClusterObjects {
  readonly node: string
  /** Looked at more than once. */
  readonly slices: readonly KubeObject[]
  readonly peers: readonly BGPPeerObject[]
  readonly secret: (name: string) => SecretAnswer | undefined
  /** How removals are judged; absent: none is held. */
  readonly removals?: Omit<RemovalInput, 'standing' | 'gone' | 'wanted' | 'explained' | 'word'> & {
    readonly state: RemovalState
    readonly limits: RemovalLimits
    /** The operator's word on this node, as RouteSlices bear it for all; empty for none. */
    readonly localWord?: string
  }
}

/**
 * What the API server said about a Secret: the object, that there is none, or why it cannot be
 * read.
 */
export type SecretAnswer = { readonly object: KubeSecret | undefined } | { readonly problem: string }

export interface MergedCluster {
  readonly state: ClusterState
  readonly passwordProblems: ReadonlyMap<string, string>
  /** Objects that could not be used as they are: `RouteSlice routes-1: entries[3] …`. */
  readonly problems: readonly string[]
  /** Removals that are held. */
  readonly removals: RemovalDecision | undefined
}

export const EMPTY_STATE: ClusterState = { slices: new Map(), peers: new Map(), passwords: new Map() }

export function mergeCluster(last: ClusterState, objects: ClusterObjects): MergedCluster {
  const problems: string[] = []
  const { removals, slices, peers } = heldBack(last, mergeObjects(last, objects, problems), objects)
  const passwords = new Map<string, string>()
  const passwordProblems = new Map<string, string>()
  for (const peer of peers.values()) {
    const reference = peer.spec.authPassword?.secretKeyRef
    if (reference === undefined || !peer.spec.localSpeakers.includes(objects.node)) continue
    const answer = objects.secret(reference.name)
    const decoded =
      answer !== undefined && 'object' in answer ? decodePassword(answer.object, reference, peer.spec.peerIP) : answer
    if (decoded !== undefined && 'problem' in decoded) passwordProblems.set(peer.name, decoded.problem)
    const before = last.peers.get(peer.name)
    // the last good one is for the device that it was used with
    const isSame = before?.uid === peer.uid && before.spec.peerIP === peer.spec.peerIP
    const lastGood = isSame ? last.passwords.get(peer.name) : undefined
    const password = decoded !== undefined && 'password' in decoded ? decoded.password.reveal() : lastGood
    if (password !== undefined) passwords.set(peer.name, password)
  }
  const controllers = controllersIn(objects.slices)
  const hadSession = sessionsHad(last, peers, objects.peers)
  const state = { slices, peers, passwords, ...(controllers.length > 0 && { controllers }), hadSession }
  return { state, passwordProblems, problems, removals }
}

/** Of the BGPPeers that there are, those of which any speaker says that it has or had a session. */
function sessionsHad(
  { hadSession = [] }: ClusterState,
  peers: ClusterState['peers'],
  objects: ClusterObjects['peers'],
): readonly string[] {
  const told = objects.filter(({ status }) => status?.speakers?.some(wasEstablished))
  const had = new Set([...hadSession, ...told.map(({ metadata: { name, uid = '' } }) => sessionKey({ name, uid }))])
  return [...peers.values()]
    .map(sessionKey)
    .filter(key => had.has(key))
    .sort()
}

/** Whether a speaker's session is up, or was. */
function wasEstablished({ state, flaps }: Pick<SpeakerStatus, 'state' | 'flaps'>): boolean {
  return state === 'Established' || flaps > 0
}

/** The entries of a state's slices, which are asked for again when the next state is made. */
const entriesIn = memoByObject((slices: ClusterState['slices']) => entriesByNode(slices))

type Objects = Pick<ClusterState, 'slices' | 'peers'>

/** The next objects, with those of the last ones whose removal is held (mass-removal.ts). */
function heldBack(
  last: Objects,
  next: Objects,
  { slices: objects, removals }: ClusterObjects,
): Objects & Pick<MergedCluster, 'removals'> {
  if (removals === undefined) return { ...next, removals: undefined }
  const { state, limits, localWord = '', ...seen } = removals
  const before = entriesIn(last.slices)
  const after = entriesIn(next.slices)
  const { standing, gone } = entryRemovals(before, after, { peers: new Set(next.peers.keys()), state })
  const peers = peerRemovals(last.peers, next.peers)
  const isWantedPeer = (key: string) => key.startsWith(PEER) && next.peers.has(key.slice(PEER.length))
  const word = newestWord(objects, [REMOVALS_CONFIRMED, REMOVALS_RELEASED])
  const decision = holdRemovals(
    state,
    {
      ...seen,
      standing: new Map([...standing, ...peers.standing]),
      gone: new Set([...gone, ...peers.gone]),
      wanted: { has: key => standsIn(after, key) || isWantedPeer(key) },
      explained: new Set(),
      word: [localWord, word].sort().at(-1) ?? '',
    },
    limits,
  )
  const entries = withKept(before, after, decision.kept)
  const keptPeers = [...last.peers].filter(([name]) => decision.kept.has(peerKey(name)))
  return {
    slices: decision.kept.size === 0 ? next.slices : slicesOf(entries, last.slices, next.slices),
    peers: new Map([...next.peers, ...keptPeers]),
    removals: decision,
  }
}

const PEER = 'peer/'

function peerKey(name: string): string {
  return PEER + name
}

function peerRemovals(last: Objects['peers'], next: Objects['peers']): EntryRemovals {
  return {
    standing: new Map([...last.keys()].map(name => [peerKey(name), ['peers']])),
    gone: new Set([...last.keys()].filter(name => !next.has(name)).map(peerKey)),
  }
}

/** The BGPPeers among keys that are kept. */
export function keptPeers(kept: Iterable<string>): readonly string[] {
  return [...kept].flatMap(key => (key.startsWith(PEER) ? [key.slice(PEER.length)] : [])).sort()
}

/** Entries in the slices that they are in, or were in before. */
function slicesOf(
  entries: ReadonlyMap<string, RouteEntry>,
  last: Objects['slices'],
  next: Objects['slices'],
): Objects['slices'] {
  const slices = new Map<string, RouteEntry[]>([...next.keys()].map(name => [name, []]))
  const left = new Map(entries)
  for (const [name, members] of [...next, ...last]) {
    for (const { node } of members) {
      const entry = left.get(node)
      if (entry === undefined) continue
      left.delete(node)
      const slice = slices.get(name) ?? []
      slice.push(entry)
      slices.set(name, slice)
    }
  }
  return slices
}

function mergeObjects(
  last: ClusterState,
  objects: ClusterObjects,
  problems: string[],
): Pick<ClusterState, 'slices' | 'peers'> {
  const slices = new Map<string, readonly RouteEntry[]>()
  for (const object of objects.slices) slices.set(object.metadata.name, mergeSlice(last, object, problems))
  const peers = new Map<string, BGPPeer>()
  for (const object of objects.peers) {
    const peer = mergePeer(last, object, problems)
    if (peer !== undefined) peers.set(peer.name, peer)
  }
  keepOutOfPodCIDRs({ last, slices, peers }, problems)
  if (slices.size > 0 || last.slices.size === 0) return { slices, peers }
  // This node runs, so a cluster without any node is no decision of anybody's: the API server has
  // lost its memory, or a slip deleted all.
  problems.push('RouteSlices: there are none any more; the network stays as it was until there is one')
  return { slices: last.slices, peers: objects.peers.length > 0 ? peers : last.peers }
}

/** A broken entry is replaced by the last good one of the same node. */
function mergeSlice(last: ClusterState, object: KubeObject, problems: string[]): readonly RouteEntry[] {
  const { name } = object.metadata
  const decoded = decodeRouteSlice(object)
  if (decoded.problems.length === 0) return decoded.entries
  problems.push(...decoded.problems.map(({ path, message }) => `RouteSlice ${name}: ${path} ${message}`))
  const before = last.slices.get(name) ?? []
  if (decoded.problems.some(({ node }) => node === undefined)) return before.length > 0 ? before : decoded.entries
  const broken = new Set(decoded.problems.map(({ node }) => node))
  return [...decoded.entries, ...before.filter(({ node }) => broken.has(node))]
}

/**
 * A BGPPeer that comes to name an address in a podCIDR that is in force is mistaken, however old it
 * is: its last version stays.
 */
function keepOutOfPodCIDRs(
  { last, slices, peers }: { last: ClusterState; slices: ClusterState['slices']; peers: Map<string, BGPPeer> },
  problems: string[],
): void {
  const changed = [...peers.values()].filter(peer => {
    const before = last.peers.get(peer.name)
    return before?.uid !== peer.uid || devicesOf(before.spec).join() !== devicesOf(peer.spec).join()
  })
  if (changed.length === 0 || last.slices.size === 0) return
  const named = new AddressSet(changed.flatMap(peer => devicesOf(peer.spec).map(address => ({ address, peer }))))
  const inForce = entriesIn(last.slices)
  for (const { node, podCIDRs } of entriesIn(slices).values()) {
    for (const podCIDR of podCIDRs.filter(one => inForce.get(node)?.podCIDRs.includes(one) === true)) {
      named.within(podCIDR, ({ address, peer }) => {
        problems.push(`BGPPeer ${peer.name}: ${address} lies in ${podCIDR}, a pod CIDR of node ${node}: not used`)
        const before = last.peers.get(peer.name)
        if (before?.uid === peer.uid) peers.set(peer.name, before)
        else peers.delete(peer.name)
        return false
      })
    }
  }
}

/** Of an object made anew under an old name (another uid) there is no last good version. */
function mergePeer(last: ClusterState, object: KubeObject, problems: string[]): BGPPeer | undefined {
  const decoded = decodeBGPPeer(object)
  if ('peer' in decoded) return decoded.peer
  const { name, uid } = object.metadata
  problems.push(...decoded.problems.map(({ path, message }) => `BGPPeer ${name}: ${path} ${message}`))
  const before = last.peers.get(name)
  return before !== undefined && before.uid === uid ? before : undefined
}

/** The view of a state. */
export function viewOf(
  state: ClusterState,
  passwordProblems: ReadonlyMap<string, string>,
  source: ClusterView['source'],
): ClusterView {
  return {
    entries: [...entriesIn(state.slices).values()].sort((a, b) => (a.node < b.node ? -1 : 1)),
    peers: [...state.peers.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
    passwords: new Map([...state.passwords].map(([name, password]) => [name, new Secret(password)])),
    passwordProblems,
    source,
    ...(state.controllers !== undefined && { controllers: state.controllers }),
  }
}
