/**
 * Probes as bytes: a question with a token that nobody else can know and the place where the answer
 * is awaited, and the answer that returns the token. An answer is never larger than its question,
 * so nobody is amplified. Pure.
 *
 * Octets 0-3 `TEPR`, 4 the version (1), 5 the kind (1 question, 2 answer), 6-7 the asker's port (0
 * in an answer), 8-15 the token. A question goes on with the asker's address in 16 octets (IPv4 as
 * `::ffff:0:0/96`, RFC 4291 section 2.5.5.2), and may be padded with zeros up to the size of a
 * packet whose way is to be tried.
 */
import { addressBytes, formatAddress } from '../lib/ip.ts'

export interface ReplyTo {
  readonly address: string
  readonly port: number
}

export type ProbePacket =
  | { readonly kind: 'question'; readonly token: string; readonly replyTo: ReplyTo }
  | { readonly kind: 'answer'; readonly token: string }

const MAGIC = 0x54455052
const VERSION = 1
const KINDS = { question: 1, answer: 2 } as const
const ANSWER_LENGTH = 16
/** Octets of a question without padding. */
export const QUESTION_LENGTH = 32
const MAPPED_IPV4 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]

/**
 * Octets of the IP and UDP headers in front of a probe (RFC 791 section 3.1, RFC 8200 section 3,
 * RFC 768).
 */
export const HEADER_LENGTH = { ipv4: 28, ipv6: 48 } as const

/** A question of `length` octets, at least `QUESTION_LENGTH`; `token` is 16 hexadecimal digits. */
export function encodeQuestion(token: string, replyTo: ReplyTo, length: number = QUESTION_LENGTH): Uint8Array {
  const bytes = encode('question', token, Math.max(length, QUESTION_LENGTH))
  new DataView(bytes.buffer).setUint16(6, replyTo.port)
  const address = addressBytes(replyTo.address)
  bytes.set(address.length === 4 ? [...MAPPED_IPV4, ...address] : address, ANSWER_LENGTH)
  return bytes
}

export function encodeAnswer(token: string): Uint8Array {
  return encode('answer', token, ANSWER_LENGTH)
}

/** Undefined for what is no probe of this version. */
export function decodeProbe(bytes: Uint8Array): ProbePacket | undefined {
  if (bytes.length < ANSWER_LENGTH) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0) !== MAGIC || view.getUint8(4) !== VERSION) return undefined
  const token = Buffer.from(bytes.subarray(8, ANSWER_LENGTH)).toString('hex')
  if (view.getUint8(5) === KINDS.answer) return { kind: 'answer', token }
  if (view.getUint8(5) !== KINDS.question || bytes.length < QUESTION_LENGTH) return undefined
  const port = view.getUint16(6)
  const address = bytes.slice(ANSWER_LENGTH, QUESTION_LENGTH)
  const mapped = MAPPED_IPV4.every((octet, index) => address[index] === octet)
  return { kind: 'question', token, replyTo: { address: formatAddress(mapped ? address.slice(12) : address), port } }
}

function encode(kind: ProbePacket['kind'], token: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, MAGIC)
  view.setUint8(4, VERSION)
  view.setUint8(5, KINDS[kind])
  bytes.set(Buffer.from(token, 'hex').subarray(0, 8), 8)
  return bytes
}
