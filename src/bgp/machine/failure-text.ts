/**
 * What people read when a session does not come up or goes down: what happened, to which peer, and
 * what to do about it. Pure.
 */
import { describeNotification, hardResetReason } from '../codec/errors.ts'
import type { Notification } from '../codec/message-types.ts'
import { Cease, ErrorCode, OpenError } from '../codec/registry.ts'
import type { PeerConfig, SessionError, SessionErrorKind } from '../speaker-types.ts'
import type { TransportProblem } from '../tcp/transport-types.ts'
import type { Down } from './fsm-types.ts'
import { OPERATOR } from './idle-hold.ts'

/** The circumstances of a failure. */
export interface FailedWith {
  readonly config: PeerConfig
  readonly reason: Down
  /** Clock.now() milliseconds. */
  readonly at: number
  readonly wasEstablished: boolean
  /** Our OPEN went out. */
  readonly openSent: boolean
}

export function sessionError(failed: FailedWith): SessionError {
  const { reason, at } = failed
  const notification = notificationOf(reason)
  return {
    kind: kindOf(reason),
    message: textOf(failed),
    at,
    ...(reason.kind === 'stopped' && reason.because === 'configuration-change' && { planned: true as const }),
    ...(notification && {
      notification: {
        sent: notification.sent,
        code: notification.message.code,
        subcode: notification.message.subcode,
        text: describeNotification(notification.message),
      },
    }),
  }
}

function kindOf(reason: Down): SessionErrorKind {
  switch (reason.kind) {
    case 'tcp':
      return reason.problem.kind
    case 'stopped':
      return 'closed'
    case 'collision':
      return 'notification-sent'
    case 'notification-sent':
      return reason.wrongAs === undefined ? 'notification-sent' : 'wrong-as'
    case 'notification-received':
      return isBadPeerAs(reason.notification) ? 'wrong-as' : 'notification-received'
    case 'hold-timer-expired':
    case 'send-hold-timer-expired':
      return 'hold-timer-expired'
    case 'bfd-down':
      return reason.kind
  }
}

function notificationOf(reason: Down): { sent: boolean; message: Notification } | undefined {
  switch (reason.kind) {
    case 'tcp':
    case 'collision':
      return undefined
    case 'stopped':
      return reason.notification && { sent: true, message: reason.notification }
    case 'notification-received':
      return { sent: false, message: reason.notification }
    case 'notification-sent':
    case 'hold-timer-expired':
    case 'send-hold-timer-expired':
    case 'bfd-down':
      return { sent: true, message: reason.notification }
  }
}

function textOf(failed: FailedWith): string {
  const { reason, config } = failed
  switch (reason.kind) {
    case 'tcp':
      return connectionText(reason.problem, failed)
    case 'stopped':
      return STOPPED[reason.because ?? 'other']
    case 'collision':
      return 'closed in favour of another connection of the same peer'
    case 'notification-sent':
      if (reason.wrongAs !== undefined) {
        return `wrong AS: the peer says AS ${reason.wrongAs}, the BGPPeer says ${config.peerAs}; correct the one that is wrong`
      }
      return `we refused the peer: ${describeNotification(reason.notification)}: ${reason.reason}`
    case 'notification-received':
      return receivedText(reason.notification, config)
    case 'hold-timer-expired':
      return reason.waitingForOpen
        ? `hold timer expired: ${config.peerAddress} accepted the connection and sent no OPEN: does it expect us?`
        : `hold timer expired: nothing from ${config.peerAddress} within the hold time: is the link or the peer overloaded or down?`
    case 'send-hold-timer-expired':
      return `send hold timer expired: ${config.peerAddress} stopped reading what we send (RFC 9687)`
    case 'bfd-down':
      return `BFD down: ${reason.reason}`
  }
}

const STOPPED = {
  'configuration-change':
    'closed by this node to put changed settings (a password, a timer, an address family) into force; it comes back when the peer has the same',
  'peer-restarted': 'closed by this node: the peer has restarted and opened a new connection',
  other: 'closed by this node',
} as const

function connectionText(problem: TransportProblem, { config, wasEstablished, openSent }: FailedWith): string {
  const { peerAddress, peerPort } = config
  if (wasEstablished) return `connection lost: ${peerAddress}: ${problem.detail}`
  switch (problem.kind) {
    case 'refused':
      return `connection refused: is BGP running on ${peerAddress} port ${peerPort}?`
    case 'timed-out':
      return config.password === undefined
        ? `timed out: no answer from ${peerAddress} port ${peerPort}: is it up and reachable, does a firewall drop TCP, or does it expect a password?`
        : `timed out: no answer from ${peerAddress} port ${peerPort}; with a password set, a wrong password looks like this`
    case 'unreachable':
      return `unreachable: no route to ${peerAddress} (${problem.detail})${hopsHint(config)}`
    case 'reset':
    case 'closed':
      return openSent
        ? `closed: ${peerAddress} closed the connection before its OPEN: is this node configured there as a BGP neighbour?`
        : `closed: ${peerAddress} port ${peerPort}: ${problem.detail}`
    case 'no-md5-support':
      return `no TCP MD5: ${problem.detail}; remove the password or use a kernel that has it`
    case 'local-problem':
      return `cannot connect to ${peerAddress} port ${peerPort}: ${problem.detail}${localHint(config)}`
  }
}

function hopsHint({ localAs, peerAs, ebgpMultihop, ttlSecurity }: PeerConfig): string {
  const oneHop = localAs !== peerAs && ebgpMultihop === undefined && ttlSecurity === undefined
  return oneHop ? '; if it is more than one hop away, set ebgpMultihop' : ''
}

function localHint({ sourceAddress }: PeerConfig): string {
  return sourceAddress === undefined ? '' : `: does this node have sourceAddress ${sourceAddress}?`
}

function receivedText(message: Notification, config: PeerConfig): string {
  const text = `the peer closed the session: ${describeNotification(message)}`
  const inner = hardResetReason(message) ?? message
  if (isBadPeerAs(inner)) {
    return `wrong AS: the peer refuses AS ${config.localAs} (${describeNotification(message)}): what remote AS is configured there?`
  }
  if (inner.code !== ErrorCode.Cease) return text
  switch (inner.subcode) {
    case Cease.MaximumPrefixesReached:
      return `${text}: raise its limit of prefixes for this neighbour; this node waits ${OPERATOR.initialMilliseconds / 1000} s before it tries again, and longer each time`
    case Cease.AdministrativeShutdown:
      return `${text}: it was shut down there on purpose`
    case Cease.PeerDeconfigured:
    case Cease.ConnectionRejected:
      return `${text}: is this node configured there as a BGP neighbour?`
    default:
      return text
  }
}

function isBadPeerAs({ code, subcode }: Notification): boolean {
  return code === ErrorCode.OpenMessage && subcode === OpenError.BadPeerAs
}
