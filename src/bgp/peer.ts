/**
 * A configured peer: the shell around what peer-machine.ts decides. Holds its connections (ours and
 * the peer's), its Adj-RIB-Out, which outlives them, and what is counted; carries the decisions out
 * and brings back what becomes of them. Decides nothing itself.
 */
import { toHex } from '../lib/bytes.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { AdvertisedRoute } from '../model/session.ts'
import type { CodecContext, Open, RouteRefresh, Update } from './codec/message-types.ts'
import type { Direction } from './machine/collision.ts'
import type { Down, Event, Settings } from './machine/fsm-types.ts'
import type { Closing } from './machine/graceful-restart.ts'
import { involvedPrefixes } from './machine/malformed.ts'
import type { Negotiated } from './machine/negotiation.ts'
import { neighborOf } from './machine/neighbor.ts'
import { newPeer, peerStep } from './machine/peer-machine.ts'
import { endpointOf, hopLimits } from './machine/peer-settings.ts'
import type { PeerAction, PeerEvent, PeerState, Told } from './machine/peer-types.ts'
import { ReceivedPrefixes } from './machine/received-prefixes.ts'
import { refreshOf } from './machine/refresh.ts'
import { sessionView } from './machine/session-view.ts'
import { Traffic } from './machine/traffic.ts'
import { AdjRibOut } from './rib/rib.ts'
import { type Malformation, PeerSession, type SessionHost } from './session.ts'
import type {
  Announcement,
  PathFailure,
  PeerConfig,
  SessionEvent,
  SessionView,
  TracedMessage,
} from './speaker-types.ts'
import type { Connection, Transport } from './tcp/transport-types.ts'

export interface PeerOptions {
  readonly clock: Clock
  readonly log: Log
  readonly transport: Transport
  /** Absent: a first start. */
  readonly restarted?: PeerState['restarted']
  /** Closes a connection that is not wanted. */
  readonly refuse: (connection: Connection) => void
  readonly emit: (event: SessionEvent) => void
  readonly changed: () => void
}

/** How long the last withdrawals may take to leave before the session is closed for good. */
const FLUSH_MILLISECONDS = 3000
/**
 * Reasons why UPDATEs were malformed that are told of in one session: the words hold what the peer
 * sent.
 */
const MAX_MALFORMED_TOLD = 16

export class Peer implements SessionHost {
  readonly #options: PeerOptions
  readonly #rib = new AdjRibOut()
  readonly #received = new ReceivedPrefixes()
  readonly #sessions = new Map<number, PeerSession>()
  /** Accepted connections that were not decided on yet. */
  readonly #arrived = new Map<number, Connection>()
  #lastId = 0
  #state: PeerState
  readonly #events: PeerEvent[] = []
  #stepping = false
  #cancelRest: Cancel = () => {}
  readonly #traffic = new Traffic()
  readonly #tracers = new Set<(message: TracedMessage) => void>()
  readonly #malformed = new Set<string>()
  #toldNotAnnounced: SessionView['notAnnounced'] = []

  constructor(config: PeerConfig, options: PeerOptions) {
    this.#options = options
    this.#state = newPeer(config, options.restarted, options.clock.now())
  }

  get config(): PeerConfig {
    return this.#state.config
  }

  start(): void {
    this.#happened({ kind: 'start' })
  }

  /** Takes, or closes, a connection that the peer opened. */
  accept(connection: Connection): void {
    const id = ++this.#lastId
    this.#arrived.set(id, connection)
    this.#happened({ kind: 'incoming', id })
  }

  setAnnouncements(announcements: readonly Announcement[]): void {
    this.#rib.setDesired(announcements)
    this.#announce()
  }

  /**
   * Takes a configuration whose effect on a running session is nothing, or (`reopen`) opens it anew
   * with the least loss.
   */
  configure(config: PeerConfig, reopen: boolean): void {
    this.#happened({ kind: 'configured', config, reopen })
  }

  /** Ends an established session because the path is gone. */
  fail(failure: PathFailure): void {
    this.#happened({ kind: 'path-down', failure })
  }

