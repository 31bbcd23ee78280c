/**
 * RFC 7606 and what refers to it, row by row: which malformed UPDATE has which outcome, and the
 * NOTIFICATION of a reset.
 */
import { describe, expect, test } from 'bun:test'
import { ATTRIBUTES } from '../../../src/bgp/codec/attributes.ts'
import { encodeAttributes } from '../../../src/bgp/codec/attributes-loop.ts'
import { decodeMessage } from '../../../src/bgp/codec/message.ts'
import type { CodecContext, Outcome } from '../../../src/bgp/codec/message-types.ts'
import { asWithdrawal, endOfRibFamily } from '../../../src/bgp/codec/message-update.ts'
import { prefixTexts } from '../../../src/bgp/codec/nlri.ts'
import {
  AS_PATH,
  answer,
  attribute,
  bytes,
  decodeWith,
  EXTERNAL,
  hex,
  INTERNAL,
  LOCAL_PREF,
  MANDATORY,
  message,
  NEXT_HOP,
  NLRI,
  ORIGIN,
  TWO_OCTET,
  update,
  updateOf,
} from './support.ts'

interface Row {
  readonly what: string
  readonly attributes: string
  readonly outcome: Outcome
  /** In the reason. */
  readonly section: string
  readonly context?: CodecContext
}

const row = (what: string, attributes: string, outcome: Outcome, section: string, context?: CodecContext): Row => ({
  what,
  attributes,
  outcome,
  section,
  ...(context && { context }),
})
const W = 'treat-as-withdraw'
const D = 'attribute-discard'
const R = 'session-reset'
const without = (part: string) => MANDATORY.replace(part, '')
const V6_HOP = 'fd000000000000000000000000000001'

