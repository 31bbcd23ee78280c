/**
 * The BGP state machine of one TCP connection: RFC 4271 section 8.2.2 as a pure function, with RFC
 * 6608 (subcodes), 9687 (send hold timer) and the checks on OPEN of negotiation.ts. No clock, no
 * socket, no log, never throws; the vocabulary is in fsm-types.ts.
 *
 * Does not know that a peer may have two connections (collision.ts), nor damping and restarts
 * (peer-machine.ts). One function per state, in the order of the RFC; the last line of each is its
 * "any other event". Deviations are marked as such.
 */
import { cease, notification } from '../codec/errors.ts'
import type { Notification } from '../codec/message-types.ts'
import { Cease, ErrorCode, FsmError, MessageTypeCode } from '../codec/registry.ts'
import type { Action, Down, Event, Session, Settings, Step } from './fsm-types.ts'
import { TIMERS } from './fsm-types.ts'
import { localOpen, type Negotiated, negotiate } from './negotiation.ts'

type In<S extends Session['state']> = Extract<Session, { state: S }>
type WithNegotiated = In<'OpenConfirm' | 'Established'>

/** A machine that has not started. */
export function idleSession(settings: Settings): Session {
  return { state: 'Idle', settings, connectRetryCounter: 0, passive: false }
}

/** What follows from `event`: the next session, and what to do, in this order. */
export function step(session: Session, event: Event): Step {
  switch (session.state) {
    case 'Idle':
      return idle(session, event)
    case 'Connect':
      return connect(session, event)
    case 'Active':
      return active(session, event)
    case 'OpenSent':
      return openSent(session, event)
    case 'OpenConfirm':
      return openConfirm(session, event)
    case 'Established':
      return established(session, event)
  }
}

function idle(session: Session, event: Event): Step {
  switch (event.kind) {
    case 'ManualStart':
    case 'AutomaticStart':
      return [
        { ...base(session), state: 'Connect', connectRetryCounter: 0, passive: false },
        [startConnectRetry(session), { do: 'connect' }],
      ]
    case 'ManualStart_with_PassiveTcpEstablishment':
    case 'AutomaticStart_with_PassiveTcpEstablishment':
      // Deviation: no ConnectRetryTimer, whose expiry would connect. `passive` means that we never
      // do.
      return [{ ...base(session), state: 'Active', connectRetryCounter: 0, passive: true }, []]
    case 'Tcp_CR_Acked':
    case 'TcpConnectionConfirmed':
      return [session, [{ do: 'close' }]] // refuses all connections
    default:
      return [session, []]
  }
}

function connect(session: Session, event: Event): Step {
  switch (event.kind) {
    case 'ManualStop':
      return toIdle(session, { kind: 'stopped' }, { counter: 0 })
    case 'ConnectRetryTimer_Expires':
      return [
        session,
        [
          { do: 'close' },
          { do: 'down', reason: { kind: 'tcp', problem: NO_ANSWER } },
          startConnectRetry(session),
          { do: 'connect' },
        ],
      ]
    case 'Tcp_CR_Acked':
    case 'TcpConnectionConfirmed':
      return sendOpen(session)
    case 'TcpConnectionFails':
      return toIdle(session, { kind: 'tcp', problem: event.problem }, { counter: session.connectRetryCounter })
    default:
      return withoutConnection(session, event)
  }
}

function active(session: Session, event: Event): Step {
  switch (event.kind) {
    case 'ManualStop':
      return toIdle(session, { kind: 'stopped' }, { counter: 0 })
    case 'ConnectRetryTimer_Expires':
      return [{ ...base(session), state: 'Connect' }, [startConnectRetry(session), { do: 'connect' }]]
    case 'Tcp_CR_Acked':
    case 'TcpConnectionConfirmed':
      return sendOpen(session)
    case 'TcpConnectionFails':
      // Deviation: the ConnectRetryTimer is stopped, not restarted, as Idle has no use for it.
      return toIdle(session, { kind: 'tcp', problem: event.problem })
    default:
      return withoutConnection(session, event)
  }
}

