/**
 * The vocabulary of the state machine (RFC 4271 section 8): sessions, events and actions, all of
 * them values. fsm.ts has `step`.
 *
 * The events of section 8.1, and what is made of them:
 *   1 ManualStart, 2 ManualStop, 3 AutomaticStart: used; a peer is configured, it goes, an idle
 *     hold is over
 *   4, 5 ..._with_PassiveTcpEstablishment: used; `passive` peers, and the machine of an accepted
 *     connection
 *   6, 7 AutomaticStart_with_DampPeerOscillations...: not used; peer-machine.ts damps and then
 *     sends 3 or 5, as it outlives a machine
 *   8 AutomaticStop: used; configuration change, restart of this speaker, takeover by a peer that
 *     restarted, BFD down
 *   9 ConnectRetryTimer_Expires, 10 HoldTimer_Expires, 11 KeepaliveTimer_Expires: used
 *  12 DelayOpenTimer_Expires: not used; no DelayOpen, it would delay the first advertisement
 *  13 IdleHoldTimer_Expires: not used; see 6
 *  14 TcpConnection_Valid, 15 Tcp_CR_Invalid: not used; speaker.ts refuses unknown diallers before
 *     a machine exists
 *  16 Tcp_CR_Acked, 17 TcpConnectionConfirmed: used; ours came up, one of the peer's was accepted
 *  18 TcpConnectionFails, 19 BGPOpen: used
 *  20 BGPOpen with DelayOpenTimer running: not used; see 12
 *  21 BGPHeaderErr, 22 BGPOpenMsgErr: used
 *  23 OpenCollisionDump: used; collision.ts decides, peer-machine.ts sends it
 *  24 NotifMsgVerErr, 25 NotifMsg, 26 KeepAliveMsg, 27 UpdateMsg, 28 UpdateMsgErr: used
 * Beyond RFC 4271: SendHoldTimer_Expires (RFC 9687, event 29), RouteRefreshMsg (RFC 2918), and
 * MessagesSent, by which the shell says that the socket took a KEEPALIVE or UPDATE, and all there
 * was (section 8.2.2: "each time the local system sends a KEEPALIVE or UPDATE message"; no other
 * message counts, section 4.4). Pure.
 */
import type { Message, Notification, Open, RouteRefresh, Update } from '../codec/message-types.ts'
import type { TransportProblem } from '../tcp/transport-types.ts'
import type { LocalSide, Negotiated } from './negotiation.ts'

export type Timer = 'ConnectRetryTimer' | 'HoldTimer' | 'KeepaliveTimer' | 'SendHoldTimer'
export const TIMERS: readonly Timer[] = ['ConnectRetryTimer', 'HoldTimer', 'KeepaliveTimer', 'SendHoldTimer']

/** What does not change during the life of one machine. */
export interface Settings {
  readonly local: LocalSide
  readonly connectRetrySeconds: number
  /** The HoldTimer while the peer's OPEN is awaited (RFC 4271 section 8.2.2 suggests 4 minutes). */
  readonly openHoldSeconds: number
}

interface Always {
  readonly settings: Settings
  readonly connectRetryCounter: number
  /** PassiveTcpEstablishment: never connects. */
  readonly passive: boolean
}

/** One connection of a peer. What a state does not have does not exist in it. */
export type Session =
  | (Always & { readonly state: 'Idle' | 'Connect' | 'Active' | 'OpenSent' })
  | (Always & { readonly state: 'OpenConfirm' | 'Established'; readonly negotiated: Negotiated })

export type Event =
  | { readonly kind: 'ManualStart' }
  | { readonly kind: 'ManualStop'; readonly notification: Notification }
  | { readonly kind: 'AutomaticStart' }
  | { readonly kind: 'ManualStart_with_PassiveTcpEstablishment' }
  | { readonly kind: 'AutomaticStart_with_PassiveTcpEstablishment' }
  /**
   * Without `notification` the connection just closes, so that the peer keeps our routes (RFC 4724
   * section 4.2).
   */
  | {
      readonly kind: 'AutomaticStop'
      readonly notification?: Notification
      readonly failure?: BfdDown
      readonly because?: StopReason
    }
  | { readonly kind: 'ConnectRetryTimer_Expires' }
  | { readonly kind: 'HoldTimer_Expires' }
  | { readonly kind: 'KeepaliveTimer_Expires' }
  | { readonly kind: 'SendHoldTimer_Expires' }
  | { readonly kind: 'Tcp_CR_Acked' }
  | { readonly kind: 'TcpConnectionConfirmed' }
  | { readonly kind: 'TcpConnectionFails'; readonly problem: TransportProblem }
  | { readonly kind: 'BGPOpen'; readonly open: Open }
  | {
      readonly kind: 'BGPHeaderErr' | 'BGPOpenMsgErr' | 'UpdateMsgErr'
      readonly notification: Notification
      readonly reason: string
      /** The type of the message that is malformed. */
      readonly messageType: number
    }
  | { readonly kind: 'OpenCollisionDump' }
  | { readonly kind: 'NotifMsgVerErr' | 'NotifMsg'; readonly notification: Notification }
  | { readonly kind: 'KeepAliveMsg' }
  | { readonly kind: 'UpdateMsg'; readonly update: Update }
  | { readonly kind: 'RouteRefreshMsg'; readonly refresh: RouteRefresh }
  | { readonly kind: 'MessagesSent' }

/** RFC 9384: what another protocol found out about the path. */
export interface BfdDown {
  readonly kind: 'bfd-down'
  readonly notification: Notification
  readonly reason: string
}

/** Why this speaker closes a session that it opens again at once. */
export type StopReason = 'configuration-change' | 'peer-restarted'

/** Why a connection, or the attempt at one, ended. */
export type Down =
  | { readonly kind: 'stopped'; readonly notification?: Notification; readonly because?: StopReason }
  | { readonly kind: 'collision' }
  | { readonly kind: 'tcp'; readonly problem: TransportProblem }
  | { readonly kind: 'notification-received'; readonly notification: Notification }
  | {
      readonly kind: 'notification-sent'
      readonly notification: Notification
      readonly reason: string
      readonly wrongAs?: number
    }
  | { readonly kind: 'hold-timer-expired'; readonly notification: Notification; readonly waitingForOpen: boolean }
  | { readonly kind: 'send-hold-timer-expired'; readonly notification: Notification }
  | BfdDown

export type Action =
  | { readonly do: 'connect' }
  | { readonly do: 'send'; readonly message: Message }
  /** Starts, or restarts, a timer. */
  | { readonly do: 'startTimer'; readonly timer: Timer; readonly seconds: number }
  | { readonly do: 'stopTimer'; readonly timer: Timer }
  /**
   * Drops the TCP connection (or the attempt) after what was sent has left; `abort`: at once, as
   * the peer does not read.
   */
  | { readonly do: 'close' }
  | { readonly do: 'abort' }
  | { readonly do: 'up'; readonly negotiated: Negotiated }
  | { readonly do: 'update'; readonly update: Update }
  | { readonly do: 'refresh'; readonly refresh: RouteRefresh }
  | { readonly do: 'down'; readonly reason: Down }

export type Step = readonly [Session, readonly Action[]]