const ROWS: readonly Row[] = [
  row('ORIGIN of 0 octets', `400100 ${AS_PATH} ${NEXT_HOP}`, W, '7606 section 7.1'),
  row('ORIGIN of 2 octets', `400102 0000 ${AS_PATH} ${NEXT_HOP}`, W, '7606 section 7.1'),
  row('ORIGIN with an undefined value', `400101 03 ${AS_PATH} ${NEXT_HOP}`, W, '7606 section 7.1'),
  row('AS_PATH with an unknown segment', `${ORIGIN} 400206 0501 0000fde9 ${NEXT_HOP}`, W, '7606 section 7.2'),
  row('AS_PATH whose segment overruns', `${ORIGIN} 400206 0202 0000fde9 ${NEXT_HOP}`, W, '7606 section 7.2'),
  row('AS_PATH with one octet left', `${ORIGIN} 400207 0201 0000fde9 02 ${NEXT_HOP}`, W, '7606 section 7.2'),
  row('AS_PATH with an empty segment', `${ORIGIN} 400208 0200 0201 0000fde9 ${NEXT_HOP}`, W, '7606 section 7.2'),
  row('AS_PATH of 2-octet numbers', `${ORIGIN} 400204 0201 fde9 ${NEXT_HOP}`, W, '7606 section 7.2'),
  row('AS 0 in AS_PATH', `${ORIGIN} 400206 0201 00000000 ${NEXT_HOP}`, W, '7607 section 2'),
  row('AS_SET', `${ORIGIN} 400206 0101 0000fde9 ${NEXT_HOP}`, W, '9774 section 3'),
  row('AS_CONFED_SET', `${ORIGIN} 400206 0401 0000fde9 ${NEXT_HOP}`, W, '9774 section 3'),
  row('AS_CONFED_SEQUENCE', `${ORIGIN} 400206 0301 0000fde9 ${NEXT_HOP}`, W, '5065 section 5'),
  row('AS_PATH that starts with another AS than the peer, or with none', `${ORIGIN} 400200 ${NEXT_HOP}`, 'ok', ''),
  row('NEXT_HOP of 3 octets', `${ORIGIN} ${AS_PATH} 400303 c00002`, W, '7606 section 7.3'),
  row('NEXT_HOP of 16 octets', `${ORIGIN} ${AS_PATH} 400310 ${V6_HOP}`, W, '7606 section 7.3'),
  row('NEXT_HOP 0.0.0.0', `${ORIGIN} ${AS_PATH} 400304 00000000`, W, '4271 section 6.3'),
  row('NEXT_HOP multicast', `${ORIGIN} ${AS_PATH} 400304 e0000001`, W, '4271 section 6.3'),
  row('NEXT_HOP loopback', `${ORIGIN} ${AS_PATH} 400304 7f000001`, W, '4271 section 6.3'),
  row('MULTI_EXIT_DISC of 3 octets', `${MANDATORY} 800403 000000`, W, '7606 section 7.4'),
  row('LOCAL_PREF from an external peer', `${MANDATORY} ${LOCAL_PREF}`, D, '7606 section 7.5'),
  row('malformed LOCAL_PREF from an external peer', `${MANDATORY} 400502 0000`, D, '7606 section 7.5'),
  row('malformed LOCAL_PREF from an internal peer', `${MANDATORY} 400502 0000`, W, '7606 section 7.5', INTERNAL),
  row('ATOMIC_AGGREGATE of 1 octet', `${MANDATORY} 400601 00`, D, '7606 section 7.6'),
  row('ATOMIC_AGGREGATE with wrong flags', `${MANDATORY} c00600`, D, '7606 section 3 f'),
  row('AGGREGATOR of 6 octets', `${MANDATORY} c00706 fde9 0a000001`, D, '7606 section 7.7'),
  row('AGGREGATOR with wrong flags', `${MANDATORY} 400708 0000fde9 0a000001`, D, '7606 section 3 f'),
  row('AS 0 in AGGREGATOR', `${MANDATORY} c00708 00000000 0a000001`, D, '7607 section 2'),
  row('COMMUNITIES of 0 octets', `${MANDATORY} c00800`, W, '7606 section 7.8'),
  row('COMMUNITIES of 5 octets', `${MANDATORY} c00805 0000000000`, W, '7606 section 7.8'),
  row('ORIGINATOR_ID from an external peer', `${MANDATORY} 800904 0a000001`, D, '7606 section 7.9'),
  row('ORIGINATOR_ID of 5 octets', `${MANDATORY} ${LOCAL_PREF} 800905 0a00000100`, W, '7606 section 7.9', INTERNAL),
  row('CLUSTER_LIST from an external peer', `${MANDATORY} 800a04 0a000001`, D, '7606 section 7.10'),
  row('CLUSTER_LIST of 0 octets', `${MANDATORY} ${LOCAL_PREF} 800a00`, W, '7606 section 7.10', INTERNAL),
  row('CLUSTER_LIST of 6 octets', `${MANDATORY} ${LOCAL_PREF} 800a06 0a0000010a00`, W, '7606 section 7.10', INTERNAL),
  row(
    'MP_REACH_NLRI with a next hop of 4 octets for IPv6',
    `${MANDATORY} 800e09 0002 01 04 c0000201 00`,
    R,
    '7606 section 7.11',
  ),
  row(
    'MP_REACH_NLRI with a next hop of 24 octets',
    `${MANDATORY} 800e1d 0002 01 18 ${V6_HOP} 0000000000000000 00`,
    R,
    '7606 section 7.11',
  ),
  row('MP_REACH_NLRI whose next hop overruns', `${MANDATORY} 800e07 0002 01 10 fd0000`, R, '7606 section 7.11'),
  row('MP_REACH_NLRI shorter than its fields', `${MANDATORY} 800e03 0002 01`, R, '7606 section 5.3'),
  row(
    'MP_REACH_NLRI with a prefix of 129 bits',
    `${MANDATORY} ${attribute('800e', `0002 01 10 ${V6_HOP} 00 81${'00'.repeat(17)}`)}`,
    R,
    '7606 section 5.3',
  ),
  row(
    'MP_REACH_NLRI with a prefix that overruns',
    `${MANDATORY} ${attribute('800e', `0002 01 10 ${V6_HOP} 00 40 fd00`)}`,
    R,
    '7606 section 5.3',
  ),
  row('MP_REACH_NLRI of a family that is not negotiated', `${MANDATORY} 800e05 0019 46 00 00`, D, '4760 section 8'),
  row(
    'MP_REACH_NLRI with wrong flags',
    `${MANDATORY} ${attribute('c00e', `0002 01 10 ${V6_HOP} 00 00`)}`,
    R,
    '7606 section 5.3',
  ),
  row(
    'MP_REACH_NLRI with a multicast next hop',
    `${MANDATORY} ${attribute('800e', `0002 01 10 ff020000000000000000000000000001 00 00`)}`,
    W,
    '4760 section 3',
  ),
  row(
    'IPv6 next hop for IPv4, not negotiated',
    `${MANDATORY} ${attribute('800e', `0001 01 10 ${V6_HOP} 00 18 0a0001`)}`,
    R,
    '7606 section 7.11',
    { ...EXTERNAL, extendedNextHop: false },
  ),
  row('MP_UNREACH_NLRI of 2 octets', `${MANDATORY} 800f02 0002`, R, '7606 section 5.3'),
  row('MP_UNREACH_NLRI with a prefix of 129 bits', `${MANDATORY} 800f04 0002 01 81`, R, '7606 section 5.3'),
  row('EXTENDED_COMMUNITIES of 0 octets', `${MANDATORY} c01000`, W, '7606 section 7.14'),
  row('IPV6_EXTENDED_COMMUNITIES of 0 octets', `${MANDATORY} c01900`, W, '7606 section 7.15'),
  row('IPV6_EXTENDED_COMMUNITIES of 19 octets', `${MANDATORY} c01913 ${'00'.repeat(19)}`, W, '7606 section 7.15'),
  row('an IPv6 extended community of an unknown type', `${MANDATORY} c01914 7f${'00'.repeat(19)}`, 'ok', ''),
  row(
    'a Traffic Engineering attribute, which nobody here reads (7606 section 7.13)',
    `${MANDATORY} 801801 00`,
    'ok',
    '',
  ),
  row('an ATTR_SET, which nobody here reads (7606 section 7.16)', `${MANDATORY} c08001 00`, 'ok', ''),
  row('EXTENDED_COMMUNITIES of 7 octets', `${MANDATORY} c01007 00020000000000`, W, '7606 section 7.14'),
  row('AS4_PATH from a 4-octet speaker', `${MANDATORY} c01106 0201 0000fde9`, D, '6793 section 4.1'),
  row('AS4_AGGREGATOR from a 4-octet speaker', `${MANDATORY} c01208 0000fde9 0a000001`, D, '6793 section 4.1'),
  row('LARGE_COMMUNITIES of 0 octets', `${MANDATORY} c02000`, W, '8092 section 6'),
  row('LARGE_COMMUNITIES of 11 octets', `${MANDATORY} c0200b ${'00'.repeat(11)}`, W, '8092 section 6'),
  row('ONLY_TO_CUSTOMER of 3 octets', `${MANDATORY} c02303 00fde9`, W, '9234 section 5'),
  row('ORIGIN is missing', without(ORIGIN), W, '7606 section 3 d'),
  row('AS_PATH is missing', without(AS_PATH), W, '7606 section 3 d'),
  row('NEXT_HOP is missing', without(NEXT_HOP), W, '7606 section 3 d'),
  row('LOCAL_PREF is missing from an internal peer', MANDATORY, W, '7606 section 3 d', INTERNAL),
  row('ORIGIN with the optional bit', `c00101 00 ${AS_PATH} ${NEXT_HOP}`, W, '7606 section 3 c'),
  row('ORIGIN without the transitive bit', `000101 00 ${AS_PATH} ${NEXT_HOP}`, W, '7606 section 3 c'),
  row('COMMUNITIES without the transitive bit', `${MANDATORY} 800804 00000001`, W, '7606 section 3 c'),
  row('the partial bit and the unused bits of ORIGIN', `6f0101 00 ${AS_PATH} ${NEXT_HOP}`, 'ok', ''),
  row('an extended length where none is needed', `50010001 00 ${AS_PATH} ${NEXT_HOP}`, 'ok', ''),
  row('COMMUNITIES twice', `${MANDATORY} c00804 00000001 c00804 00000002`, D, '7606 section 3 g'),
  row('an unknown attribute twice', `${MANDATORY} c06300 c06300`, D, '7606 section 3 g'),
  row('MP_UNREACH_NLRI twice', `${MANDATORY} 800f03 000201 800f03 000201`, R, '7606 section 3 g'),
  row(
    'MP_REACH_NLRI twice',
    `${MANDATORY} ${attribute('800e', `0002 01 10 ${V6_HOP} 00`).repeat(2)}`,
    R,
    '7606 section 3 g',
  ),
  row('an attribute that ends behind the attributes', `${MANDATORY} c00808 00000001`, W, '7606 section 4'),
  row('one octet behind the last attribute', `${MANDATORY} 40`, W, '7606 section 4'),
  row('a cut extended length', `${MANDATORY} d00800`, W, '7606 section 4'),
  row('MP_REACH_NLRI that ends behind the attributes', `${MANDATORY} 800e20 0002`, R, '7606 section 4'),
  row('an unknown optional attribute', `${MANDATORY} c06301 00`, 'ok', ''),
  row('an unknown well-known attribute', `${MANDATORY} 406301 00`, R, '4271 section 6.3'),
  row('the strongest of several errors', `${MANDATORY} 400601 00 c00800`, W, '7606 section 7.8'),
]