/**
 * Connect and Active, "any other event" (8, 10, 11, 19, 21-28): Idle, without a NOTIFICATION, as no
 * OPEN was sent.
 */
function withoutConnection(session: Session, event: Event): Step {
  switch (event.kind) {
    case 'ManualStart':
    case 'AutomaticStart':
    case 'ManualStart_with_PassiveTcpEstablishment':
    case 'AutomaticStart_with_PassiveTcpEstablishment':
    case 'MessagesSent':
      return [session, []]
    case 'AutomaticStop':
      return toIdle(session, { kind: 'stopped' })
    case 'OpenCollisionDump':
      return toIdle(session, { kind: 'collision' })
    case 'NotifMsgVerErr':
    case 'NotifMsg':
      return toIdle(session, { kind: 'notification-received', notification: event.notification })
    default:
      return toIdle(session, { kind: 'tcp', problem: OUT_OF_PLACE })
  }
}

function openSent(session: Session, event: Event): Step {
  switch (event.kind) {
    case 'TcpConnectionFails':
      return [
        { ...base(session), state: 'Active' },
        [
          { do: 'close' },
          { do: 'stopTimer', timer: 'HoldTimer' },
          ...(session.passive ? [] : [startConnectRetry(session)]),
          { do: 'down', reason: { kind: 'tcp', problem: event.problem } },
        ],
      ]
    case 'BGPOpen': {
      const outcome = negotiate(session.settings.local, event.open)
      if ('negotiated' in outcome) return confirm(session, outcome.negotiated)
      return toIdle(session, { kind: 'notification-sent', ...outcome })
    }
    default:
      return withConnection(session, event)
  }
}

function openConfirm(session: WithNegotiated, event: Event): Step {
  switch (event.kind) {
    case 'KeepaliveTimer_Expires':
      return [session, [{ do: 'send', message: { type: 'KEEPALIVE' } }, ...startKeepalive(session.negotiated)]]
    case 'KeepAliveMsg': {
      const { negotiated } = session
      return [
        { ...session, state: 'Established' },
        [...startHold(negotiated), ...startSendHold(negotiated), { do: 'up', negotiated }],
      ]
    }
    default:
      return withConnection(session, event)
  }
}

function established(session: WithNegotiated, event: Event): Step {
  const { negotiated } = session
  switch (event.kind) {
    case 'KeepaliveTimer_Expires':
      // The SendHoldTimer waits for MessagesSent: a KEEPALIVE that the socket does not take was not
      // sent.
      return [session, [{ do: 'send', message: { type: 'KEEPALIVE' } }, ...startKeepalive(negotiated)]]
    case 'MessagesSent':
      return [session, [...startKeepalive(negotiated), ...startSendHold(negotiated)]]
    case 'SendHoldTimer_Expires': {
      // RFC 9687 section 4.3: the NOTIFICATION is tried; with a peer that does not read it will not
      // leave.
      const reason: Down = {
        kind: 'send-hold-timer-expired',
        notification: notification(ErrorCode.SendHoldTimerExpired),
      }
      return toIdle(session, reason, { drop: 'abort' })
    }
    case 'KeepAliveMsg':
      return [session, startHold(negotiated)]
    case 'UpdateMsg':
      return [session, [...startHold(negotiated), { do: 'update', update: event.update }]]
    case 'RouteRefreshMsg':
      // RFC 4271 section 4.2: the Hold Timer is for KEEPALIVE and UPDATE messages; RFC 2918 adds
      // none to these.
      return [session, [{ do: 'refresh', refresh: event.refresh }]]
    default:
      return withConnection(session, event)
  }
}

/**
 * What OpenSent, OpenConfirm and Established have in common; the last case is the machine's error
 * (section 6.6).
 */
