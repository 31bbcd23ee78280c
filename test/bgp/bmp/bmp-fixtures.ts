/** A router's side of BMP, written by the letter of RFC 7854, for tests of the station. */
import { encodeMessage, INITIAL_CONTEXT } from '../../../src/bgp/codec/message.ts'
import type { Update } from '../../../src/bgp/codec/message-types.ts'
import { nlriOf, noNlri } from '../../../src/bgp/codec/nlri.ts'
import { Writer } from '../../../src/lib/bytes.ts'
import { addressBytes } from '../../../src/lib/ip.ts'
import { peerOpen } from '../peer-world.ts'

export const SPEAKER = { address: '10.0.0.1', asNumber: 65010 } as const

export interface PeerHeader {
  readonly address?: string
  readonly asNumber?: number
  readonly postPolicy?: boolean
  readonly twoOctetAs?: boolean
  readonly peerType?: number
}

export function bmp(type: number, body: (writer: Writer) => void): Uint8Array {
  const writer = new Writer()
  body(writer)
  const content = writer.bytes()
  return new Writer()
    .u8(3)
    .u32(content.length + 6)
    .u8(type)
    .put(content)
    .bytes()
}

export function perPeer(writer: Writer, header: PeerHeader = {}): void {
  const { address = SPEAKER.address, asNumber = SPEAKER.asNumber, peerType = 0 } = header
  const ipv6 = address.includes(':')
  const flags = (ipv6 ? 0x80 : 0) | (header.postPolicy ? 0x40 : 0) | (header.twoOctetAs ? 0x20 : 0)
  writer.u8(peerType).u8(flags).put(new Uint8Array(8))
  putAddress(writer, address)
  writer.u32(asNumber).put(addressBytes('10.0.0.1')).u32(0).u32(0)
}

function putAddress(writer: Writer, address: string): void {
  const bytes = addressBytes(address)
  writer.put(new Uint8Array(16 - bytes.length)).put(bytes)
}

export function peerUp(header: PeerHeader = {}): Uint8Array {
  return bmp(3, writer => {
    perPeer(writer, header)
    putAddress(writer, '10.0.0.254')
    writer.u16(179).u16(40000)
    const open = encodeMessage(peerOpen(), INITIAL_CONTEXT)
    writer.put(open).put(open)
  })
}

export function peerDown(header: PeerHeader = {}): Uint8Array {
  return bmp(2, writer => {
    perPeer(writer, header)
    writer.u8(4)
  })
}

export function monitored(update: Update, header: PeerHeader = {}): Uint8Array {
  return bmp(0, writer => {
    perPeer(writer, header)
    writer.put(encodeMessage(update, { ...INITIAL_CONTEXT, fourOctetAs: header.twoOctetAs !== true }))
  })
}

export function announcing(prefixes: readonly string[], nextHop: string): Update {
  const attributes = {
    ORIGIN: 'IGP',
    AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [SPEAKER.asNumber] }],
    NEXT_HOP: nextHop,
  } as const
  return { type: 'UPDATE', withdrawn: noNlri('ipv4'), attributes, nlri: nlriOf('ipv4', prefixes) }
}

export function withdrawing(prefixes: readonly string[]): Update {
  return { type: 'UPDATE', withdrawn: nlriOf('ipv4', prefixes), attributes: {}, nlri: noNlri('ipv4') }
}

export const END_OF_RIB: Update = withdrawing([])
