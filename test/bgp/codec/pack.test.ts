/**
 * Many prefixes in few UPDATEs: what was packed comes out again, whole and in order, in messages
 * that are full.
 */
import { describe, expect, test } from 'bun:test'
import { decodeMessage, MAX_LENGTH } from '../../../src/bgp/codec/message.ts'
import { endOfRib, packUpdates, packWithdrawals } from '../../../src/bgp/codec/message-pack.ts'
import type { CodecContext, PathAttributes, RouteGroup, Update } from '../../../src/bgp/codec/message-types.ts'
import { endOfRibFamily } from '../../../src/bgp/codec/message-update.ts'
import { nlriOf, noNlri, prefixTexts } from '../../../src/bgp/codec/nlri.ts'
import { addressBytes, type Family } from '../../../src/lib/ip.ts'
import { EXTERNAL, hex, TWO_OCTET, updateOf } from './support.ts'

const ATTRIBUTES: PathAttributes = {
  ORIGIN: 'IGP',
  AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [65010] }],
  MULTI_EXIT_DISC: 50,
  COMMUNITIES: ['65535:0'],
}

function prefixes(family: Family, count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    if (family === 'ipv4') return `10.${index >> 9}.${(index >> 1) & 255}.${(index & 1) * 128}/25`
    return `fd00:0:${index.toString(16)}:1::/64`
  })
}

function decodeAll(messages: Iterable<Uint8Array>, context: CodecContext): Update[] {
  return [...messages].map(message => {
    const decoded = decodeMessage(message, context)
    expect(decoded.outcome).toBe('ok')
    return updateOf(decoded)
  })
}

const announced = (update: Update) => prefixTexts(update.attributes.MP_REACH_NLRI?.nlri ?? update.nlri)
const withdrawn = (update: Update) => prefixTexts(update.attributes.MP_UNREACH_NLRI ?? update.withdrawn)

const GROUPS: readonly [string, RouteGroup, Family][] = [
  [
    'IPv4',
    { nlri: nlriOf('ipv4', prefixes('ipv4', 5000)), nextHop: addressBytes('172.16.0.11'), attributes: ATTRIBUTES },
    'ipv4',
  ],
  [
    'IPv6',
    { nlri: nlriOf('ipv6', prefixes('ipv6', 5000)), nextHop: addressBytes('fd00::b'), attributes: ATTRIBUTES },
    'ipv6',
  ],
  [
    'IPv6 with a link-local next hop too',
    {
      nlri: nlriOf('ipv6', prefixes('ipv6', 1000)),
      nextHop: Uint8Array.of(...addressBytes('fd00::b'), ...addressBytes('fe80::b')),
      attributes: ATTRIBUTES,
    },
    'ipv6',
  ],
  [
    'IPv4 over IPv6 (RFC 8950)',
    { nlri: nlriOf('ipv4', prefixes('ipv4', 5000)), nextHop: addressBytes('fd00::b'), attributes: ATTRIBUTES },
    'ipv4',
  ],
]

describe.each(GROUPS)('%s', (_name, group, family) => {
  const texts = prefixTexts(group.nlri)
  const contexts: readonly [string, CodecContext][] = [
    ['4-octet AS', EXTERNAL],
    ['2-octet AS', TWO_OCTET],
    ['extended messages', { ...EXTERNAL, extendedMessages: true }],
  ]
  for (const [name, context] of contexts) {
    test(`${name}: every prefix once, in order`, () => {
      expect(decodeAll(packUpdates(group, context), context).flatMap(announced)).toEqual(texts)
      expect(decodeAll(packWithdrawals(group.nlri, context), context).flatMap(withdrawn)).toEqual(texts)
    })
  }
  test('messages are full: not one more prefix fits', () => {
    for (const messages of [[...packUpdates(group, EXTERNAL)], [...packWithdrawals(group.nlri, EXTERNAL)]]) {
      const prefixOctets = family === 'ipv4' ? 5 : 9
      for (const message of messages.slice(0, -1)) {
        expect(message.length).toBeLessThanOrEqual(MAX_LENGTH)
        expect(message.length + prefixOctets).toBeGreaterThan(MAX_LENGTH)
      }
    }
  })
  test('the attributes are those of the group', () => {
    for (const update of decodeAll(packUpdates(group, EXTERNAL), EXTERNAL)) {
      const { NEXT_HOP: _hop, MP_REACH_NLRI: _reach, ...rest } = update.attributes
      expect(rest).toEqual(ATTRIBUTES)
    }
  })
  test('no prefixes: no message', () => {
    expect([...packUpdates({ ...group, nlri: noNlri(family) }, EXTERNAL)]).toEqual([])
    expect([...packWithdrawals(noNlri(family), EXTERNAL)]).toEqual([])
  })
})

test('the multiprotocol attribute comes first (RFC 7606 section 5.1)', () => {
  const group = { nlri: nlriOf('ipv6', ['fd00::/64']), nextHop: addressBytes('fd00::b'), attributes: ATTRIBUTES }
  const [message] = packUpdates(group, EXTERNAL)
  expect(message && hex(message.subarray(23, 25))).toBe('900e')
})

test('attributes that leave no room are refused, not looped on', () => {
  const many = Array.from({ length: 1015 }, (_, index) => `65001:${index}`)
  const group = {
    nlri: nlriOf('ipv4', ['10.0.0.0/8']),
    nextHop: addressBytes('10.0.0.1'),
    attributes: { ...ATTRIBUTES, COMMUNITIES: many },
  }
  expect(() => [...packUpdates(group, EXTERNAL)]).toThrow(RangeError)
})

test('End-of-RIB (RFC 4724 section 2)', () => {
  expect(hex(endOfRib('ipv4'))).toBe(`${'ff'.repeat(16)}00170200000000`)
  expect(endOfRibFamily(decodeMessage(endOfRib('ipv4'), EXTERNAL))).toBe('ipv4')
  expect(endOfRibFamily(decodeMessage(endOfRib('ipv6'), EXTERNAL))).toBe('ipv6')
})
