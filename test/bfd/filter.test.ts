/**
 * The filters of the sockets, run here as the kernel runs them; test/bfd/interop.test.ts has the
 * kernel itself.
 */
import { expect, test } from 'bun:test'
import { dropEverything, type HeardPath, receiveFilter } from '../../src/bfd/filter.ts'
import { encodePacket } from '../../src/bfd/packet.ts'
import { addressBytes, type Family } from '../../src/lib/ip.ts'
import type { FilterInstruction } from '../../src/lib/libc.ts'
import { peerPacket } from './packets.ts'

interface Arriving {
  readonly family?: Family
  readonly ttl?: number
  readonly interfaceIndex?: number
  readonly source?: string
  readonly yourDiscriminator?: number
  /** Octets of the UDP datagram that are there. */
  readonly cut?: number
}

const PEERS = { ipv4: '10.9.0.254', ipv6: 'fd00:9::254' } as const
const PATHS: Record<Family, HeardPath[]> = {
  ipv4: [
    { interfaceIndex: 3, peerAddress: PEERS.ipv4, discriminator: 0x11111111 },
    { interfaceIndex: 4, peerAddress: '10.9.1.254', discriminator: 0x80000001 },
  ],
  ipv6: [
    { interfaceIndex: 3, peerAddress: PEERS.ipv6, discriminator: 0x11111111 },
    { interfaceIndex: 4, peerAddress: 'fd00:9:1::254', discriminator: 0x80000001 },
  ],
}

/**
 * linux/filter.h in small: a load from outside of the packet drops it. Returns how much of the
 * packet is taken.
 */
function run(program: readonly FilterInstruction[], packet: Arriving): number {
  const { family = 'ipv4', ttl = 255, interfaceIndex = 3, source = PEERS[family], yourDiscriminator = 0, cut } = packet
  const header = new Uint8Array(family === 'ipv4' ? 20 : 40)
  header[family === 'ipv4' ? 8 : 7] = ttl
  header.set(addressBytes(source), family === 'ipv4' ? 12 : 8)
  const udp = Buffer.concat([new Uint8Array(8), encodePacket(peerPacket({ yourDiscriminator }))]).subarray(0, cut)
  const load = (k: number, octets: number): number | undefined => {
    if (k === -0x1000 + 8) return interfaceIndex
    const [bytes, offset] = k < 0 ? [Buffer.from(header), k + 0x100000] : [udp, k]
    return offset + octets > bytes.length ? undefined : bytes.readUIntBE(offset, octets)
  }
  let [accumulator, stored] = [0, Number.NaN]
  for (let at = 0; at < program.length; at++) {
    const { code, k, jumpTrue, jumpFalse } = program[at] ?? { code: 0, k: 0, jumpTrue: 0, jumpFalse: 0 }
    if (code === 0x06) return k
    if (code === 0x15) at += accumulator === k >>> 0 ? jumpTrue : jumpFalse
    else if (code === 0x02) stored = accumulator
    else if (code === 0x60) accumulator = stored
    else {
      const value = load(k, code === 0x20 ? 4 : 1)
      if (value === undefined) return 0
      accumulator = value
    }
  }
  throw new Error('the program has no end')
}

for (const family of ['ipv4', 'ipv6'] as const) {
  const program = receiveFilter(family, PATHS[family])
  const takes = (packet: Arriving) => run(program, { family, ...packet }) > 0
  const stranger = family === 'ipv4' ? '10.9.0.253' : 'fd00:9::253'

  test(`${family}: the first packet of the peer, on its link`, () => {
    expect(takes({})).toBe(true)
    expect(takes({ interfaceIndex: 4, source: PATHS[family][1]?.peerAddress ?? '' })).toBe(true)
  })
  test(`${family}: one that knows our discriminator, whatever its source`, () => {
    expect(takes({ source: stranger, yourDiscriminator: 0x11111111 })).toBe(true)
    expect(takes({ interfaceIndex: 4, source: stranger, yourDiscriminator: 0x80000001 })).toBe(true)
  })
  test(`${family}: nothing else`, () => {
    expect(takes({ ttl: 254 })).toBe(false)
    expect(takes({ ttl: 0 })).toBe(false)
    expect(takes({ interfaceIndex: 7 })).toBe(false)
    expect(takes({ interfaceIndex: 4 })).toBe(false)
    expect(takes({ source: stranger })).toBe(false)
    expect(takes({ yourDiscriminator: 0x11111112 })).toBe(false)
    expect(takes({ interfaceIndex: 4, yourDiscriminator: 0x11111111 })).toBe(false)
    expect(takes({ interfaceIndex: 7, yourDiscriminator: 0x11111111 })).toBe(false)
    expect(takes({ cut: 19 })).toBe(false)
  })
  test(`${family}: every part of the source counts`, () => {
    const bytes = addressBytes(PEERS[family])
    for (let word = 0; word < bytes.length; word += 4) {
      const other = bytes.slice()
      other[word] = (other[word] ?? 0) ^ 1
      const source =
        family === 'ipv4'
          ? [...other].join('.')
          : Buffer.from(other)
              .toString('hex')
              .replace(/(.{4})(?=.)/g, '$1:')
      expect(takes({ source })).toBe(false)
    }
  })
  test(`${family}: the whole packet is taken, and without a path none`, () => {
    expect(run(program, { family }) >>> 0).toBe(0xffffffff)
    expect(run(receiveFilter(family, []), { family })).toBe(0)
  })
}

test('a socket that only sends takes nothing', () => expect(run(dropEverything(), {})).toBe(0))
