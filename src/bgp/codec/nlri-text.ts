/**
 * The text of a prefix to the wire, the way a million of them go: digits straight into the writer,
 * without an object per prefix. What is not plain (dotted tails, host bits, nonsense) takes the
 * careful way of lib/ip.ts, which throws what is no prefix. Pure.
 */
import type { Writer } from '../../lib/bytes.ts'
import { type Family, prefixOf } from '../../lib/ip.ts'

const DOT = 46
const SLASH = 47
const ZERO = 48
const COLON = 58
const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const PLAIN_IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}/(?:3[0-2]|[12]?\\d)$`)

/**
 * Appends the length octet and the address octets. Throws when `text` is not a prefix of `family`.
 */
export function putPrefix(writer: Writer, family: Family, text: string): void {
  const plain = family === 'ipv4' ? putIPv4(writer, text) : putIPv6(writer, text)
  if (plain) return
  const prefix = prefixOf(text)
  if (prefix.family !== family) throw new Error(`not an ${family} prefix: ${JSON.stringify(text)}`)
  writer.u8(prefix.length).put(prefix.bytes.subarray(0, (prefix.length + 7) >> 3))
}

/** False, with nothing written, when the text is not plain. */
function putIPv4(writer: Writer, text: string): boolean {
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
  if (!PLAIN_IPV4.test(text) || address % 2 ** (32 - length) !== 0) return false
  writer.u8(length)
  for (let octet = 0; octet < (length + 7) >> 3; octet++) writer.u8((address >>> (24 - octet * 8)) & 0xff)
  return true
}

/** The eight groups of the address that is being read. */
const groups = new Uint16Array(8)

/** False, with nothing written, when the text is not plain. */
function putIPv6(writer: Writer, text: string): boolean {
  const slash = text.indexOf('/')
  const length = readLength(text, slash)
  if (length === undefined || !readGroups(text, slash)) return false
  for (let bit = length; bit < 128; ) {
    const rest = (groups[bit >> 4] ?? 0) & (0xffff >> (bit & 15))
    if (rest !== 0) return false
    bit = (bit | 15) + 1
  }
  writer.u8(length)
  for (let octet = 0; octet < (length + 7) >> 3; octet++) {
    const group = groups[octet >> 1] ?? 0
    writer.u8(octet & 1 ? group & 0xff : group >> 8)
  }
  return true
}

function readLength(text: string, slash: number): number | undefined {
  const digits = text.length - slash - 1
  if (slash < 0 || digits < 1 || digits > 3) return undefined
  let length = 0
  for (let index = slash + 1; index < text.length; index++) {
    const digit = text.charCodeAt(index) - ZERO
    if (digit < 0 || digit > 9) return undefined
    length = length * 10 + digit
  }
  const leadingZero = digits > 1 && text.charCodeAt(slash + 1) === ZERO
  return length > 128 || leadingZero ? undefined : length
}

function readGroups(text: string, end: number): boolean {
  groups.fill(0)
  let count = 0
  let gap = -1
  let index = 0
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false
    gap = 0
    index = 2
  }
  while (index < end) {
    let value = 0
    const start = index
    for (; index < end; index++) {
      const digit = hexDigit(text.charCodeAt(index))
      if (digit < 0) break
      value = value * 16 + digit
    }
    if (index === start || index - start > 4 || count === 8) return false
    groups[count++] = value
    if (index === end) break
    if (text.charCodeAt(index++) !== COLON || index === end) return false
    if (text.charCodeAt(index) === COLON) {
      if (gap >= 0) return false
      gap = count
      index++
    }
  }
  if (gap < 0) return count === 8
  if (count > 7) return false
  groups.copyWithin(8 - (count - gap), gap, count)
  groups.fill(0, gap, 8 - (count - gap))
  return true
}

/** The value of a hexadecimal digit, or -1. */
function hexDigit(character: number): number {
  if (character >= 48 && character <= 57) return character - 48
  const letter = character | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}
