/**
 * Path attributes (RFC 4271 sections 4.3, 5 and 6.3; RFC 7606). One row per attribute holds what is
 * special about it; flags, lengths, duplicates and unknown types are handled once, in the loop of
 * attributes-loop.ts.
 *
 * A new attribute: a number in registry.ts, a value in attributes-types.ts (then the compiler asks
 * for the row), a vector in test/bgp. Pure.
 */
import { toHex, type Writer } from '../../lib/bytes.ts'
import { addressBytes, formatAddress } from '../../lib/ip.ts'
import { decodeAs4Path, decodeAsPath, encodeAsPath, twoOctets } from './attributes-as-path.ts'
import { decodeMpReach, decodeMpUnreach, encodeMpReach, encodeMpUnreach, isUnicast } from './attributes-mp.ts'
import type { Aggregator, AttributeName, AttributeValues } from './attributes-types.ts'
import { formatCommunity, parseCommunity, parseLargeCommunity } from './communities.ts'
import { Malformed } from './errors.ts'
import type { CodecContext, Outcome } from './message-types.ts'
import { AttributeFlag, AttributeType, nameOf, Origin, UpdateError } from './registry.ts'

const WELL_KNOWN = AttributeFlag.transitive
const OPTIONAL = AttributeFlag.optional
const OPTIONAL_TRANSITIVE = AttributeFlag.optional | AttributeFlag.transitive

export interface AttributeRow<Value> {
  readonly type: number
  /** The optional and the transitive bit that it must have. */
  readonly flags: number
  /** The section of RFC 7606 (or a later RFC) that says what to do when it is malformed. */
  readonly section: string
  readonly whenMalformed: Exclude<Outcome, 'ok'>
  /** For wrong flags, where that is not treat-as-withdraw (RFC 7606 sections 3 c, f and 5.3). */
  readonly whenFlagsWrong?: Exclude<Outcome, 'ok'>
  /** From an external peer it is discarded unread. */
  readonly internalOnly?: true
  /** Between speakers of 4-octet AS numbers it is discarded unread (RFC 6793 section 4.1). */
  readonly twoOctetAsOnly?: true
  /** Octets: one of these, or a multiple of `multiple` and not 0. Both absent: `decode` knows. */
  readonly lengths?: (context: CodecContext) => readonly number[]
  readonly multiple?: number
  readonly decode: (value: Uint8Array, context: CodecContext) => Value | Malformed
  readonly encode: (writer: Writer, value: Value, context: CodecContext) => void
}

export type AttributeTable = { readonly [Name in AttributeName]: AttributeRow<AttributeValues[Name]> }

