/**
 * Prefixes on the wire: a length octet and as many address octets as it needs, one after the other
 * (RFC 4271 section 4.3, RFC 4760 section 5). Blocks of them stay bytes, checked once; texts are
 * made at the border only, and nothing is allocated per prefix between.
 *
 * Only IPv4 and IPv6 unicast, no labels. Path identifiers (RFC 7911) are read for `bgp decode`; the
 * speaker never agrees on them. Pure.
 */
import { Writer } from '../../lib/bytes.ts'
import { addressBits, type Family, formatPrefix } from '../../lib/ip.ts'
import type { AddressFamily } from './message-types.ts'
import { putPrefix } from './nlri-text.ts'
import type { Nlri } from './nlri-types.ts'
import { Afi, Safi } from './registry.ts'

/** Octets (RFC 7911 section 3). */
const PATH_IDENTIFIER = 4
const NO_BYTES = new Uint8Array(0)
const NO_NLRI = {
  ipv4: { family: 'ipv4', bytes: NO_BYTES, count: 0 },
  ipv6: { family: 'ipv6', bytes: NO_BYTES, count: 0 },
} as const

/** A block without prefixes. */
export function noNlri(family: Family): Nlri {
  return NO_NLRI[family]
}

/** The unicast family of an AFI and SAFI, if it is one that this codec knows. */
export function familyOfAfi({ afi, safi }: AddressFamily): Family | undefined {
  if (safi !== Safi.unicast) return undefined
  return afi === Afi.IPv4 ? 'ipv4' : afi === Afi.IPv6 ? 'ipv6' : undefined
}

export function addressFamilyOf(family: Family): AddressFamily {
  return { afi: family === 'ipv4' ? Afi.IPv4 : Afi.IPv6, safi: Safi.unicast }
}

/**
 * `bytes` as a block of prefixes, sharing memory; or what is wrong with it. Host bits may be set:
 * RFC 4271 calls them irrelevant.
 */
export function decodeNlri(family: Family, bytes: Uint8Array, addPath: readonly Family[] = []): Nlri | string {
  const maximum = addressBits(family)
  const pathIdentifiers = addPath.includes(family)
  let count = 0
  let offset = 0
  while (offset < bytes.length) {
    if (pathIdentifiers) offset += PATH_IDENTIFIER
    if (offset >= bytes.length) return 'a path identifier without a prefix'
    const length = bytes[offset] ?? 0
    if (length > maximum) return `a prefix of ${length} bits`
    offset += 1 + ((length + 7) >> 3)
    count++
  }
  if (offset > bytes.length) return 'a prefix that ends behind the field'
  if (count === 0) return noNlri(family)
  return pathIdentifiers ? { family, bytes, count, pathIdentifiers } : { family, bytes, count }
}

/** The texts of a block, `address/length` each, with host bits cleared. */
export function prefixTexts(nlri: Nlri): string[] {
  const texts: string[] = []
  const { bytes, family } = nlri
  const address = new Uint8Array(family === 'ipv4' ? 4 : 16)
  for (let offset = 0; offset < bytes.length; ) {
    if (nlri.pathIdentifiers) offset += PATH_IDENTIFIER
    const length = bytes[offset] ?? 0
    const octets = (length + 7) >> 3
    address.fill(0)
    for (let index = 0; index < octets; index++) address[index] = bytes[offset + 1 + index] ?? 0
    if (length & 7) address[octets - 1] = (address[octets - 1] ?? 0) & (0xff00 >> (length & 7))
    texts.push(formatPrefix({ bytes: address, length }))
    offset += 1 + octets
  }
  return texts
}

/** The Path Identifier of each prefix of a block, or undefined when the block has none. */
export function pathIdentifiersOf({ bytes, pathIdentifiers }: Nlri): number[] | undefined {
  if (!pathIdentifiers) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const identifiers: number[] = []
  for (let offset = 0; offset < bytes.length; ) {
    identifiers.push(view.getUint32(offset))
    offset += PATH_IDENTIFIER
    offset += 1 + (((bytes[offset] ?? 0) + 7) >> 3)
  }
  return identifiers
}

/**
 * Where blocks are written before they are copied: most have one prefix, which is not worth a
 * buffer of its own.
 */
const scratch = new Writer(4096)

/**
 * A block of prefixes given as canonical texts, all of `family`. Throws when one is not a prefix of
 * that family.
 */
export function nlriOf(family: Family, prefixes: Iterable<string>): Nlri {
  scratch.clear()
  let count = 0
  for (const prefix of prefixes) {
    putPrefix(scratch, family, prefix)
    count++
  }
  return count === 0 ? noNlri(family) : { family, bytes: scratch.bytes(), count }
}

/**
 * The end of the longest run of whole prefixes from `start` that takes at most `room` octets;
 * `start` itself when not even one fits.
 */
export function runEnd(bytes: Uint8Array, start: number, room: number): number {
  const limit = start + room
  if (bytes.length <= limit) return bytes.length
  let end = start
  for (;;) {
    const next = end + 1 + (((bytes[end] ?? 0) + 7) >> 3)
    if (next > limit || end >= bytes.length) return end
    end = next
  }
}