describe('outcomes with a reachable prefix', () => {
  for (const { what, attributes, outcome, section, context } of ROWS) {
    test(`${what}: ${outcome}`, () => {
      const decoded = decodeMessage(update({ attributes, nlri: NLRI }), context ?? EXTERNAL)
      expect(decoded.outcome).toBe(outcome)
      if (decoded.outcome !== 'ok') expect(decoded.reason).toContain(section)
      expect(decoded.message === undefined || prefixTexts(updateOf(decoded).nlri)).toEqual(['10.0.1.0/24'])
    })
  }
})

test('every attribute of the table has a row here', () => {
  const names = Object.keys(ATTRIBUTES).filter(name => !ROWS.some(({ what }) => what.includes(name)))
  expect(names).toEqual([])
})

describe('what a discarded attribute leaves', () => {
  test('the message without it', () => {
    expect(updateOf(decodeWith('800904 0a000001 c00804 00000001')).attributes).toEqual({
      ORIGIN: 'IGP',
      AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [65001] }],
      NEXT_HOP: '192.0.2.1',
      COMMUNITIES: ['0:1'],
    })
  })
  test('of a repeated one the first (RFC 7606 section 3 g)', () => {
    expect(updateOf(decodeWith('c00804 00000001 c00804 00000002')).attributes.COMMUNITIES).toEqual(['0:1'])
  })
})