function withConnection(session: Session, event: Event): Step {
  switch (event.kind) {
    case 'ManualStart':
    case 'AutomaticStart':
    case 'ManualStart_with_PassiveTcpEstablishment':
    case 'AutomaticStart_with_PassiveTcpEstablishment':
    case 'Tcp_CR_Acked':
    case 'TcpConnectionConfirmed': // a second connection has a machine of its own: peer-machine.ts
    case 'MessagesSent':
      return [session, []]
    case 'ManualStop':
      return toIdle(session, { kind: 'stopped', notification: event.notification }, { counter: 0 })
    case 'AutomaticStop':
      return toIdle(
        session,
        event.failure ?? {
          kind: 'stopped',
          ...(event.notification && { notification: event.notification }),
          ...(event.because && { because: event.because }),
        },
      )
    case 'HoldTimer_Expires':
      return toIdle(session, {
        kind: 'hold-timer-expired',
        notification: notification(ErrorCode.HoldTimerExpired),
        waitingForOpen: session.state === 'OpenSent',
      })
    case 'TcpConnectionFails':
      return toIdle(session, { kind: 'tcp', problem: event.problem })
    // Deviation in Established: section 6.1 names the error, section 8.2.2 would hide it as an FSM
    // error
    case 'BGPHeaderErr':
    case 'BGPOpenMsgErr':
    case 'UpdateMsgErr':
      return messageError(session, event)
    case 'OpenCollisionDump':
      return toIdle(session, { kind: 'collision' })
    case 'NotifMsgVerErr':
      return toIdle(
        session,
        { kind: 'notification-received', notification: event.notification },
        { counter: session.connectRetryCounter + (session.state === 'Established' ? 1 : 0) },
      )
    case 'NotifMsg':
      // Deviation in OpenSent: section 8.2.2 answers a NOTIFICATION with an FSM error; nobody does,
      // and it hides the peer's reason.
      return toIdle(session, { kind: 'notification-received', notification: event.notification })
    default:
      return unexpected(session, event)
  }
}

/**
 * An error in a message that this state expects is that error; in one that it does not expect, an
 * FSM error.
 */
function messageError(
  session: Session,
  event: Extract<Event, { kind: 'BGPHeaderErr' | 'BGPOpenMsgErr' | 'UpdateMsgErr' }>,
): Step {
  const outOfPlace =
    (event.kind === 'BGPOpenMsgErr' && session.state === 'Established') ||
    (event.kind === 'UpdateMsgErr' && session.state !== 'Established')
  if (outOfPlace) return unexpected(session, event)
  return toIdle(session, { kind: 'notification-sent', notification: event.notification, reason: event.reason })
}

const MESSAGE_TYPE_OF: Partial<Record<Event['kind'], number>> = {
  BGPOpen: MessageTypeCode.OPEN,
  UpdateMsg: MessageTypeCode.UPDATE,
  KeepAliveMsg: MessageTypeCode.KEEPALIVE,
  RouteRefreshMsg: MessageTypeCode['ROUTE-REFRESH'],
}

const FSM_SUBCODE: Partial<Record<Session['state'], number>> = {
  OpenSent: FsmError.UnexpectedMessageInOpenSent,
  OpenConfirm: FsmError.UnexpectedMessageInOpenConfirm,
  Established: FsmError.UnexpectedMessageInEstablished,
}

/**
 * RFC 6608 section 3 and 4: the subcode names the state, the data the type of the message; a timer
 * has neither.
 */
function unexpected(session: Session, event: Event): Step {
  const type = 'messageType' in event ? event.messageType : MESSAGE_TYPE_OF[event.kind]
  const message =
    type === undefined
      ? notification(ErrorCode.FiniteStateMachine, FsmError.Unspecified)
      : notification(ErrorCode.FiniteStateMachine, FSM_SUBCODE[session.state], Uint8Array.of(type))
  return toIdle(session, {
    kind: 'notification-sent',
    notification: message,
    reason: `${event.kind} does not belong in ${session.state}`,
  })
}

