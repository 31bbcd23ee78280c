/**
 * What the kernel checks before a packet reaches us, as classic BPF programs (linux/filter.h): that its TTL or hop limit is 255, so that
 * no router forwarded it (RFC 5881 section 5). Pure.
 *
 * IP_MINTTL has no effect on UDP sockets, and Bun does not hand out the TTL of a datagram.
 */
import type { Family } from '../lib/ip.ts'
import type { FilterInstruction } from '../lib/libc.ts'
import { BFD_TTL } from './registry.ts'

/** linux/bpf_common.h and filter.h: load byte, jump if equal, return; the network header as an offset. */
const LOAD_BYTE = 0x30
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06
const NETWORK_HEADER = -0x100000
const WHOLE_PACKET = 0xffffffff

/** Offset of the TTL in the IPv4 header (RFC 791), of the hop limit in the IPv6 header (RFC 8200). */
const TTL = { ipv4: 8, ipv6: 7 } as const

/** For the receiving socket. */
export function receiveFilter(family: Family): readonly FilterInstruction[] {
  return [load(LOAD_BYTE, NETWORK_HEADER + TTL[family]), jumpIfEqual(BFD_TTL, { equal: 1 }), drop(), accept()]
}

/** For a socket that only sends. */
export function dropEverything(): readonly FilterInstruction[] {
  return [drop()]
}

function load(code: number, k: number): FilterInstruction {
  return { code, jumpTrue: 0, jumpFalse: 0, k }
}

/** Skips `equal` instructions if the loaded value is `value`. */
function jumpIfEqual(value: number, { equal }: { equal: number }): FilterInstruction {
  return { code: JUMP_IF_EQUAL, jumpTrue: equal, jumpFalse: 0, k: value }
}

function accept(): FilterInstruction {
  return { code: RETURN, jumpTrue: 0, jumpFalse: 0, k: WHOLE_PACKET }
}

function drop(): FilterInstruction {
  return { code: RETURN, jumpTrue: 0, jumpFalse: 0, k: 0 }
}