  /** Begins none, and lets none in, while there is a reason. */
  hold(reason: string | undefined): void {
    if (reason !== this.#state.held) this.#happened({ kind: 'held', reason })
  }

  tryTtl(minimum: number, done: (passes: boolean | undefined) => void): () => void {
    if (this.#established !== undefined) return this.#established.tryTtl(minimum, done)
    done(undefined)
    return () => {}
  }

  /** Ends all sessions. For good: the routes are withdrawn first. */
  async close(closing: Closing): Promise<void> {
    this.#happened({ kind: 'closing' })
    const session = this.#established
    if (closing !== 'restart' && session !== undefined) {
      this.#rib.withdrawAll()
      this.#announce()
      await session.flushed(FLUSH_MILLISECONDS)
    }
    this.#happened({ kind: 'stop', closing })
  }

  advertised(): readonly AdvertisedRoute[] {
    return this.#rib.advertisedRoutes
  }

  view(): SessionView {
    const { config, visible, flaps, lastError } = this.#state
    const session = [...this.#sessions.values()].find(({ state }) => state === visible.state)
    return sessionView({
      config,
      ...visible,
      session,
      advertisedPrefixes: this.#rib.advertised,
      notAnnounced: this.#rib.notAnnounced,
      receivedPrefixes: this.#received.count,
      flaps,
      lastError,
      neighbor: neighborOf({
        state: this.#state,
        session,
        traffic: this.#traffic,
        endOfRibReceived: this.#received.endOfRib,
        endOfRibSent: family => this.#rib.endOfRibSent(family),
        waitingPrefixes: this.#rib.waiting,
      }),
    })
  }

  // What sessions tell.

  opening({ id }: PeerSession, open: Open): void {
    this.#happened({ kind: 'opening', id, open })
  }

  up({ id }: PeerSession, negotiated: Negotiated): void {
    this.#happened({ kind: 'up', id, negotiated })
  }

  down({ id }: PeerSession, reason: Down, was: Negotiated | undefined): void {
    this.#happened({ kind: 'down', id, reason, was })
  }

  moved(): void {
    this.#happened({ kind: 'moved' })
  }

  /**
   * RFC 7606 section 6 wants the prefixes and the whole message in the log; `terway-edge bgp
   * decode` reads it. Once a session for each reason.
   */
  malformed(bytes: Uint8Array, { outcome, reason, message }: Malformation): void {
    if (this.#malformed.has(reason) || this.#malformed.size === MAX_MALFORMED_TOLD) return
    this.#malformed.add(reason)
    const prefixes = involvedPrefixes(message)
    const fields = { address: this.config.peerAddress, reason, change: outcome, detail: toHex(bytes) }
    this.#options.log.warn({ ...fields, ...(prefixes !== undefined && { prefixes }) }, 'malformed UPDATE')
  }

  update(update: Update): void {
    this.#received.apply(update)
    this.#options.changed()
  }

  refresh(refresh: RouteRefresh): void {
    const asked = refreshOf(refresh, this.#established?.negotiated)
    if (asked.kind === 'ignore') {
      if (asked.reason === undefined) return
      this.#options.log.warn({ address: this.config.peerAddress, reason: asked.reason }, 'ignored a ROUTE-REFRESH')
      return
    }
    this.#rib.refresh(asked.family)
    this.#announce()
  }

  counted(what: 'sent' | 'received', type: number): void {
    this.#traffic.count(what, type, this.#options.clock.now())
  }

  traced(direction: 'sent' | 'received', bytes: Uint8Array, context: CodecContext): void {
    if (this.#tracers.size === 0) return
    const traced = { at: this.#options.clock.now(), direction, bytes: bytes.slice(), context }
    for (const tracer of [...this.#tracers]) tracer(traced)
  }

  /** Tells of every message from now on, until what it returns is called. */
  trace(listener: (message: TracedMessage) => void): () => void {
    this.#tracers.add(listener)
    return () => this.#tracers.delete(listener)
  }

  get #established(): PeerSession | undefined {
    const id = this.#state.established?.id
    return id === undefined ? undefined : this.#sessions.get(id)
  }

  /**
   * Feeds an event to the decision and does what it says. Events that this causes come after it.
   */
  #happened(event: PeerEvent): void {
    this.#events.push(event)
    if (this.#stepping) return
    this.#stepping = true
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) this.#step(next)
    } finally {
      this.#stepping = false
    }
    this.#options.changed()
  }

  #step(event: PeerEvent): void {
    const { clock } = this.#options
    const [after, actions] = peerStep(this.#state, event, {
      connections: [...this.#sessions.values()].map(facts),
      complete: this.#rib.complete,
      monotonic: clock.monotonic(),
      now: clock.now(),
      random: clock.random(),
    })
    this.#state = after
    for (const action of actions) this.#run(action)
  }

  #run(action: PeerAction): void {
    switch (action.do) {
      case 'dial':
        this.#open('outgoing', action.settings, ++this.#lastId).handle({ kind: action.start })
        break
      case 'take':
        this.#take(action.id, action.settings)
        break
      case 'refuse':
        this.#refuse(action.id)
        break
      case 'feed':
        this.#feed(action.id, action.event)
        break
      case 'forget':
        this.#sessions.delete(action.id)
        break
      case 'rest':
        this.#cancelRest()
        this.#cancelRest = this.#options.clock.after(action.milliseconds, () => this.#happened({ kind: 'rest-over' }))
        break
      case 'stop-resting':
        this.#cancelRest()
        break
      case 'begin-announcing':
        this.#received.clear()
        this.#malformed.clear()
        this.#rib.established(action.negotiated, this.config.localAs)
        break
      case 'announce':
        this.#announce()
        break
      case 'end-announcing':
        this.#rib.lost()
        this.#received.clear()
        break
      case 'tell':
        this.#tell(action.what)
        break
      case 'log':
        this.#log(action)
        break
      case 'then':
        this.#events.push(action.event)
    }
  }

  #refuse(id: number): void {
    const connection = this.#arrived.get(id)
    this.#arrived.delete(id)
    if (connection !== undefined) this.#options.refuse(connection)
  }

  #open(direction: Direction, settings: Settings, id: number): PeerSession {
    const { clock, transport } = this.#options
    const session = new PeerSession({
      id,
      clock,
      transport,
      direction,
      endpoint: endpointOf(this.config),
      settings,
      host: this,
    })
    this.#sessions.set(id, session)
    return session
  }

  #take(id: number, settings: Settings): void {
    const connection = this.#arrived.get(id)
    this.#arrived.delete(id)
    if (connection === undefined) return
    const problem = connection.limitHops(hopLimits(this.config))
    if (problem !== undefined) {
      this.#options.log.warn({ reason: problem.detail }, 'cannot set the TTL of an accepted connection')
      connection.abort()
      return
    }
    const session = this.#open('incoming', settings, id)
    session.handle({ kind: 'ManualStart_with_PassiveTcpEstablishment' })
    session.accept(connection)
  }

  #feed(id: number, event: Event): void {
    this.#sessions.get(id)?.handle(event)
  }

