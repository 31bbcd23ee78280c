/** Headers (RFC 4271 section 6.1, RFC 8654, 7313) and the receive buffer. */
import { describe, expect, test } from 'bun:test'
import { decodeMessage, encodeMessage } from '../../../src/bgp/codec/message.ts'
import { MessageFramer } from '../../../src/bgp/codec/message-framer.ts'
import { answer, bytes, chance, EXTERNAL, hex, MANDATORY, message, NLRI, update } from './support.ts'

const EXTENDED = { ...EXTERNAL, extendedMessages: true }
const KEEPALIVE = message(4, '')
/** A header with any length and type, and as many octets as asked for. */
const raw = (length: number, type: number, octets: number): Uint8Array => {
  const value = new Uint8Array(octets)
  value.set(bytes(`${'ff'.repeat(16)}${length.toString(16).padStart(4, '0')}${type.toString(16).padStart(2, '0')}`))
  return value
}

describe('header errors', () => {
  const CASES: readonly [string, Uint8Array, string][] = [
    ['a marker with a zero', bytes(`${'ff'.repeat(15)}fe 0013 04`), '1/1'],
    ['a length of 18', raw(18, 4, 19), '1/2 0012'],
    ['a length of 0', raw(0, 2, 23), '1/2 0000'],
    ['a length of 4097', raw(4097, 2, 4097), '1/2 1001'],
    ['an OPEN of 28', raw(28, 1, 28), '1/2 001c'],
    ['an UPDATE of 22', raw(22, 2, 22), '1/2 0016'],
    ['a NOTIFICATION of 20', raw(20, 3, 20), '1/2 0014'],
    ['a KEEPALIVE of 20', raw(20, 4, 20), '1/2 0014'],
    ['a message of type 0', raw(19, 0, 19), '1/3 00'],
    ['a message of type 6', raw(19, 6, 19), '1/3 06'],
    ['a wrong length before a wrong type', raw(5, 9, 19), '1/2 0005'],
    ['a length that is not that of the octets', raw(24, 2, 23), '1/2 0018'],
    ['no octets', new Uint8Array(0), '1/2 0000'],
    ['half a header', bytes('ffff'), '1/2 0002'],
    ['a short ROUTE-REFRESH', message(5, '0001'), '1/2 0015'],
    ['a long ROUTE-REFRESH', message(5, '0001 00 01 00'), '1/2 0018'],
  ]
  for (const [what, wire, expected] of CASES)
    test(what, () => expect(answer(decodeMessage(wire, EXTERNAL))).toBe(expected))
  test('a beginning of refresh of the wrong length is sent back whole (RFC 7313 section 5)', () => {
    const wire = message(5, '0001 01 01 00')
    const knows = { ...EXTERNAL, enhancedRouteRefresh: true }
    expect(answer(decodeMessage(wire, knows))).toBe(`7/1 ${hex(wire)}`)
    expect(answer(decodeMessage(wire, EXTERNAL))).toBe('1/2 0018') // the peer knows no 7/1
  })
  test('an unknown refresh subtype is a message to ignore, not an error', () => {
    expect(decodeMessage(message(5, '0001 07 01'), EXTERNAL).outcome).toBe('ok')
  })
})

describe('extended messages (RFC 8654)', () => {
  const large = update({ attributes: MANDATORY, nlri: NLRI.repeat(2000) })
  test('are an error until negotiated', () => {
    expect(answer(decodeMessage(large, EXTERNAL))).toBe(`1/2 ${large.length.toString(16)}`)
    expect(decodeMessage(large, EXTENDED).outcome).toBe('ok')
  })
  test('OPEN and KEEPALIVE stay small', () => {
    expect(answer(decodeMessage(raw(4097, 1, 4097), EXTENDED))).toBe('1/2 1001')
    expect(answer(decodeMessage(raw(4097, 4, 4097), EXTENDED))).toBe('1/2 1001')
  })
  test('the largest message', () => {
    const framer = new MessageFramer({ extendedMessages: true })
    const wire = raw(65535, 3, 65535)
    expect(framer.push(wire.subarray(0, 30000)).messages).toEqual([])
    expect(framer.push(wire.subarray(30000)).messages).toEqual([wire])
  })
})

