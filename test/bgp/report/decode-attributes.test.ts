/**
 * What `terway-edge bgp decode` makes of path attributes at the edge of the standards: AS numbers
 * of both sizes, then the others. Written from the RFCs.
 */
import { describe } from 'bun:test'
import { AS_PATH, attribute, LOCAL_PREF, NEXT_HOP, NLRI, ORIGIN, update } from '../codec/support.ts'
import { DISCARD, OK, type Options, RESET, testOutcomes, WITHDRAW, withExtra } from './decode-cases.ts'

describe('AS numbers (RFC 6793, 7606 section 7.2, 9774, 5065)', () => {
  const path = (value: string, options?: Options) => ({
    wire: update({ attributes: `${ORIGIN} ${attribute('4002', value)} ${NEXT_HOP}`, nlri: NLRI }),
    ...(options && { options }),
  })
  const AS2 = '400204 0201 5ba0'
  const as2 = (extra: string) => ({
    wire: update({ attributes: `${ORIGIN} ${AS2} ${NEXT_HOP} ${extra}`, nlri: NLRI }),
    options: { as2: true },
  })
  testOutcomes([
    {
      name: 'AS4_PATH from a 2-octet peer',
      ...as2('c01106 0201 00011170'),
      outcome: OK,
      report: { merged: { AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [70000] }] } },
    },
    {
      name: 'AS4_PATH longer than AS_PATH is ignored',
      ...as2('c0110a 0202 00011170 00011171'),
      outcome: OK,
      report: { merged: { AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [23456] }] } },
    },
    {
      name: 'AS4_AGGREGATOR beside AS_TRANS in AGGREGATOR',
      ...as2('c00706 5ba0 0a000001 c01208 00011170 0a000001'),
      outcome: OK,
      report: { merged: { AGGREGATOR: { asNumber: 70000, address: '10.0.0.1' } } },
    },
    {
      name: 'AS4_AGGREGATOR beside another AS in AGGREGATOR: both AS4 attributes are ignored',
      ...as2('c00706 fde9 0a000001 c01106 0201 00011170 c01208 00011170 0a000001'),
      outcome: OK,
      report: { merged: { AGGREGATOR: { asNumber: 65001 }, AS_PATH: [{ asNumbers: [23456] }] } },
    },
    { name: 'AS4_PATH of 5 octets', ...as2('c01105 0201 000111'), outcome: DISCARD, section: 'RFC 6793 section 6' },
    {
      name: 'AS4_AGGREGATOR of 6 octets',
      ...as2('c01206 0001 0a000001'),
      outcome: DISCARD,
      section: 'RFC 6793 section 6',
    },
    {
      name: 'AS4_PATH from a 4-octet peer',
      wire: withExtra('c01106 0201 00011170'),
      outcome: DISCARD,
      section: 'RFC 6793 section 4.1',
    },
    {
      name: 'AS4_AGGREGATOR from a 4-octet peer, malformed too',
      wire: withExtra('c01203 000111'),
      outcome: DISCARD,
      section: 'RFC 6793 section 4.1',
    },
    {
      name: 'a 4-octet AS_PATH read with --as2',
      ...path('0201 0000fde9', { as2: true }),
      outcome: WITHDRAW,
      section: '7.2',
    },
    { name: 'segment without AS numbers', ...path('0200'), outcome: WITHDRAW, section: 'RFC 7606 section 7.2' },
    {
      name: 'good segment, then one without AS numbers',
      ...path('0201 0000fde9 0200'),
      outcome: WITHDRAW,
      section: '7.2',
    },
    { name: 'segment of unknown type', ...path('0501 0000fde9'), outcome: WITHDRAW, section: 'RFC 7606 section 7.2' },
    { name: 'segment that is cut', ...path('0202 0000fde9'), outcome: WITHDRAW, section: 'RFC 7606 section 7.2' },
    { name: 'one octet behind the last segment', ...path('0201 0000fde9 02'), outcome: WITHDRAW, section: '7.2' },
    { name: 'AS_SET', ...path('0201 0000fde9 0101 0000fdea'), outcome: WITHDRAW, section: 'RFC 9774 section 3' },
    {
      name: 'AS_CONFED_SEQUENCE from an external peer',
      ...path('0301 0000fde9'),
      outcome: WITHDRAW,
      section: 'RFC 5065',
    },
    { name: 'AS_CONFED_SET', ...path('0401 0000fde9'), outcome: WITHDRAW, section: 'RFC 9774' },
    { name: 'AS 0', ...path('0202 0000fde9 00000000'), outcome: WITHDRAW, section: 'RFC 7607' },
    {
      name: 'empty AS_PATH from an internal peer',
      wire: update({ attributes: `${ORIGIN} 400200 ${NEXT_HOP} ${LOCAL_PREF}`, nlri: NLRI }),
      options: { ibgp: true },
      outcome: OK,
    },
    {
      name: 'AGGREGATOR of 6 octets from a 4-octet peer',
      wire: withExtra('c00706 fde9 0a000001'),
      outcome: DISCARD,
      section: 'RFC 7606 section 7.7',
    },
    { name: 'AGGREGATOR of 8 octets with --as2', ...as2('c00708 00011170 0a000001'), outcome: DISCARD, section: '7.7' },
  ])
})

