/**
 * Addresses and prefixes: their canonical text, and `covers` and `overlaps` held against a
 * comparison bit by bit.
 */
import { expect, test } from 'bun:test'
import {
  canonicalAddress,
  compareAddresses,
  covers,
  networkOf,
  overlaps,
  parseAddress,
  parsePrefix,
} from '../../src/lib/ip.ts'

test('addresses: canonical text of what is one, nothing else (RFC 4291 section 2.2, RFC 5952 section 4)', () => {
  const table: [string, string | undefined][] = [
    ['1.2.3.4', '1.2.3.4'],
    ['01.2.3.4', undefined],
    ['1.2.3', undefined],
    ['1.2.3.256', undefined],
    ['1.2.3.4 ', undefined],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['FE80::0001:0:0:1', 'fe80::1:0:0:1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['1.2.3.4::', undefined],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['1:2:3:4:5:6:7:8::', undefined],
    ['1::2::3', undefined],
    [':1', undefined],
    ['fe80::1%eth0', undefined],
    ['12345::', undefined],
    ['', undefined],
  ]
  for (const [text, canonical] of table) expect([text, canonicalAddress(text)]).toEqual([text, canonical])
})

test('prefixes: host bits are refused, networkOf drops them', () => {
  expect(parsePrefix('10.0.1.5/25')).toBeUndefined()
  expect(parsePrefix('10.0.1.0/33')).toBeUndefined()
  expect(parsePrefix('10.0.1.0/')).toBeUndefined()
  expect(parsePrefix('10.0.1.0/025')).toBeUndefined()
  expect(parsePrefix('0.0.0.0/0')).toMatchObject({ family: 'ipv4', length: 0 })
  expect(networkOf('10.0.1.200/25')).toBe('10.0.1.128/25')
  expect(networkOf('fd00::ff/121')).toBe('fd00::80/121')
})

test('covers and overlaps agree with a bit-by-bit comparison', () => {
  const texts = [
    '0.0.0.0/0',
    '10.0.0.0/8',
    '10.0.0.0/9',
    '10.128.0.0/9',
    '10.0.1.128/25',
    '10.0.1.200',
    '::/0',
    'fd00::/121',
    'fd00::7f',
    'fd00::80',
  ]
  const bits = (text: string) => {
    const [address = '', length] = text.split('/')
    const all = [...(parseAddress(address) ?? [])].map(byte => byte.toString(2).padStart(8, '0')).join('')
    return `${text.includes(':') ? 6 : 4}${all.slice(0, length === undefined ? all.length : Number(length))}`
  }
  for (const a of texts) {
    for (const b of texts) {
      expect([a, b, covers(a, b)]).toEqual([a, b, bits(b).startsWith(bits(a))])
      expect([a, b, overlaps(a, b)]).toEqual([a, b, bits(b).startsWith(bits(a)) || bits(a).startsWith(bits(b))])
    }
  }
})

test('sorting goes by value, IPv4 first', () => {
  const sorted = ['fd00::2', '10.0.10.0/24', '10.0.9.0/24', 'fd00::10', '10.0.9.0/25'].sort(compareAddresses)
  expect(sorted).toEqual(['10.0.9.0/24', '10.0.9.0/25', '10.0.10.0/24', 'fd00::2', 'fd00::10'])
})

test('an IPv4 address is read as a plain pattern would read it, whatever the text', () => {
  const plain = /^(?:(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])(?:\.(?!$)|$)){4}$/
  const pieces = [
    '0',
    '1',
    '9',
    '10',
    '25',
    '255',
    '256',
    '00',
    '01',
    '999',
    '1000',
    '.',
    '.',
    '.',
    '.',
    '-',
    ' ',
    'x',
    '٣',
  ]
  let state = 1
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return (state >> 8) % below
  }
  let good = 0
  for (let round = 0; round < 50_000; round++) {
    const parts = Array.from({ length: random(4) === 0 ? random(10) : 7 }, (_, at) =>
      at % 2 === 1 && random(20) > 0 ? '.' : (pieces[random(pieces.length)] ?? ''),
    )
    const text = parts.join('')
    const bytes = parseAddress(text)
    const expected = plain.test(text) ? text.split('.').map(Number) : undefined
    if (expected !== undefined) good++
    expect({ text, bytes: bytes && [...bytes] }).toEqual({ text, bytes: expected })
  }
  expect(good).toBeGreaterThan(300)
})
