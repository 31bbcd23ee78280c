/**
 * The speaker room: carries what the cluster wants to the BGP speaker, and what the sessions do to
 * BGPPeer status and Events.
 *
 * The decisions are desired-peers.ts, session-status.ts and events.ts; bfd-beside.ts looks after
 * BFD; the protocol is src/bgp. BGP never waits for the API server here: without a view nothing is
 * told to the speaker, a view that is lost changes nothing, and reports are kept until they can be
 * written.
 */
import type { Bfd } from '../bfd/bfd-types.ts'
import { keptAtMostSeconds } from '../bgp/machine/graceful-restart.ts'
import type {
  NotAnnounced,
  PeerConfig,
  SessionEvent,
  SessionView,
  Speaker,
  SpeakerClosing,
} from '../bgp/speaker-types.ts'
import type { EventRecorder, KubeApi } from '../kube/api.ts'
import type { SpeakerStatus } from '../kube/bgp-peer.ts'
import type { ClusterView, ClusterViewSource } from '../kube/cluster-view-types.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { AdvertisedRoute, BgpSession, TraceLine } from '../model/session.ts'
import { BfdBeside } from './bfd-beside.ts'
import { changeText } from './changed-settings.ts'
import { type DesiredPeers, desiredPeers, spokenTo } from './desired-peers.ts'
import { EventTeller } from './event-teller.ts'
import { goneEnds } from './gone-ends.ts'
import { notAnnounced } from './not-announced.ts'
import type { LocalAddress } from './peer-link.ts'
import type { RestartMarker } from './restart-marker.ts'
import { freshMemory, remember, type SessionMemory } from './session-history.ts'
import { bgpSession, type RoutesProof, speakerStatus, unopenedSession } from './session-status.ts'
import { StatusWriter } from './status-writer.ts'
import { traceLine } from './trace.ts'
import { TtlTrials } from './ttl-trials.ts'

export interface SpeakerRoomOptions {
  /** This node's name. */
  readonly self: string
  readonly view: ClusterViewSource
  /** Absent: no status is written (no kubeconfig). */
  readonly api: Pick<KubeApi, 'apply'> | undefined
  readonly events: EventRecorder | undefined
  readonly speaker: Speaker
  /** Absent: no BGPPeer gets BFD. */
  readonly bfd?: Bfd
  readonly marker: RestartMarker | undefined
  /** The addresses of this node's interfaces now, the preferred one of each family first. */
  readonly localAddresses: () => readonly LocalAddress[]
  /** The interface on which an address is on-link now: what a BFD session is bound to. */
  readonly linkTo: (address: string) => string | undefined
  /**
   * What packets by way of the peer of a BGPPeer proved; call `wake` when that changes. Absent:
   * nobody measures.
   */
  readonly routesProof?: (bgpPeer: string) => RoutesProof | undefined
  readonly clock: Clock
  readonly log: Log
}

export type CloseHow = SpeakerClosing

export interface SpeakerRoom {
  /** The sessions of this node, those that a problem keeps from being opened included (Idle). */
  sessions(): readonly BgpSession[]
  /** What the peer of a BGPPeer was told; undefined where this node has no session of it. */
  advertised(bgpPeer: string): readonly AdvertisedRoute[] | undefined
  /** Every message with that peer from now on, decoded; undefined as for `advertised`. */
  trace(bgpPeer: string, listener: (line: TraceLine) => void): (() => void) | undefined
  /** What an operator should know, a line each; empty when all is well. */
  problems(): readonly string[]
  /**
   * Looks at the local addresses and the view again: call it when interfaces or addresses changed.
   */
  wake(): void
  onChange(listener: () => void): () => void
  /**
   * Ends the sessions: `restart` so that peers keep our routes, `shutdown` withdrawing them and
   * taking our status entries away. The first call decides; a second cuts short what that waits for
   * on purpose.
   */
  close(how: CloseHow): Promise<void>
}

/**
 * Starts at once with the view there is, or with the first that comes. Speaker and BFD are closed
 * by `close`; view, api and events are not.
 */
