/**
 * A configured peer: at most two connections at a time (ours and the peer's), which one stays, when to try again, and what the world
 * is told. The only place that knows that two connections exist (RFC 4271 section 6.8). Owns the peer's Adj-RIB-Out, which outlives
 * its sessions. Decided elsewhere: collision, graceful-restart, idle-hold, failure-text, peer-settings.
 */
import { toHex } from '../lib/bytes.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { backoffMilliseconds } from '../lib/loop.ts'
import type { Open, RouteRefresh, Update } from './codec/message-types.ts'
import { familyOfAfi } from './codec/nlri.ts'
import { RefreshSubtype } from './codec/registry.ts'
import { loserOf } from './machine/collision.ts'
import { isFailure, refusesCapabilities, withoutHardReset } from './machine/down.ts'
import { sessionError } from './machine/failure-text.ts'
import type { Down } from './machine/fsm-types.ts'
import {
  bfdDown,
  type Closing,
  closingNotification,
  keptAtMostSeconds,
  keptSeconds,
  takesOver,
} from './machine/graceful-restart.ts'
import { type IdleHold, idleHold, STABLE_MILLISECONDS } from './machine/idle-hold.ts'
import { type Negotiated, negotiate } from './machine/negotiation.ts'
import { endpointOf, hopLimits, settingsOf } from './machine/peer-settings.ts'
import { ReceivedPrefixes } from './machine/received-prefixes.ts'
import { sessionView, visibleState } from './machine/session-view.ts'
import { AdjRibOut } from './rib/rib.ts'
import { type Malformation, PeerSession, type SessionHost } from './session.ts'
import type { Announcement, PeerConfig, SessionError, SessionEvent, SessionView, State } from './speaker-types.ts'
import type { Connection, Transport } from './tcp/transport-types.ts'

export interface PeerOptions {
  readonly clock: Clock
  readonly log: Log
  readonly transport: Transport
  /** Clock.monotonic() at which this process started after a restart; absent: a first start. */
  readonly restartedAt?: number
  readonly emit: (event: SessionEvent) => void
  readonly changed: () => void
}

/** How long the last withdrawals may take to leave before the session is closed for good. */
const FLUSH_MILLISECONDS = 3000
/** Reasons why UPDATEs were malformed that are told of in one session: the words hold what the peer sent. */
const MAX_MALFORMED_TOLD = 16

export class Peer implements SessionHost {
  readonly #options: PeerOptions
  readonly #rib = new AdjRibOut()
  readonly #received = new ReceivedPrefixes()
  #config: PeerConfig
  #sessions: PeerSession[] = []
  #established: { readonly session: PeerSession; readonly at: number } | undefined
  #closed = false
  #started = false
  #retry: Cancel | undefined
  #attempt = 0
  #hold: IdleHold | undefined
  #refuseUntil = 0
  /** False after the peer refused our capabilities (RFC 5492 section 3). */
  #capabilities = true
  #hadSession = false
  /** The peer had the whole set and End-of-RIB from this process. */
  #synchronised = false
  #state: State = 'Idle'
  #since: number
  #flaps = 0
  #lastError: SessionError | undefined
  #messages = { sent: 0, received: 0 }
  readonly #malformed = new Set<string>()
  #toldNotAnnounced: SessionView['notAnnounced'] = []

  constructor(config: PeerConfig, options: PeerOptions) {
    this.#config = config
    this.#options = options
    this.#since = options.clock.now()
  }

  get config(): PeerConfig {
    return this.#config
  }

  start(): void {
    this.#dial()
    this.#touch()
  }