describe('towards a 2-octet peer', () => {
  test('AGGREGATOR of 8 octets', () => expect(decodeWith('c00708 0000fde9 0a000001', TWO_OCTET).outcome).toBe(D))
  test('malformed AS4_PATH (RFC 6793 section 6)', () =>
    expect(decodeWith('c01106 0202 0000fde9', TWO_OCTET).outcome).toBe(D))
  test('empty AS4_PATH', () => expect(decodeWith('c01100', TWO_OCTET).outcome).toBe(D))
  test('AS 0 in AS4_PATH (RFC 7607)', () => expect(decodeWith('c01106 0201 00000000', TWO_OCTET).outcome).toBe(D))
  test('AS_SET in AS4_PATH (RFC 9774)', () => expect(decodeWith('c01106 0101 0000fde9', TWO_OCTET).outcome).toBe(W))
  test('AS4_AGGREGATOR of 6 octets', () => expect(decodeWith('c01206 fde9 0a000001', TWO_OCTET).outcome).toBe(D))
  test('AS 0 in AS4_AGGREGATOR', () => expect(decodeWith('c01208 00000000 0a000001', TWO_OCTET).outcome).toBe(D))
  test('confederation segments of AS4_PATH are left out', () => {
    const decoded = decodeWith('c0110c 0301 0000fdea 0201 00011170', TWO_OCTET)
    expect(decoded.outcome).toBe('ok')
    expect(updateOf(decoded).attributes.AS_PATH).toEqual([{ type: 'AS_SEQUENCE', asNumbers: [70000] }])
  })
})

