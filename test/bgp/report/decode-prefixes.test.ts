/**
 * What `terway-edge bgp decode` makes of prefixes at the edge of the standards: those of
 * MP_REACH_NLRI and MP_UNREACH_NLRI, and those of the UPDATE itself. Written from the RFCs.
 */
import { describe } from 'bun:test'
import { AS_PATH, attribute, MANDATORY, message, NLRI, ORIGIN, update } from '../codec/support.ts'
import { DISCARD, OK, RESET, testOutcomes, WITHDRAW } from './decode-cases.ts'

const LINK_LOCAL = 'fe800000000000000000000000000001'
const GLOBAL = '20010db8000000000000000000000001'
const V6_NLRI = '20 20010db8'
const ATTRIBUTES = `${ORIGIN} ${AS_PATH}`
const reach = (value: string, flags = '80') => attribute(`${flags}0e`, value)
const unreach = (value: string, flags = '80') => attribute(`${flags}0f`, value)
/** An UPDATE whose prefixes are in MP_REACH_NLRI. */
const multi = (value: string) => update({ attributes: `${reach(value)} ${ATTRIBUTES}` })
const compact = (text: string) => text.replaceAll(' ', '')

describe('MP_REACH_NLRI and MP_UNREACH_NLRI (RFC 4760, 7606, 8950)', () => {
  const wrongHop = (octets: string, length: string) => reach(`0002 01 ${length} ${octets} 00 ${V6_NLRI}`)
  testOutcomes([
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
      name: 'MP_REACH_NLRI needs no NEXT_HOP, and one beside it is ignored, also a malformed one (RFC 4760 section 3)',
      wire: update({ attributes: `${reach(`0002 01 10 ${GLOBAL} 00 ${V6_NLRI}`)} ${ATTRIBUTES} 400303 c00002` }),
      outcome: OK,
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
      section: 'RFC 4760 section 8',
    },
    {
      name: 'IPv6 with only IPv4 negotiated',
      wire: multi(`0002 01 10 ${GLOBAL} 00 ${V6_NLRI}`),
      options: { families: ['ipv4'] },
      outcome: DISCARD,
      section: 'RFC 4760 section 8',
    },
  ])
})

describe('prefixes', () => {
  const prefixes = (nlri: string) => update({ attributes: MANDATORY, nlri })
  testOutcomes([
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
