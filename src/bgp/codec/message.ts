/**
 * BGP messages between bytes and values: the header (RFC 4271 sections 4.1 and 6.1, RFC 8654) and
 * the bodies that fit in a few lines; OPEN and UPDATE have files of their own. The values are in
 * message-types.ts. Never throws on what a peer sent. Pure.
 */
import { assertNever } from '../../lib/assert.ts'
import { Reader, Writer } from '../../lib/bytes.ts'
import { notification } from './errors.ts'
import { decodeOpen, encodeOpen } from './message-open.ts'
import type { CodecContext, Decoded, Message, MessageType, Notification, RouteRefresh } from './message-types.ts'
import { decodeUpdate, encodeUpdate } from './message-update.ts'
import { ErrorCode, HeaderError, MessageTypeCode, nameOf, RefreshSubtype, RouteRefreshError } from './registry.ts'

export const HEADER_LENGTH = 19
const MARKER_LENGTH = 16
export const MAX_LENGTH = 4096
export const MAX_EXTENDED_LENGTH = 65535

/** Before the OPENs: what every speaker understands. */
export const INITIAL_CONTEXT: CodecContext = {
  fourOctetAs: false,
  extendedMessages: false,
  ibgp: false,
  families: ['ipv4'],
  extendedNextHop: false,
}

/** With their headers (RFC 4271 section 4). */
const MIN_LENGTH: Readonly<Record<MessageType, number>> = {
  OPEN: 29,
  UPDATE: 23,
  NOTIFICATION: 21,
  KEEPALIVE: HEADER_LENGTH,
  'ROUTE-REFRESH': HEADER_LENGTH,
}

/** RFC 8654 section 4: OPEN and KEEPALIVE never grow. */
function maxLength(type: MessageType | undefined, extendedMessages: boolean): number {
  return extendedMessages && type !== 'OPEN' && type !== 'KEEPALIVE' ? MAX_EXTENDED_LENGTH : MAX_LENGTH
}

/**
 * One whole message with its header. Throws `RangeError` when it is larger than the context allows:
 * pack UPDATEs instead.
 */
export function encodeMessage(message: Message, context: CodecContext): Uint8Array {
  const writer = new Writer()
  writer.reserve(HEADER_LENGTH)
  const limit = maxLength(message.type, context.extendedMessages)
  encodeBody(writer, message, { context, limit })
  if (writer.length > limit) throw new RangeError(`${message.type} of ${writer.length} octets, at most ${limit} fit`)
  const bytes = writer.bytes()
  putHeader(bytes, MessageTypeCode[message.type])
  return bytes
}

/** Fills in the header of a message whose body is in place. */
export function putHeader(bytes: Uint8Array, type: number): void {
  bytes.fill(0xff, 0, MARKER_LENGTH)
  bytes[MARKER_LENGTH] = bytes.length >> 8
  bytes[MARKER_LENGTH + 1] = bytes.length & 0xff
  bytes[MARKER_LENGTH + 2] = type
}

function encodeBody(
  writer: Writer,
  message: Message,
  { context, limit }: { context: CodecContext; limit: number },
): void {
  switch (message.type) {
    case 'OPEN':
      encodeOpen(writer, message)
      return
    case 'UPDATE':
      encodeUpdate(writer, message, context)
      return
    case 'NOTIFICATION':
      // The data of some errors is what the peer sent, which may not fit; its beginning serves as
      // well.
      writer
        .u8(message.code)
        .u8(message.subcode)
        .put(message.data.subarray(0, limit - MIN_LENGTH.NOTIFICATION))
      return
    case 'KEEPALIVE':
      return
    case 'ROUTE-REFRESH':
      writer.u16(message.afi).u8(message.subtype).u8(message.safi)
      return
    default:
      assertNever(message)
  }
}

/**
 * What a header says, or the Message Header Error that answers it. `bytes` has at least the header.
 */
export type Header =
  | { readonly type: MessageType; readonly length: number }
  | { readonly reason: string; readonly notification: Notification }

/**
 * RFC 4271 section 6.1, in its order: marker, length, type; then the length that the type asks for.
 */
