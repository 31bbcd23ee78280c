/** Messages and the octets that the RFCs give them, each read in both directions. */
import { describe, expect, test } from 'bun:test'
import { decodeMessage, encodeMessage } from '../../../src/bgp/codec/message.ts'
import type { Capability, CodecContext, Message, PathAttributes } from '../../../src/bgp/codec/message-types.ts'
import { nlriOf, noNlri, prefixTexts } from '../../../src/bgp/codec/nlri.ts'
import { addressBytes } from '../../../src/lib/ip.ts'
import { bytes, EXTERNAL, hex, INTERNAL, message, TWO_OCTET, update, updateOf } from './support.ts'

function bothWays(name: string, wire: Uint8Array, value: Message, context: CodecContext = EXTERNAL): void {
  test(name, () => {
    expect(hex(encodeMessage(value, context))).toBe(hex(wire))
    expect(decodeMessage(wire, context)).toEqual({ outcome: 'ok', message: value })
  })
}

describe('RFC 4271 section 4', () => {
  bothWays('KEEPALIVE', bytes(`${'ff'.repeat(16)} 0013 04`), { type: 'KEEPALIVE' })
  bothWays('OPEN without capabilities', message(1, '04 fdf2 005a 0a000001 00'), {
    type: 'OPEN',
    version: 4,
    asNumber: 65010,
    holdTime: 90,
    bgpIdentifier: '10.0.0.1',
    capabilities: [],
  })
  bothWays('NOTIFICATION', message(3, '06 02 05 68656c6c6f'), {
    type: 'NOTIFICATION',
    code: 6,
    subcode: 2,
    data: bytes('05 68656c6c6f'),
  })
  bothWays('ROUTE-REFRESH (RFC 2918)', message(5, '0001 00 01'), { type: 'ROUTE-REFRESH', afi: 1, subtype: 0, safi: 1 })
  bothWays('Beginning of refresh (RFC 7313)', message(5, '0002 01 01'), {
    type: 'ROUTE-REFRESH',
    afi: 2,
    subtype: 1,
    safi: 1,
  })
  bothWays('UPDATE that withdraws', update({ withdrawn: '19 0a000180 00' }), {
    type: 'UPDATE',
    withdrawn: nlriOf('ipv4', ['10.0.1.128/25', '0.0.0.0/0']),
    attributes: {},
    nlri: noNlri('ipv4'),
  })
  bothWays(
    'UPDATE that announces',
    update({ attributes: '400101 00 4002060201 0000fdf2 400304 ac10000b', nlri: '19 0a000180 20 0a000201' }),
    {
      type: 'UPDATE',
      withdrawn: noNlri('ipv4'),
      attributes: { ORIGIN: 'IGP', AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [65010] }], NEXT_HOP: '172.16.0.11' },
      nlri: nlriOf('ipv4', ['10.0.1.128/25', '10.0.2.1/32']),
    },
  )
  bothWays('UPDATE without anything: End-of-RIB', update({}), {
    type: 'UPDATE',
    withdrawn: noNlri('ipv4'),
    attributes: {},
    nlri: noNlri('ipv4'),
  })
})

