/**
 * What the kernel checks before a packet reaches us, as classic BPF programs (linux/filter.h): that
 * its TTL or hop limit is 255, so that no router forwarded it (RFC 5881 section 5), and that it
 * came in on the interface that a session is bound to (section 3), with that session's
 * discriminator or, with none, from its peer. So what anybody sends on another link, a pod for one,
 * is not even read. Pure.
 *
 * IP_MINTTL has no effect on UDP sockets, and Bun hands out neither the TTL of a datagram nor its
 * interface.
 */
import { addressBytes, type Family } from '../lib/ip.ts'
import type { FilterInstruction } from '../lib/libc.ts'
import { BFD_TTL } from './registry.ts'

/** linux/bpf_common.h: load, store, jump if equal, return. */
const LOAD_WORD = 0x20
const LOAD_BYTE = 0x30
const LOAD_STORED = 0x60
const STORE = 0x02
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06
/**
 * linux/filter.h: offsets that stand for the network header and for the index of the receiving
 * interface.
 */
const NETWORK_HEADER = -0x100000
const INTERFACE_INDEX = -0x1000 + 8
const WHOLE_PACKET = 0xffffffff

/**
 * Offset of the TTL in the IPv4 header (RFC 791), of the hop limit in the IPv6 header (RFC 8200),
 * and of the sources.
 */
const TTL = { ipv4: 8, ipv6: 7 } as const
const SOURCE = { ipv4: 12, ipv6: 8 } as const
/**
 * Your Discriminator, behind the UDP header, where a UDP socket's packet begins (RFC 5880 section
 * 4.1).
 */
const YOUR_DISCRIMINATOR = 8 + 8

/** What a session takes. */
export interface HeardPath {
  readonly interfaceIndex: number
  readonly peerAddress: string
  /** Ours. */
  readonly discriminator: number
}

/** For the receiving socket of a family. */
export function receiveFilter(family: Family, paths: readonly HeardPath[]): readonly FilterInstruction[] {
  return [
    load(LOAD_BYTE, NETWORK_HEADER + TTL[family]),
    jumpIfEqual(BFD_TTL, { equal: 1 }),
    drop(),
    load(LOAD_WORD, INTERFACE_INDEX),
    load(STORE, 0),
    ...paths.flatMap(path => pathFilter(family, path)),
    drop(),
  ]
}

/** Accepts what is this path's, and falls through for the rest. */
function pathFilter(family: Family, { interfaceIndex, peerAddress, discriminator }: HeardPath): FilterInstruction[] {
  const source = words(addressBytes(peerAddress))
  const fromPeer = source.flatMap((word, index) => [
    load(LOAD_WORD, NETWORK_HEADER + SOURCE[family] + index * 4),
    // to the next word, or behind the end
    jumpIfEqual(word, { equal: 0, otherwise: 2 * (source.length - 1 - index) + 1 }),
  ])
  const length = fromPeer.length
  return [
    load(LOAD_STORED, 0),
    jumpIfEqual(interfaceIndex, { equal: 0, otherwise: length + 4 }),
    load(LOAD_WORD, YOUR_DISCRIMINATOR),
    jumpIfEqual(discriminator, { equal: length + 1 }),
    jumpIfEqual(0, { equal: 0, otherwise: length + 1 }),
    ...fromPeer,
    accept(),
  ]
}

function words(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length / 4 }, (_, index) => view.getUint32(index * 4))
}

/** For a socket that only sends. */
export function dropEverything(): readonly FilterInstruction[] {
  return [drop()]
}

function load(code: number, k: number): FilterInstruction {
  return { code, jumpTrue: 0, jumpFalse: 0, k }
}

/** Skips so many instructions if the loaded value is `value`, or if it is `otherwise`. */
function jumpIfEqual(
  value: number,
  { equal, otherwise = 0 }: { equal: number; otherwise?: number },
): FilterInstruction {
  return { code: JUMP_IF_EQUAL, jumpTrue: equal, jumpFalse: otherwise, k: value }
}

function accept(): FilterInstruction {
  return { code: RETURN, jumpTrue: 0, jumpFalse: 0, k: WHOLE_PACKET }
}

function drop(): FilterInstruction {
  return { code: RETURN, jumpTrue: 0, jumpFalse: 0, k: 0 }
}