describe('encodeMessage', () => {
  test('throws when a message is too large', () => {
    const nlri = { family: 'ipv4', bytes: new Uint8Array(4080), count: 4080 } as const
    const value = {
      type: 'UPDATE',
      withdrawn: nlri,
      attributes: {},
      nlri: { ...nlri, bytes: new Uint8Array(0), count: 0 },
    } as const
    expect(() => encodeMessage(value, EXTERNAL)).toThrow(RangeError)
    expect(encodeMessage(value, EXTENDED).length).toBe(4103)
  })
  test('cuts the data of a NOTIFICATION', () => {
    const wire = encodeMessage({ type: 'NOTIFICATION', code: 3, subcode: 5, data: new Uint8Array(5000) }, EXTERNAL)
    expect(wire.length).toBe(4096)
  })
})

describe('MessageFramer', () => {
  const stream = [KEEPALIVE, update({ attributes: MANDATORY, nlri: NLRI }), KEEPALIVE, message(3, '0602'), KEEPALIVE]
  const all = Buffer.concat(stream)

  test('one message a chunk, all in one, one octet at a time', () => {
    for (const size of [1, 2, 18, 19, 20, 37, all.length]) {
      const framer = new MessageFramer()
      const got: string[] = []
      for (let start = 0; start < all.length; start += size) {
        for (const one of framer.push(all.subarray(start, start + size)).messages) got.push(hex(one))
      }
      expect(got).toEqual(stream.map(hex))
      expect(framer.buffered).toBe(0)
    }
  })
  test('any cuts give the same messages', () => {
    const below = chance(1)
    for (let round = 0; round < 300; round++) {
      const framer = new MessageFramer()
      const got: string[] = []
      for (let start = 0; start < all.length; ) {
        const end = start + 1 + below(60)
        for (const one of framer.push(all.subarray(start, end)).messages) got.push(hex(one))
        start = end
      }
      expect(got).toEqual(stream.map(hex))
    }
  })
  test('the chunk may be reused after the messages were handled', () => {
    const framer = new MessageFramer()
    const chunk = KEEPALIVE.slice(0, 10)
    framer.push(chunk)
    chunk.fill(0)
    expect(framer.push(KEEPALIVE.subarray(10)).messages.map(hex)).toEqual([hex(KEEPALIVE)])
  })
  test('a message that was put together stays when the chunk ends with the start of the next', () => {
    const framer = new MessageFramer()
    const first = update({ withdrawn: NLRI })
    framer.push(first.subarray(0, 20))
    const { messages } = framer.push(Buffer.concat([first.subarray(20), message(3, '0909').subarray(0, 20)]))
    expect(messages.map(hex)).toEqual([hex(first)])
  })
  test('the error comes after the good messages, and nothing after it', () => {
    const framer = new MessageFramer()
    const { messages, error } = framer.push(Buffer.concat([KEEPALIVE, raw(18, 4, 19), KEEPALIVE]))
    expect(messages.map(hex)).toEqual([hex(KEEPALIVE)])
    expect(error?.notification).toMatchObject({ code: 1, subcode: 2 })
    expect(framer.push(KEEPALIVE)).toEqual({ messages: [] })
    expect(framer.buffered).toBe(0)
  })
  test('a header is judged before the body is there', () => {
    const framer = new MessageFramer()
    expect(framer.push(raw(4096, 9, 19)).error?.notification).toMatchObject({ code: 1, subcode: 3 })
  })
  test('holds no more than one incomplete message', () => {
    const framer = new MessageFramer()
    const large = raw(4096, 2, 4096)
    for (let index = 0; index < 4095; index++) framer.push(large.subarray(index, index + 1))
    expect(framer.buffered).toBe(4095)
    expect(framer.push(large.subarray(4095)).messages.length).toBe(1)
    expect(framer.buffered).toBe(0)
  })
})
