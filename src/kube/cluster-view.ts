/**
 * What a node knows of the cluster: RouteSlice entries, accepted BGPPeers, and the passwords of
 * those peers it speaks to. Every accepted input is kept in the state folder, so a node that boots
 * with the API out of reach acts on the last good view before any answer.
 *
 * Not ready is not empty: an unsynced cache, an unreadable object or a lost server leave the view
 * as it was. A BGPPeer whose new spec cannot work keeps its last good one here.
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'
import { errorText } from '../lib/errors.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { Cache, KubeApi } from './api.ts'
import { PASSWORD_NAMESPACE } from './bgp-password.ts'
import { type BGPPeerObject, type SpeakerStatus, sessionKey } from './bgp-peer.ts'
import { withReadableStatus } from './bgp-peer-status.ts'
import {
  type ClusterIdentity,
  type ClusterState,
  encodeClusterState,
  loadClusterState,
  type StateFacts,
  type StateOwner,
  sameState,
  storeClusterState,
} from './cluster-state.ts'
import type { ClusterView, ClusterViewSource } from './cluster-view-types.ts'
import { decodeBGPPeer } from './decode-bgp-peer.ts'
import { keptParts, keptText } from './held-entries.ts'
import { hearLocalWord } from './local-word.ts'
import { heldText, NO_REMOVALS, type RemovalDecision, type RemovalLimits, toTheMinute } from './mass-removal.ts'
import {
  type ClusterObjects,
  EMPTY_STATE,
  keptPeers,
  mergeCluster,
  type SecretAnswer,
  viewOf,
} from './merge-cluster.ts'
import { checksOn } from './path-check.ts'
import { BGP_PEERS, type KubeSecret, ROUTE_SLICES, SECRETS } from './resources.ts'
import type { RouteSlice } from './route-slice.ts'

export interface ClusterViewOptions {
  /** Undefined: from the state folder alone. */
  readonly api: KubeApi | undefined
  /** The name of this node. */
  readonly node: string
  readonly stateDir: string
  /** Absent: the machine's. */
  readonly disk?: Disk
  readonly clock: Clock
  readonly log: Log
  /** How the cluster is reached, as far as that is known. */
  readonly cluster?: ClusterIdentity
  /** Absent: no removal is held. */
  readonly removal?: RemovalLimits
  /** Is told what removals are held, when that changes. */
  readonly onHeld?: (text: string) => void
}

/** The source that speaks to the API server itself. */
export interface ClusterSource extends ClusterViewSource {
  /** Whether the API server knows no RouteSlice of a cluster that this node is part of. */
  readonly isForgotten: boolean
  /**
   * What an operator should know: of the stored state, of objects that cannot be used, of removals
   * that are held.
   */
  readonly problems: readonly string[]
  /** How many removals are held. */
  readonly heldRemovals: number
  /**
   * Whether any speaker's session of the BGPPeer is or was Established, as far as was ever seen
   * from here; undefined while nobody can say.
   */
  wasEstablished(bgpPeer: string): boolean | undefined
  /** Words that ask for a check of paths now, of BGPPeers that this node speaks for. */
  readonly checksAsked: ReadonlyMap<string, string>
  /** Calls `listener` when any BGPPeer has changed, also in what no view shows. */
  onPeersChange(listener: () => void): () => void
}

/** Starts with what the state folder has, and follows the API server from then on. */
export function createClusterViewSource(options: ClusterViewOptions): ClusterSource {
  return new Source(options)
}

/** Changes within this time are one write. */
const STORE_MILLISECONDS = 100
/** How often it is looked whether somebody has confirmed on this node what is held. */
const HEAR_MILLISECONDS = 1000
/** A word that was said before anything was held means nothing now. */
const WORD_IS_OLD_MILLISECONDS = 60_000
/** How long after a state could not be stored it is tried again, if nothing changes meanwhile. */
const STORE_AGAIN_MILLISECONDS = 30_000

