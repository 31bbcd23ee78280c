/**
 * What `terway-edge bgp decode` makes of messages at the edge of the standards: written from the RFCs, with the outcome, the section and
 * the NOTIFICATION that they ask for.
 */
import { describe, expect, test } from 'bun:test'
import { readHexLine, reportContext, reportMessage } from '../../src/bgp/decode-report.ts'
import {
  AS_PATH,
  attribute,
  hex,
  LOCAL_PREF,
  MANDATORY,
  message,
  NEXT_HOP,
  NLRI,
  ORIGIN,
  update,
} from './codec-support.ts'

const DEFAULTS = { as2: false, ibgp: false, families: ['ipv4', 'ipv6'], extendedMessages: false } as const
type Options = Partial<Parameters<typeof reportContext>[0]>

const OK = 'ok'
const DISCARD = 'attribute-discard'
const WITHDRAW = 'treat-as-withdraw'
const RESET = 'session-reset'

interface Case {
  readonly name: string
  readonly wire: Uint8Array
  readonly options?: Options
  readonly outcome: string
  /** Part of the reason. */
  readonly section?: string
  /** `code/subcode`, and the data where the RFC says what it is. */
  readonly notification?: string
  readonly data?: string
  readonly report?: object
}

function run(cases: readonly Case[]): void {
  for (const { name, wire, options = {}, outcome, section, notification, data, report } of cases) {
    test(`${name}: ${outcome}`, () => {
      const line = readHexLine(hex(wire))
      if (line.kind !== 'bytes') throw new Error('not hexadecimal')
      const found = reportMessage(line.bytes, reportContext({ ...DEFAULTS, ...options }))
      expect(`${found.outcome} ${found.reason ?? ''}`).toStartWith(outcome)
      if (outcome === OK) expect(found).not.toHaveProperty('reason')
      else expect(String(found.reason)).toContain(section ?? '')
      if (outcome !== RESET) expect(found).not.toHaveProperty(wire[18] === 3 ? 'reason' : 'notification')
      const sent = found.notification as { code: number; subcode: number; data: string } | undefined
      if (notification !== undefined) expect(`${sent?.code}/${sent?.subcode}`).toBe(notification)
      if (data !== undefined) expect(sent?.data).toBe(data)
      if (report !== undefined) expect(found).toMatchObject(report)
    })
  }
}

const LINK_LOCAL = 'fe800000000000000000000000000001'
const GLOBAL = '20010db8000000000000000000000001'
const V6_NLRI = '20 20010db8'
const ATTRIBUTES = `${ORIGIN} ${AS_PATH}`
const reach = (value: string, flags = '80') => attribute(`${flags}0e`, value)
const unreach = (value: string, flags = '80') => attribute(`${flags}0f`, value)
/** An UPDATE whose prefixes are in MP_REACH_NLRI. */
const multi = (value: string) => update({ attributes: `${reach(value)} ${ATTRIBUTES}` })
/** An UPDATE with the mandatory attributes, `extra`, and 10.0.1.0/24. */
const withExtra = (extra: string) => update({ attributes: `${MANDATORY} ${extra}`, nlri: NLRI })
const compact = (text: string) => text.replaceAll(' ', '')

