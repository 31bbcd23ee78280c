/**
 * MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760 sections 3, 4 and 8), with IPv6 next hops for IPv4
 * prefixes (RFC 8950) and the error handling of RFC 7606 sections 5.3, 7.11 and 7.12. Pure.
 */
import { Reader, type Writer } from '../../lib/bytes.ts'
import type { MpReach } from './attributes-types.ts'
import { Malformed } from './errors.ts'
import type { AddressFamily, CodecContext } from './message-types.ts'
import { addressFamilyOf, decodeNlri, familyOfAfi } from './nlri.ts'
import type { Nlri } from './nlri-types.ts'
import { UpdateError } from './registry.ts'

export function decodeMpReach(value: Uint8Array, context: CodecContext): MpReach | Malformed {
  const reader = new Reader(value)
  if (reader.left < 5) return reset('RFC 7606 section 5.3: MP_REACH_NLRI is shorter than its fixed fields')
  const addressFamily = { afi: reader.u16(), safi: reader.u8() }
  const family = negotiatedFamily(addressFamily, context)
  if (family === undefined) return notNegotiated('MP_REACH_NLRI', addressFamily)
  const length = reader.u8()
  if (!nextHopLengths(family, context).includes(length) || reader.left < length + 1) {
    return reset(`RFC 7606 section 7.11: a next hop of ${length} octets in MP_REACH_NLRI`)
  }
  const nextHop = reader.slice(length)
  reader.u8() // reserved, to be ignored
  const nlri = decodeNlri(family, reader.rest(), context.addPath)
  if (typeof nlri === 'string') return reset(`RFC 7606 section 5.3: ${nlri} in MP_REACH_NLRI`)
  return { nextHop, nlri }
}

export function encodeMpReach(writer: Writer, { nextHop, nlri }: MpReach): void {
  const { afi, safi } = addressFamilyOf(nlri.family)
  writer.u16(afi).u8(safi).u8(nextHop.length).put(nextHop).u8(0).put(nlri.bytes)
}

export function decodeMpUnreach(value: Uint8Array, context: CodecContext): Nlri | Malformed {
  const reader = new Reader(value)
  if (reader.left < 3) return reset('RFC 7606 section 5.3: MP_UNREACH_NLRI is shorter than its fixed fields')
  const addressFamily = { afi: reader.u16(), safi: reader.u8() }
  const family = negotiatedFamily(addressFamily, context)
  if (family === undefined) return notNegotiated('MP_UNREACH_NLRI', addressFamily)
  const nlri = decodeNlri(family, reader.rest(), context.addPath)
  return typeof nlri === 'string' ? reset(`RFC 7606 section 5.3: ${nlri} in MP_UNREACH_NLRI`) : nlri
}

export function encodeMpUnreach(writer: Writer, nlri: Nlri): void {
  const { afi, safi } = addressFamilyOf(nlri.family)
  writer.u16(afi).u8(safi).put(nlri.bytes)
}

/**
 * RFC 2545 section 3: a global address, or that and a link-local one. RFC 8950 section 3: the same
 * for IPv4 prefixes.
 */
function nextHopLengths(family: 'ipv4' | 'ipv6', context: CodecContext): readonly number[] {
  if (family === 'ipv6') return [16, 32]
  return context.extendedNextHop ? [4, 16, 32] : [4]
}

/**
 * Whether an address can be a next hop: neither "this network" nor loopback (IPv4), unspecified,
 * multicast or reserved.
 */
export function isUnicast(address: Uint8Array): boolean {
  const first = address[0] ?? 0
  if (address.length === 4) return first !== 0 && first !== 127 && first < 224
  return first !== 0xff && address.subarray(0, 16).some(octet => octet !== 0)
}

function negotiatedFamily(addressFamily: AddressFamily, context: CodecContext): 'ipv4' | 'ipv6' | undefined {
  const family = familyOfAfi(addressFamily)
  return family !== undefined && context.families.includes(family) ? family : undefined
}

function reset(reason: string): Malformed {
  return new Malformed(UpdateError.OptionalAttributeError, reason, 'session-reset')
}

/**
 * RFC 4760 section 8: what only one side offered is not exchanged. It is ignored: its routes are
 * unknown to us, and nothing else is harmed.
 */
function notNegotiated(name: string, { afi, safi }: AddressFamily): Malformed {
  const reason = `RFC 4760 section 8: ${name} of AFI ${afi} SAFI ${safi}, which is not negotiated`
  return new Malformed(UpdateError.OptionalAttributeError, reason, 'attribute-discard')
}