describe('capabilities', () => {
  const CASES: readonly [string, string, Capability][] = [
    ['multiprotocol (RFC 4760)', '01 04 0002 00 01', { kind: 'multiprotocol', afi: 2, safi: 1 }],
    ['route refresh (RFC 2918)', '02 00', { kind: 'route-refresh' }],
    [
      'extended next hop (RFC 8950)',
      '05 06 0001 0001 0002',
      { kind: 'extended-next-hop', tuples: [{ afi: 1, safi: 1, nextHopAfi: 2 }] },
    ],
    ['extended message (RFC 8654)', '06 00', { kind: 'extended-message' }],
    ['role (RFC 9234)', '09 01 03', { kind: 'role', role: 3 }],
    [
      'graceful restart with R, N (RFC 8538) and F',
      '40 06 c258 0001 01 80',
      {
        kind: 'graceful-restart',
        restarted: true,
        notification: true,
        restartTime: 600,
        families: [{ afi: 1, safi: 1, forwarding: true }],
      },
    ],
    [
      'graceful restart of a speaker that keeps nothing (RFC 4724)',
      '40 02 0078',
      { kind: 'graceful-restart', restarted: false, notification: false, restartTime: 120, families: [] },
    ],
    ['4-octet AS (RFC 6793)', '41 04 fffffffe', { kind: 'four-octet-as', asNumber: 4294967294 }],
    ['enhanced route refresh (RFC 7313)', '46 00', { kind: 'enhanced-route-refresh' }],
    [
      'long-lived graceful restart (RFC 9494)',
      '47 07 0001 01 80 015180',
      { kind: 'long-lived-graceful-restart', families: [{ afi: 1, safi: 1, forwarding: true, staleTime: 86400 }] },
    ],
    ['one that we do not know', '49 06 05 746f702031', { kind: 'unknown', code: 73, value: bytes('05 746f702031') }],
  ]
  for (const [name, wire, capability] of CASES) {
    const length = bytes(wire).length
    const parameter = `${(length + 2).toString(16).padStart(2, '0')} 02 ${length.toString(16).padStart(2, '0')} ${wire}`
    const asNumber = capability.kind === 'four-octet-as' ? capability.asNumber : 65010
    const myAs = asNumber > 65535 ? '5ba0' : 'fdf2'
    bothWays(name, message(1, `04 ${myAs} 00b4 0a000001 ${parameter}`), {
      type: 'OPEN',
      version: 4,
      asNumber,
      holdTime: 180,
      bgpIdentifier: '10.0.0.1',
      capabilities: [capability],
    })
  }
})

