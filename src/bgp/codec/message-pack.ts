/**
 * UPDATEs for many prefixes: as few messages as hold them, attributes encoded once, prefixes copied
 * in runs (RFC 4271 section 4.3, RFC 4760, RFC 8950; End-of-RIB: RFC 4724 section 2). Generators,
 * so that a session makes the next message when the socket takes it.
 *
 * IPv4 prefixes with IPv4 next hops go in the plain NLRI field, all others in MP_REACH_NLRI;
 * withdrawals likewise. Pure.
 */
import { Reader, Writer } from '../../lib/bytes.ts'
import type { Family } from '../../lib/ip.ts'
import { encodeAttributes } from './attributes-loop.ts'
import { HEADER_LENGTH, MAX_EXTENDED_LENGTH, MAX_LENGTH, putHeader } from './message.ts'
import type { CodecContext, PathAttributes, RouteGroup } from './message-types.ts'
import { addressFamilyOf, runEnd } from './nlri.ts'
import type { Nlri } from './nlri-types.ts'
import { AttributeFlag, AttributeType, MessageTypeCode } from './registry.ts'

/** Withdrawn Routes Length and Total Path Attribute Length. */
const LENGTH_FIELDS = 4
const ATTRIBUTE_HEADER = 4

const NO_OCTETS = new Uint8Array(0)
const NO_LENGTHS: readonly number[] = []

/** A part of an UPDATE's fields that stays the same, and where the prefixes go. */
interface Template {
  /**
   * What comes before the prefixes, from Withdrawn Routes Length on, with its length fields still
   * 0.
   */
  readonly head: Uint8Array
  /** What comes behind them: the other attributes. */
  readonly tail: Uint8Array
  /** Offsets in `head` of the 2-octet lengths that grow with the prefixes. */
  readonly lengths: readonly number[]
}

/**
 * As few UPDATEs as hold all of the group. Throws `RangeError` when its attributes leave no room
 * for a prefix.
 */
export function packUpdates(group: RouteGroup, context: CodecContext): Generator<Uint8Array> {
  const plain = group.nlri.family === 'ipv4' && group.nextHop.length === 4
  return pack(group.nlri, plain ? plainTemplate(group, context) : reachTemplate(group, context), context)
}

export function packWithdrawals(nlri: Nlri, context: CodecContext): Generator<Uint8Array> {
  return pack(nlri, nlri.family === 'ipv4' ? withdrawnTemplate() : unreachTemplate(nlri.family), context)
}

/** An UPDATE that says all routes of `family` were sent. */
export function endOfRib(family: Family): Uint8Array {
  return message(family === 'ipv4' ? withdrawnTemplate() : unreachTemplate(family), NO_OCTETS)
}

function* pack(nlri: Nlri, template: Template, context: CodecContext): Generator<Uint8Array> {
  const limit = context.extendedMessages ? MAX_EXTENDED_LENGTH : MAX_LENGTH
  const room = limit - HEADER_LENGTH - template.head.length - template.tail.length
  for (let start = 0; start < nlri.bytes.length; ) {
    const end = runEnd(nlri.bytes, start, room)
    if (end <= start) throw new RangeError('the path attributes leave no room for a prefix in an UPDATE')
    yield message(template, nlri.bytes.subarray(start, end))
    start = end
  }
}

function message({ head, tail, lengths }: Template, prefixes: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER_LENGTH + head.length + prefixes.length + tail.length)
  bytes.set(head, HEADER_LENGTH)
  bytes.set(prefixes, HEADER_LENGTH + head.length)
  bytes.set(tail, HEADER_LENGTH + head.length + prefixes.length)
  for (const offset of lengths) {
    const at = HEADER_LENGTH + offset
    const length = (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) + prefixes.length
    bytes[at] = length >> 8
    bytes[at + 1] = length
  }
  putHeader(bytes, MessageTypeCode.UPDATE)
  return bytes
}

function plainTemplate({ attributes, nextHop }: RouteGroup, context: CodecContext): Template {
  let plain = plainHeads.get(attributes)
  if (plain === undefined || plain.context !== context) {
    plain = plainHead(attributes, context)
    plainHeads.set(attributes, plain)
  }
  const head = plain.octets.slice()
  head.set(nextHop, plain.nextHopAt)
  return { head, tail: NO_OCTETS, lengths: NO_LENGTHS }
}

/** What comes before plain prefixes, and where in it the next hop is. */
interface PlainHead {
  readonly context: CodecContext
  readonly octets: Uint8Array
  readonly nextHopAt: number
}

/**
 * Groups often differ in their next hop alone: who gives them one object of attributes has it
 * encoded once.
 */
const plainHeads = new WeakMap<PathAttributes, PlainHead>()

function plainHead(attributes: PathAttributes, context: CodecContext): PlainHead {
  const encoded = encodeAttributes({ ...attributes, NEXT_HOP: '0.0.0.0' }, context)
  const octets = new Writer(LENGTH_FIELDS + encoded.length).u16(0).u16(encoded.length).put(encoded).bytes()
  return { context, octets, nextHopAt: LENGTH_FIELDS + valueOffset(encoded, AttributeType.NEXT_HOP) }
}

/** Where the value of an attribute begins that is among the encoded ones. */
function valueOffset(attributes: Uint8Array, type: number): number {
  const reader = new Reader(attributes)
  for (;;) {
    const flags = reader.u8()
    const found = reader.u8() === type
    const length = flags & AttributeFlag.extendedLength ? reader.u16() : reader.u8()
    if (found) return reader.offset
    reader.slice(length)
  }
}

/** RFC 7606 section 5.1: the multiprotocol attribute first. */
function reachTemplate({ attributes, nextHop, nlri }: RouteGroup, context: CodecContext): Template {
  const { NEXT_HOP: _unused, ...others } = attributes
  const tail = encodeAttributes(others, context)
  const { afi, safi } = addressFamilyOf(nlri.family)
  const value = new Writer().u16(afi).u8(safi).u8(nextHop.length).put(nextHop).u8(0).bytes()
  return multiprotocol(AttributeType.MP_REACH_NLRI, value, tail)
}

function unreachTemplate(family: Family): Template {
  const { afi, safi } = addressFamilyOf(family)
  return multiprotocol(AttributeType.MP_UNREACH_NLRI, new Writer().u16(afi).u8(safi).bytes(), NO_OCTETS)
}

function multiprotocol(type: number, value: Uint8Array, tail: Uint8Array): Template {
  const head = new Writer().u16(0).u16(ATTRIBUTE_HEADER + value.length + tail.length)
  head
    .u8(AttributeFlag.optional | AttributeFlag.extendedLength)
    .u8(type)
    .u16(value.length)
    .put(value)
  return { head: head.bytes(), tail, lengths: [2, LENGTH_FIELDS + 2] }
}

function withdrawnTemplate(): Template {
  return { head: new Uint8Array(2), tail: new Uint8Array(2), lengths: [0] }
}
