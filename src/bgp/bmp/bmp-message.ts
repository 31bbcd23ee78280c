/**
 * BMP messages from bytes (RFC 7854 section 4): frames of a stream, and what they say. A station
 * never answers, so there is no encoder. Never throws on what a router sent: a stream that is no
 * BMP ends with an error, a message that cannot be read is skipped. Pure.
 */
import { Reader, Truncated } from '../../lib/bytes.ts'
import { formatAddress } from '../../lib/ip.ts'
import { decodeMessage, HEADER_LENGTH, INITIAL_CONTEXT } from '../codec/message.ts'
import type { CodecContext, Open, Update } from '../codec/message-types.ts'
import { asWithdrawal } from '../codec/message-update.ts'
import type { BmpFramed, BmpMessage, BmpPeer, BmpTable } from './bmp-types.ts'

/** Section 4.1. */
const VERSION = 3
const COMMON_HEADER_LENGTH = 6
/** Section 4.2. */
const PER_PEER_HEADER_LENGTH = 42
/** A BGP message of 65,535 octets fits twice, with its headers and some text. */
const MAX_LENGTH = 200_000

/** IANA, BMP Message Types. */
const TYPE = {
  routeMonitoring: 0,
  statisticsReport: 1,
  peerDown: 2,
  peerUp: 3,
  initiation: 4,
  termination: 5,
} as const

/** IANA, BMP Peer Types: of a global, an RD and a local instance; others have no Adj-RIB-In. */
const ADJ_RIB_IN_TYPES: readonly number[] = [0, 1, 2]
/** IANA, BMP Peer Flags for Peer Types 0 through 2. */
const FLAG = { ipv6: 0x80, postPolicy: 0x40, twoOctetAs: 0x20, adjRibOut: 0x10 } as const
/** IANA, BMP Initiation and Termination Information TLVs. */
const TLV = { sysDescr: 1, sysName: 2, terminationReason: 1 } as const

/** What a monitored UPDATE may hold: nothing was negotiated with us. */
const EVERYTHING: CodecContext = {
  ...INITIAL_CONTEXT,
  fourOctetAs: true,
  extendedMessages: true,
  families: ['ipv4', 'ipv6'],
  extendedNextHop: true,
}

/**
 * Chunks of a TCP stream in, whole messages out, valid until the next push. Holds one incomplete
 * message at most, and nothing of a chunk by reference.
 */
export class BmpFramer {
  #held = new Uint8Array()
  #failed = false

  push(chunk: Uint8Array): BmpFramed {
    const messages: Uint8Array[] = []
    if (this.#failed) return { messages }
    let bytes: Uint8Array = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk])
    while (bytes.length >= COMMON_HEADER_LENGTH) {
      const length = new Reader(bytes.subarray(1)).u32()
      const error = headerProblem(bytes[0] ?? 0, length)
      if (error !== undefined) {
        this.#failed = true
        this.#held = new Uint8Array()
        return { messages, error }
      }
      if (bytes.length < length) break
      messages.push(bytes.subarray(0, length))
      bytes = bytes.subarray(length)
    }
    this.#held = new Uint8Array(bytes) // a copy: `slice` of a Buffer is none
    return { messages }
  }
}

function headerProblem(version: number, length: number): string | undefined {
  if (version !== VERSION) return `BMP version ${version}, not ${VERSION} (RFC 7854 section 4.1)`
  if (length < COMMON_HEADER_LENGTH || length > MAX_LENGTH) return `a BMP message of ${length} octets`
  return undefined
}

/**
 * One whole message. Only what is about neighbours that `isOurs` takes is looked into, so that a
 * router with full tables costs nothing.
 */
export function decodeBmp(bytes: Uint8Array, isOurs: (peer: BmpPeer) => boolean): BmpMessage {
  try {
    return decode(bytes, isOurs)
  } catch (error) {
    if (error instanceof Truncated) return { type: 'skipped' }
    throw error
  }
}