describe('attributes', () => {
  const CASES: readonly [string, string, PathAttributes, CodecContext?][] = [
    ['ORIGIN', '400101 02', { ORIGIN: 'INCOMPLETE' }],
    ['AS_PATH, empty', '400200', { AS_PATH: [] }],
    ['AS_PATH', '40020a 0202 00011170 0000fde9', { AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [70000, 65001] }] }],
    ['NEXT_HOP', '400304 c0000201', { NEXT_HOP: '192.0.2.1' }],
    ['MULTI_EXIT_DISC', '800404 ffffffff', { MULTI_EXIT_DISC: 4294967295 }],
    ['LOCAL_PREF', '400504 00000064', { LOCAL_PREF: 100 }, INTERNAL],
    ['ATOMIC_AGGREGATE', '400600', { ATOMIC_AGGREGATE: true }],
    ['AGGREGATOR', 'c00708 00011170 0a000001', { AGGREGATOR: { asNumber: 70000, address: '10.0.0.1' } }],
    [
      'AGGREGATOR (2 octets)',
      'c00706 fde9 0a000001',
      { AGGREGATOR: { asNumber: 65001, address: '10.0.0.1' } },
      TWO_OCTET,
    ],
    ['COMMUNITIES', 'c00808 fde9000a ffff0000', { COMMUNITIES: ['65001:10', '65535:0'] }],
    ['ORIGINATOR_ID', '800904 0a000001', { ORIGINATOR_ID: '10.0.0.1' }, INTERNAL],
    ['CLUSTER_LIST', '800a08 0a000001 0a000002', { CLUSTER_LIST: ['10.0.0.1', '10.0.0.2'] }, INTERNAL],
    [
      'IPV6_EXTENDED_COMMUNITIES',
      `c01914 0002${'ab'.repeat(18)}`,
      { IPV6_EXTENDED_COMMUNITIES: [`0002${'ab'.repeat(18)}`] },
    ],
    ['EXTENDED_COMMUNITIES', 'c01008 0002fde90000000a', { EXTENDED_COMMUNITIES: ['0002fde90000000a'] }],
    ['LARGE_COMMUNITIES', 'c0200c 00011170 00000001 ffffffff', { LARGE_COMMUNITIES: ['70000:1:4294967295'] }],
    ['ONLY_TO_CUSTOMER', 'c02304 0000fde9', { ONLY_TO_CUSTOMER: 65001 }],
    ['MP_UNREACH_NLRI', '800f0c 0002 01 40 fd00000100000002', { MP_UNREACH_NLRI: nlriOf('ipv6', ['fd00:1:0:2::/64']) }],
    ['End-of-RIB of IPv6 (RFC 4724)', '800f03 0002 01', { MP_UNREACH_NLRI: noNlri('ipv6') }],
    [
      'MP_REACH_NLRI',
      '800e1f 0002 01 10 fd000000000000000000000000000001 00 40 fd00000100000002 00',
      {
        ORIGIN: 'IGP',
        AS_PATH: [],
        MP_REACH_NLRI: { nextHop: addressBytes('fd00::1'), nlri: nlriOf('ipv6', ['fd00:1:0:2::/64', '::/0']) },
      },
    ],
    [
      'MP_REACH_NLRI with a link-local address too (RFC 2545)',
      '800e26 0002 01 20 fd000000000000000000000000000001 fe800000000000000000000000000001 00 00',
      {
        ORIGIN: 'IGP',
        AS_PATH: [],
        MP_REACH_NLRI: {
          nextHop: Uint8Array.of(...addressBytes('fd00::1'), ...addressBytes('fe80::1')),
          nlri: nlriOf('ipv6', ['::/0']),
        },
      },
    ],
    [
      'IPv4 prefixes over an IPv6 next hop (RFC 8950)',
      '800e19 0001 01 10 fd000000000000000000000000000001 00 18 0a0001',
      {
        ORIGIN: 'IGP',
        AS_PATH: [],
        MP_REACH_NLRI: { nextHop: addressBytes('fd00::1'), nlri: nlriOf('ipv4', ['10.0.1.0/24']) },
      },
    ],
    [
      'unknown, optional transitive and partial',
      'e06303 010203',
      { unknown: [{ type: 99, flags: 0xe0, value: bytes('010203') }] },
    ],
    ['unknown, optional non-transitive', '806300', { unknown: [{ type: 99, flags: 0x80, value: bytes('') }] }],
  ]
  for (const [name, wire, attributes, context] of CASES) {
    const rest = attributes.MP_REACH_NLRI === undefined ? '' : '400101 00 400200'
    bothWays(
      name,
      update({ attributes: wire + rest }),
      { type: 'UPDATE', withdrawn: noNlri('ipv4'), attributes, nlri: noNlri('ipv4') },
      context,
    )
  }
  test('a value of more than 255 octets takes the extended length', () => {
    const communities = Array.from({ length: 64 }, (_, index) => `65001:${index}`)
    const value: Message = {
      type: 'UPDATE',
      withdrawn: noNlri('ipv4'),
      attributes: { COMMUNITIES: communities },
      nlri: noNlri('ipv4'),
    }
    const wire = encodeMessage(value, EXTERNAL)
    expect(hex(wire.subarray(23, 27))).toBe('d0080100')
    expect(decodeMessage(wire, EXTERNAL)).toEqual({ outcome: 'ok', message: value })
  })
  test('the extended length of a short value is read as well', () => {
    const decoded = decodeMessage(update({ attributes: '50010001 00' }), EXTERNAL)
    expect(updateOf(decoded).attributes).toEqual({ ORIGIN: 'IGP' })
  })
})