describe('without a reachable prefix (RFC 7606 section 5.2)', () => {
  const reset = (attributes: string, withdrawn = '') =>
    answer(decodeMessage(update({ attributes, withdrawn }), EXTERNAL))
  test('treat-as-withdraw becomes a reset', () => {
    expect(reset('400101 03')).toBe('3/6 40010103')
    expect(reset('400101 03', NLRI)).toBe('3/6 40010103')
    expect(reset('c00800')).toBe('3/5 c00800')
    expect(reset('c00804 0000')).toBe('3/5 c008040000')
  })
  test('discard stays', () => expect(reset('400601 00')).toBe(D))
  test('nothing is mandatory', () => expect(reset('', NLRI)).toBe('ok'))
  test('wrong flags of a lone MP_UNREACH_NLRI are a reset: it is not parsed (sections 3 j and 5.3)', () => {
    expect(reset('c00f04 0002 01 00')).toBe('3/4 c00f0400020100')
  })
})

describe('NOTIFICATION data (RFC 4271 section 6.3)', () => {
  test('Total Path Attribute Length too large', () => {
    expect(answer(decodeMessage(message(2, '0000 0005 40010100'), EXTERNAL))).toBe('3/1')
  })
  test('Withdrawn Routes Length too large', () => {
    expect(answer(decodeMessage(message(2, '0003 0000'), EXTERNAL))).toBe('3/1')
    expect(answer(decodeMessage(message(2, 'ffff 0000'), EXTERNAL))).toBe('3/1')
    expect(answer(decodeMessage(message(2, '0001 0000'), EXTERNAL))).toBe('3/1')
  })
  test('a prefix of 33 bits', () => {
    expect(answer(decodeMessage(update({ attributes: MANDATORY, nlri: '21 0a00010000' }), EXTERNAL))).toBe('3/10')
    expect(answer(decodeMessage(update({ withdrawn: '21 0a00010000' }), EXTERNAL))).toBe('3/10')
  })
  test('a prefix that is cut', () => {
    expect(answer(decodeMessage(update({ attributes: MANDATORY, nlri: '18 0a00' }), EXTERNAL))).toBe('3/10')
  })
  test('an unrecognized well-known attribute is sent back whole', () => {
    expect(answer(decodeWith('406303 010203'))).toBe('3/2 406303010203')
  })
  test('a malformed MP_REACH_NLRI is sent back whole', () => {
    expect(answer(decodeWith('800e03 000201'))).toBe('3/9 800e03000201')
  })
  test('MP_UNREACH_NLRI twice', () => expect(answer(decodeWith('800f03 000201 800f03 000201'))).toBe('3/1'))
})