/** In the order of their numbers, which is the order they are sent in (RFC 4271 section 5). */
export const ATTRIBUTES: AttributeTable = {
  ORIGIN: {
    type: AttributeType.ORIGIN,
    flags: WELL_KNOWN,
    section: 'RFC 7606 section 7.1',
    whenMalformed: 'treat-as-withdraw',
    lengths: () => [1],
    decode(value) {
      const origin = nameOf(Origin, value[0] ?? -1)
      return (
        origin ?? new Malformed(UpdateError.InvalidOrigin, `RFC 7606 section 7.1: ORIGIN has the value ${value[0]}`)
      )
    },
    encode: (writer, value) => writer.u8(Origin[value]),
  },
  AS_PATH: {
    type: AttributeType.AS_PATH,
    flags: WELL_KNOWN,
    section: 'RFC 7606 section 7.2',
    whenMalformed: 'treat-as-withdraw',
    decode: (value, { fourOctetAs }) => decodeAsPath(value, fourOctetAs),
    encode: (writer, value, { fourOctetAs }) => encodeAsPath(writer, value, fourOctetAs),
  },
  NEXT_HOP: {
    type: AttributeType.NEXT_HOP,
    flags: WELL_KNOWN,
    section: 'RFC 7606 section 7.3',
    whenMalformed: 'treat-as-withdraw',
    lengths: () => [4],
    decode(value) {
      if (isUnicast(value)) return formatAddress(value)
      const reason = `RFC 4271 section 6.3: NEXT_HOP ${formatAddress(value)} is not the address of a host`
      return new Malformed(UpdateError.InvalidNextHop, reason)
    },
    encode: (writer, value) => writer.put(addressBytes(value)),
  },
  MULTI_EXIT_DISC: {
    type: AttributeType.MULTI_EXIT_DISC,
    flags: OPTIONAL,
    section: 'RFC 7606 section 7.4',
    whenMalformed: 'treat-as-withdraw',
    lengths: () => [4],
    decode: readU32,
    encode: (writer, value) => writer.u32(value),
  },
  LOCAL_PREF: {
    type: AttributeType.LOCAL_PREF,
    flags: WELL_KNOWN,
    section: 'RFC 7606 section 7.5',
    whenMalformed: 'treat-as-withdraw',
    internalOnly: true,
    lengths: () => [4],
    decode: readU32,
    encode: (writer, value) => writer.u32(value),
  },
  ATOMIC_AGGREGATE: {
    type: AttributeType.ATOMIC_AGGREGATE,
    flags: WELL_KNOWN,
    section: 'RFC 7606 section 7.6',
    whenMalformed: 'attribute-discard',
    whenFlagsWrong: 'attribute-discard',
    lengths: () => [0],
    decode: () => true,
    encode: () => {},
  },
  AGGREGATOR: {
    type: AttributeType.AGGREGATOR,
    flags: OPTIONAL_TRANSITIVE,
    section: 'RFC 7606 section 7.7',
    whenMalformed: 'attribute-discard',
    whenFlagsWrong: 'attribute-discard',
    lengths: ({ fourOctetAs }) => [fourOctetAs ? 8 : 6],
    decode: value => readAggregator('AGGREGATOR', value),
    encode(writer, value, { fourOctetAs }) {
      if (fourOctetAs) writer.u32(value.asNumber)
      else writer.u16(twoOctets(value.asNumber))
      writer.put(addressBytes(value.address))
    },
  },
  COMMUNITIES: {
    type: AttributeType.COMMUNITIES,
    flags: OPTIONAL_TRANSITIVE,
    section: 'RFC 7606 section 7.8',
    whenMalformed: 'treat-as-withdraw',
    multiple: 4,
    decode: value => chunks(value, 4, part => formatCommunity(readU32(part))),
    encode(writer, value) {
      for (const text of value) writer.u32(checked(parseCommunity(text), 'a community', text))
    },
  },
  ORIGINATOR_ID: {
    type: AttributeType.ORIGINATOR_ID,
    flags: OPTIONAL,
    section: 'RFC 7606 section 7.9',
    whenMalformed: 'treat-as-withdraw',
    internalOnly: true,
    lengths: () => [4],
    decode: formatAddress,
    encode: (writer, value) => writer.put(addressBytes(value)),
  },
  CLUSTER_LIST: {
    type: AttributeType.CLUSTER_LIST,
    flags: OPTIONAL,
    section: 'RFC 7606 section 7.10',
    whenMalformed: 'treat-as-withdraw',
    internalOnly: true,
    multiple: 4,
    decode: value => chunks(value, 4, formatAddress),
    encode(writer, value) {
      for (const id of value) writer.put(addressBytes(id))
    },
  },
  MP_REACH_NLRI: {
    type: AttributeType.MP_REACH_NLRI,
    flags: OPTIONAL,
    section: 'RFC 7606 section 7.11',
    whenMalformed: 'session-reset',
    whenFlagsWrong: 'session-reset',
    decode: decodeMpReach,
    encode: encodeMpReach,
  },
  MP_UNREACH_NLRI: {
    type: AttributeType.MP_UNREACH_NLRI,
    flags: OPTIONAL,
    section: 'RFC 7606 section 7.12',
    whenMalformed: 'session-reset',
    whenFlagsWrong: 'session-reset',
    decode: decodeMpUnreach,
    encode: encodeMpUnreach,
  },
  EXTENDED_COMMUNITIES: {
    type: AttributeType.EXTENDED_COMMUNITIES,
    flags: OPTIONAL_TRANSITIVE,
    section: 'RFC 7606 section 7.14',
    whenMalformed: 'treat-as-withdraw',
    multiple: 8,
    decode: value => chunks(value, 8, toHex),
    encode(writer, value) {
      for (const hex of value) writer.put(new Uint8Array(Buffer.from(hex, 'hex')))
    },
  },
  IPV6_EXTENDED_COMMUNITIES: {
    type: AttributeType.IPV6_EXTENDED_COMMUNITIES,
    flags: OPTIONAL_TRANSITIVE,
    section: 'RFC 7606 section 7.15',
    whenMalformed: 'treat-as-withdraw',
    multiple: 20,
    decode: value => chunks(value, 20, toHex),
    encode(writer, value) {
      for (const hex of value) writer.put(new Uint8Array(Buffer.from(hex, 'hex')))
    },
  },
  AS4_PATH: {
    type: AttributeType.AS4_PATH,
    flags: OPTIONAL_TRANSITIVE,
    section: 'RFC 6793 section 6',
    whenMalformed: 'attribute-discard',
    twoOctetAsOnly: true,
    decode: decodeAs4Path,
    encode: (writer, value) => encodeAsPath(writer, value, true),
  },
  AS4_AGGREGATOR: {
    type: AttributeType.AS4_AGGREGATOR,
    flags: OPTIONAL_TRANSITIVE,
    section: 'RFC 6793 section 6',
    whenMalformed: 'attribute-discard',
    twoOctetAsOnly: true,
    lengths: () => [8],
    decode: value => readAggregator('AS4_AGGREGATOR', value),
    encode: (writer, value) => writer.u32(value.asNumber).put(addressBytes(value.address)),
  },
  LARGE_COMMUNITIES: {
    type: AttributeType.LARGE_COMMUNITIES,
    flags: OPTIONAL_TRANSITIVE,
    section: 'RFC 8092 section 6',
    whenMalformed: 'treat-as-withdraw',
    multiple: 12,
    decode(value) {
      const number = (part: Uint8Array, at: number) => readU32(part.subarray(at, at + 4))
      // RFC 8092 section 3: redundant values are silently removed, and not sent.
      return [...new Set(chunks(value, 12, part => `${number(part, 0)}:${number(part, 4)}:${number(part, 8)}`))]
    },
    encode(writer, value) {
      for (const text of new Set(value)) {
        for (const number of checked(parseLargeCommunity(text), 'a large community', text)) writer.u32(number)
      }
    },
  },
  ONLY_TO_CUSTOMER: {
    type: AttributeType.ONLY_TO_CUSTOMER,
    flags: OPTIONAL_TRANSITIVE,
    section: 'RFC 9234 section 5',
    whenMalformed: 'treat-as-withdraw',
    lengths: () => [4],
    decode: readU32,
    encode: (writer, value) => writer.u32(value),
  },
}

/** The four octets that the loop has counted. */
function readU32(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset, 4).getUint32(0)
}

function readAggregator(name: AttributeName, value: Uint8Array): Aggregator | Malformed {
  const octets = value.length - 4
  const number = value.subarray(0, octets)
  const asNumber = octets === 4 ? readU32(number) : ((number[0] ?? 0) << 8) | (number[1] ?? 0)
  if (asNumber === 0) return new Malformed(UpdateError.OptionalAttributeError, `RFC 7607 section 2: AS 0 in ${name}`)
  return { asNumber, address: formatAddress(value.subarray(octets)) }
}

function chunks(value: Uint8Array, size: number, decode: (part: Uint8Array) => string): string[] {
  const parts: string[] = []
  for (let start = 0; start < value.length; start += size) parts.push(decode(value.subarray(start, start + size)))
  return parts
}

/** What we are told to send was checked where it was configured. */
function checked<Value>(value: Value | undefined, kind: string, text: string): Value {
  if (value === undefined) throw new Error(`not ${kind}: ${JSON.stringify(text)}`)
  return value
}