class Source implements ClusterSource {
  readonly #options: ClusterViewOptions
  readonly #slices: Cache<RouteSlice> | undefined
  readonly #peers: Cache<BGPPeerObject> | undefined
  /**
   * One for each Secret that a BGPPeer of this speaker names, watched by name: a node has rights to
   * no other.
   */
  readonly #secrets = new Map<string, Cache<KubeSecret>>()
  readonly #listeners = new Listeners()
  #state = EMPTY_STATE
  #view: ClusterView | undefined
  /** What the state folder has; undefined where that is nothing, or not as it should be. */
  #stored: ClusterState | undefined
  /** What the view was made of, once the API server has answered. */
  #shown: { readonly state: ClusterState; readonly passwordProblems: ReadonlyMap<string, string> } | undefined
  #problems: readonly string[] = []
  /** Of the file that this process began with. */
  #stateProblems: readonly string[] = []
  #storedContact: number | undefined
  #removals = NO_REMOVALS
  #heldText: string | undefined
  #cancelLooking: Cancel = () => {}
  #localWord = ''
  #cancelHearing: Cancel = () => {}
  #storing: 'well' | 'failing' = 'well'
  #cancelStoring: Cancel | undefined

  constructor(options: ClusterViewOptions) {
    this.#options = options
    this.#load()
    this.#slices = options.api?.cache<RouteSlice>(ROUTE_SLICES)
    this.#peers = options.api?.cache<BGPPeerObject>(BGP_PEERS, { reduce: withReadableStatus })
    this.#slices?.onChange(() => this.#merge())
    this.#peers?.onChange(() => this.#merge())
  }
  current(): ClusterView | undefined {
    return this.#view
  }
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }
  entryOf(bgpPeer: string): SpeakerStatus | undefined {
    const { node: self } = this.#options
    return this.#peers?.objects.get(bgpPeer)?.status?.speakers?.find(({ node }) => node === self)
  }
  hasEntry(bgpPeer: string): boolean | undefined {
    if (this.#peers?.synced !== true || this.#peers.problem !== undefined) return undefined
    const object = this.#peers.objects.get(bgpPeer)
    return object && (object.status?.speakers ?? []).some(({ node }) => node === this.#options.node)
  }
  wasEstablished(bgpPeer: string): boolean | undefined {
    const { peers, hadSession } = this.#state
    const peer = peers.get(bgpPeer)
    return peer === undefined ? undefined : hadSession?.includes(sessionKey(peer))
  }
  get checksAsked(): ReadonlyMap<string, string> {
    const spoken = [...this.#state.peers.values()].filter(({ spec }) => spec.localSpeakers.includes(this.#options.node))
    return checksOn(spoken.flatMap(({ name }) => this.#peers?.objects.get(name) ?? []))
  }
  onPeersChange(listener: () => void): () => void {
    return this.#peers?.onChange(listener) ?? (() => {})
  }
  get isForgotten(): boolean {
    return this.#slices?.synced === true && this.#slices.objects.size === 0 && this.#state.slices.size > 0
  }
  get problems(): readonly string[] {
    return [...this.#stateProblems, ...this.#problems, ...(this.#heldText === undefined ? [] : [this.#heldText])]
  }
  get heldRemovals(): number {
    return this.#removals.held.size
  }
  get contact(): ClusterViewSource['contact'] {
    const caches = [this.#slices, this.#peers].filter(cache => cache !== undefined)
    const contacts = caches.map(cache => cache.lastContact ?? 0)
    const lastContact = Math.max(this.#storedContact ?? 0, ...contacts)
    const problem = caches.find(cache => cache.problem !== undefined)?.problem
    return {
      server: this.#options.api?.server ?? '',
      connected: caches.length > 0 && caches.every(cache => cache.synced && cache.problem === undefined),
      lastContact: lastContact === 0 ? undefined : lastContact,
      problem,
    }
  }
  close(): void {
    this.#listeners.clear()
    if (this.#cancelStoring !== undefined && this.#storing === 'well') this.#store()
    this.#cancelStoring?.()
    this.#cancelLooking()
    this.#cancelHearing()
    for (const cache of [this.#slices, this.#peers, ...this.#secrets.values()]) cache?.close()
  }

  #load(): void {
    const { stateDir, log } = this.#options
    const loaded = loadClusterState(stateDir, this.#owner, this.#options.disk)
    this.#stateProblems = loaded.problems
    for (const reason of loaded.problems) {
      log.warn({ file: stateDir, reason }, 'the stored cluster state is damaged or not of this node')
    }
    if (loaded.lastContact !== undefined) this.#storedContact = Date.parse(loaded.lastContact) || undefined
    if (loaded.state === undefined) return
    this.#state = loaded.state
    // what was mended is written whole again
    if (loaded.problems.length === 0) this.#stored = loaded.state
    this.#view = viewOf(loaded.state, new Map(), 'state')
    log.info({ file: stateDir, count: this.#view.entries.length }, 'starting from the stored cluster state')
  }

  get #owner(): StateOwner {
    const { node, cluster } = this.#options
    return { node, ...(cluster !== undefined && { cluster }) }
  }

  /** Takes over what the caches hold, once all of them have answered. */
  #merge(): void {
    const { node } = this.#options
    if (!this.#slices?.synced || !this.#peers?.synced) return
    this.#watchSecrets(this.#peers)
    if ([...this.#secrets.values()].some(cache => !cache.synced && cache.problem === undefined)) return
    const merged = mergeCluster(this.#state, {
      node,
      slices: [...this.#slices.objects.values()],
      peers: [...this.#peers.objects.values()],
      secret: name => this.#secret(name),
      ...this.#observedRemovals(this.#slices, this.#peers),
    })
    this.#state = merged.state
    if (merged.removals !== undefined) this.#hold(merged.removals)
    this.#tell(merged.problems)
    this.#storeSoon()
    const { state, passwordProblems } = merged
    const before = this.#shown
    this.#shown = { state, passwordProblems }
    if (before !== undefined && sameState(before.state, state)) {
      if (Bun.deepEquals(before.passwordProblems, passwordProblems, true)) return
    }
    this.#view = viewOf(merged.state, merged.passwordProblems, 'api')
    this.#listeners.tell()
  }

  #observedRemovals(slices: Cache<RouteSlice>, peers: Cache<BGPPeerObject>): Pick<ClusterObjects, 'removals'> {
    const { removal: limits, clock } = this.#options
    if (limits === undefined) return {}
    const lists = [slices, peers].map(cache => cache.listedAt ?? Number.NEGATIVE_INFINITY)
    const isKindUnknown = slices.kindUnknown || peers.kindUnknown
    const at = { now: clock.monotonic(), time: clock.now(), listedAt: Math.min(...lists), isKindUnknown }
    return { removals: { state: this.#removals, limits, localWord: this.#localWord, ...at } }
  }

  /** Takes in what is held, tells it once, and looks again, with new lists, when it is due. */
  #hold({ state, kept, dueAt }: RemovalDecision): void {
    const { clock, log, onHeld } = this.#options
    this.#removals = state
    this.#cancelLooking()
    const before = this.#heldText
    this.#heldText = undefined
    if (dueAt !== undefined) {
      const wait = Math.max(1000, dueAt - clock.monotonic())
      this.#cancelLooking = clock.after(wait, () => this.#lookAgain())
      if (before === undefined) this.#hearLater()
      const names = [...keptPeers(kept).map(name => `BGPPeer ${name}`), ...keptParts(kept).map(keptText)]
      const text = heldText(names, toTheMinute(clock.now() + wait))
      this.#heldText = `${text}, or on this node alone: terway-edge confirm --local`
    } else this.#cancelHearing()
    if (this.#heldText === before) return
    if (this.#heldText === undefined) log.info({}, 'no removal is held any more')
    else {
      log.warn({ detail: this.#heldText }, 'a mass removal is held')
      onHeld?.(this.#heldText)
    }
  }

  /** While something is held, an operator may say on this node that it is meant. */
  #hearLater(): void {
    const { clock, stateDir, disk, log } = this.#options
    this.#cancelHearing = clock.after(HEAR_MILLISECONDS, () => {
      this.#hearLater()
      try {
        const word = hearLocalWord(stateDir, disk)
        if (word === undefined || clock.now() - Date.parse(word) > WORD_IS_OLD_MILLISECONDS) return
        this.#localWord = word
        this.#merge()
      } catch (error) {
        log.debug({ file: stateDir, reason: errorText(error) }, 'whether a removal is confirmed here is not known')
      }
    })
  }

  #lookAgain(): void {
    void Promise.all([this.#slices?.refresh(), this.#peers?.refresh()]).then(() => this.#merge())
  }

  /**
   * Watches exactly the Secrets that are needed now. A broken BGPPeer goes on with its last good
   * Secret.
   */
  #watchSecrets(peers: Cache<BGPPeerObject>): void {
    const { api, node } = this.#options
    const needed = new Set<string>()
    for (const object of peers.objects.values()) {
      const decoded = decodeBGPPeer(object)
      const peer = 'peer' in decoded ? decoded.peer : this.#state.peers.get(object.metadata.name)
      const name = peer?.spec.authPassword?.secretKeyRef.name
      if (name !== undefined && peer?.spec.localSpeakers.includes(node)) needed.add(name)
    }
    for (const [name, cache] of this.#secrets) {
      if (needed.has(name)) continue
      cache.close()
      this.#secrets.delete(name)
    }
    for (const name of needed) {
      if (this.#secrets.has(name) || api === undefined) continue
      const fieldSelector = `metadata.name=${name}`
      const cache = api.cache<KubeSecret>(SECRETS, { namespace: PASSWORD_NAMESPACE, fieldSelector })
      cache.onChange(() => this.#merge())
      this.#secrets.set(name, cache)
    }
  }

  #secret(name: string): SecretAnswer | undefined {
    const cache = this.#secrets.get(name)
    if (cache === undefined) return undefined
    if (cache.synced) return { object: cache.objects.get(`${PASSWORD_NAMESPACE}/${name}`) }
    if (cache.problem === undefined) return undefined
    return { problem: `Secret ${PASSWORD_NAMESPACE}/${name} cannot be read: ${cache.problem}` }
  }

  /** Each set of problems once. */
  #tell(problems: readonly string[]): void {
    if (problems.join('\n') === this.#problems.join('\n')) return
    this.#problems = problems
    for (const detail of problems) {
      this.#options.log.warn({ detail }, 'an object cannot be used; keeping its last good version')
    }
  }

  get #facts(): StateFacts {
    const { lastContact } = this.contact
    return { ...this.#owner, ...(lastContact !== undefined && { lastContact: timestamp(lastContact) }) }
  }

  /**
   * Only changes are written, and after those who act on them were told: the disk of an edge node
   * is a small flash chip, and slow. What could not be written is tried until it can.
   */
  #storeSoon(): void {
    if (this.#stored !== undefined && sameState(this.#stored, this.#state)) {
      this.#cancelStoring?.()
      this.#cancelStoring = undefined
      return
    }
    if (this.#storing === 'well')
      this.#cancelStoring ??= this.#options.clock.after(STORE_MILLISECONDS, () => this.#store())
    else this.#store()
  }

  #store(): void {
    const { stateDir, clock, log } = this.#options
    this.#cancelStoring?.()
    this.#cancelStoring = undefined
    try {
      storeClusterState(stateDir, encodeClusterState(this.#state, this.#facts), this.#options.disk)
      this.#stored = this.#state
      if (this.#storing === 'failing') log.info({ file: stateDir }, 'the cluster state is stored again')
      this.#storing = 'well'
    } catch (error) {
      this.#cancelStoring = clock.after(STORE_AGAIN_MILLISECONDS, () => this.#store())
      if (this.#storing === 'well') {
        log.error(
          { file: stateDir, reason: errorText(error) },
          'cannot store the cluster state; a reboot without the API would go back',
        )
      }
      this.#storing = 'failing'
    }
  }
}
