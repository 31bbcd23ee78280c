/**
 * Walks the path attributes of an UPDATE: flags, lengths, duplicates and unknown types for all
 * attributes alike (RFC 4271 sections 4.3, 5 and 6.3 as RFC 7606 sections 3 and 4 revise them).
 * What is special about one attribute is its row in attributes.ts. Pure.
 */
import { Reader, Writer } from '../../lib/bytes.ts'
import { ATTRIBUTES, type AttributeRow } from './attributes.ts'
import { withAs4 } from './attributes-as-path.ts'
import type { AttributeName, AttributeValues } from './attributes-types.ts'
import { type Finding, Malformed, updateError } from './errors.ts'
import type { CodecContext, PathAttributes, UnknownAttribute } from './message-types.ts'
import { AttributeFlag, AttributeType, nameOf, UpdateError } from './registry.ts'

const NAMES = Object.keys(ATTRIBUTES) as readonly AttributeName[]
const NAME_OF_TYPE: ReadonlyMap<number, AttributeName> = new Map(NAMES.map(name => [ATTRIBUTES[name].type, name]))
/** RFC 7606 section 5.1: these two come first. */
const SEND_ORDER: readonly AttributeName[] = [
  'MP_REACH_NLRI',
  'MP_UNREACH_NLRI',
  ...NAMES.filter(name => !isMultiprotocol(ATTRIBUTES[name].type)),
]
const OPTIONAL_AND_TRANSITIVE = AttributeFlag.optional | AttributeFlag.transitive

export interface DecodedAttributes {
  /** Without those that are malformed or to be discarded. */
  readonly attributes: PathAttributes
  /** The types that the message has, malformed ones too. */
  readonly seen: ReadonlySet<number>
  readonly findings: readonly Finding[]
}

/** One attribute as it lies in the message. */
interface RawAttribute {
  readonly flags: number
  readonly type: number
  readonly value: Uint8Array
  /** With its header: the data of most NOTIFICATIONs (RFC 4271 section 6.3). */
  readonly whole: Uint8Array
}

interface Collected {
  readonly values: { -readonly [Name in AttributeName]?: AttributeValues[Name] }
  readonly unknown: UnknownAttribute[]
  readonly seen: Set<number>
  readonly repeated: Set<number>
  readonly findings: Finding[]
}

export function decodeAttributes(bytes: Uint8Array, context: CodecContext): DecodedAttributes {
  const reader = new Reader(bytes)
  const collected: Collected = { values: {}, unknown: [], seen: new Set(), repeated: new Set(), findings: [] }
  while (reader.left > 0) {
    const raw = nextAttribute(reader)
    if ('outcome' in raw) {
      collected.findings.push(raw)
      break
    }
    if (collected.seen.has(raw.type)) collectRepeated(raw, collected)
    else collectFirst(raw, collected, context)
  }
  const { values, unknown, seen, findings } = collected
  return { attributes: unknown.length === 0 ? values : { ...values, unknown }, seen, findings }
}

/**
 * RFC 7606 section 4: an attribute that ends behind the attributes is treat-as-withdraw, unless
 * prefixes may be in it.
 */
function nextAttribute(reader: Reader): RawAttribute | Finding {
  const start = reader.offset
  if (reader.left < 3) return overrun(reader, start, 'too few octets are left for an attribute')
  const flags = reader.u8()
  const type = reader.u8()
  const extended = (flags & AttributeFlag.extendedLength) !== 0
  if (extended && reader.left < 2) return overrun(reader, start, 'too few octets are left for an attribute')
  const length = extended ? reader.u16() : reader.u8()
  if (length > reader.left) return overrun(reader, start, `${labelOf(type)} ends behind the path attributes`)
  const value = reader.slice(length)
  return { flags, type, value, whole: reader.bytes.subarray(start, reader.offset) }
}

function overrun(reader: Reader, start: number, what: string): Finding {
  const type = reader.bytes[start + 1]
  const outcome = type !== undefined && isMultiprotocol(type) ? 'session-reset' : 'treat-as-withdraw'
  const notification = updateError(UpdateError.AttributeLengthError, reader.bytes.subarray(start))
  return { outcome, reason: `RFC 7606 section 4: ${what}`, notification }
}

/** RFC 7606 section 3 g). */
function collectRepeated({ type }: RawAttribute, { repeated, findings }: Collected): void {
  if (repeated.has(type)) return
  repeated.add(type)
  findings.push({
    attribute: type,
    outcome: isMultiprotocol(type) ? 'session-reset' : 'attribute-discard',
    reason: `RFC 7606 section 3 g: ${labelOf(type)} appears more than once`,
    notification: updateError(UpdateError.MalformedAttributeList),
  })
}

function collectFirst(raw: RawAttribute, collected: Collected, context: CodecContext): void {
  collected.seen.add(raw.type)
  const name = NAME_OF_TYPE.get(raw.type)
  if (name !== undefined) collectKnown(name, raw, collected, context)
  else collectUnknown(raw, collected)
}

