/**
 * What the kernel checks before a packet reaches us, as classic BPF programs (linux/filter.h): that its TTL or hop limit is 255, so that
 * no router forwarded it (RFC 5881 section 5), and for peers that are tied to an interface, that it came in there. Pure.
 *
 * IP_MINTTL has no effect on UDP sockets, and Bun does not hand out the TTL or the interface of a datagram.
 */
import { addressBytes, type Family } from '../lib/ip.ts'
import type { FilterInstruction } from '../lib/libc.ts'
import { BFD_TTL } from './registry.ts'

/** linux/bpf_common.h and filter.h: load byte or word, jump if equal, return; the network header and the interface as offsets. */
const LOAD_WORD = 0x20
const LOAD_BYTE = 0x30
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06
const NETWORK_HEADER = -0x100000
const INTERFACE_INDEX = -0x1000 + 8
const WHOLE_PACKET = 0xffffffff

/** Offsets in the IPv4 header (RFC 791) and the IPv6 header (RFC 8200). */
const OFFSETS = {
  ipv4: { ttl: 8, source: 12 },
  ipv6: { ttl: 7, source: 8 },
} as const

/** A peer whose packets count only when they came in by one interface. */
export interface TiedPeer {
  readonly peerAddress: string
  readonly interfaceIndex: number
}

/** For the receiving socket. At most 300 tied peers fit into the 4096 instructions of a program. */
export function receiveFilter(family: Family, peers: readonly TiedPeer[]): readonly FilterInstruction[] {
  const { ttl, source } = OFFSETS[family]
  return [
    load(LOAD_BYTE, NETWORK_HEADER + ttl),
    jumpIfEqual(BFD_TTL, { equal: 1 }),
    drop(),
    ...peers.flatMap(({ peerAddress, interfaceIndex }) => {
      const words = wordsOf(addressBytes(peerAddress))
      const behind = 4 // load, compare, accept, drop
      return [
        ...words.flatMap((word, index) => [
          load(LOAD_WORD, NETWORK_HEADER + source + index * 4),
          jumpIfEqual(word, { otherwise: (words.length - 1 - index) * 2 + behind }),
        ]),
        load(LOAD_WORD, INTERFACE_INDEX),
        jumpIfEqual(interfaceIndex, { otherwise: 1 }),
        accept(),
        drop(),
      ]
    }),
    accept(),
  ]
}

/** For a socket that only sends. */
export function dropEverything(): readonly FilterInstruction[] {
  return [drop()]
}

function load(code: number, k: number): FilterInstruction {
  return { code, jumpTrue: 0, jumpFalse: 0, k }
}

/** Skips `equal` instructions if the loaded value is `value`, else `otherwise`. */
function jumpIfEqual(value: number, { equal = 0, otherwise = 0 }): FilterInstruction {
  return { code: JUMP_IF_EQUAL, jumpTrue: equal, jumpFalse: otherwise, k: value }
}

function accept(): FilterInstruction {
  return { code: RETURN, jumpTrue: 0, jumpFalse: 0, k: WHOLE_PACKET }
}

function drop(): FilterInstruction {
  return { code: RETURN, jumpTrue: 0, jumpFalse: 0, k: 0 }
}

/** The 32-bit words of an address, as BPF loads them: in network order. */
function wordsOf(bytes: Uint8Array): readonly number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(index * 4))
}
