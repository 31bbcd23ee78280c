/**
 * AS paths on the wire and their way past speakers of 2-octet AS numbers (RFC 4271 sections 4.3 and
 * 6.3, 6793, 7606 section 7.2, 7607, 9774, 5065 section 5). We are in no confederation, so its
 * segments are errors. Pure.
 */
import { Reader, type Writer } from '../../lib/bytes.ts'
import type { AsPath, AsPathSegment } from './attributes-types.ts'
import { Malformed } from './errors.ts'
import type { PathAttributes } from './message-types.ts'
import { AS_TRANS, AsPathSegmentType, nameOf, UpdateError } from './registry.ts'

const MAX_SEGMENT = 255
const MAX_TWO_OCTETS = 0xffff

/**
 * The segments of an AS_PATH (or AS4_PATH: always four octets each), or what is wrong with their
 * structure.
 */
export function decodeSegments(value: Uint8Array, octets: 2 | 4): AsPath | string {
  const reader = new Reader(value)
  const segments: AsPathSegment[] = []
  while (reader.left > 0) {
    if (reader.left < 2) return 'one octet is left where a segment should start'
    const type = nameOf(AsPathSegmentType, reader.u8())
    const count = reader.u8()
    if (type === undefined) return 'it has a segment of unknown type'
    if (count === 0) return 'it has a segment without AS numbers'
    if (count * octets > reader.left) return 'a segment ends behind it'
    const asNumbers: number[] = []
    for (let index = 0; index < count; index++) asNumbers.push(octets === 4 ? reader.u32() : reader.u16())
    segments.push({ type, asNumbers })
  }
  return segments
}

/**
 * Deviation: whether it begins with the peer's AS is not looked at (RFC 4271 section 6.3, a MAY;
 * RFC 7606 section 7.2), as a route server puts no AS of its own in front.
 */
export function decodeAsPath(value: Uint8Array, fourOctetAs: boolean): AsPath | Malformed {
  const malformed = (reason: string) => new Malformed(UpdateError.MalformedAsPath, reason)
  const path = decodeSegments(value, fourOctetAs ? 4 : 2)
  if (typeof path === 'string') return malformed(`RFC 7606 section 7.2: AS_PATH is malformed: ${path}`)
  if (holdsZero(path)) return malformed('RFC 7607 section 2: AS 0 in AS_PATH')
  if (path.some(isSet)) return malformed('RFC 9774 section 3: AS_SET or AS_CONFED_SET in AS_PATH')
  if (path.some(isConfederation))
    return malformed('RFC 5065 section 5: AS_CONFED_SEQUENCE from outside a confederation')
  return path
}

/**
 * RFC 6793 section 6: errors discard the attribute; segments of confederations are left out; sets:
 * RFC 9774.
 */
export function decodeAs4Path(value: Uint8Array): AsPath | Malformed {
  const path = decodeSegments(value, 4)
  const { OptionalAttributeError, MalformedAsPath } = UpdateError
  if (typeof path === 'string') {
    return new Malformed(OptionalAttributeError, `RFC 6793 section 6: AS4_PATH is malformed: ${path}`)
  }
  if (path.length === 0) return new Malformed(OptionalAttributeError, 'RFC 6793 section 6: AS4_PATH is empty')
  if (holdsZero(path)) return new Malformed(OptionalAttributeError, 'RFC 7607 section 2: AS 0 in AS4_PATH')
  if (path.some(isSet)) {
    const reason = 'RFC 9774 section 3: AS_SET or AS_CONFED_SET in AS4_PATH'
    return new Malformed(MalformedAsPath, reason, 'treat-as-withdraw')
  }
  return path.filter(segment => !isConfederation(segment))
}

export function encodeAsPath(writer: Writer, path: AsPath, fourOctetAs: boolean): void {
  for (const { type, asNumbers } of path) {
    for (let start = 0; start < asNumbers.length; start += MAX_SEGMENT) {
      const part = asNumbers.slice(start, start + MAX_SEGMENT)
      writer.u8(AsPathSegmentType[type]).u8(part.length)
      for (const asNumber of part) {
        if (fourOctetAs) writer.u32(asNumber)
        else writer.u16(twoOctets(asNumber))
      }
    }
  }
}

