/**
 * What a configured peer decides, as a pure function like that of one connection (fsm.ts): when to
 * dial and whom to let in, which of two connections stays, what an end means, how long to rest, and
 * what is told of it. Pure: no clock, socket or log; peer.ts carries it out, and what follows comes
 * back as the next event.
 *
 * Asks collision.ts, down.ts, graceful-restart.ts, peer-rest.ts, failure-text.ts and
 * peer-settings.ts, each for its part. Bytes, timers and states of a connection are fsm.ts's.
 */
import { assertNever } from '../../lib/assert.ts'
import type { PathFailure, PeerConfig, SessionError, State } from '../speaker-types.ts'
import { loserOf } from './collision.ts'
import { isFailure } from './down.ts'
import { sessionError } from './failure-text.ts'
import type { Settings } from './fsm-types.ts'
import {
  bfdDown,
  type Closing,
  closingNotification,
  keptAtMostSeconds,
  keptSeconds,
  takesOver,
} from './graceful-restart.ts'
import { STABLE_MILLISECONDS } from './idle-hold.ts'
import { type Negotiated, negotiate } from './negotiation.ts'
import { PATIENCE, rest, restless } from './peer-rest.ts'
import { settingsOf } from './peer-settings.ts'
import type { Circumstances, ConnectionFacts, PeerAction, PeerEvent, PeerState, PeerStep } from './peer-types.ts'
import { visibleState } from './session-view.ts'

/** A peer that was not started. */
export function newPeer(config: PeerConfig, restarted: PeerState['restarted'], now: number): PeerState {
  return {
    config,
    restarted,
    closed: false,
    started: false,
    resting: false,
    attempt: 0,
    hold: undefined,
    held: undefined,
    refuseUntil: 0,
    restless: 0,
    lastRestless: 0,
    capabilities: true,
    hadSession: false,
    synchronised: false,
    established: undefined,
    visible: { state: 'Idle', since: now },
    flaps: 0,
    ups: 0,
    downs: 0,
    lastError: undefined,
  }
}

/** What follows from `event`: the next state, and what to do, in this order. */
export function peerStep(before: PeerState, event: PeerEvent, around: Circumstances): PeerStep {
  const peer = around.complete && !before.synchronised ? { ...before, synchronised: true } : before
  const [after, actions] = decide(peer, event, around)
  const forgotten = new Set(actions.flatMap(action => (action.do === 'forget' ? [action.id] : [])))
  return shown(
    after,
    actions,
    around.now,
    around.connections.filter(({ id }) => !forgotten.has(id)),
  )
}

function decide(peer: PeerState, event: PeerEvent, around: Circumstances): PeerStep {
  switch (event.kind) {
    case 'start':
      return dial(peer, around)
    case 'rest-over':
      return dial({ ...peer, resting: false }, around)
    case 'incoming':
      return incoming(peer, event.id, around)
    case 'configured':
      return configured(peer, event, around)
    case 'begin-anew':
      return after(stopResting({ ...peer, attempt: 0, refuseUntil: 0, restless: 0 }), next => dial(next, around))
    case 'held':
      return held(peer, event.reason, around)
    case 'path-down':
      return pathDown(peer, event.failure)
    case 'closing':
      return stopResting({ ...peer, closed: true })
    case 'stop':
      return [peer, around.connections.map(connection => stop(connection, event.closing))]
    case 'opening':
      return opening(peer, event, around)
    case 'up':
      return up(peer, event, around)
    case 'down':
      return down(peer, event, around)
    case 'moved':
      return [peer, []]
    default:
      return assertNever(event)
  }
}

/** An end of ours that is gone takes no NOTIFICATION to the peer. */
function pathDown(peer: PeerState, { kind, reason }: PathFailure): PeerStep {
  const id = peer.established?.id
  if (id === undefined) return [peer, []]
  if (kind === 'bfd-down') {
    return [peer, [{ do: 'feed', id, event: { kind: 'AutomaticStop', failure: bfdDown(reason) } }]]
  }
  const problem = { kind: 'unreachable', detail: reason } as const
  return [peer, [{ do: 'feed', id, event: { kind: 'TcpConnectionFails', problem } }]]
}