export function createSpeakerRoom(options: SpeakerRoomOptions): SpeakerRoom {
  return new Room(options)
}

/** Missing Secrets are said again and interfaces looked at, at least this often. */
const EVERY_MILLISECONDS = 300_000
/** How long a shutdown waits for the API server to take our status entries away. */
const LAST_WRITE_MILLISECONDS = 3_000

class Room implements SpeakerRoom {
  readonly #options: SpeakerRoomOptions
  readonly #writer: StatusWriter | undefined
  readonly #bfd: BfdBeside
  readonly #teller: EventTeller
  readonly #trials: TtlTrials
  readonly #loop: Loop
  readonly #listeners = new Listeners()
  readonly #stops: (() => void)[]
  readonly #reported = new Map<string, SpeakerStatus>()
  #view: ClusterView | undefined
  #desired: DesiredPeers = { peers: [], announcements: new Map(), bfd: [], problems: [] }
  #configs: ReadonlyMap<string, PeerConfig> = new Map()
  readonly #histories = new Map<string, SessionMemory>()
  /** What was changed in a session that was up and is not since, in words, by BGPPeer. */
  readonly #changedSettings = new Map<string, string>()
  #spoke: boolean
  #closing: Promise<void> | undefined
  /** BGPPeers that may have an entry of the former process; looked at with the first view. */
  #former: readonly string[]