function decode(bytes: Uint8Array, isOurs: (peer: BmpPeer) => boolean): BmpMessage {
  const type = bytes[COMMON_HEADER_LENGTH - 1]
  const reader = new Reader(bytes.subarray(COMMON_HEADER_LENGTH))
  if (type === TYPE.initiation) return initiation(reader)
  if (type === TYPE.termination) return termination(reader)
  if (reader.left < PER_PEER_HEADER_LENGTH) return { type: 'skipped' }
  const peer = perPeerHeader(reader)
  if (peer === undefined || !isOurs(peer)) return { type: 'skipped' }
  switch (type) {
    case TYPE.routeMonitoring: {
      const update = updateOf(reader.rest(), peer)
      return { type: 'route-monitoring', peer, ...(update !== undefined && { update }) }
    }
    case TYPE.statisticsReport:
      return { type: 'statistics', peer, counters: counters(reader) }
    case TYPE.peerDown:
      return { type: 'peer-down', peer, reason: reader.u8() }
    case TYPE.peerUp:
      return peerUp(reader, peer)
    default:
      return { type: 'skipped' }
  }
}

/** Undefined: about a table that is no Adj-RIB-In. */
function perPeerHeader(reader: Reader): BmpPeer | undefined {
  const [type, flags] = [reader.u8(), reader.u8()]
  reader.slice(8) // the peer distinguisher: which instance
  const address = addressOf(reader.slice(16), (flags & FLAG.ipv6) !== 0)
  const asNumber = reader.u32()
  const routerId = formatAddress(reader.slice(4))
  reader.slice(8) // when it happened
  if (!ADJ_RIB_IN_TYPES.includes(type)) return undefined
  return { address, asNumber, routerId, table: tableOf(flags), twoOctetAs: (flags & FLAG.twoOctetAs) !== 0 }
}

function tableOf(flags: number): BmpTable {
  if ((flags & FLAG.adjRibOut) !== 0) return 'other'
  return (flags & FLAG.postPolicy) !== 0 ? 'post-policy' : 'pre-policy'
}

/** IPv4 addresses are in the last 4 of the 16 octets. */
function addressOf(bytes: Uint8Array, ipv6: boolean): string {
  return formatAddress(ipv6 ? bytes : bytes.subarray(12))
}

function initiation(reader: Reader): BmpMessage {
  const values = new Map(tlvs(reader))
  const text = (number: number) => {
    const value = values.get(number)
    return value === undefined ? undefined : new TextDecoder().decode(value)
  }
  const [sysDescr, sysName] = [text(TLV.sysDescr), text(TLV.sysName)]
  return { type: 'initiation', ...(sysDescr !== undefined && { sysDescr }), ...(sysName !== undefined && { sysName }) }
}

function termination(reader: Reader): BmpMessage {
  const value = new Map(tlvs(reader)).get(TLV.terminationReason)
  return { type: 'termination', ...(value?.length === 2 && { reason: new Reader(value).u16() }) }
}

/** Section 4.4: type, length, value, repeated. */
function tlvs(reader: Reader): [number, Uint8Array][] {
  const found: [number, Uint8Array][] = []
  while (reader.left >= 4) {
    const number = reader.u16()
    found.push([number, reader.slice(reader.u16())])
  }
  return found
}

/** Counters and gauges have 4 or 8 octets; those of one family more, which are left out. */
function counters(reader: Reader): ReadonlyMap<number, number> {
  const found = new Map<number, number>()
  reader.u32() // how many follow
  for (const [number, value] of tlvs(reader)) {
    if (value.length === 4) found.set(number, new Reader(value).u32())
    if (value.length === 8) {
      const wide = new Reader(value)
      found.set(number, wide.u32() * 2 ** 32 + wide.u32())
    }
  }
  return found
}

function peerUp(reader: Reader, peer: BmpPeer): BmpMessage {
  const localAddress = addressOf(reader.slice(16), peer.address.includes(':'))
  reader.slice(4) // the ports
  const [sent, received] = [openOf(reader), openOf(reader)]
  return {
    type: 'peer-up',
    peer,
    localAddress,
    ...(sent !== undefined && { sent }),
    ...(received !== undefined && { received }),
  }
}

function openOf(reader: Reader): Open | undefined {
  if (reader.left < HEADER_LENGTH) return undefined
  const length = new Reader(reader.bytes.subarray(reader.offset + HEADER_LENGTH - 3)).u16()
  const { message } = decodeMessage(reader.slice(length), INITIAL_CONTEXT)
  return message?.type === 'OPEN' ? message : undefined
}

function updateOf(bytes: Uint8Array, { twoOctetAs }: BmpPeer): Update | undefined {
  const decoded = decodeMessage(bytes, { ...EVERYTHING, fourOctetAs: !twoOctetAs })
  if (decoded.outcome === 'session-reset' || decoded.message.type !== 'UPDATE') return undefined
  return decoded.outcome === 'treat-as-withdraw' ? asWithdrawal(decoded.message) : decoded.message
}