describe('other attributes', () => {
  const long = (octets: number) => octets.toString(16).padStart(4, '0')
  const many = Array.from({ length: 70 }, () => 'fde90001').join('')
  testOutcomes([
    { name: 'extended length of 280 octets', wire: withExtra(`d008 ${long(280)} ${many}`), outcome: OK },
    { name: 'extended length where one octet would do', wire: withExtra('d008 0004 fde90001'), outcome: OK },
    {
      name: 'extended length that is cut',
      wire: withExtra('d008 01'),
      outcome: WITHDRAW,
      section: 'RFC 7606 section 4',
    },
    {
      name: 'two octets behind the attributes',
      wire: withExtra('c008'),
      outcome: WITHDRAW,
      section: 'RFC 7606 section 4',
    },
    {
      name: 'attribute that ends behind the attributes',
      wire: withExtra('c00804 fde9'),
      outcome: WITHDRAW,
      section: 'section 4',
    },
    {
      name: 'unknown optional transitive with the partial bit',
      wire: withExtra('e0c802 abcd'),
      outcome: OK,
      report: { attributes: { unknown: [{ type: 200, flags: 0xe0, value: 'abcd' }] } },
    },
    { name: 'unknown optional non-transitive', wire: withExtra('80c800'), outcome: OK },
    {
      name: 'unknown well-known',
      wire: withExtra('40c802 abcd'),
      outcome: RESET,
      section: 'RFC 4271 section 6.3',
      notification: '3/2',
      data: '40c802abcd',
    },
    { name: 'the partial bit on a known optional transitive', wire: withExtra('e00804 fde90001'), outcome: OK },
    { name: 'ORIGIN twice: the first counts', wire: withExtra('400101 02'), outcome: DISCARD, section: 'section 3 g' },
    {
      name: 'ORIGIN 3',
      wire: update({ attributes: `400101 03 ${AS_PATH} ${NEXT_HOP}`, nlri: NLRI }),
      outcome: WITHDRAW,
      section: '7.1',
    },
    {
      name: 'ORIGIN of 0 octets',
      wire: update({ attributes: `400100 ${AS_PATH} ${NEXT_HOP}`, nlri: NLRI }),
      outcome: WITHDRAW,
      section: '7.1',
    },
    {
      name: 'ORIGIN as optional',
      wire: update({ attributes: `c00101 00 ${AS_PATH} ${NEXT_HOP}`, nlri: NLRI }),
      outcome: WITHDRAW,
      section: 'RFC 7606 section 3 c',
    },
    {
      name: 'OTC',
      wire: withExtra('c02304 0000fde9'),
      outcome: OK,
      report: { attributes: { ONLY_TO_CUSTOMER: 65001 } },
    },
    { name: 'OTC of 2 octets', wire: withExtra('c02302 fde9'), outcome: WITHDRAW, section: 'RFC 9234 section 5' },
    { name: 'large community', wire: withExtra('c0200c 0000fde9 00000001 00000002'), outcome: OK },
    {
      name: 'large communities of 11 octets',
      wire: withExtra(`c0200b ${'00'.repeat(11)}`),
      outcome: WITHDRAW,
      section: 'RFC 8092 section 6',
    },
    {
      name: 'large communities of 0 octets',
      wire: withExtra('c02000'),
      outcome: WITHDRAW,
      section: 'RFC 8092 section 6',
    },
    {
      name: 'extended communities of 7 octets',
      wire: withExtra(`c01007 ${'00'.repeat(7)}`),
      outcome: WITHDRAW,
      section: '7.14',
    },
    { name: 'extended community of an unknown type', wire: withExtra('c01008 7fff000000000000'), outcome: OK },
    { name: 'communities of 6 octets', wire: withExtra('c00806 fde90001 fde9'), outcome: WITHDRAW, section: '7.8' },
    {
      name: 'ORIGINATOR_ID from an external peer',
      wire: withExtra('800904 0a000001'),
      outcome: DISCARD,
      section: '7.9',
    },
    {
      name: 'CLUSTER_LIST from an external peer, malformed too',
      wire: withExtra('800a03 0a0000'),
      outcome: DISCARD,
      section: '7.10',
    },
    {
      name: 'ORIGINATOR_ID and CLUSTER_LIST from an internal peer',
      wire: withExtra(`${LOCAL_PREF} 800904 0a000001 800a08 0a000002 0a000003`),
      options: { ibgp: true },
      outcome: OK,
    },
    {
      name: 'CLUSTER_LIST of 3 octets from an internal peer',
      wire: withExtra(`${LOCAL_PREF} 800a03 0a0000`),
      options: { ibgp: true },
      outcome: WITHDRAW,
      section: '7.10',
    },
    {
      name: 'no LOCAL_PREF from an internal peer',
      wire: withExtra(''),
      options: { ibgp: true },
      outcome: WITHDRAW,
      section: 'LOCAL_PREF is missing',
    },
    { name: 'LOCAL_PREF from an external peer', wire: withExtra(LOCAL_PREF), outcome: DISCARD, section: '7.5' },
    {
      name: 'discard and treat-as-withdraw together: the stronger',
      wire: withExtra('400601 00 c00806 fde90001 fde9'),
      outcome: WITHDRAW,
      section: '7.8',
    },
    {
      name: 'malformed beside a withdrawal alone (RFC 7606 section 5.2)',
      wire: update({ withdrawn: NLRI, attributes: '400101 03' }),
      outcome: RESET,
      section: 'RFC 7606 section 5.2',
      notification: '3/6',
      data: '40010103',
    },
    {
      name: 'discard beside a withdrawal alone',
      wire: update({ withdrawn: NLRI, attributes: '400601 00' }),
      outcome: DISCARD,
    },
  ])
})
