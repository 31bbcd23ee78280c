/** BMP from bytes: what a router tells, and what is no BMP at all (RFC 7854 section 4). */
import { describe, expect, test } from 'bun:test'
import { BmpFramer, decodeBmp } from '../../../src/bgp/bmp/bmp-message.ts'
import type { BmpPeer } from '../../../src/bgp/bmp/bmp-types.ts'
import { prefixTexts } from '../../../src/bgp/codec/nlri.ts'
import { announcing, bmp, monitored, peerDown, peerUp, perPeer, SPEAKER } from './bmp-fixtures.ts'

const all: (peer: BmpPeer) => boolean = () => true
const fail = (): never => {
  throw new Error('no UPDATE')
}
const text = (value: string) => new TextEncoder().encode(value)

describe('messages', () => {
  test('initiation: who the router is', () => {
    const message = bmp(4, writer => {
      writer.u16(2).u16(4).put(text('leaf')).u16(1).u16(3).put(text('FRR')).u16(9).u16(1).u8(0)
    })
    expect(decodeBmp(message, all)).toEqual({ type: 'initiation', sysName: 'leaf', sysDescr: 'FRR' })
  })

  test('termination: why', () => {
    const message = bmp(5, writer => {
      writer.u16(1).u16(2).u16(3)
    })
    expect(decodeBmp(message, all)).toEqual({ type: 'termination', reason: 3 })
  })

  test('peer up: both OPENs', () => {
    expect(decodeBmp(peerUp(), all)).toMatchObject({
      type: 'peer-up',
      peer: { ...SPEAKER, table: 'pre-policy', twoOctetAs: false },
      localAddress: '10.0.0.254',
      sent: { type: 'OPEN', asNumber: 65001 },
      received: { type: 'OPEN' },
    })
  })

  test('peer down', () => {
    expect(decodeBmp(peerDown(), all)).toMatchObject({ type: 'peer-down', reason: 4 })
  })

  test.each([
    [{}, 'pre-policy'],
    [{ postPolicy: true }, 'post-policy'],
    [{ address: 'fd00::1' }, 'pre-policy'],
    [{ twoOctetAs: true }, 'pre-policy'],
  ] as const)('route monitoring, %p: the table and the routes', (header, table) => {
    const message = decodeBmp(monitored(announcing(['10.0.1.0/25'], '10.0.0.11'), header), all)
    if (message.type !== 'route-monitoring') throw new Error(message.type)
    expect(message.peer.table).toBe(table)
    expect(message.peer.address).toBe('address' in header ? header.address : SPEAKER.address)
    expect(prefixTexts(message.update?.nlri ?? fail())).toEqual(['10.0.1.0/25'])
    expect(message.update?.attributes).toMatchObject({
      NEXT_HOP: '10.0.0.11',
      AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [SPEAKER.asNumber] }],
    })
  })

  test('statistics: counters of 4 and 8 octets', () => {
    const message = bmp(1, writer => {
      perPeer(writer)
      writer.u32(3).u16(0).u16(4).u32(7).u16(7).u16(8).u32(1).u32(2).u16(9).u16(3).put(new Uint8Array(3))
    })
    expect(decodeBmp(message, all)).toMatchObject({
      type: 'statistics',
      counters: new Map([
        [0, 7],
        [7, 2 ** 32 + 2],
      ]),
    })
  })
})

describe('what is skipped', () => {
  test.each<[string, Uint8Array, (peer: BmpPeer) => boolean]>([
    ['a neighbour that is none of ours', monitored(announcing(['10.0.1.0/25'], '10.0.0.11')), () => false],
    ['the Loc-RIB (RFC 9069)', monitored(announcing(['10.0.1.0/25'], '10.0.0.11'), { peerType: 3 }), all],
    ['a type that is not known', bmp(77, writer => perPeer(writer)), all],
    ['a message that ends too early', bmp(3, writer => perPeer(writer)), all],
    ['a header for one neighbour that is too short', bmp(0, writer => void writer.u32(0)), all],
  ])('%s', (_what, message, isOurs) => {
    expect(decodeBmp(message, isOurs)).toEqual({ type: 'skipped' })
  })

  test('an UPDATE that cannot be read says nothing of routes', () => {
    const message = monitored(announcing(['10.0.1.0/25'], '10.0.0.11'))
    message[message.length - 5] = 99 // a prefix length
    expect(decodeBmp(message, all)).toMatchObject({ type: 'route-monitoring' })
    expect(decodeBmp(message, all)).not.toHaveProperty('update')
  })

  test('any octets: no exception, whatever they are', () => {
    const good = [peerUp(), peerDown(), monitored(announcing(['10.0.1.0/25'], '10.0.0.11'))]
    for (const message of good)
      for (let at = 5; at < message.length; at++)
        for (const value of [0, 1, 0x7f, 0xff]) {
          const changed = message.slice()
          changed[at] = value
          decodeBmp(changed, all)
          decodeBmp(message.subarray(0, at), all)
        }
  })
})

describe('frames of a stream', () => {
  const messages = [peerUp(), monitored(announcing(['10.0.1.0/25'], '10.0.0.11')), peerDown()]
  const stream = Uint8Array.from(messages.flatMap(message => [...message]))

  test.each([1, 3, 7, 50, 1000])('chunks of %p octets', size => {
    const framer = new BmpFramer()
    const found: Uint8Array[] = []
    for (let at = 0; at < stream.length; at += size) found.push(...framer.push(stream.slice(at, at + size)).messages)
    expect(found).toEqual(messages)
  })

  test('a chunk may be overwritten once it was taken, as that of a socket is', () => {
    const framer = new BmpFramer()
    const chunk = Buffer.from(stream.subarray(0, 60))
    const first = framer.push(chunk).messages.map(message => new Uint8Array(message))
    chunk.fill(0)
    expect([...first, ...framer.push(stream.slice(60)).messages]).toEqual(messages)
  })

  test.each([
    ['another version', [4, 0, 0, 0, 6, 4], 'BMP version 4'],
    ['a length below the header', [3, 0, 0, 0, 5, 4], '5 octets'],
    ['a length that nobody sends', [3, 0xff, 0, 0, 0, 4], '4278190080 octets'],
    ['a BGP speaker', new Array(19).fill(0xff), 'BMP version 255'],
  ] as const)('%s ends the stream', (_what, bytes, reason) => {
    const framer = new BmpFramer()
    expect(framer.push(Uint8Array.from(bytes)).error).toContain(reason)
    expect(framer.push(peerUp())).toEqual({ messages: [] })
  })
})
