/**
 * The TCP segment in a captured packet: link headers, tags, labels and tunnels (GRE, IP in IP)
 * taken off, then IP and TCP (RFC 791, 8200, 9293). What may hold TCP and is not read (fragments,
 * encryption, other links) is told by name, so that a reader knows what is missing. Checksums are
 * not checked: captures on the sending host have none yet. Pure.
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
  /** What the sender has got of the other direction; absent: it does not say. */
  readonly acknowledged?: number
  readonly payload: Uint8Array
}

/** A segment; something else than TCP (`undefined`); or what it is that is not read. */
export type Found = TcpSegment | { readonly unread: string } | undefined

const Protocol = { ipInIp: 4, tcp: 6, ipv6: 41, fragment: 44, gre: 47, esp: 50, ah: 51 } as const
/** Hop-by-hop, routing and destination options: RFC 8200 section 4. */
const IPV6_OPTIONS: readonly number[] = [0, 43, 60]
const TcpFlag = { syn: 0x02, ack: 0x10 } as const

/** https://www.iana.org/assignments/ieee-802-numbers */
const EtherType = { ipv4: 0x0800, ipv6: 0x86dd, mpls: 0x8847, mplsMulticast: 0x8848, pppoe: 0x8864 } as const
/** 802.1Q, 802.1ad, and what was used before that for outer tags. */
const VLAN_TYPES: readonly number[] = [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300]
/**
 * ARP, RARP, loop, LACP and its kind, PPPoE discovery, EAPOL, LLDP; below 0x600 it is a length
 * (IEEE 802.3).
 */
const NO_IP: readonly number[] = [0x0806, 0x8035, 0x9000, 0x8809, 0x8863, 0x888e, 0x88cc]
/**
 * https://www.iana.org/assignments/ppp-numbers: IPv4, IPv6, MPLS; what is 0x8000 and more controls
 * the link.
 */
const PPP_IP: readonly number[] = [0x0021, 0x0057]
const PPP_MPLS = 0x0281
/** Packets in packets. */
const MAX_DEPTH = 8

export function segmentOf({ linkType, bytes }: CapturedPacket): Found {
  try {
    return readLink(new Reader(bytes), linkType)
  } catch (error) {
    if (error instanceof Truncated) return undefined
    throw error
  }
}

/** LINKTYPE numbers: https://www.tcpdump.org/linktypes.html */
function readLink(reader: Reader, linkType: number): Found {
  switch (linkType) {
    case 0: // BSD loopback: a family of four octets in the order of the host
    case 108:
      reader.slice(4)
      return readIp(reader, 0)
    case 1: // Ethernet
      reader.slice(12)
      return readEtherType(reader, reader.u16(), 0)
    case 9: // PPP
    case 50:
      return readPpp(reader)
    case 166: // PPP, and an octet for the direction
    case 204:
      reader.u8()
      return readPpp(reader)
    case 51: // PPPoE
      return readPppoe(reader)
    case 12: // raw IP
    case 14:
    case 101:
    case 228:
    case 229:
      return readIp(reader, 0)
    case 104: // Cisco HDLC
      reader.u16()
      return readEtherType(reader, reader.u16(), 0)
    case 113: // Linux cooked capture
      reader.slice(14)
      return readEtherType(reader, reader.u16(), 0)
    case 276: // Linux cooked capture, version 2
      return readCooked2(reader)
    case 178:
      return readJuniperEthernet(reader)
    default:
      return { unread: `link type ${linkType}` }
  }
}

function readCooked2(reader: Reader): Found {
  const type = reader.u16()
  reader.slice(18)
  return readEtherType(reader, type, 0)
}

/**
 * `MGC`, flags, extensions with a length before them, then the frame; with the flag 2 a protocol
 * family stands for its header.
 */
function readJuniperEthernet(reader: Reader): Found {
  const magic = (reader.u16() << 8) | reader.u8()
  const flags = reader.u8()
  if (magic !== 0x4d4743) return { unread: 'link type 178 without its magic number' }
  if (flags & 0x80) reader.slice(reader.u16())
  reader.slice(flags & 0x02 ? 4 : 12)
  return flags & 0x02 ? readIp(reader, 0) : readEtherType(reader, reader.u16(), 0)
}

function readPppoe(reader: Reader): Found {
  reader.slice(6)
  return readPppProtocol(reader, reader.u16())
}

function readPpp(reader: Reader): Found {
  let protocol = reader.u16()
  if (protocol === 0xff03) protocol = reader.u16() // address and control, as HDLC has them
  return readPppProtocol(reader, protocol)
}

function readPppProtocol(reader: Reader, protocol: number): Found {
  if (PPP_IP.includes(protocol)) return readIp(reader, 0)
  if (protocol === PPP_MPLS) return readLabels(reader, 0)
  return protocol >= 0x8000 ? undefined : { unread: `PPP protocol 0x${protocol.toString(16).padStart(4, '0')}` }
}