/** The state that people see, from what is left of the connections. */
function shown(
  peer: PeerState,
  actions: readonly PeerAction[],
  now: number,
  connections: readonly ConnectionFacts[],
): PeerStep {
  const state = visibleState(
    connections.map(connection => connection.state),
    peer.config.passive && !peer.closed,
  )
  if (state === peer.visible.state) return [peer, actions]
  const log: PeerAction = { do: 'log', level: 'debug', phrase: 'BGP session state' }
  return [{ ...peer, visible: { state, since: now } }, [...actions, log]]
}

/** A dial that came due meanwhile is made when nothing holds it any more. */
function held(before: PeerState, reason: string | undefined, around: Circumstances): PeerStep {
  const peer = { ...before, held: reason }
  const log: PeerAction = {
    do: 'log',
    level: 'info',
    phrase: reason === undefined ? 'BGP session is no longer held back' : 'BGP session is held back',
    ...(reason !== undefined && { reason }),
  }
  if (reason !== undefined || !peer.started || peer.resting) return [peer, [log]]
  const [next, actions] = dial(peer, around)
  return [next, [log, ...actions]]
}

function dial(peer: PeerState, around: Circumstances): PeerStep {
  if (peer.closed || peer.config.passive || peer.held !== undefined) return [peer, []]
  const busy = around.connections.some(
    ({ direction, state }) => direction === 'outgoing' || state === 'OpenConfirm' || state === 'Established',
  )
  if (busy) return [peer, []]
  const start = peer.started ? 'AutomaticStart' : 'ManualStart'
  return [{ ...peer, started: true }, [{ do: 'dial', settings: settings(peer, 'outgoing', around), start }]]
}

/**
 * Takes, or refuses, a connection that the peer opened. Each that is taken has a machine of its own
 * (RFC 4271 section 8.2.1); of those that have not said who they are there is one at most.
 */
function incoming(peer: PeerState, id: number, around: Circumstances): PeerStep {
  if (peer.closed || peer.held !== undefined || around.monotonic < peer.refuseUntil)
    return [peer, [{ do: 'refuse', id }]]
  const pending = around.connections.find(({ direction, state }) => direction === 'incoming' && !KNOWN.includes(state))
  const take: PeerAction = { do: 'take', id, settings: settings(peer, 'incoming', around) }
  // The newest is the likeliest to live: a peer that restarted does not come back to the one
  // before.
  return [peer, pending === undefined ? [take] : [collided(pending), take]]
}

/** States after the peer's OPEN. */
const KNOWN: readonly State[] = ['OpenConfirm', 'Established']

function configured(
  before: PeerState,
  { config, reopen }: Extract<PeerEvent, { kind: 'configured' }>,
  around: Circumstances,
): PeerStep {
  const peer = { ...before, config }
  if (reopen) {
    const stops = around.connections.map(connection => stop(connection, 'configuration-change'))
    return [peer, [...stops, { do: 'then', event: { kind: 'begin-anew' } }]]
  }
  if (config.passive) return stopResting(peer)
  return around.connections.length === 0 && !peer.resting ? dial(peer, around) : [peer, []]
}

