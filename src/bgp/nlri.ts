/**
 * Prefixes on the wire: a length octet and as many address octets as it needs, one after the other (RFC 4271 section 4.3, RFC 4760
 * section 5). Blocks of them stay bytes, checked once; texts are made at the border only, and nothing is allocated per prefix between.
 *
 * Only IPv4 and IPv6 unicast: no path identifiers (RFC 7911), no labels.
 */
import { Writer } from '../lib/bytes.ts'
import { addressBits, type Family, formatPrefix, prefixOf } from '../lib/ip.ts'
import type { AddressFamily, Nlri } from './message-types.ts'
import { Afi, Safi } from './registry.ts'

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

/** `bytes` as a block of prefixes, sharing memory; or what is wrong with it. Host bits may be set: RFC 4271 calls them irrelevant. */
export function decodeNlri(family: Family, bytes: Uint8Array): Nlri | string {
  const maximum = addressBits(family)
  let count = 0
  let offset = 0
  while (offset < bytes.length) {
    const length = bytes[offset] ?? 0
    if (length > maximum) return `a prefix of ${length} bits`
    offset += 1 + ((length + 7) >> 3)
    count++
  }
  if (offset > bytes.length) return 'a prefix that ends behind the field'
  return count === 0 ? noNlri(family) : { family, bytes, count }
}

/** The texts of a block, `address/length` each, with host bits cleared. */
export function prefixTexts(nlri: Nlri): string[] {
  const texts: string[] = []
  const { bytes, family } = nlri
  const address = new Uint8Array(family === 'ipv4' ? 4 : 16)
  for (let offset = 0; offset < bytes.length; ) {
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

/** A block of prefixes given as canonical texts, all of `family`. Throws when one is not a prefix of that family. */
export function nlriOf(family: Family, prefixes: Iterable<string>): Nlri {
  const writer = new Writer(1024)
  let count = 0
  for (const prefix of prefixes) {
    if (family === 'ipv4') putIPv4(writer, prefix)
    else putParsed(writer, family, prefix)
    count++
  }
  return count === 0 ? noNlri(family) : { family, bytes: writer.bytes(), count }
}

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const PLAIN_IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}/(?:3[0-2]|[12]?\\d)$`)
const DOT = 46
const SLASH = 47
const ZERO = 48

/** The digits of `a.b.c.d/n` straight into the writer: the same result as `putParsed` for a fraction of the garbage. */
function putIPv4(writer: Writer, text: string): void {
  let address = 0
  let part = 0
  for (let index = 0; index < text.length; index++) {
    const character = text.charCodeAt(index)
    if (character === DOT || character === SLASH) {
      address = address * 256 + part
      part = 0
    } else {
      part = part * 10 + character - ZERO
    }
  }
  const length = part
  // Anything unusual, host bits among it, goes the careful way, which throws what is not a prefix.
  if (!PLAIN_IPV4.test(text) || address % 2 ** (32 - length) !== 0) {
    putParsed(writer, 'ipv4', text)
    return
  }
  writer.u8(length)
  for (let octet = 0; octet < (length + 7) >> 3; octet++) writer.u8((address >>> (24 - octet * 8)) & 0xff)
}

function putParsed(writer: Writer, family: Family, text: string): void {
  const prefix = prefixOf(text)
  if (prefix.family !== family) throw new Error(`not an ${family} prefix: ${JSON.stringify(text)}`)
  writer.u8(prefix.length).put(prefix.bytes.subarray(0, (prefix.length + 7) >> 3))
}

/**
 * The end of the longest run of whole prefixes from `start` that takes at most `room` octets; `start` itself when not even one fits.
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