describe('what treat-as-withdraw withdraws', () => {
  test('all prefixes of the message, of both families', () => {
    const reach = attribute('800e', `0002 01 10 ${V6_HOP} 00 40 fd00000000000001`)
    const unreach = '800f0c 0002 01 40 fd00000000000002'
    const attributes = `400101 03 ${AS_PATH} ${NEXT_HOP} ${reach} ${unreach}`
    const decoded = decodeMessage(update({ withdrawn: '18 0a0002', attributes, nlri: NLRI }), EXTERNAL)
    expect(decoded.outcome).toBe(W)
    const { withdrawn, attributes: left, nlri } = asWithdrawal(updateOf(decoded))
    expect(prefixTexts(withdrawn)).toEqual(['10.0.2.0/24', '10.0.1.0/24'])
    expect(Object.keys(left)).toEqual(['MP_UNREACH_NLRI'])
    expect(left.MP_UNREACH_NLRI && prefixTexts(left.MP_UNREACH_NLRI)).toEqual(['fd00:0:0:2::/64', 'fd00:0:0:1::/64'])
    expect(nlri.count).toBe(0)
  })
})

describe('families that are not negotiated', () => {
  const ipv6Only: CodecContext = { ...EXTERNAL, families: ['ipv6'] }
  test('IPv4 prefixes are ignored (RFC 4760 section 8)', () => {
    const decoded = decodeMessage(update({ attributes: MANDATORY, nlri: NLRI }), ipv6Only)
    expect(decoded.outcome).toBe(D)
    expect(updateOf(decoded).nlri.count).toBe(0)
  })
  test('IPv6 prefixes are ignored', () => {
    const decoded = decodeMessage(update({ attributes: '800f04 0002 01 00' }), { ...EXTERNAL, families: ['ipv4'] })
    expect(decoded.outcome).toBe(D)
    expect(updateOf(decoded).attributes).toEqual({})
  })
})

describe('End-of-RIB (RFC 4724 section 2)', () => {
  test('IPv4: an empty UPDATE', () => expect(endOfRibFamily(decodeMessage(update({}), EXTERNAL))).toBe('ipv4'))
  test('IPv6: a lone, empty MP_UNREACH_NLRI', () => {
    expect(endOfRibFamily(decodeMessage(update({ attributes: '800f03 0002 01' }), EXTERNAL))).toBe('ipv6')
  })
  test('of a foreign family it is not that of IPv4', () => {
    expect(endOfRibFamily(decodeMessage(update({ attributes: '800f03 0019 46' }), EXTERNAL))).toBeUndefined()
  })
  test('an UPDATE with prefixes is none', () => {
    expect(endOfRibFamily(decodeMessage(update({ withdrawn: NLRI }), EXTERNAL))).toBeUndefined()
    expect(endOfRibFamily(decodeMessage(update({ attributes: '800f04 0002 01 00' }), EXTERNAL))).toBeUndefined()
    expect(endOfRibFamily(decodeMessage(message(4, ''), EXTERNAL))).toBeUndefined()
  })
})

test('values share memory with the message, and nothing is written to it', () => {
  const wire = update({ attributes: MANDATORY, nlri: NLRI })
  const before = wire.slice()
  const { nlri } = updateOf(decodeMessage(wire, EXTERNAL))
  expect(nlri.bytes.buffer).toBe(wire.buffer)
  expect(wire).toEqual(before)
  expect(bytes(NLRI)).toEqual(new Uint8Array(nlri.bytes))
})

test('redundant large communities are removed, received and sent (RFC 8092 section 3)', () => {
  const twice = 'c02018 0000fde9 00000001 00000002 0000fde9 00000001 00000002'
  expect(updateOf(decodeWith(twice)).attributes.LARGE_COMMUNITIES).toEqual(['65001:1:2'])
  const sent = encodeAttributes({ LARGE_COMMUNITIES: ['65001:1:2', '65001:3:4', '65001:1:2'] }, EXTERNAL)
  expect(hex(sent)).toBe('c020180000fde900000001000000020000fde90000000300000004')
})
