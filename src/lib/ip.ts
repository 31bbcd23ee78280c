/**
 * IP addresses and prefixes. Between rooms an address is its canonical text (`10.0.1.0`, `fd00::1`,
 * RFC 5952), a prefix is `address/length` with no host bits set, so `===` compares them. Codecs use
 * the bytes: 4 for IPv4, 16 for IPv6.
 *
 * Zones (`fe80::1%eth0`) are not addresses here: an interface is named beside the address. Pure.
 */

import { memoByText } from './memo.ts'

export type Family = 'ipv4' | 'ipv6'
export const FAMILIES: readonly Family[] = ['ipv4', 'ipv6']
/** As people write them. */
export const FAMILY_NAMES: Readonly<Record<Family, string>> = { ipv4: 'IPv4', ipv6: 'IPv6' }

/**
 * A prefix taken apart. `bytes` holds the whole address (4 or 16 bytes) with the host bits zero.
 */
export interface Prefix {
  readonly family: Family
  readonly bytes: Uint8Array
  readonly length: number
}

/** The number of bits of an address. */
export function addressBits(family: Family): 32 | 128 {
  return family === 'ipv4' ? 32 : 128
}

/** The family of a text known to be an address or a prefix. */
export function familyOf(text: string): Family {
  return text.includes(':') ? 'ipv6' : 'ipv4'
}

/**
 * The 4 or 16 bytes of an address, or undefined when `text` is not exactly one (leading zeros,
 * ports and zones are refused).
 */
export function parseAddress(text: string): Uint8Array | undefined {
  return text.includes(':') ? parseIPv6(text) : parseIPv4(text)
}

/** The bytes of a text that was checked before. Throws when it is not an address. */
export function addressBytes(text: string): Uint8Array {
  const bytes = parseAddress(text)
  if (bytes === undefined) throw new Error(`not an IP address: ${JSON.stringify(text)}`)
  return bytes
}

/** The canonical text of `text`, or undefined when it is not an address. */
export function canonicalAddress(text: string): string | undefined {
  const bytes = parseAddress(text)
  return bytes && formatAddress(bytes)
}

/** The canonical text of 4 or 16 bytes. */
export function formatAddress(bytes: Uint8Array): string {
  return bytes.length === 4 ? `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}` : formatIPv6(bytes)
}

/** A prefix, or undefined when `text` is not `address/length` or has host bits set. */
export function parsePrefix(text: string): Prefix | undefined {
  const prefix = parseAddressWithLength(text)
  if (prefix === undefined) return undefined
  return prefix.bytes.every((byte, index) => byte === prefix.address[index]) ? prefix : undefined
}

/**
 * A prefix and the address it was written with: `10.0.1.5/24` has the bytes of 10.0.1.0 and the
 * address 10.0.1.5.
 */
export function parseAddressWithLength(text: string): (Prefix & { readonly address: Uint8Array }) | undefined {
  const slash = text.indexOf('/')
  if (slash < 0) return undefined
  const address = parseAddress(text.slice(0, slash))
  const lengthText = text.slice(slash + 1)
  if (address === undefined || !/^(0|[1-9]\d{0,2})$/.test(lengthText)) return undefined
  const length = Number(lengthText)
  if (length > address.length * 8) return undefined
  return { family: address.length === 4 ? 'ipv4' : 'ipv6', bytes: maskBytes(address, length), length, address }
}

/** The prefix of a text that was checked before. Throws when it is not one. */
export function prefixOf(text: string): Prefix {
  const prefix = parsePrefix(text)
  if (prefix === undefined) throw new Error(`not an IP prefix: ${JSON.stringify(text)}`)
  return prefix
}

export function formatPrefix(prefix: Pick<Prefix, 'bytes' | 'length'>): string {
  return `${formatAddress(prefix.bytes)}/${prefix.length}`
}

/**
 * The canonical text of the prefix that `text` lies in (`10.0.1.5/24` gives `10.0.1.0/24`), or
 * undefined.
 */
export function networkOf(text: string): string | undefined {
  const prefix = parseAddressWithLength(text)
  return prefix && formatPrefix(prefix)
}

/** The prefix of an address alone: /32 or /128. */
export function hostPrefix(address: string): string {
  return `${address}/${addressBits(familyOf(address))}`
}

/** Each pass asks for the same ranges: of 10,000 nodes two podCIDRs and two addresses of each. */
const MOST_RANGES = 50_000

/** The addresses of a prefix, first and last, as numbers. */
export interface PrefixRange {
  readonly family: Family
  readonly length: number
  readonly first: bigint
  readonly last: bigint
}

/** The range of a prefix that was checked before. Throws when it is not one. */
export const prefixRange = memoByText<PrefixRange>(MOST_RANGES, prefix => {
  const { family, bytes, length } = prefixOf(prefix)
  const first = addressNumber(bytes)
  return { family, length, first, last: first + (1n << BigInt(addressBits(family) - length)) - 1n }
})

