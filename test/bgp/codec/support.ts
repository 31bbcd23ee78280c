/**
 * Bytes of BGP messages for the codec's tests, put together by hand so that a test's hex can be
 * compared with the RFC's figures.
 */

import { decodeMessage } from '../../../src/bgp/codec/message.ts'
import type { CodecContext, Decoded, Update } from '../../../src/bgp/codec/message-types.ts'
import { toHex } from '../../../src/lib/bytes.ts'

export const EXTERNAL: CodecContext = {
  fourOctetAs: true,
  extendedMessages: false,
  ibgp: false,
  families: ['ipv4', 'ipv6'],
  extendedNextHop: true,
}
export const INTERNAL: CodecContext = { ...EXTERNAL, ibgp: true }
export const TWO_OCTET: CodecContext = { ...EXTERNAL, fourOctetAs: false }

/** The octets of hexadecimal with any spaces in it. */
export function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replace(/\s/g, ''), 'hex'))
}

export function hex(value: Uint8Array): string {
  return toHex(value)
}

function u16(value: number): string {
  return value.toString(16).padStart(4, '0')
}

/** A whole message: marker, length and type before `body`. */
export function message(type: number, body: string): Uint8Array {
  const octets = bytes(body)
  return bytes(`${'ff'.repeat(16)}${u16(19 + octets.length)}${type.toString(16).padStart(2, '0')}${toHex(octets)}`)
}

export interface UpdateParts {
  readonly withdrawn?: string
  readonly attributes?: string
  readonly nlri?: string
}

export function update({ withdrawn = '', attributes = '', nlri = '' }: UpdateParts): Uint8Array {
  const [w, a] = [bytes(withdrawn).length, bytes(attributes).length]
  return message(2, `${u16(w)}${withdrawn}${u16(a)}${attributes}${nlri}`)
}

/** One path attribute: flags and type as hexadecimal, its length counted. */
export function attribute(flagsAndType: string, value: string): string {
  return `${flagsAndType}${bytes(value).length.toString(16).padStart(2, '0')}${value}`
}

export const ORIGIN = '400101 00'
export const AS_PATH = '400206 0201 0000fde9' // AS_SEQUENCE 65001
export const NEXT_HOP = '400304 c0000201' // 192.0.2.1
export const LOCAL_PREF = '400504 00000064'
/** What an external peer has to send. */
export const MANDATORY = `${ORIGIN} ${AS_PATH} ${NEXT_HOP}`
export const NLRI = '18 0a0001' // 10.0.1.0/24

/** Decodes an UPDATE with the mandatory attributes, `extra`, and one prefix. */
export function decodeWith(extra: string, context: CodecContext = EXTERNAL): Decoded {
  const mandatory = context.fourOctetAs ? MANDATORY : `${ORIGIN} 400204 0201 fde9 ${NEXT_HOP}`
  return decodeMessage(
    update({ attributes: `${mandatory}${context.ibgp ? LOCAL_PREF : ''}${extra}`, nlri: NLRI }),
    context,
  )
}

/** The UPDATE in an outcome that has one. */
export function updateOf(decoded: Decoded): Update {
  if (decoded.message?.type !== 'UPDATE') throw new Error(`no UPDATE in ${JSON.stringify(decoded)}`)
  return decoded.message
}

/** `code/subcode data` of the NOTIFICATION that answers, for short expectations. */
export function answer(decoded: Decoded): string {
  if (decoded.outcome !== 'session-reset') return decoded.outcome
  const { code, subcode, data } = decoded.notification
  return `${code}/${subcode} ${toHex(data)}`.trim()
}

/** Reproducible chance for property tests (mulberry32). */
export function chance(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