function opening(
  peer: PeerState,
  { id, open }: Extract<PeerEvent, { kind: 'opening' }>,
  { connections, monotonic }: Circumstances,
): PeerStep {
  const own = connections.find(connection => connection.id === id)
  const other = connections.find(
    connection => connection.id !== id && (connection.state === 'Established' || connection.state === 'OpenConfirm'),
  )
  if (own === undefined || other === undefined) return [peer, []]
  // the machine answers it
  if (!('negotiated' in negotiate(own.settings.local, open))) return [peer, []]
  const establishedMilliseconds = monotonic - (peer.established?.at ?? monotonic)
  if (takesOver({ ...other, establishedMilliseconds }, { ...own, open })) {
    const restarted: PeerAction = {
      do: 'feed',
      id: other.id,
      event: { kind: 'AutomaticStop', because: 'peer-restarted' },
    }
    return [peer, [...restart('the peer opened a new connection: it has restarted'), restarted]]
  }
  const loser = loserOf(own, other, {
    local: { routerId: peer.config.routerId, asNumber: peer.config.localAs },
    remote: { routerId: open.bgpIdentifier, asNumber: open.asNumber },
  })
  return [peer, loser === undefined ? [] : [collided(loser === 'opening' ? own : other)]]
}

function up(
  before: PeerState,
  { id, negotiated }: Extract<PeerEvent, { kind: 'up' }>,
  { connections, monotonic }: Circumstances,
): PeerStep {
  const [peer, rested] = stopResting({
    ...before,
    established: { id, at: monotonic },
    hadSession: true,
    ups: before.ups + 1,
  })
  const idle = connections.filter(({ state }) => state === 'Connect' || state === 'Active')
  // Some set the bit on their first start too, when nothing of it concerns us.
  const restarted = before.hadSession && negotiated.gracefulRestart?.peerRestarted === true
  return [
    peer,
    [
      ...rested,
      { do: 'begin-announcing', negotiated },
      ...idle.map((other): PeerAction => ({ do: 'feed', id: other.id, event: { kind: 'AutomaticStop' } })),
      { do: 'log', level: before.restless > PATIENCE ? 'debug' : 'info', phrase: 'BGP session established' },
      { do: 'tell', what: { kind: 'established' } },
      ...(restarted ? restart('the peer has restarted') : []),
      { do: 'announce' },
    ],
  ]
}

function down(peer: PeerState, event: Extract<PeerEvent, { kind: 'down' }>, around: Circumstances): PeerStep {
  const own = around.connections.find(({ id }) => id === event.id)
  if (own === undefined) return [peer, []]
  // OpenSent that lost its connection is in Active: a machine ends with its connection, and the
  // rest that follows
  // replaces the ConnectRetryTimer.
  const ended = own.state === 'Idle' || own.state === 'Active'
  const left = {
    ...around,
    connections: ended ? around.connections.filter(connection => connection !== own) : around.connections,
  }
  const ending: PeerAction[] = [
    ...(own.state === 'Active' ? [{ do: 'feed', id: own.id, event: { kind: 'AutomaticStop' } } as const] : []),
    ...(ended ? [{ do: 'forget', id: own.id } as const] : []),
  ]
  return after([restless(peer, own, event.reason, around), ending], next =>
    after(told(next, own, event, left), then => (then.closed ? [then, []] : rest(then, event, left))),
  )
}

/** What the end of a connection means, and what is told of it. */
function told(
  peer: PeerState,
  own: ConnectionFacts,
  { reason, was }: Extract<PeerEvent, { kind: 'down' }>,
  around: Circumstances,
): PeerStep {
  const openSent = was !== undefined || own.localAddress !== undefined
  const of = { config: peer.config, reason, at: around.now }
  if (was !== undefined)
    return lost(peer, sessionError({ ...of, wasEstablished: true, openSent }), { reason, was, around })
  if (!isFailure(reason)) return [peer, []]
  return failed(peer, sessionError({ ...of, wasEstablished: false, openSent }), around.connections)
}