describe('prefixes', () => {
  test('host bits are irrelevant (RFC 4271 section 4.3)', () => {
    const decoded = decodeMessage(update({ withdrawn: '19 0a0001ff' }), EXTERNAL)
    expect(prefixTexts(updateOf(decoded).withdrawn)).toEqual(['10.0.1.128/25'])
  })
  test('texts go in and come out', () => {
    const ipv4 = ['0.0.0.0/0', '10.0.0.0/7', '10.1.0.0/16', '192.0.2.128/25', '255.255.255.255/32', '128.0.0.0/1']
    const ipv6 = ['::/0', 'fc00::/7', 'fd00:1:2:3::/64', '2001:db8::1/128', '8000::/1']
    expect(prefixTexts(nlriOf('ipv4', ipv4))).toEqual(ipv4)
    expect(prefixTexts(nlriOf('ipv6', ipv6))).toEqual(ipv6)
  })
  for (const text of [
    '10.0.1.1/24',
    '10.0.0.0/33',
    '010.0.0.0/8',
    '256.0.0.0/8',
    '10.0.0/8',
    '10.0.0.0',
    '10.0.0.0/',
    '',
    '10.0.0.0/08',
  ]) {
    test(`nlriOf refuses ${JSON.stringify(text)}`, () => {
      expect(() => nlriOf('ipv4', [text])).toThrow('not an')
    })
  }
  for (const text of [
    '::1/64',
    ':/64',
    '1::2::3/64',
    '1:2:3:4:5:6:7/64',
    '1:2:3:4:5:6:7:8:9/64',
    '::/129',
    '::/064',
    '::/',
    '1:/64',
    ':1/64',
    '12345::/64',
    '::g/64',
    '1:::/64',
    '1:2:3:4:5:6:7:8::/64',
  ]) {
    test(`nlriOf refuses ${JSON.stringify(text)}`, () => {
      expect(() => nlriOf('ipv6', [text])).toThrow('not an')
    })
  }
  test('unusual spellings of a prefix mean the same', () => {
    const texts = [
      'FD00::/8',
      'fd00:0:0:0:0:0:0:0/16',
      '::ffff:192.0.2.0/120',
      '0::/0',
      '1:2:3:4:5:6::/96',
      '::1:0:0:0/80',
    ]
    expect(prefixTexts(nlriOf('ipv6', texts))).toEqual([
      'fd00::/8',
      'fd00::/16',
      '::ffff:c000:200/120',
      '::/0',
      '1:2:3:4:5:6::/96',
      '::1:0:0:0/80',
    ])
  })
  test('nlriOf refuses a prefix of the other family', () => {
    expect(() => nlriOf('ipv4', ['fd00::/64'])).toThrow('not an ipv4 prefix')
    expect(() => nlriOf('ipv6', ['10.0.0.0/8'])).toThrow('not an ipv6 prefix')
  })
})

describe('4-octet AS numbers towards a 2-octet speaker (RFC 6793)', () => {
  const announce = (attributes: PathAttributes): Message => ({
    type: 'UPDATE',
    withdrawn: noNlri('ipv4'),
    attributes: { ORIGIN: 'IGP', NEXT_HOP: '192.0.2.1', ...attributes },
    nlri: nlriOf('ipv4', ['10.0.1.0/24']),
  })
  bothWays('the 2-octet field of OPEN is AS_TRANS', message(1, '04 5ba0 005a 0a000001 08 02 06 41 04 00011170'), {
    type: 'OPEN',
    version: 4,
    asNumber: 70000,
    holdTime: 90,
    bgpIdentifier: '10.0.0.1',
    capabilities: [{ kind: 'four-octet-as', asNumber: 70000 }],
  })
  bothWays(
    'AS_PATH with AS_TRANS, and AS4_PATH',
    update({
      attributes: '400101 00 400206 0202 5ba0 fde9 400304 c0000201 c0110a 0202 00011170 0000fde9',
      nlri: '18 0a0001',
    }),
    announce({ AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [70000, 65001] }] }),
    TWO_OCTET,
  )
  bothWays(
    'no AS4_PATH when all numbers fit',
    update({ attributes: '400101 00 400204 0201 fde9 400304 c0000201', nlri: '18 0a0001' }),
    announce({ AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [65001] }] }),
    TWO_OCTET,
  )
  bothWays(
    'AGGREGATOR with AS_TRANS, and AS4_AGGREGATOR',
    update({
      attributes: '400101 00 400204 0201 fde9 400304 c0000201 c00706 5ba0 0a000001 c01208 00011170 0a000001',
      nlri: '18 0a0001',
    }),
    announce({
      AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [65001] }],
      AGGREGATOR: { asNumber: 70000, address: '10.0.0.1' },
    }),
    TWO_OCTET,
  )
})