  constructor(options: SpeakerRoomOptions) {
    const { self, view, api, speaker, clock, log } = options
    this.#options = options
    this.#writer = api && new StatusWriter({ self, api, clock, log })
    this.#spoke = options.marker?.restarting ?? false
    this.#former = options.marker?.formerPeers ?? []
    this.#loop = new Loop({
      clock,
      run: () => this.#reconcile(),
      onError: error =>
        log.error({ detail: errorText(error), err: error }, 'peers and announcements could not be applied'),
      everyMilliseconds: EVERY_MILLISECONDS,
    })
    const wake = () => this.#loop.wake()
    this.#trials = new TtlTrials({ speaker, clock, wake })
    this.#bfd = new BfdBeside({ ...options, wake }, options.marker?.formerBfd ?? [])
    const peerOf = (bgpPeer: string) => this.#view?.peers.find(({ name }) => name === bgpPeer)
    this.#teller = new EventTeller({ ...options, peerOf, wake })
    this.#stops = [
      view.onChange(() => this.#loop.wake()),
      speaker.onEvent(event => this.#happened(event)),
      speaker.onChange(() => this.#changed()),
    ]
    this.#loop.wake()
  }

  sessions(): readonly BgpSession[] {
    const { speaker } = this.#options
    return [...speaker.sessions().map(session => this.#sessionOf(session, this.#missing(session))), ...this.#unopened()]
  }

  /** A session in people's words, with what BFD and packets say of its path. */
  #sessionOf(session: SessionView, missing: readonly NotAnnounced[]): BgpSession {
    const { self, routesProof } = this.#options
    const memory = this.#histories.get(session.key)
    const seen = { bfd: this.#bfd.viewOf(session.key), proof: routesProof?.(session.key), memory }
    const shown = bgpSession(self, session, missing, seen)
    const changed = this.#changedSettings.get(session.key)
    if (changed === undefined || shown.lastError === undefined) return shown
    return { ...shown, lastError: `${shown.lastError}; ${changed}` }
  }

  advertised(bgpPeer: string): readonly AdvertisedRoute[] | undefined {
    return this.#options.speaker.advertised(bgpPeer)
  }

  trace(bgpPeer: string, listener: (line: TraceLine) => void): (() => void) | undefined {
    return this.#options.speaker.trace?.(bgpPeer, message => listener(traceLine(message)))
  }

  problems(): readonly string[] {
    const { listenProblem } = this.#options.speaker
    return [
      ...this.#desired.problems.map(({ bgpPeer, message }) => `BGPPeer ${bgpPeer}: ${message}`),
      ...(listenProblem === undefined || this.#configs.size === 0
        ? []
        : [`peers cannot open sessions with this node: ${listenProblem}: stop the other program (doctor names it)`]),
    ]
  }

  wake(): void {
    this.#loop.wake()
  }

  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  close(how: CloseHow): Promise<void> {
    if (this.#closing === undefined) this.#closing = this.#end(how)
    else void this.#options.speaker.close(how)
    return this.#closing
  }

  async #end(how: CloseHow): Promise<void> {
    for (const stop of this.#stops) stop()
    this.#teller.close()
    this.#trials.close()
    this.#bfd.stop()
    await this.#loop.close()
    if (how.mode === 'restart') {
      const waiting = await this.#bfd.suspend(this.#desired.peers)
      this.#mark(marker => marker.restart(waiting))
    } else this.#leave(how.reason)
    await Promise.all([this.#closeSessions(how), this.#writer?.close(LAST_WRITE_MILLISECONDS)])
    if (how.mode === 'shutdown') this.#mark(marker => marker.shutdown())
  }

  /** Tells of the drain and takes the status entries away, while BGP forewarns the peers. */
  #leave(reason: string): void {
    for (const config of this.#configs.values()) this.#teller.drain(reason, config)
    for (const name of this.#writer?.owned ?? []) this.#writer?.report(name, undefined)
  }

  /**
   * BGP first: a peer that takes our AdminDown for a failure, which RFC 5882 section 3.2 advises
   * against, is by then in the graceful restart that keeps our routes.
   */
  async #closeSessions(how: CloseHow): Promise<void> {
    await this.#options.speaker.close(how)
    await this.#bfd.close()
  }

  #reconcile(): void {
    const { self, view, speaker, localAddresses } = this.#options
    const current = view.current()
    if (current === undefined) return // not ready is not empty
    this.#view = current
    const local = localAddresses()
    const { bfd: formerBfd } = this.#desired
    this.#desired = desiredPeers({
      self,
      view: current,
      local,
      links: this.#bfd.linksTo(spokenTo(self, current)),
      formerBfd,
      former: this.#configs,
    })
    const tried = this.#trials.hold(this.#desired.peers, this.#configs)
    this.#desired = { ...this.#desired, peers: tried.peers, problems: [...this.#desired.problems, ...tried.problems] }
    this.#rememberChanges(this.#desired.peers)
    this.#configs = new Map(this.#desired.peers.map(config => [config.key, config]))
    this.#teller.keep(new Set(this.#configs.keys()))
    speaker.setPeers(this.#desired.peers)
    for (const [key, announcements] of this.#desired.announcements) speaker.setAnnouncements(key, announcements)
    for (const { key, reason } of goneEnds(speaker.sessions(), this.#configs, local)) {
      speaker.failSession(key, { kind: 'local-end-gone', reason })
    }
    const { peers, problems } = this.#desired
    this.#desired = { ...this.#desired, problems: [...problems, ...this.#bfd.want(this.#desired.bfd, peers)] }
    this.#teller.problems(this.#desired.problems)
    this.#changed()
  }

  /** A session that does not come back after a change is told together with the change. */
  #rememberChanges(peers: readonly PeerConfig[]): void {
    const { speaker, clock } = this.#options
    const wanted = new Set(peers.map(({ key }) => key))
    for (const map of [this.#histories, this.#changedSettings])
      for (const key of map.keys()) if (!wanted.has(key)) map.delete(key)
    const up = new Set(speaker.sessions().flatMap(({ key, state }) => (state === 'Established' ? [key] : [])))
    for (const config of peers) {
      const before = this.#configs.get(config.key)
      if (!this.#histories.has(config.key)) this.#histories.set(config.key, freshMemory(clock.now()))
      const text = before === undefined || !up.has(config.key) ? undefined : changeText(before, config, clock.now())
      if (text !== undefined) this.#changedSettings.set(config.key, text)
    }
  }

  #happened(event: SessionEvent): void {
    const config = this.#configs.get(event.key)
    if (config === undefined) return // no longer ours: nobody waits for it
    if (event.kind === 'established') {
      this.#spoke = true
      this.#changedSettings.delete(event.key)
    }
    const now = this.#options.clock.now()
    this.#histories.set(event.key, remember(this.#histories.get(event.key) ?? freshMemory(now), event, now))
    this.#teller.session(event, config)
    this.#changed()
  }

  /** Brings the reports up to what is so now. */
  #changed(): void {
    if (this.#view !== undefined) this.#report(this.#options.speaker.sessions())
    this.#listeners.tell()
  }

  #report(sessions: readonly SessionView[]): void {
    const reports = new Map<string, SpeakerStatus>()
    for (const session of this.#unopened()) {
      const { bgpPeer } = session
      reports.set(bgpPeer, speakerStatus(session, this.#reported.get(bgpPeer), { opened: false }))
    }
    for (const session of sessions) {
      const config = this.#configs.get(session.key)
      if (config === undefined) continue
      const [previous, missing] = [this.#reported.get(session.key), this.#missing(session)]
      reports.set(session.key, speakerStatus(this.#sessionOf(session, missing), previous))
      this.#teller.missing(session, missing, config)
    }
    const names = new Set([
      ...reports.keys(),
      ...this.#reported.keys(),
      ...(this.#writer?.owned ?? []),
      ...this.#former,
    ])
    this.#former = []
    for (const name of names) this.#writer?.report(name, reports.get(name), this.#seen(name))
    this.#reported.clear()
    for (const [name, status] of reports) this.#reported.set(name, status)
    this.#markRunning()
  }

  #missing(session: SessionView): readonly NotAnnounced[] {
    return notAnnounced(session, this.#desired.problems)
  }

  /**
   * The controller takes the entry of a deleted Node away: one that is a node again writes it anew.
   */
  #seen(bgpPeer: string): { uid?: string; lost: boolean; shown?: SpeakerStatus } {
    const { self, view } = this.#options
    const uid = this.#view?.peers.find(({ name }) => name === bgpPeer)?.uid
    const isNode = this.#view?.entries.some(({ node }) => node === self) ?? false
    const shown = view.entryOf(bgpPeer)
    const lost = isNode && view.hasEntry(bgpPeer) === false
    return { ...(uid === undefined ? {} : { uid }), lost, ...(shown === undefined ? {} : { shown }) }
  }

  /** BGPPeers that name this node and get no session, each as an Idle session with the problem. */
  #unopened(): readonly BgpSession[] {
    const { self } = this.#options
    const peers = this.#view === undefined ? [] : spokenTo(self, this.#view)
    return peers.flatMap(({ name, spec }) => {
      const problem = this.#desired.problems.find(({ bgpPeer }) => bgpPeer === name)
      if (this.#configs.has(name) || problem === undefined) return []
      const why = { lastError: problem.message, since: this.#idleSince(name) }
      return [unopenedSession(self, { name, spec }, why)]
    })
  }

  #idleSince(name: string): string {
    const reported = this.#reported.get(name)
    return reported?.state === 'Idle' ? reported.since : timestamp(this.#options.clock.now())
  }

  #markRunning(): void {
    const bgpPeers = this.#writer?.owned ?? [...this.#configs.keys()].sort()
    if (this.#configs.size === 0) this.#spoke = false
    const restartTimes = this.#desired.peers.map(({ gracefulRestart }) => keptAtMostSeconds(gracefulRestart))
    const restartTimeSeconds = Math.max(0, ...restartTimes)
    const spoke = this.#spoke
    this.#mark(marker =>
      bgpPeers.length === 0 ? marker.shutdown() : marker.running({ bgpPeers, spoke, restartTimeSeconds }),
    )
  }

  /** The marker is a help for the next start: a full disk must not end a session. */
  #mark(note: (marker: RestartMarker) => void): void {
    if (this.#options.marker === undefined) return
    try {
      note(this.#options.marker)
    } catch (error) {
      this.#options.log.warn({ detail: errorText(error) }, 'the restart marker cannot be written')
    }
  }
}