describe('MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760, 7606, 8950)', () => {
  const wrongHop = (octets: string, length: string) => reach(`0002 01 ${length} ${octets} 00 ${V6_NLRI}`)
  run([
    { name: 'IPv6, next hop of 16 octets', wire: multi(`0002 01 10 ${GLOBAL} 00 ${V6_NLRI}`), outcome: OK },
    {
      name: 'IPv6, next hop of 32 octets (RFC 2545)',
      wire: multi(`0002 01 20 ${GLOBAL} ${LINK_LOCAL} 00 ${V6_NLRI}`),
      outcome: OK,
      report: { attributes: { MP_REACH_NLRI: { nextHop: '2001:db8::1', linkLocalNextHop: 'fe80::1' } } },
    },
    ...['04', '00', '08', '18', '11'].map(length => ({
      name: `IPv6, next hop of 0x${length} octets`,
      wire: update({ attributes: `${wrongHop('00'.repeat(Number.parseInt(length, 16)), length)} ${ATTRIBUTES}` }),
      outcome: RESET,
      section: 'RFC 7606 section 7.11',
      notification: '3/9',
      data: compact(wrongHop('00'.repeat(Number.parseInt(length, 16)), length)),
    })),
    { name: 'IPv4 in MP_REACH_NLRI, next hop of 4 octets', wire: multi(`0001 01 04 c0000201 00 ${NLRI}`), outcome: OK },
    {
      name: 'IPv4 over a next hop of 16 octets (RFC 8950)',
      wire: multi(`0001 01 10 ${GLOBAL} 00 ${NLRI}`),
      outcome: OK,
      report: { attributes: { MP_REACH_NLRI: { afi: 1, nextHop: '2001:db8::1', nlri: ['10.0.1.0/24'] } } },
    },
    {
      name: 'IPv4 over 32 octets (RFC 8950)',
      wire: multi(`0001 01 20 ${GLOBAL} ${LINK_LOCAL} 00 ${NLRI}`),
      outcome: OK,
    },
    {
      name: 'IPv4 over 24 octets, which is for VPN routes',
      wire: multi(`0001 01 18 ${'00'.repeat(8)} ${GLOBAL} 00 ${NLRI}`),
      outcome: RESET,
      section: 'RFC 7606 section 7.11',
      notification: '3/9',
    },
    {
      name: 'next hop that ends behind the attribute',
      wire: multi(`0002 01 10 ${GLOBAL.slice(0, 20)}`),
      outcome: RESET,
      section: 'RFC 7606 section 7.11',
    },
    { name: 'MP_REACH_NLRI of 4 octets', wire: multi('0002 01 00'), outcome: RESET, notification: '3/9' },
    {
      name: 'IPv6 prefix of 129 bits',
      wire: multi(`0002 01 10 ${GLOBAL} 00 81 ${'00'.repeat(17)}`),
      outcome: RESET,
      section: 'RFC 7606 section 5.3',
      notification: '3/9',
    },
    {
      name: 'IPv6 prefix that is cut',
      wire: multi(`0002 01 10 ${GLOBAL} 00 40 20010db8`),
      outcome: RESET,
      section: 'RFC 7606 section 5.3',
    },
    {
      name: 'MP_REACH_NLRI with the transitive bit',
      wire: update({ attributes: `${reach(`0002 01 10 ${GLOBAL} 00 ${V6_NLRI}`, 'c0')} ${ATTRIBUTES}` }),
      outcome: RESET,
      section: 'RFC 7606 section 5.3',
      notification: '3/4',
    },
    {
      name: 'MP_REACH_NLRI without ORIGIN',
      wire: update({ attributes: `${reach(`0002 01 10 ${GLOBAL} 00 ${V6_NLRI}`)} ${AS_PATH}` }),
      outcome: WITHDRAW,
      section: 'RFC 7606 section 3 d',
    },
    {
      name: 'MP_REACH_NLRI needs no NEXT_HOP, and a malformed one beside it is treat-as-withdraw',
      wire: update({ attributes: `${reach(`0002 01 10 ${GLOBAL} 00 ${V6_NLRI}`)} ${ATTRIBUTES} 400303 c00002` }),
      outcome: WITHDRAW,
      section: 'RFC 7606 section 7.3',
    },
    {
      name: 'MP_REACH_NLRI twice',
      wire: update({ attributes: `${reach(`0002 01 10 ${GLOBAL} 00 ${V6_NLRI}`).repeat(2)} ${ATTRIBUTES}` }),
      outcome: RESET,
      section: 'RFC 7606 section 3 g',
      notification: '3/1',
      data: '',
    },
    {
      name: 'MP_UNREACH_NLRI twice',
      wire: update({ attributes: unreach(`0002 01 ${V6_NLRI}`).repeat(2) }),
      outcome: RESET,
      section: 'RFC 7606 section 3 g',
      notification: '3/1',
    },
    {
      name: 'MP_UNREACH_NLRI alone',
      wire: update({ attributes: unreach(`0002 01 ${V6_NLRI}`) }),
      outcome: OK,
      report: { attributes: { MP_UNREACH_NLRI: { afi: 2, safi: 1, withdrawn: ['2001:db8::/32'] } } },
    },
    {
      name: 'MP_UNREACH_NLRI of 2 octets',
      wire: update({ attributes: unreach('0002') }),
      outcome: RESET,
      notification: '3/9',
    },
    {
      name: 'End-of-RIB of IPv6 (RFC 4724 section 2)',
      wire: update({ attributes: unreach('0002 01') }),
      outcome: OK,
      report: { attributes: { MP_UNREACH_NLRI: { withdrawn: [] } } },
    },
    { name: 'End-of-RIB of IPv4', wire: message(2, '0000 0000'), outcome: OK, report: { attributes: {}, nlri: [] } },
    {
      name: 'End-of-RIB of VPNv4, not negotiated',
      wire: update({ attributes: unreach('0001 80') }),
      outcome: DISCARD,
      section: 'RFC 4760 section 7',
    },
    {
      name: 'IPv6 with only IPv4 negotiated',
      wire: multi(`0002 01 10 ${GLOBAL} 00 ${V6_NLRI}`),
      options: { families: ['ipv4'] },
      outcome: DISCARD,
      section: 'RFC 4760 section 7',
    },
  ])
})

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
  run([
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
  run([
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

describe('prefixes', () => {
  const prefixes = (nlri: string) => update({ attributes: MANDATORY, nlri })
  run([
    {
      name: 'host bits beyond the mask are irrelevant',
      wire: prefixes('19 0a0001ff'),
      outcome: OK,
      report: { nlri: ['10.0.1.128/25'] },
    },
    {
      name: 'a prefix twice',
      wire: prefixes(`${NLRI} ${NLRI}`),
      outcome: OK,
      report: { nlri: ['10.0.1.0/24', '10.0.1.0/24'] },
    },
    {
      name: 'a prefix withdrawn and announced',
      wire: update({ withdrawn: NLRI, attributes: MANDATORY, nlri: NLRI }),
      outcome: OK,
    },
    { name: 'the default route', wire: prefixes('00'), outcome: OK, report: { nlri: ['0.0.0.0/0'] } },
    {
      name: 'a prefix of 33 bits',
      wire: prefixes('21 0a00010000'),
      outcome: RESET,
      section: '5.3',
      notification: '3/10',
    },
    { name: 'a prefix that is cut', wire: prefixes('18 0a00'), outcome: RESET, section: '5.3', notification: '3/10' },
    {
      name: 'a withdrawn prefix of 33 bits',
      wire: update({ withdrawn: '21 0a00010000' }),
      outcome: RESET,
      section: '5.3',
      notification: '3/10',
    },
    {
      name: 'path identifiers (RFC 7911) that were not negotiated and do not fit',
      wire: prefixes('00000001 20 0a000101'),
      outcome: RESET,
      section: '5.3',
      notification: '3/10',
    },
    {
      name: 'Total Path Attribute Length beyond the message',
      wire: message(2, '0000 00ff'),
      outcome: RESET,
      section: 'RFC 4271 section 6.3',
      notification: '3/1',
    },
  ])
})

describe('ROUTE-REFRESH (RFC 2918, 7313)', () => {
  const cut = (subtype: string) => message(5, `0001 ${subtype}`)
  const long = (subtype: string) => message(5, `0001 ${subtype} 01 ff`)
  run([
    { name: 'request', wire: message(5, '0001 00 01'), outcome: OK, report: { afi: 1, subtype: 0, safi: 1 } },
    { name: 'BoRR', wire: message(5, '0002 01 01'), outcome: OK, report: { subtype: 1 } },
    { name: 'EoRR', wire: message(5, '0002 02 01'), outcome: OK, report: { subtype: 2 } },
    { name: 'an unassigned subtype is ignored', wire: message(5, '0001 07 01'), outcome: OK, report: { subtype: 7 } },
    ...['01', '02'].flatMap(subtype =>
      [cut(subtype), long(subtype)].map(wire => ({
        name: `subtype ${subtype} of ${wire.length - 19} octets`,
        wire,
        outcome: RESET,
        section: 'RFC 7313 section 5',
        notification: '7/1',
        data: hex(wire),
      })),
    ),
    {
      name: 'a request of 3 octets',
      wire: cut('00'),
      outcome: RESET,
      section: 'RFC 4271 section 6.1',
      notification: '1/2',
      data: '0016',
    },
  ])
})

describe('OPEN (RFC 4271, 5492, 9072, 9234)', () => {
  const open = (parameters: string) => message(1, `04 fde9 005a 0a000001 ${parameters}`)
  run([
    {
      name: 'extended optional parameters',
      wire: open('ff ff 0009 02 0006 01 04 0001 00 01'),
      outcome: OK,
      report: { capabilities: [{ name: 'multiprotocol', afi: 1, safi: 1 }] },
    },
    {
      name: 'extended form with a length octet that is not 255',
      wire: open('0c ff 0009 02 0006 01 04 0001 00 01'),
      outcome: OK,
    },
    {
      name: 'extended form whose length is wrong',
      wire: open('ff ff 0010 02 0006 01 04 0001 00 01'),
      outcome: RESET,
      section: 'RFC 4271 section 6.2',
      notification: '2/0',
    },
    { name: 'extended form without parameters', wire: open('ff ff 0000'), outcome: OK, report: { capabilities: [] } },
    { name: 'two capability parameters', wire: open('08 02 02 0200 02 02 4600'), outcome: OK },
    { name: 'unknown capability', wire: open('04 02 02 c800'), outcome: OK },
    { name: 'unknown parameter', wire: open('03 63 01 00'), outcome: RESET, section: '6.2', notification: '2/4' },
    {
      name: 'version 3',
      wire: message(1, '03 fde9 005a 0a000001 00'),
      outcome: RESET,
      notification: '2/1',
      data: '0004',
    },
    { name: 'hold time 2', wire: message(1, '04 fde9 0002 0a000001 00'), outcome: RESET, notification: '2/6' },
    {
      name: 'AS 0',
      wire: message(1, '04 0000 005a 0a000001 00'),
      outcome: RESET,
      section: 'RFC 7607',
      notification: '2/2',
    },
    {
      name: 'BGP Identifier 0',
      wire: message(1, '04 fde9 005a 00000000 00'),
      outcome: RESET,
      section: 'RFC 6286',
      notification: '2/3',
    },
    { name: 'two equal roles', wire: open('08 02 06 090103 090103'), outcome: OK },
    {
      name: 'two different roles',
      wire: open('08 02 06 090103 090104'),
      outcome: RESET,
      section: 'RFC 9234 section 4.2',
      notification: '2/11',
    },
  ])
})

describe('NOTIFICATION (RFC 4486, 8538, 9003, 9687)', () => {
  const note = (body: string) => message(3, body)
  const shutdown = { shutdownCommunication: 'bye' }
  run([
    { name: 'shutdown with a text', wire: note('06 02 03 627965'), outcome: OK, report: shutdown },
    { name: 'reset with a text', wire: note('06 04 03 627965'), outcome: OK, report: shutdown },
    {
      name: 'text of 255 octets',
      wire: note(`06 02 ff ${'78'.repeat(255)}`),
      outcome: OK,
      report: { shutdownCommunication: 'x'.repeat(255) },
    },
    { name: 'text that is not UTF-8', wire: note('06 02 02 c328'), outcome: OK },
    { name: 'text that is cut', wire: note('06 02 05 627965'), outcome: OK },
    { name: 'overlong UTF-8', wire: note('06 02 02 c0af'), outcome: OK },
    { name: 'maximum prefixes with the bound', wire: note('06 01 0001 01 00000064'), outcome: OK },
    { name: 'Hard Reset', wire: note('06 09 06 02 00'), outcome: OK, report: { hardReset: { code: 6, subcode: 2 } } },
    { name: 'Send Hold Timer Expired', wire: note('08 00'), outcome: OK },
    { name: 'an unregistered code', wire: note('63 01'), outcome: OK },
    { name: 'of 1 octet', wire: note('06'), outcome: RESET, section: 'RFC 4271 section 6.1', notification: '1/2' },
  ])
  test.each(['06 02 02 c328', '06 02 05 627965', '06 02 02 c0af', '06 03 03 627965'])('%s has no text', body => {
    expect(reportMessage(note(body), reportContext(DEFAULTS))).not.toHaveProperty('shutdownCommunication')
  })
})

describe('the header (RFC 4271 section 6.1, 8654)', () => {
  /** An UPDATE of `octets` octets. */
  const big = (octets: number) => {
    const filling = octets - 23 - 4 - 18
    const unknown = `d0c8 ${filling.toString(16).padStart(4, '0')} ${'00'.repeat(filling)}`
    return update({ attributes: `${unknown} ${ORIGIN} 400204 0201fde9 ${NEXT_HOP}` })
  }
  const marker = message(4, '')
  marker[3] = 0
  run([
    { name: 'UPDATE of 4096 octets', wire: big(4096), options: { as2: true }, outcome: OK },
    {
      name: 'UPDATE of 4097 octets',
      wire: big(4097),
      options: { as2: true },
      outcome: RESET,
      section: '6.1',
      notification: '1/2',
      data: '1001',
    },
    {
      name: 'UPDATE of 4097 octets, extended',
      wire: big(4097),
      options: { as2: true, extendedMessages: true },
      outcome: OK,
    },
    {
      name: 'UPDATE of 65535 octets, extended',
      wire: big(65535),
      options: { as2: true, extendedMessages: true },
      outcome: OK,
    },
    {
      name: 'OPEN of 4097 octets, extended (RFC 8654 section 4)',
      wire: message(1, '00'.repeat(4078)),
      options: { extendedMessages: true },
      outcome: RESET,
      notification: '1/2',
    },
    { name: 'KEEPALIVE of 20 octets', wire: message(4, '00'), outcome: RESET, notification: '1/2', data: '0014' },
    { name: 'type 0', wire: message(0, ''), outcome: RESET, notification: '1/3', data: '00' },
    { name: 'type 6', wire: message(6, ''), outcome: RESET, notification: '1/3', data: '06' },
    { name: 'marker', wire: marker, outcome: RESET, notification: '1/1', data: '' },
  ])
})
