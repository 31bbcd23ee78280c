/**
 * The control packet: RFC 5880 section 4.1 octet by octet, each rule of section 6.8.6 that a packet
 * alone can break, and mutations.
 */
import { expect, test } from 'bun:test'
import { type ControlPacket, type Discard, decodePacket, discardText, encodePacket } from '../../src/bfd/packet.ts'
import { BFD_STATES } from '../../src/bfd/registry.ts'
import { fromHex, toHex } from '../../src/lib/bytes.ts'
import { seeded } from '../support/seeded.ts'
import { peerPacket } from './packets.ts'

const bytesOf = (hex: string): Uint8Array => fromHex(hex.replaceAll(' ', '')) ?? new Uint8Array()

/**
 * Vers and Diag, Sta and flags, Detect Mult, Length, My, Your, Desired Min TX, Required Min RX,
 * Required Min Echo RX.
 */
const VECTORS: readonly (readonly [string, ControlPacket])[] = [
  ['20 40 03 18 22222222 11111111 000493e0 000493e0 00000000', peerPacket()],
  [
    '21 e0 05 18 00000001 ffffffff 000f4240 00000000 0000c350',
    peerPacket({
      diagnostic: 1,
      state: 'Up',
      poll: true,
      detectMult: 5,
      myDiscriminator: 1,
      yourDiscriminator: 0xffffffff,
      desiredMinTxInterval: 1_000_000,
      requiredMinRxInterval: 0,
      requiredMinEchoRxInterval: 50_000,
    }),
  ],
  [
    '23 9a ff 18 80000000 7fffffff ffffffff ffffffff ffffffff',
    peerPacket({
      diagnostic: 3,
      state: 'Init',
      final: true,
      controlPlaneIndependent: true,
      demand: true,
      detectMult: 255,
      myDiscriminator: 0x80000000,
      yourDiscriminator: 0x7fffffff,
      desiredMinTxInterval: 0xffffffff,
      requiredMinRxInterval: 0xffffffff,
      requiredMinEchoRxInterval: 0xffffffff,
    }),
  ],
  [
    '27 00 01 18 00000002 00000000 000f4240 000f4240 00000000',
    peerPacket({
      diagnostic: 7,
      state: 'AdminDown',
      detectMult: 1,
      myDiscriminator: 2,
      yourDiscriminator: 0,
      desiredMinTxInterval: 1_000_000,
      requiredMinRxInterval: 1_000_000,
    }),
  ],
]

test('vectors, both ways', () => {
  for (const [hex, packet] of VECTORS) {
    expect(decodePacket(bytesOf(hex))).toEqual({ packet })
    expect(toHex(encodePacket(packet))).toBe(hex.replaceAll(' ', ''))
  }
})

test('octets behind Length are not looked at', () => {
  const [hex, packet] = VECTORS[0] ?? ['', peerPacket()]
  expect(decodePacket(bytesOf(`${hex} deadbeef`))).toEqual({ packet })
})

const DISCARDS: Readonly<Record<Discard, readonly string[]>> = {
  truncated: ['', '20', '20 40 03 18 22222222 11111111 000493e0 000493e0 000000'],
  version: [
    '00 40 03 18 22222222 11111111 000493e0 000493e0 00000000',
    '40 40 03 18 22222222 11111111 000493e0 000493e0 00000000',
    'e0 40 03 18 22222222 11111111 000493e0 000493e0 00000000',
  ],
  'length-too-short': [
    '20 40 03 00 22222222 11111111 000493e0 000493e0 00000000',
    '20 40 03 17 22222222 11111111 000493e0 000493e0 00000000',
    '20 44 03 18 22222222 11111111 000493e0 000493e0 00000000',
    '20 44 03 19 22222222 11111111 000493e0 000493e0 00000000 00',
  ],
  'length-beyond-payload': [
    '20 40 03 19 22222222 11111111 000493e0 000493e0 00000000',
    '20 40 03 ff 22222222 11111111 000493e0 000493e0 00000000 0000',
  ],
  'detect-mult-zero': ['20 40 00 18 22222222 11111111 000493e0 000493e0 00000000'],
  multipoint: ['20 41 03 18 22222222 11111111 000493e0 000493e0 00000000'],
  'my-discriminator-zero': ['20 40 03 18 00000000 11111111 000493e0 000493e0 00000000'],
  'your-discriminator-zero': [
    '20 80 03 18 22222222 00000000 000493e0 000493e0 00000000',
    '20 c0 03 18 22222222 00000000 000493e0 000493e0 00000000',
  ],
  authentication: ['20 44 03 1a 22222222 11111111 000493e0 000493e0 00000000 0102'],
}

test('every rule of section 6.8.6 discards', () => {
  const rules = Object.entries(DISCARDS) as [Discard, readonly string[]][]
  for (const [discard, packets] of rules) {
    for (const hex of packets) expect({ hex, ...decodePacket(bytesOf(hex)) }).toEqual({ hex, discard })
  }
  const texts = rules.map(([discard]) => discardText(discard))
  expect(new Set(texts).size).toBe(texts.length)
})

test('zero Your Discriminator is good in Down and AdminDown', () => {
  for (const state of ['Down', 'AdminDown'] as const) {
    const packet = peerPacket({ state, yourDiscriminator: 0 })
    expect(decodePacket(encodePacket(packet))).toEqual({ packet })
  }
})

test('50,000 mutated packets: a value always, and what is taken is what was said', () => {
  const random = seeded(5880)
  const whole = (limit: number) => Math.floor(random() * limit)
  let taken = 0
  let discarded = 0
  for (let count = 0; count < 50_000; count++) {
    const vector = VECTORS[whole(VECTORS.length)]
    const original = bytesOf(vector?.[0] ?? '')
    const bytes = new Uint8Array(whole(8) === 0 ? whole(40) : original.length + whole(3))
    bytes.set(original.subarray(0, bytes.length))
    for (let change = whole(4); change > 0 && bytes.length > 0; change--) bytes[whole(bytes.length)] = whole(256)
    const decoded = decodePacket(bytes)
    if ('discard' in decoded) {
      discarded++
      continue
    }
    taken++
    const { packet } = decoded
    const again = encodePacket(packet)
    // all but Length, which may cover octets that mean nothing
    const said = bytes.slice(0, 24)
    said[3] = 24
    expect(toHex(again)).toBe(toHex(said))
    expect(packet.detectMult).toBeGreaterThan(0)
    expect(packet.myDiscriminator).toBeGreaterThan(0)
    expect(BFD_STATES).toContain(packet.state)
    if (packet.yourDiscriminator === 0) expect(['Down', 'AdminDown']).toContain(packet.state)
  }
  expect(taken).toBeGreaterThan(10_000)
  expect(discarded).toBeGreaterThan(5_000)
})