  #tell(what: Told): void {
    this.#options.emit({ ...what, key: this.config.key, session: this.view() })
  }

  #log({ level, phrase, reason }: Extract<PeerAction, { do: 'log' }>): void {
    const { visible, config } = this.#state
    const fields = { address: config.peerAddress, ...(reason === undefined ? {} : { reason }) }
    this.#options.log[level](level === 'debug' ? { ...fields, state: visible.state } : fields, phrase)
  }

  #announce(): void {
    this.#established?.pump(() => this.#rib.next())
    this.#tellNotAnnounced()
    this.#options.changed()
  }

  /** Once when it begins to be so, also across sessions. */
  #tellNotAnnounced(): void {
    if (this.#established === undefined) return
    const told = this.#toldNotAnnounced
    this.#toldNotAnnounced = this.#rib.notAnnounced
    for (const { family, prefixes, reason, message } of this.#toldNotAnnounced) {
      if (told.some(before => before.family === family && before.reason === reason)) continue
      const fields = { address: this.config.peerAddress, count: prefixes, reason: message }
      this.#options.log.error(fields, 'cannot announce')
    }
  }
}

function facts({ id, direction, state, settings, negotiated, localAddress }: PeerSession) {
  return { id, direction, state, settings, negotiated, localAddress }
}
