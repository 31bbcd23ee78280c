/**
 * The workload as an MRT file (RFC 6396, TABLE_DUMP_V2): how GoBGP loads many routes at once. Its
 * last prefix is there many times: `gobgp mrt inject` ends before its queue of 1,024 is empty, and
 * so loses only repetitions.
 */
import { Writer } from '../../../src/lib/bytes.ts'
import { addressBytes } from '../../../src/lib/ip.ts'
import { networkAt, nextHopAt, PREFIX_LENGTH, SENDER, type Workload } from './routes.ts'

/** RFC 6396 section 4. */
const TABLE_DUMP_V2 = 13
const Subtype = { PEER_INDEX_TABLE: 1, RIB_IPV4_UNICAST: 2 } as const
/** Section 4.3.1: an IPv4 peer with a 4-octet AS number. */
const PEER_TYPE_AS4 = 2
const REPETITIONS = 4096

export function mrtFile(workload: Workload): Uint8Array {
  const file = new Writer((workload.prefixes + REPETITIONS) * 56)
  const address = addressBytes(SENDER.address)
  const peers = new Writer().put(address).u16(0).u16(1)
  record(file, Subtype.PEER_INDEX_TABLE, peers.u8(PEER_TYPE_AS4).put(address).put(address).u32(SENDER.asNumber).view())
  for (let sequence = 0; sequence < workload.prefixes + REPETITIONS; sequence++) {
    const index = Math.min(sequence, workload.prefixes - 1)
    const entry = new Writer(64).u32(sequence).u8(PREFIX_LENGTH)
    for (let octet = 0; octet < 3; octet++) entry.u8((networkAt(index) >>> (24 - octet * 8)) & 0xff)
    const attributes = new Writer(32)
    attributes.u8(0x40).u8(1).u8(1).u8(0) // ORIGIN IGP
    attributes.u8(0x40).u8(2).u8(0) // AS_PATH, empty
    attributes
      .u8(0x40)
      .u8(3)
      .u8(4)
      .put(addressBytes(nextHopAt(index, workload))) // NEXT_HOP
    entry.u16(1).u16(0).u32(0).u16(attributes.length).put(attributes.view())
    record(file, Subtype.RIB_IPV4_UNICAST, entry.view())
  }
  return file.bytes()
}

function record(file: Writer, subtype: number, body: Uint8Array): void {
  file.u32(0).u16(TABLE_DUMP_V2).u16(subtype).u32(body.length).put(body)
}
