/**
 * Which event of RFC 4271 section 8.1.5 a received message is. Pure.
 */

import { HEADER_LENGTH } from '../codec/message.ts'
import type { Decoded, Message } from '../codec/message-types.ts'
import { asWithdrawal } from '../codec/message-update.ts'
import { ErrorCode, MessageTypeCode, OpenError } from '../codec/registry.ts'
import type { Event } from './fsm-types.ts'

/** The event of a message that was framed as `bytes` and decoded. */
export function messageEvent(bytes: Uint8Array, decoded: Decoded): Event {
  switch (decoded.outcome) {
    case 'session-reset':
      return errorEvent(bytes, decoded)
    case 'attribute-discard':
      return { kind: 'UpdateMsg', update: decoded.message }
    case 'treat-as-withdraw':
      return { kind: 'UpdateMsg', update: asWithdrawal(decoded.message) }
    case 'ok':
      return goodEvent(decoded.message)
  }
}

function goodEvent(message: Message): Event {
  switch (message.type) {
    case 'OPEN':
      return { kind: 'BGPOpen', open: message }
    case 'UPDATE':
      return { kind: 'UpdateMsg', update: message }
    case 'NOTIFICATION': {
      const version = message.code === ErrorCode.OpenMessage && message.subcode === OpenError.UnsupportedVersionNumber
      return { kind: version ? 'NotifMsgVerErr' : 'NotifMsg', notification: message }
    }
    case 'KEEPALIVE':
      return { kind: 'KeepAliveMsg' }
    case 'ROUTE-REFRESH':
      return { kind: 'RouteRefreshMsg', refresh: message }
  }
}

/**
 * Events 21, 22 and 28: the header's errors whatever the type, else by the type of the message that
 * was bad.
 */
function errorEvent(bytes: Uint8Array, decoded: Extract<Decoded, { outcome: 'session-reset' }>): Event {
  const { notification, reason } = decoded
  const messageType = bytes[HEADER_LENGTH - 1] ?? 0
  if (notification.code === ErrorCode.MessageHeader) return { kind: 'BGPHeaderErr', notification, reason, messageType }
  const open = messageType === MessageTypeCode.OPEN
  return { kind: open ? 'BGPOpenMsgErr' : 'UpdateMsgErr', notification, reason, messageType }
}