const NO_ANSWER = { kind: 'timed-out', detail: 'no answer' } as const
const OUT_OF_PLACE = { kind: 'local-problem', detail: 'an event of a connection without one' } as const

type Base = Pick<Session, 'settings' | 'connectRetryCounter' | 'passive'>

function base({ settings, connectRetryCounter, passive }: Session): Base {
  return { settings, connectRetryCounter, passive }
}

/**
 * Events 16 and 17: our OPEN goes out. Settings without a listening wait never reach here in Idle.
 */
function sendOpen(session: Session): Step {
  return [
    { ...base(session), state: 'OpenSent' },
    [
      { do: 'stopTimer', timer: 'ConnectRetryTimer' },
      { do: 'send', message: localOpen(session.settings.local) },
      { do: 'startTimer', timer: 'HoldTimer', seconds: session.settings.openHoldSeconds },
    ],
  ]
}

/** Event 19 with an acceptable OPEN. */
function confirm(session: Session, negotiated: Negotiated): Step {
  const noHold: Action[] = negotiated.holdTimeSeconds === 0 ? [{ do: 'stopTimer', timer: 'HoldTimer' }] : []
  return [
    { ...base(session), state: 'OpenConfirm', negotiated },
    [
      { do: 'send', message: { type: 'KEEPALIVE' } },
      ...noHold,
      ...startKeepalive(negotiated),
      ...startHold(negotiated),
    ],
  ]
}

function startConnectRetry({ settings }: Session): Action {
  return { do: 'startTimer', timer: 'ConnectRetryTimer', seconds: settings.connectRetrySeconds }
}

function startHold({ holdTimeSeconds }: Negotiated): Action[] {
  return holdTimeSeconds === 0 ? [] : [{ do: 'startTimer', timer: 'HoldTimer', seconds: holdTimeSeconds }]
}

function startKeepalive({ keepaliveSeconds }: Negotiated): Action[] {
  return keepaliveSeconds === 0 ? [] : [{ do: 'startTimer', timer: 'KeepaliveTimer', seconds: keepaliveSeconds }]
}

/**
 * RFC 9687 section 6: the larger of 8 minutes and twice the hold time; none without a hold time
 * (section 4.3).
 */
function startSendHold({ holdTimeSeconds }: Negotiated): Action[] {
  if (holdTimeSeconds === 0) return []
  return [{ do: 'startTimer', timer: 'SendHoldTimer', seconds: Math.max(480, 2 * holdTimeSeconds) }]
}

const SENT_ON: ReadonlySet<Session['state']> = new Set(['OpenSent', 'OpenConfirm', 'Established'])

/**
 * Leaves for Idle: the NOTIFICATION of the reason if an OPEN was sent, then the connection, all
 * timers, and the report.
 */
function toIdle(session: Session, reason: Down, how: { counter?: number; drop?: 'close' | 'abort' } = {}): Step {
  const message = SENT_ON.has(session.state) ? notificationOf(reason) : undefined
  return [
    { ...base(session), state: 'Idle', connectRetryCounter: how.counter ?? session.connectRetryCounter + 1 },
    [
      ...(message ? [{ do: 'send', message } as const] : []),
      { do: how.drop ?? 'close' },
      ...TIMERS.map(timer => ({ do: 'stopTimer', timer }) as const),
      { do: 'down', reason },
    ],
  ]
}

function notificationOf(reason: Down): Notification | undefined {
  switch (reason.kind) {
    case 'stopped':
    case 'notification-sent':
    case 'hold-timer-expired':
    case 'send-hold-timer-expired':
    case 'bfd-down':
      return reason.notification
    case 'collision':
      return cease(Cease.ConnectionCollisionResolution)
    case 'tcp':
    case 'notification-received':
      return undefined
  }
}