/**
 * Whether others can reach a host by this (canonical) address: not this host (RFC 6890), loopback,
 * multicast or what lies beyond, of one link alone (IPv6), IPv4 in the form of IPv6 (RFC 4291).
 */
export function isHostAddress(address: string): boolean {
  if (familyOf(address) === 'ipv6') return !/^(::1?$|ff|fe[89ab]|::ffff:)/.test(address)
  const first = Number(address.split('.')[0])
  return first !== 0 && first !== LOOPBACK_NETWORK && first < MULTICAST_NETWORK
}

/** 127.0.0.0/8 (RFC 1122 section 3.2.1.3); 224.0.0.0/4, above which nothing is a host's. */
const LOOPBACK_NETWORK = 127
const MULTICAST_NETWORK = 224

/** The bytes of an address as one number. */
export function addressNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

/**
 * Whether `outer` covers all of `inner`, each a prefix or (as a /32 or /128) an address. Of
 * different families: false.
 */
export function covers(outer: string, inner: string): boolean {
  const a = prefixRange(outer.includes('/') ? outer : hostPrefix(outer))
  const b = prefixRange(inner.includes('/') ? inner : hostPrefix(inner))
  return a.family === b.family && a.first <= b.first && b.last <= a.last
}

/** Whether two prefixes have an address in common. */
export function overlaps(a: string, b: string): boolean {
  return covers(a, b) || covers(b, a)
}

/** Orders addresses and prefixes: IPv4 first, then by value, then by length. For sort(). */
export function compareAddresses(a: string, b: string): number {
  const x = sortKey(a)
  const y = sortKey(b)
  return x < y ? -1 : x > y ? 1 : 0
}

/** Sets the bits behind the first `length` to zero, in a copy. */
export function maskBytes(address: Uint8Array, length: number): Uint8Array {
  const masked = address.slice()
  const whole = length >> 3
  if (whole < masked.length) {
    masked[whole] = (masked[whole] ?? 0) & (0xff00 >> (length & 7))
    masked.fill(0, whole + 1)
  }
  return masked
}

function sortKey(text: string): string {
  const slash = text.indexOf('/')
  const bytes = addressBytes(slash < 0 ? text : text.slice(0, slash))
  const length = slash < 0 ? bytes.length * 8 : Number(text.slice(slash + 1))
  const hex = Buffer.from(bytes).toString('hex')
  return `${bytes.length === 4 ? 4 : 6}${hex}${String(length).padStart(3, '0')}`
}

function parseIPv4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4)
  let [index, value, digits] = [0, 0, 0]
  for (let at = 0; at <= text.length; at++) {
    const digit = text.charCodeAt(at) - 0x30 // NaN behind the end
    if (digit >= 0 && digit <= 9) {
      if (digits > 0 && value === 0) return undefined // a leading zero
      value = value * 10 + digit
      if (++digits > 3 || value > 255) return undefined
      continue
    }
    const ends = at === text.length
    if (digits === 0 || index > 3 || ends !== (index === 3) || (!ends && text[at] !== '.')) return undefined
    bytes[index++] = value
    value = digits = 0
  }
  return bytes
}

function parseIPv6(text: string): Uint8Array | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0] ?? '', halves.length === 1)
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : []
  if (head === undefined || tail === undefined) return undefined
  const gap = 16 - head.length - tail.length
  if (halves.length === 1 ? gap !== 0 : gap < 2) return undefined
  return Uint8Array.from([...head, ...new Array<number>(gap).fill(0), ...tail])
}

/**
 * The bytes of colon-separated groups; the last may be a dotted IPv4 address where `dottedLast`
 * allows it.
 */
function parseGroups(text: string, dottedLast: boolean): number[] | undefined {
  if (text === '') return []
  const groups = text.split(':')
  const bytes: number[] = []
  for (const [index, group] of groups.entries()) {
    if (dottedLast && index === groups.length - 1 && group.includes('.')) {
      const dotted = parseIPv4(group)
      if (dotted === undefined) return undefined
      bytes.push(...dotted)
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined
      const value = Number.parseInt(group, 16)
      bytes.push(value >> 8, value & 0xff)
    }
  }
  return bytes
}

/**
 * RFC 5952 section 4: lower case, no leading zeros, the first longest run of two or more zero
 * groups as `::`.
 */
function formatIPv6(bytes: Uint8Array): string {
  const groups: number[] = []
  for (let index = 0; index < 16; index += 2) groups.push(((bytes[index] ?? 0) << 8) | (bytes[index + 1] ?? 0))
  let best = { start: -1, length: 1 }
  for (let start = 0; start < 8; start++) {
    let length = 0
    while (start + length < 8 && groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  const text = (part: number[]) => part.map(group => group.toString(16)).join(':')
  if (best.start < 0) return text(groups)
  return `${text(groups.slice(0, best.start))}::${text(groups.slice(best.start + best.length))}`
}