  /** Takes, or closes, a connection that the peer opened. */
  accept(connection: Connection): void {
    const { clock, log } = this.#options
    const pending = this.#sessions.find(({ direction, state }) => direction === 'incoming' && state !== 'Established')
    if (this.#closed || clock.monotonic() < this.#refuseUntil || pending?.state === 'OpenConfirm') {
      connection.close()
      return
    }
    // The newest is the likeliest to live: a peer that restarted does not come back to the one before.
    pending?.handle({ kind: 'OpenCollisionDump' })
    const problem = connection.limitHops(hopLimits(this.#config))
    if (problem !== undefined) {
      log.warn({ reason: problem.detail }, 'cannot set the TTL of an accepted connection')
      connection.abort()
      return
    }
    const session = this.#open('incoming')
    session.handle({ kind: 'ManualStart_with_PassiveTcpEstablishment' })
    session.accept(connection)
  }

  setAnnouncements(announcements: readonly Announcement[]): void {
    this.#rib.setDesired(announcements)
    this.#pump()
  }

  /** Takes a configuration whose effect on a running session is nothing, or (`reopen`) opens it anew with the least loss. */
  configure(config: PeerConfig, reopen: boolean): void {
    this.#config = config
    if (config.passive) this.#cancelRetry()
    if (!reopen) {
      if (!config.passive && this.#sessions.length === 0 && this.#retry === undefined) this.#dial()
      return
    }
    this.#stopAll('configuration-change')
    this.#attempt = 0
    this.#refuseUntil = 0
    this.#cancelRetry()
    this.#dial()
    this.#touch()
  }

  /** Ends an established session because the path is gone. */
  fail(reason: string): void {
    this.#established?.session.handle({ kind: 'AutomaticStop', failure: bfdDown(reason) })
  }

  /** Ends all sessions. For good: the routes are withdrawn first. */
  async close(closing: Closing): Promise<void> {
    this.#closed = true
    this.#cancelRetry()
    const session = this.#established?.session
    if (closing !== 'restart' && session !== undefined) {
      this.#rib.withdrawAll()
      this.#pump()
      await session.flushed(FLUSH_MILLISECONDS)
    }
    this.#stopAll(closing)
  }

  view(): SessionView {
    return sessionView({
      config: this.#config,
      state: this.#state,
      since: this.#since,
      session: this.#sessions.find(({ state }) => state === this.#state),
      advertisedPrefixes: this.#rib.advertised,
      notAnnounced: this.#rib.notAnnounced,
      receivedPrefixes: this.#received.count,
      flaps: this.#flaps,
      lastError: this.#lastError,
      messages: { ...this.#messages },
    })
  }

  // What sessions tell.

  opening(session: PeerSession, open: Open): void {
    const other = this.#sessions.find(
      candidate => candidate !== session && (candidate.state === 'Established' || candidate.state === 'OpenConfirm'),
    )
    if (other === undefined) return
    if (!('negotiated' in negotiate(session.settings.local, open))) return // the machine answers it
    const { clock } = this.#options
    const establishedMilliseconds = clock.monotonic() - (this.#established?.at ?? clock.monotonic())
    if (takesOver({ state: other.state, negotiated: other.negotiated, establishedMilliseconds }, open)) {
      this.#emitRestart('the peer opened a new connection: it has restarted')
      other.handle({ kind: 'AutomaticStop', because: 'peer-restarted' })
      return
    }
    const loser = loserOf(session, other, {
      local: { routerId: this.#config.routerId, asNumber: this.#config.localAs },
      remote: { routerId: open.bgpIdentifier, asNumber: open.asNumber },
    })
    if (loser === 'opening') session.handle({ kind: 'OpenCollisionDump' })
    if (loser === 'other') other.handle({ kind: 'OpenCollisionDump' })
  }

  up(session: PeerSession, negotiated: Negotiated): void {
    const { clock, log, emit } = this.#options
    const again = this.#hadSession
    this.#established = { session, at: clock.monotonic() }
    this.#hadSession = true
    this.#capabilities = true
    this.#cancelRetry()
    this.#received.clear()
    this.#malformed.clear()
    this.#rib.established(negotiated, this.#config.localAs)
    for (const other of this.#sessions) {
      if (other.state === 'Connect' || other.state === 'Active') other.handle({ kind: 'AutomaticStop' })
    }
    this.#touch()
    log.info({ address: this.#config.peerAddress }, 'BGP session established')
    emit({ kind: 'established', key: this.#config.key, session: this.view() })
    // Some set the bit on their first start too, when nothing of it concerns us.
    if (again && negotiated.gracefulRestart?.peerRestarted) this.#emitRestart('the peer has restarted')
    this.#pump()
  }

  down(session: PeerSession, reason: Down, was: Negotiated | undefined): void {
    if (!this.#sessions.includes(session)) return
    const openSent = was !== undefined || session.localAddress !== undefined
    // OpenSent that lost its connection is in Active: a machine ends with its connection, and the rest that follows replaces the
    // ConnectRetryTimer.
    const ended = session.state === 'Idle' || session.state === 'Active'
    if (ended) this.#sessions = this.#sessions.filter(other => other !== session)
    if (session.state === 'Active') session.handle({ kind: 'AutomaticStop' })
    if (was !== undefined) this.#lost(reason, was)
    else if (isFailure(reason)) this.#failed(reason, openSent)
    if (!this.#closed) this.#rest(reason)
    this.#touch()
  }

  moved(): void {
    this.#touch()
  }

  /** RFC 7606 section 6 wants the whole message in the log; `terway-edge bgp decode` reads it. Once a session for each reason. */
  malformed(bytes: Uint8Array, { outcome, reason }: Malformation): void {
    if (this.#malformed.has(reason) || this.#malformed.size === MAX_MALFORMED_TOLD) return
    this.#malformed.add(reason)
    const fields = { address: this.#config.peerAddress, reason, change: outcome, detail: toHex(bytes) }
    this.#options.log.warn(fields, 'malformed UPDATE')
  }

  update(update: Update): void {
    this.#received.apply(update)
    this.#options.changed()
  }

  refresh(refresh: RouteRefresh): void {
    const family = familyOfAfi(refresh)
    if (refresh.subtype !== RefreshSubtype.request || family === undefined) return
    this.#rib.refresh(family)
    this.#pump()
  }

  counted(what: 'sent' | 'received'): void {
    this.#messages[what]++
  }

  #open(direction: 'outgoing' | 'incoming'): PeerSession {
    const { clock, transport } = this.#options
    const session = new PeerSession({
      clock,
      transport,
      direction,
      endpoint: endpointOf(this.#config),
      settings: settingsOf(this.#config, direction, {
        restarting: this.#restarting(),
        hadSession: this.#hadSession,
        capabilities: this.#capabilities,
      }),
      host: this,
    })
    this.#sessions.push(session)
    return session
  }

  /** R bit: until the peer has everything, and not beyond the time for which it was to keep our routes (RFC 4724 section 4.1). */
  #restarting(): boolean {
    const { clock, restartedAt } = this.#options
    if (restartedAt === undefined || this.#synchronised) return false
    return clock.monotonic() < restartedAt + keptAtMostSeconds(this.#config.gracefulRestart) * 1000
  }

  #dial(): void {
    this.#retry = undefined
    if (this.#closed || this.#config.passive) return
    const busy = this.#sessions.some(
      ({ direction, state }) => direction === 'outgoing' || state === 'OpenConfirm' || state === 'Established',
    )
    if (busy) return
    const kind = this.#started ? 'AutomaticStart' : 'ManualStart'
    this.#started = true
    this.#open('outgoing').handle({ kind })
  }

  #stopAll(closing: Closing): void {
    for (const session of [...this.#sessions]) {
      const notification = closingNotification(closing, session.negotiated)
      if (closing !== 'restart' && closing !== 'configuration-change' && notification !== undefined) {
        session.handle({ kind: 'ManualStop', notification })
      } else {
        const because = closing === 'configuration-change' ? closing : undefined
        session.handle({ kind: 'AutomaticStop', ...(notification && { notification }), ...(because && { because }) })
      }
    }
  }

  #pump(): void {
    this.#established?.session.pump(() => this.#rib.next())
    this.#tellNotAnnounced()
    if (this.#rib.complete) this.#synchronised = true
    this.#options.changed()
  }

  /** Once when it begins to be so, also across sessions. */
  #tellNotAnnounced(): void {
    if (this.#established === undefined) return
    const told = this.#toldNotAnnounced
    this.#toldNotAnnounced = this.#rib.notAnnounced
    for (const { family, prefixes, reason, message } of this.#toldNotAnnounced) {
      if (told.some(before => before.family === family && before.reason === reason)) continue
      const fields = { address: this.#config.peerAddress, count: prefixes, reason: message }
      this.#options.log.error(fields, 'cannot announce')
    }
  }

  #lost(reason: Down, was: Negotiated): void {
    const { clock, log, emit } = this.#options
    if (this.#rib.complete) this.#synchronised = true
    if (clock.monotonic() - (this.#established?.at ?? 0) >= STABLE_MILLISECONDS) this.#attempt = 0
    this.#established = undefined
    this.#rib.lost()
    this.#received.clear()
    if (reason.kind !== 'stopped') this.#flaps++
    const error = this.#error(reason, { wasEstablished: true, openSent: true })
    this.#touch()
    if (this.#closed) return
    const fields = { address: this.#config.peerAddress, reason: error.message }
    if (error.planned) log.info(fields, 'BGP session opened anew')
    else log.warn(fields, 'BGP session lost')
    emit({ kind: 'lost', key: this.#config.key, session: this.view(), error })
    const seconds = keptSeconds(was, reason)
    if (seconds !== undefined) this.#emitRestart(`the peer keeps our routes for up to ${seconds} s`)
  }

  /** Told only of the connection that matters: while another one is further, a second one's end is nobody's concern. */
  #failed(reason: Down, openSent: boolean): void {
    const { log, emit } = this.#options
    if (this.#sessions.some(({ state }) => state === 'OpenSent' || state === 'OpenConfirm' || state === 'Established'))
      return
    const before = this.#lastError?.message
    const error = this.#error(reason, { wasEstablished: false, openSent })
    this.#touch()
    const fields = { address: this.#config.peerAddress, reason: error.message }
    if (error.message === before) log.debug(fields, 'BGP session failed again')
    else log.warn(fields, 'BGP session failed')
    emit({ kind: 'failed', key: this.#config.key, session: this.view(), error })
  }

  #error(reason: Down, how: { readonly wasEstablished: boolean; readonly openSent: boolean }): SessionError {
    this.#lastError = sessionError({ config: this.#config, reason, at: this.#options.clock.now(), ...how })
    return this.#lastError
  }

  #emitRestart(detail: string): void {
    this.#options.log.info({ address: this.#config.peerAddress, detail }, 'BGP graceful restart')
    this.#options.emit({ kind: 'graceful-restart', key: this.#config.key, session: this.view(), detail })
  }

  /** After the end of a connection: when the next is opened, and whether the peer may open one meanwhile. */
  #rest(reason: Down): void {
    const { clock } = this.#options
    const inner = withoutHardReset(reason)
    this.#capabilities = !refusesCapabilities(inner)
    const hold = idleHold(inner, this.#config.connectRetrySeconds)
    const counts = reason.kind !== 'stopped' && reason.kind !== 'collision'
    if (counts && hold.initialMilliseconds !== this.#hold?.initialMilliseconds) this.#attempt = 0 // another reason
    if (counts) this.#hold = hold
    const milliseconds = backoffMilliseconds(hold, this.#attempt, clock.random())
    if (counts) this.#attempt++
    if (hold.refusesIncoming) this.#refuseUntil = clock.monotonic() + milliseconds
    if (this.#config.passive || this.#sessions.some(({ direction }) => direction === 'outgoing')) return
    this.#cancelRetry()
    this.#retry = clock.after(milliseconds, () => {
      this.#dial()
      this.#touch()
    })
  }

  #cancelRetry(): void {
    this.#retry?.()
    this.#retry = undefined
  }

  #touch(): void {
    const state = visibleState(
      this.#sessions.map(session => session.state),
      this.#config.passive && !this.#closed,
    )
    if (state !== this.#state) {
      this.#state = state
      this.#since = this.#options.clock.now()
      this.#options.log.debug({ address: this.#config.peerAddress, state }, 'BGP session state')
    }
    this.#options.changed()
  }
}