function lost(
  before: PeerState,
  error: SessionError,
  how: Pick<Extract<PeerEvent, { kind: 'down' }>, 'reason'> & {
    readonly was: Negotiated
    readonly around: Circumstances
  },
): PeerStep {
  const { reason, was, around } = how
  const stable = around.monotonic - (before.established?.at ?? 0) >= STABLE_MILLISECONDS
  const peer: PeerState = {
    ...before,
    attempt: stable ? 0 : before.attempt,
    established: undefined,
    downs: before.downs + 1,
    flaps: before.flaps + (reason.kind === 'stopped' ? 0 : 1),
    lastError: error,
  }
  if (peer.closed) return [peer, [{ do: 'end-announcing' }]]
  const seconds = keptSeconds(was, reason)
  const log = lossLog(peer, error)
  return [
    peer,
    [
      { do: 'end-announcing' },
      { do: 'log', ...log, reason: error.message },
      { do: 'tell', what: { kind: 'lost', error } },
      ...(seconds === undefined ? [] : restart(`the peer keeps our routes for up to ${seconds} s`)),
    ],
  ]
}

/** The log tells once of a peer whose sessions do not last. */
function lossLog({ restless }: PeerState, { planned }: SessionError) {
  if (planned) return { level: 'info', phrase: 'BGP session opened anew' } as const
  if (restless <= PATIENCE) return { level: 'warn', phrase: 'BGP session lost' } as const
  if (restless > PATIENCE + 1) return { level: 'debug', phrase: 'BGP session lost again' } as const
  return { level: 'warn', phrase: 'BGP sessions do not last; the peer may dial in only after a rest' } as const
}

/** Nobody's concern while another connection is further than the one that ended. */
function failed(before: PeerState, error: SessionError, others: readonly ConnectionFacts[]): PeerStep {
  if (others.some(({ state }) => FURTHER.includes(state))) return [before, []]
  const again = error.message === before.lastError?.message
  const log = again
    ? ({ level: 'debug', phrase: 'BGP session failed again' } as const)
    : ({ level: 'warn', phrase: 'BGP session failed' } as const)
  return [
    { ...before, lastError: error },
    [
      { do: 'log', ...log, reason: error.message },
      { do: 'tell', what: { kind: 'failed', error } },
    ],
  ]
}

const FURTHER: readonly State[] = ['OpenSent', 'OpenConfirm', 'Established']

function stopResting(peer: PeerState): PeerStep {
  return [{ ...peer, resting: false }, peer.resting ? [{ do: 'stop-resting' }] : []]
}

function stop(connection: ConnectionFacts, closing: Closing): PeerAction {
  const notification = closingNotification(closing, connection.negotiated)
  const { id } = connection
  if (typeof closing === 'object' && notification !== undefined) {
    return { do: 'feed', id, event: { kind: 'ManualStop', notification } }
  }
  const because = closing === 'configuration-change' ? closing : undefined
  return {
    do: 'feed',
    id,
    event: { kind: 'AutomaticStop', ...(notification && { notification }), ...(because && { because }) },
  }
}

function collided({ id }: ConnectionFacts): PeerAction {
  return { do: 'feed', id, event: { kind: 'OpenCollisionDump' } }
}

function restart(detail: string): readonly PeerAction[] {
  return [
    { do: 'log', level: 'info', phrase: 'BGP graceful restart', reason: detail },
    { do: 'tell', what: { kind: 'graceful-restart', detail } },
  ]
}

function settings(peer: PeerState, direction: ConnectionFacts['direction'], { monotonic }: Circumstances): Settings {
  const { config, capabilities, hadSession } = peer
  const restarting = isRestarting(peer, monotonic)
  const rebooted = peer.restarted?.rebooted ?? false
  return settingsOf(config, direction, { restarting, rebooted, hadSession, capabilities })
}

/**
 * R bit: until the peer has everything, and not beyond the time for which it was to keep our routes
 * (RFC 4724 section 4.1).
 */
function isRestarting({ restarted, synchronised, config }: PeerState, monotonic: number): boolean {
  if (restarted === undefined || synchronised) return false
  return monotonic < restarted.at + keptAtMostSeconds(config.gracefulRestart) * 1000
}

/** One step and, from where it leads, another. */
function after([peer, actions]: PeerStep, next: (peer: PeerState) => PeerStep): PeerStep {
  const [then, more] = next(peer)
  return [then, [...actions, ...more]]
}
