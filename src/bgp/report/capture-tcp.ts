/**
 * TCP byte streams out of captured packets: link, IP and TCP headers (RFC 791, 8200, 9293) taken off, segments put in order, what was
 * sent twice used once. IP fragments and encrypted or tunnelled packets are left out. Checksums are not checked: captures on the
 * sending host have none yet. Pure.
 */
import { Reader, Truncated } from '../../lib/bytes.ts'
import { formatAddress } from '../../lib/ip.ts'
import type { CapturedPacket } from './capture-file.ts'

export interface TcpSegment {
  /** `address:port`, an IPv6 address in brackets. */
  readonly from: string
  readonly to: string
  readonly ports: readonly [number, number]
  readonly sequence: number
  readonly syn: boolean
  readonly payload: Uint8Array
}

const TCP = 6
const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd, vlan: 0x8100, provider: 0x88a8 } as const
const TcpFlag = { syn: 0x02 } as const

/** The TCP segment in a packet, or undefined when there is none. */
export function segmentOf(packet: CapturedPacket): TcpSegment | undefined {
  try {
    const reader = new Reader(packet.bytes)
    return skipLink(reader, packet.linkType) ? readIp(reader) : undefined
  } catch (error) {
    if (error instanceof Truncated) return undefined
    throw error
  }
}

/** Leaves the reader at the IP header; false when there is none. LINKTYPE numbers: https://www.tcpdump.org/linktypes.html */
function skipLink(reader: Reader, linkType: number): boolean {
  switch (linkType) {
    case 0: // BSD loopback: a family of four octets in the order of the host
    case 108:
      reader.slice(4)
      return true
    case 1: // Ethernet
      reader.slice(12)
      return skipEtherType(reader)
    case 101: // raw IP
    case 228:
    case 229:
      return true
    case 113: // Linux cooked capture
      reader.slice(14)
      return skipEtherType(reader)
    case 276: // Linux cooked capture, version 2
      return skipCooked2(reader)
    default:
      return false
  }
}

function skipEtherType(reader: Reader): boolean {
  let type = reader.u16()
  while (type === ETHERTYPE.vlan || type === ETHERTYPE.provider) {
    reader.u16()
    type = reader.u16()
  }
  return type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6
}

function skipCooked2(reader: Reader): boolean {
  const type = reader.u16()
  reader.slice(18)
  return type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6
}

function readIp(reader: Reader): TcpSegment | undefined {
  const first = reader.u8()
  return first >> 4 === 4 ? readIPv4(reader, (first & 0x0f) * 4) : first >> 4 === 6 ? readIPv6(reader) : undefined
}

function readIPv4(reader: Reader, headerLength: number): TcpSegment | undefined {
  reader.u8()
  const total = reader.u16()
  reader.u16()
  const fragment = reader.u16() & 0x3fff // more fragments, and the offset
  reader.u8()
  const protocol = reader.u8()
  reader.u16()
  const source = reader.slice(4)
  const destination = reader.slice(4)
  if (headerLength < 20 || fragment !== 0 || protocol !== TCP) return undefined
  reader.slice(headerLength - 20)
  // Short frames are padded: the IP header says where the packet ends. 0 is a segment that the card was to cut.
  const length = total === 0 ? reader.left : Math.min(total - headerLength, reader.left)
  return length < 0 ? undefined : readTcp(reader.sub(length), source, destination)
}

/** Hop-by-hop, routing and destination options: RFC 8200 section 4. */
const IPV6_OPTIONS: readonly number[] = [0, 43, 60]

function readIPv6(reader: Reader): TcpSegment | undefined {
  reader.slice(3)
  const total = reader.u16()
  let next = reader.u8()
  reader.u8()
  const source = reader.slice(16)
  const destination = reader.slice(16)
  const payload = total === 0 ? reader : reader.sub(Math.min(total, reader.left))
  while (IPV6_OPTIONS.includes(next)) {
    next = payload.u8()
    payload.slice(payload.u8() * 8 + 6)
  }
  return next === TCP ? readTcp(payload, source, destination) : undefined
}

function readTcp(reader: Reader, source: Uint8Array, destination: Uint8Array): TcpSegment | undefined {
  const ports = [reader.u16(), reader.u16()] as const
  const sequence = reader.u32()
  reader.u32()
  const headerLength = (reader.u8() >> 4) * 4
  const flags = reader.u8()
  if (headerLength < 20) return undefined
  reader.slice(6 + headerLength - 20)
  const syn = (flags & TcpFlag.syn) !== 0
  const [from, to] = [endpoint(source, ports[0]), endpoint(destination, ports[1])]
  return { from, to, ports, sequence, syn, payload: reader.rest() }
}

function endpoint(address: Uint8Array, port: number): string {
  const text = formatAddress(address)
  return address.length === 4 ? `${text}:${port}` : `[${text}]:${port}`
}

/** One direction of a connection. */
export interface TcpStream {
  next: number | undefined
  /** Segments ahead of `next`, in no order. */
  readonly ahead: TcpSegment[]
}

export type StreamPiece = { readonly kind: 'octets'; readonly octets: Uint8Array } | { readonly kind: 'gap' }

/** More than these ahead of a missing segment: it is not in the capture. */
const MAX_AHEAD = 1024

export function newStream(): TcpStream {
  return { next: undefined, ahead: [] }
}

/** What `segment` adds to its stream, in order. A gap stands for octets that the capture does not have. */
export function addSegment(stream: TcpStream, segment: TcpSegment): StreamPiece[] {
  if (segment.syn) {
    stream.next = (segment.sequence + 1) >>> 0
    stream.ahead.length = 0
  }
  if (segment.payload.length === 0) return []
  stream.next ??= segment.sequence
  stream.ahead.push(segment.syn ? { ...segment, sequence: stream.next } : segment)
  const pieces = drain(stream)
  return stream.ahead.length > MAX_AHEAD ? [...pieces, ...skipGap(stream)] : pieces
}

/** The rest of a stream at the end of a capture. */
export function endStream(stream: TcpStream): StreamPiece[] {
  const pieces: StreamPiece[] = []
  while (stream.ahead.length > 0) pieces.push(...skipGap(stream))
  return pieces
}

function skipGap(stream: TcpStream): StreamPiece[] {
  const base = stream.next ?? 0
  const nearest = Math.min(...stream.ahead.map(({ sequence }) => distance(base, sequence)))
  stream.next = (base + nearest) >>> 0
  return [{ kind: 'gap' }, ...drain(stream)]
}

function drain(stream: TcpStream): StreamPiece[] {
  const pieces: StreamPiece[] = []
  for (;;) {
    const base = stream.next ?? 0
    const index = stream.ahead.findIndex(({ sequence }) => distance(base, sequence) <= 0)
    const segment = stream.ahead[index]
    if (segment === undefined) return pieces
    stream.ahead.splice(index, 1)
    const octets = segment.payload.subarray(-distance(base, segment.sequence))
    if (octets.length === 0) continue
    stream.next = (base + octets.length) >>> 0
    pieces.push({ kind: 'octets', octets })
  }
}

/** How far `sequence` is ahead of `base`, modulo 2^32 (RFC 9293 section 3.4). */
function distance(base: number, sequence: number): number {
  return (sequence - base) | 0
}