/** What stands for an AS number in a 2-octet field (RFC 6793 section 4.2.2). */
export function twoOctets(asNumber: number): number {
  return asNumber > MAX_TWO_OCTETS ? AS_TRANS : asNumber
}

/**
 * The attributes as a peer with 2-octet AS numbers gets them: AS4_PATH and AS4_AGGREGATOR added
 * where a number does not fit (RFC 6793 section 4.2.2). The encoder of AS_PATH and AGGREGATOR
 * itself puts AS_TRANS.
 */
export function withAs4(attributes: PathAttributes): PathAttributes {
  const { AS_PATH: path, AGGREGATOR: aggregator } = attributes
  const plain = path?.filter(segment => !isConfederation(segment)) ?? []
  const wide = plain.some(segment => segment.asNumbers.some(asNumber => asNumber > MAX_TWO_OCTETS))
  const wideAggregator = aggregator !== undefined && aggregator.asNumber > MAX_TWO_OCTETS
  return {
    ...attributes,
    ...(wide ? { AS4_PATH: plain } : {}),
    ...(wideAggregator ? { AS4_AGGREGATOR: aggregator } : {}),
  }
}

/**
 * The attributes of a peer with 2-octet AS numbers with AS4_PATH and AS4_AGGREGATOR put in place
 * (RFC 6793 section 4.2.3).
 */
export function mergeAs4(attributes: PathAttributes): PathAttributes {
  const { AS4_PATH: path4, AS4_AGGREGATOR: aggregator4, ...rest } = attributes
  if (path4 === undefined && aggregator4 === undefined) return attributes
  const { AGGREGATOR: aggregator, AS_PATH: path } = rest
  // The route was aggregated by a 2-octet speaker after the AS4 attributes were made: they are
  // about another path.
  if (aggregator4 !== undefined && aggregator !== undefined && aggregator.asNumber !== AS_TRANS) return rest
  return {
    ...rest,
    ...(aggregator !== undefined && aggregator4 !== undefined ? { AGGREGATOR: aggregator4 } : {}),
    ...(path !== undefined && path4 !== undefined ? { AS_PATH: mergePaths(path, path4) } : {}),
  }
}

function mergePaths(path: AsPath, path4: AsPath): AsPath {
  let leading = pathLength(path) - pathLength(path4)
  if (leading < 0) return path
  const merged: AsPathSegment[] = []
  for (const segment of path) {
    if (leading === 0) break
    if (segment.type === 'AS_SET') {
      merged.push(segment)
      leading--
    } else {
      const asNumbers = segment.asNumbers.slice(0, leading)
      merged.push({ type: segment.type, asNumbers })
      leading -= asNumbers.length
    }
  }
  return joinSequences([...merged, ...path4])
}

/**
 * The number of ASs as RFC 4271 section 9.1.2.2 counts them: a set is one, confederation segments
 * none (RFC 5065 section 5.3).
 */
export function pathLength(path: AsPath): number {
  let length = 0
  for (const { type, asNumbers } of path) {
    if (type === 'AS_SEQUENCE') length += asNumbers.length
    else if (type === 'AS_SET') length++
  }
  return length
}

/**
 * Neighbouring sequences as one, as far as a segment holds them: what was cut for the merge is one
 * path again.
 */
function joinSequences(path: AsPath): AsPath {
  const joined: AsPathSegment[] = []
  for (const segment of path) {
    const last = joined.at(-1)
    const fits = last !== undefined && last.asNumbers.length + segment.asNumbers.length <= MAX_SEGMENT
    if (fits && last.type === 'AS_SEQUENCE' && segment.type === 'AS_SEQUENCE') {
      joined[joined.length - 1] = { type: 'AS_SEQUENCE', asNumbers: [...last.asNumbers, ...segment.asNumbers] }
    } else {
      joined.push(segment)
    }
  }
  return joined
}

function holdsZero(path: AsPath): boolean {
  return path.some(segment => segment.asNumbers.includes(0))
}

function isSet(segment: AsPathSegment): boolean {
  return segment.type === 'AS_SET' || segment.type === 'AS_CONFED_SET'
}

function isConfederation(segment: AsPathSegment): boolean {
  return segment.type === 'AS_CONFED_SEQUENCE' || segment.type === 'AS_CONFED_SET'
}
