/**
 * Netlink messages: a header (struct nlmsghdr) and a body; requests as values, and the kernel's
 * acknowledgements and errors with the extended text and offset (NETLINK_EXT_ACK).
 * <linux/netlink.h>. Pure: bytes in, values out. Which body belongs to which type is known by the
 * files of the families.
 */
import { errnoName, errnoText } from '../lib/errno.ts'
import { Attributes, align, Encoder } from './attributes.ts'
import { NLM_F, NLMSG, NLMSGERR_ATTR } from './constants.ts'

export const HEADER_LENGTH = 16

/**
 * Something to ask of the kernel. `text` says it in words for messages: `add route 10.0.1.0/25 via
 * 172.16.0.12`.
 */
export interface Request {
  readonly text: string
  readonly type: number
  /** nlmsg_flags besides REQUEST and ACK. */
  readonly flags: number
  readonly body: Uint8Array
}

export interface Message {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly port: number
  /** Shares memory with the datagram. */
  readonly body: Uint8Array
}

/**
 * The kernel refused: `code` and `errno` say how, `extendedAck` why (empty when it gave no text),
 * `request` what.
 */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError'
  readonly request: string
  readonly errno: number
  readonly code: string
  readonly extendedAck: string
  /** Offset in the request of the attribute at fault. */
  readonly offset: number | undefined
  constructor(request: string, reply: ErrorReply) {
    super(`${request}: ${errnoName(reply.errno)}: ${reply.extendedAck || errnoText(reply.errno)}`)
    this.request = request
    this.errno = reply.errno
    this.code = errnoName(reply.errno)
    this.extendedAck = reply.extendedAck
    this.offset = reply.offset
  }
}

/**
 * The kernel sent what this room does not understand: a bug here, or a kernel newer than its own
 * rules.
 */
export class NetlinkFormatError extends Error {
  override readonly name = 'NetlinkFormatError'
}

/** What an NLMSG_ERROR or NLMSG_DONE says; errno 0 is an acknowledgement. */
export interface ErrorReply {
  readonly errno: number
  readonly extendedAck: string
  readonly offset: number | undefined
}

/** Appends `request` with its header. */
export function encodeMessage(encoder: Encoder, request: Request, options: { sequence: number; ack: boolean }): void {
  const flags = request.flags | NLM_F.REQUEST | (options.ack ? NLM_F.ACK : 0)
  encoder
    .u32(HEADER_LENGTH + request.body.length)
    .u16(request.type)
    .u16(flags)
    .u32(options.sequence)
    .u32(0)
  encoder.put(request.body)
  while (encoder.length < align(encoder.length)) encoder.u8(0)
}

/** The messages of one datagram. */
export function decodeMessages(datagram: Uint8Array): Message[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength)
  const messages: Message[] = []
  for (let offset = 0; offset + HEADER_LENGTH <= datagram.length; ) {
    const length = view.getUint32(offset, true)
    if (length < HEADER_LENGTH || offset + length > datagram.length) {
      throw new NetlinkFormatError(`netlink message of ${length} bytes, ${datagram.length - offset} left`)
    }
    messages.push({
      type: view.getUint16(offset + 4, true),
      flags: view.getUint16(offset + 6, true),
      sequence: view.getUint32(offset + 8, true),
      port: view.getUint32(offset + 12, true),
      body: datagram.subarray(offset + HEADER_LENGTH, offset + length),
    })
    offset = align(offset + length)
  }
  return messages
}

/** Decodes an NLMSG_ERROR, or an NLMSG_DONE that bears a code. */
export function decodeError(message: Message): ErrorReply {
  const { body, flags } = message
  if (body.length < 4) return { errno: 0, extendedAck: '', offset: undefined }
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const errno = -view.getInt32(0, true)
  if ((flags & NLM_F.ACK_TLVS) === 0) return { errno, extendedAck: '', offset: undefined }
  const attributes = new Attributes(body.subarray(attributesOffset(message, view)))
  return {
    errno,
    extendedAck: attributes.text(NLMSGERR_ATTR.MSG) ?? '',
    offset: attributes.u32(NLMSGERR_ATTR.OFFS),
  }
}

/**
 * Behind the code stands the request that failed: its header alone when capped. NLMSG_DONE has no
 * such copy.
 */
function attributesOffset(message: Message, view: DataView): number {
  if (message.type === NLMSG.DONE) return 4
  if (view.byteLength < 4 + HEADER_LENGTH) return view.byteLength
  const capped = (message.flags & NLM_F.CAPPED) !== 0
  return Math.min(view.byteLength, align(4 + (capped ? HEADER_LENGTH : view.getUint32(4, true))))
}

/** A request whose body `fill` writes. */
export function request(parts: Omit<Request, 'body'>, fill: (encoder: Encoder) => void): Request {
  const encoder = new Encoder(128)
  fill(encoder)
  return { text: parts.text, type: parts.type, flags: parts.flags, body: encoder.bytes() }
}

/** Throws when a decoder noted a problem. */
export function checkDecoded(what: string, attributes: Attributes): void {
  if (attributes.error !== undefined) throw new NetlinkFormatError(`${what} from the kernel: ${attributes.error}`)
}

/** A view of a body's leading structure. Throws when the body is shorter. */
export function structure(what: string, body: Uint8Array, length: number): DataView {
  if (body.length < length)
    throw new NetlinkFormatError(`${what} from the kernel: ${body.length} bytes, ${length} expected`)
  return new DataView(body.buffer, body.byteOffset, length)
}