export function decodeHeader(bytes: Uint8Array, extendedMessages: boolean): Header {
  for (let index = 0; index < MARKER_LENGTH; index++) {
    if (bytes[index] !== 0xff) {
      const reason = 'RFC 4271 section 6.1: the marker is not all ones'
      return { reason, notification: notification(ErrorCode.MessageHeader, HeaderError.ConnectionNotSynchronized) }
    }
  }
  const length = ((bytes[MARKER_LENGTH] ?? 0) << 8) | (bytes[MARKER_LENGTH + 1] ?? 0)
  const code = bytes[MARKER_LENGTH + 2] ?? 0
  const type = nameOf(MessageTypeCode, code)
  if (length < HEADER_LENGTH || length > maxLength(type, extendedMessages)) return badLength(length, 'a message')
  if (type === undefined) {
    const reason = `RFC 4271 section 6.1: message type ${code}`
    return {
      reason,
      notification: notification(ErrorCode.MessageHeader, HeaderError.BadMessageType, Uint8Array.of(code)),
    }
  }
  const right = type === 'KEEPALIVE' ? length === HEADER_LENGTH : length >= MIN_LENGTH[type]
  return right ? { type, length } : badLength(length, type)
}

function badLength(length: number, what: string): { readonly reason: string; readonly notification: Notification } {
  const data = Uint8Array.of(length >> 8, length & 0xff)
  return {
    reason: `RFC 4271 section 6.1: ${what} with the length ${length}`,
    notification: notification(ErrorCode.MessageHeader, HeaderError.BadMessageLength, data),
  }
}

/**
 * Exactly one message with its header, as `MessageFramer` gives it. Byte strings of the value share
 * memory with `bytes`.
 */
export function decodeMessage(bytes: Uint8Array, context: CodecContext): Decoded {
  if (bytes.length < HEADER_LENGTH) {
    return { outcome: 'session-reset', ...badLength(bytes.length, 'fewer octets than a header: a message') }
  }
  const header = decodeHeader(bytes, context.extendedMessages)
  if ('notification' in header) return { outcome: 'session-reset', ...header }
  if (header.length !== bytes.length) {
    return { outcome: 'session-reset', ...badLength(header.length, `${header.type} of ${bytes.length} octets`) }
  }
  const body = bytes.subarray(HEADER_LENGTH)
  switch (header.type) {
    case 'OPEN':
      return decodeOpen(body)
    case 'UPDATE':
      return decodeUpdate(body, context)
    case 'NOTIFICATION': {
      // RFC 4271 section 6.4: an error in a NOTIFICATION is not answered, so every one of the right
      // length is good.
      const [code = 0, subcode = 0] = body
      return { outcome: 'ok', message: notification(code, subcode, body.subarray(2)) }
    }
    case 'KEEPALIVE':
      return { outcome: 'ok', message: { type: 'KEEPALIVE' } }
    case 'ROUTE-REFRESH':
      return decodeRouteRefresh(bytes, context)
    default:
      return assertNever(header.type)
  }
}

/**
 * RFC 2918 section 3: the third octet is reserved and means nothing, unless the peer has the
 * capability of RFC 7313. A wrong length is answered as section 5 of that says for its subtypes,
 * else as any wrong length: what may follow (RFC 5291) is never negotiated.
 */
function decodeRouteRefresh(bytes: Uint8Array, { enhancedRouteRefresh = false }: CodecContext): Decoded {
  const reader = new Reader(bytes.subarray(HEADER_LENGTH))
  if (reader.left !== 4) {
    const subtype = reader.bytes[2]
    if (!enhancedRouteRefresh || (subtype !== RefreshSubtype.BoRR && subtype !== RefreshSubtype.EoRR)) {
      return { outcome: 'session-reset', ...badLength(bytes.length, 'ROUTE-REFRESH') }
    }
    return {
      outcome: 'session-reset',
      reason: `RFC 7313 section 5: ROUTE-REFRESH with ${reader.left} octets behind the header`,
      notification: notification(ErrorCode.RouteRefreshMessage, RouteRefreshError.InvalidMessageLength, bytes.slice()),
    }
  }
  const message: RouteRefresh = { type: 'ROUTE-REFRESH', afi: reader.u16(), subtype: reader.u8(), safi: reader.u8() }
  return { outcome: 'ok', message }
}