function readEtherType(reader: Reader, outer: number, depth: number): Found {
  let type = outer
  while (VLAN_TYPES.includes(type)) {
    reader.u16()
    type = reader.u16()
  }
  if (type === EtherType.ipv4 || type === EtherType.ipv6) return readIp(reader, depth)
  if (type === EtherType.mpls || type === EtherType.mplsMulticast) return readLabels(reader, depth)
  if (type === EtherType.pppoe) return readPppoe(reader)
  if (type < 0x600 || NO_IP.includes(type)) return undefined
  return { unread: `EtherType 0x${type.toString(16).padStart(4, '0')}` }
}

/** RFC 3032 section 2.1: entries of four octets up to the bottom of the stack. */
function readLabels(reader: Reader, depth: number): Found {
  while ((reader.u32() & 0x100) === 0);
  const version = (reader.bytes[reader.offset] ?? 0) >> 4
  return version === 4 || version === 6 ? readIp(reader, depth) : { unread: 'MPLS that holds no IP' }
}

function readIp(reader: Reader, depth: number): Found {
  if (depth > MAX_DEPTH) return { unread: 'tunnels in tunnels' }
  const first = reader.u8()
  if (first >> 4 === 4) return readIPv4(reader, (first & 0x0f) * 4, depth)
  return first >> 4 === 6 ? readIPv6(reader, depth) : undefined
}

interface Carried {
  readonly protocol: number
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly depth: number
}

function readCarried(reader: Reader, { protocol, source, destination, depth }: Carried): Found {
  switch (protocol) {
    case Protocol.tcp:
      return readTcp(reader, source, destination)
    case Protocol.ipInIp:
    case Protocol.ipv6:
      return readIp(reader, depth + 1)
    case Protocol.gre:
      return readGre(reader, depth + 1)
    case Protocol.fragment:
      return { unread: 'IP fragments' }
    case Protocol.esp:
    case Protocol.ah:
      return { unread: 'IPsec' }
    default:
      return undefined
  }
}

function readIPv4(reader: Reader, headerLength: number, depth: number): Found {
  reader.u8()
  const total = reader.u16()
  reader.u16()
  const fragment = reader.u16() & 0x3fff // more fragments, and the offset
  reader.u8()
  const protocol = reader.u8()
  reader.u16()
  const source = reader.slice(4)
  const destination = reader.slice(4)
  if (headerLength < 20) return undefined
  reader.slice(headerLength - 20)
  // Short frames are padded: the IP header says where the packet ends. 0 is a segment that the card
  // was to cut.
  const length = total === 0 ? reader.left : Math.min(total - headerLength, reader.left)
  if (length < 0) return undefined
  const carried = fragment !== 0 && protocol === Protocol.tcp ? Protocol.fragment : protocol
  return fragment !== 0 && carried !== Protocol.fragment
    ? undefined
    : readCarried(reader.sub(length), { protocol: carried, source, destination, depth })
}

function readIPv6(reader: Reader, depth: number): Found {
  reader.slice(3)
  const total = reader.u16()
  let next = reader.u8()
  reader.u8()
  const source = reader.slice(16)
  const destination = reader.slice(16)
  const payload = total === 0 ? reader : reader.sub(Math.min(total, reader.left))
  while (IPV6_OPTIONS.includes(next) || next === Protocol.fragment) {
    const header = next
    next = payload.u8()
    if (header !== Protocol.fragment) payload.slice(payload.u8() * 8 + 6)
    else {
      payload.u8()
      const fragment = payload.u16() & 0xfff9 // the offset, and more fragments
      payload.u32()
      if (fragment !== 0) return next === Protocol.tcp ? { unread: 'IP fragments' } : undefined
    }
  }
  return readCarried(payload, { protocol: next, source, destination, depth })
}

/**
 * RFC 2784 section 2.1, RFC 2890 section 2: checksum, key and sequence number are there where a
 * flag says so.
 */
function readGre(reader: Reader, depth: number): Found {
  const flags = reader.u16()
  const type = reader.u16()
  if ((flags & 0x4007) !== 0) return { unread: 'GRE of another version' }
  for (const flag of [0x8000, 0x2000, 0x1000]) if (flags & flag) reader.u32()
  return readEtherType(reader, type, depth)
}

function readTcp(reader: Reader, source: Uint8Array, destination: Uint8Array): Found {
  const ports = [reader.u16(), reader.u16()] as const
  const sequence = reader.u32()
  const acknowledged = reader.u32()
  const headerLength = (reader.u8() >> 4) * 4
  const flags = reader.u8()
  if (headerLength < 20) return undefined
  reader.slice(6 + headerLength - 20)
  const syn = (flags & TcpFlag.syn) !== 0
  const [from, to] = [endpoint(source, ports[0]), endpoint(destination, ports[1])]
  const ack = (flags & TcpFlag.ack) === 0 ? {} : { acknowledged }
  return { from, to, ports, sequence, syn, ...ack, payload: reader.rest() }
}

function endpoint(address: Uint8Array, port: number): string {
  const text = formatAddress(address)
  return address.length === 4 ? `${text}:${port}` : `[${text}]:${port}`
}
