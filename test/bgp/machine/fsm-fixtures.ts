/**
 * One event of every kind, a machine in every state, and a short text for what `step` answers: for
 * the tests of the state machine.
 */
import { notification } from '../../../src/bgp/codec/errors.ts'
import type { Open, Update } from '../../../src/bgp/codec/message-types.ts'
import { noNlri } from '../../../src/bgp/codec/nlri.ts'
import { idleSession, step } from '../../../src/bgp/machine/fsm.ts'
import type { Action, Event, Session, Settings, Step } from '../../../src/bgp/machine/fsm-types.ts'
import { TIMERS } from '../../../src/bgp/machine/fsm-types.ts'
import { localOpen } from '../../../src/bgp/machine/negotiation.ts'
import type { State } from '../../../src/bgp/speaker-types.ts'

export const SETTINGS: Settings = {
  local: {
    localAs: 65010,
    peerAs: 65001,
    routerId: '10.0.0.1',
    holdTimeSeconds: 90,
    families: ['ipv4', 'ipv6'],
    gracefulRestart: { restartTimeSeconds: 600, restarted: false, forwarding: true },
    capabilities: true,
  },
  connectRetrySeconds: 120,
  openHoldSeconds: 240,
}

/** An OPEN that the settings accept. */
export const PEER_OPEN: Open = {
  ...localOpen({ ...SETTINGS.local, localAs: 65001, peerAs: 65010, routerId: '10.0.0.2', holdTimeSeconds: 30 }),
}

const UPDATE: Update = { type: 'UPDATE', withdrawn: noNlri('ipv4'), attributes: {}, nlri: noNlri('ipv4') }

/** One of every kind; the compiler asks for a row when a kind is added. */
export const EVENTS: { readonly [K in Event['kind']]: Event & { readonly kind: K } } = {
  ManualStart: { kind: 'ManualStart' },
  ManualStop: { kind: 'ManualStop', notification: notification(6, 2) },
  AutomaticStart: { kind: 'AutomaticStart' },
  ManualStart_with_PassiveTcpEstablishment: { kind: 'ManualStart_with_PassiveTcpEstablishment' },
  AutomaticStart_with_PassiveTcpEstablishment: { kind: 'AutomaticStart_with_PassiveTcpEstablishment' },
  AutomaticStop: { kind: 'AutomaticStop', notification: notification(6, 6) },
  ConnectRetryTimer_Expires: { kind: 'ConnectRetryTimer_Expires' },
  HoldTimer_Expires: { kind: 'HoldTimer_Expires' },
  KeepaliveTimer_Expires: { kind: 'KeepaliveTimer_Expires' },
  SendHoldTimer_Expires: { kind: 'SendHoldTimer_Expires' },
  Tcp_CR_Acked: { kind: 'Tcp_CR_Acked' },
  TcpConnectionConfirmed: { kind: 'TcpConnectionConfirmed' },
  TcpConnectionFails: { kind: 'TcpConnectionFails', problem: { kind: 'reset', detail: 'connection reset' } },
  BGPOpen: { kind: 'BGPOpen', open: PEER_OPEN },
  BGPHeaderErr: { kind: 'BGPHeaderErr', notification: notification(1, 2), reason: 'bad length', messageType: 2 },
  BGPOpenMsgErr: { kind: 'BGPOpenMsgErr', notification: notification(2, 6), reason: 'bad hold time', messageType: 1 },
  UpdateMsgErr: { kind: 'UpdateMsgErr', notification: notification(3, 1), reason: 'malformed', messageType: 2 },
  OpenCollisionDump: { kind: 'OpenCollisionDump' },
  NotifMsgVerErr: { kind: 'NotifMsgVerErr', notification: notification(2, 1) },
  NotifMsg: { kind: 'NotifMsg', notification: notification(6, 4) },
  KeepAliveMsg: { kind: 'KeepAliveMsg' },
  UpdateMsg: { kind: 'UpdateMsg', update: UPDATE },
  RouteRefreshMsg: { kind: 'RouteRefreshMsg', refresh: { type: 'ROUTE-REFRESH', afi: 1, subtype: 0, safi: 1 } },
  MessagesSent: { kind: 'MessagesSent' },
}

/**
 * A machine in `state`, brought there by events, with a retry counter of 3 to see what becomes of
 * it.
 */
export function sessionIn(state: State, settings: Settings = SETTINGS): Session {
  const path: Readonly<Record<State, readonly Event[]>> = {
    Idle: [],
    Connect: [EVENTS.ManualStart],
    Active: [EVENTS.ManualStart, EVENTS.Tcp_CR_Acked, EVENTS.TcpConnectionFails],
    OpenSent: [EVENTS.ManualStart, EVENTS.Tcp_CR_Acked],
    OpenConfirm: [EVENTS.ManualStart, EVENTS.Tcp_CR_Acked, EVENTS.BGPOpen],
    Established: [EVENTS.ManualStart, EVENTS.Tcp_CR_Acked, EVENTS.BGPOpen, EVENTS.KeepAliveMsg],
  }
  const session = path[state].reduce((current, event) => step(current, event)[0], idleSession(settings))
  return { ...session, connectRetryCounter: 3 }
}

const ALL_STOPPED = TIMERS.map(timer => `-${timer}`).join(' ')

/**
 * `Idle#4: send 6/4, close, stop timers, down stopped`: the next state, its retry counter, the
 * actions.
 */
export function textOf([session, actions]: Step): string {
  const texts = actions.map(actionText).join(' ').replace(ALL_STOPPED, 'stop-timers')
  return `${session.state}#${session.connectRetryCounter}${texts === '' ? '' : `: ${texts}`}`
}

function actionText(action: Action): string {
  switch (action.do) {
    case 'send': {
      const { message } = action
      return message.type === 'NOTIFICATION' ? `send ${message.code}/${message.subcode}` : `send ${message.type}`
    }
    case 'startTimer':
      return `+${action.timer}=${action.seconds}`
    case 'stopTimer':
      return `-${action.timer}`
    case 'down':
      return `down(${action.reason.kind})`
    default:
      return action.do
  }
}