function collectUnknown({ flags, type, value, whole }: RawAttribute, { unknown, findings }: Collected): void {
  if ((flags & AttributeFlag.optional) === 0) {
    const reason = `RFC 4271 section 6.3: well-known attribute ${type} is not recognized`
    const notification = updateError(UpdateError.UnrecognizedWellKnownAttribute, whole)
    findings.push({ outcome: 'session-reset', reason, notification })
    return
  }
  // The unused bits and that of the length's size say nothing about the value.
  unknown.push({ type, flags: flags & (OPTIONAL_AND_TRANSITIVE | AttributeFlag.partial), value })
}

function collectKnown<Name extends AttributeName>(
  name: Name,
  raw: RawAttribute,
  collected: Collected,
  context: CodecContext,
): void {
  const row: AttributeRow<AttributeValues[Name]> = ATTRIBUTES[name]
  const flagsProblem = discardUnread(name, row, context) ?? wrongFlags(name, row, raw)
  if (flagsProblem !== undefined) {
    addFinding(flagsProblem, row, raw, collected)
    return
  }
  const value = wrongLength(name, row, raw, context) ?? row.decode(raw.value, context)
  if (value instanceof Malformed) addFinding(value, row, raw, collected)
  else collected.values[name] = value
}

function addFinding(problem: Malformed, row: AnyRow, raw: RawAttribute, { findings }: Collected): void {
  const outcome = problem.outcome ?? row.whenMalformed
  const notification = updateError(problem.subcode, raw.whole)
  findings.push({ attribute: raw.type, outcome, reason: problem.reason, notification })
}

type AnyRow = Omit<AttributeRow<never>, 'decode' | 'encode'>

function discardUnread(name: AttributeName, row: AnyRow, context: CodecContext): Malformed | undefined {
  if (row.internalOnly && !context.ibgp) {
    return new Malformed(
      UpdateError.AttributeFlagsError,
      `${row.section}: ${name} from an external peer`,
      'attribute-discard',
    )
  }
  if (row.twoOctetAsOnly && context.fourOctetAs) {
    const reason = `RFC 6793 section 4.1: ${name} from a speaker of 4-octet AS numbers`
    return new Malformed(UpdateError.OptionalAttributeError, reason, 'attribute-discard')
  }
  return undefined
}

/**
 * RFC 7606 section 3 c); f) for the attributes of aggregates, section 5.3 for those that hold
 * prefixes.
 */
function wrongFlags(name: AttributeName, row: AnyRow, { flags }: RawAttribute): Malformed | undefined {
  if ((flags & OPTIONAL_AND_TRANSITIVE) === row.flags) return undefined
  const section = row.whenFlagsWrong === undefined ? '3 c' : row.whenFlagsWrong === 'session-reset' ? '5.3' : '3 f'
  const shown = `0x${flags.toString(16).padStart(2, '0')}`
  const reason = `RFC 7606 section ${section}: ${name} with the flags ${shown}`
  return new Malformed(UpdateError.AttributeFlagsError, reason, row.whenFlagsWrong ?? 'treat-as-withdraw')
}

function wrongLength(
  name: AttributeName,
  row: AnyRow,
  { value }: RawAttribute,
  context: CodecContext,
): Malformed | undefined {
  const { length } = value
  const right =
    row.multiple === undefined
      ? (row.lengths?.(context).includes(length) ?? true)
      : length > 0 && length % row.multiple === 0
  if (right) return undefined
  return new Malformed(UpdateError.AttributeLengthError, `${row.section}: ${name} of ${length} octets`)
}

function isMultiprotocol(type: number): boolean {
  return type === AttributeType.MP_REACH_NLRI || type === AttributeType.MP_UNREACH_NLRI
}

function labelOf(type: number): string {
  return nameOf(AttributeType, type) ?? `attribute ${type}`
}

/**
 * The path attributes of an UPDATE, for a peer as `context` says. Throws `RangeError` when one is
 * longer than 65535 octets.
 */
export function encodeAttributes(attributes: PathAttributes, context: CodecContext): Uint8Array {
  const toSend = context.fourOctetAs ? attributes : withAs4(attributes)
  output.clear()
  for (const name of SEND_ORDER) if (toSend[name] !== undefined) putKnown(name, toSend, context)
  for (const attribute of toSend.unknown ?? []) putAttribute(attribute)
  return output.bytes()
}

/**
 * Where attributes are written, and the value of one of them: encoding is never interrupted, and
 * often of a few octets only.
 */
const output = new Writer()
const scratch = new Writer()

function putKnown<Name extends AttributeName>(
  name: Name,
  attributes: Partial<AttributeValues>,
  context: CodecContext,
): void {
  const value: AttributeValues[Name] | undefined = attributes[name]
  if (value === undefined) return
  const row: AttributeRow<AttributeValues[Name]> = ATTRIBUTES[name]
  scratch.clear()
  row.encode(scratch, value, context)
  putAttribute({ type: row.type, flags: row.flags, value: scratch.view() })
}

function putAttribute({ type, flags, value }: UnknownAttribute): void {
  if (value.length > 0xffff) throw new RangeError(`${labelOf(type)} has ${value.length} octets, at most 65535 fit`)
  if (value.length > 255)
    output
      .u8(flags | AttributeFlag.extendedLength)
      .u8(type)
      .u16(value.length)
  else
    output
      .u8(flags & ~AttributeFlag.extendedLength)
      .u8(type)
      .u8(value.length)
  output.put(value)
}
