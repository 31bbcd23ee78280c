/**
 * What decides how octets are read: options of the caller, and the OPENs of a captured connection,
 * each direction by whose word counts.
 */
import { describe, expect, test } from 'bun:test'
import { decodeMessage, INITIAL_CONTEXT } from '../../../src/bgp/codec/message.ts'
import type { Open } from '../../../src/bgp/codec/message-types.ts'
import { reportMessage } from '../../../src/bgp/report/decode-report.ts'
import { HexLines, MAX_LINE } from '../../../src/bgp/report/hex-lines.ts'
import { negotiatedContext, reportContext } from '../../../src/bgp/report/report-options.ts'
import { jsonText } from '../../../src/lib/json-text.ts'
import { bytes, MANDATORY, message, NLRI, ORIGIN, update } from '../codec/support.ts'
import { DEFAULTS } from './decode-cases.ts'

const report = (wire: Uint8Array, options = {}) => reportMessage(wire, reportContext({ ...DEFAULTS, ...options }))

function open(capabilities = '', asNumber = 'fdf2'): Open {
  const length = (octets: number) => octets.toString(16).padStart(2, '0')
  const size = bytes(capabilities).length
  const parameters = size === 0 ? '00' : `${length(size + 2)} 02 ${length(size)} ${capabilities}`
  const decoded = decodeMessage(message(1, `04 ${asNumber} 005a 0a000001 ${parameters}`), INITIAL_CONTEXT)
  if (decoded.message?.type !== 'OPEN') throw new Error(JSON.stringify(decoded))
  return decoded.message
}

/** Capabilities, as hexadecimal. */
const IPV4 = '0104 00010001'
const IPV6 = '0104 00020001'
const AS4 = '4104 0000fdf2'
const EXTENDED = '0600'
const NEXT_HOPS = '0506 000100010002'
const addPath = (...tuples: string[]) => `45${(tuples.length * 4).toString(16).padStart(2, '0')}${tuples.join('')}`
const [RECEIVE, SEND, BOTH] = ['00010101', '00010102', '00010103']
const ORF = '0307 00010001 01 4003'

describe('what the OPENs of a connection say, for one direction of it', () => {
  const CASES: readonly [string, string, string, object][] = [
    ['nothing', '', '', { fourOctetAs: false, extendedMessages: false, extendedNextHop: false, families: ['ipv4'] }],
    ['4-octet AS numbers need both', AS4, '', { fourOctetAs: false }],
    ['4-octet AS numbers', AS4, AS4, { fourOctetAs: true }],
    ['a family needs both', `${IPV4}${IPV6}`, IPV6, { families: ['ipv6'] }],
    ['long messages: the word of who receives', '', EXTENDED, { extendedMessages: true }],
    ['long messages: not that of who sends', EXTENDED, '', { extendedMessages: false }],
    ['IPv6 next hops: the word of who receives', '', NEXT_HOPS, { extendedNextHop: true }],
    ['IPv6 next hops: not that of who sends', NEXT_HOPS, '', { extendedNextHop: false }],
    ['IPv6 next hops of another family', '', '0506 000100800002', { extendedNextHop: false }],
    ['IPv4 next hops', '', '0506 000100010001', { extendedNextHop: false }],
    ['paths: sent and received', addPath(SEND), addPath(RECEIVE), { addPath: ['ipv4'] }],
    ['paths: both can both', addPath(BOTH), addPath(BOTH), { addPath: ['ipv4'] }],
    ['paths: the other direction', addPath(RECEIVE), addPath(SEND), { addPath: [] }],
    ['paths: one side alone', addPath(BOTH), '', { addPath: [] }],
    ['paths: of IPv6', addPath(BOTH, '00020102'), addPath('00020103'), { addPath: ['ipv6'] }],
    ['paths: a value that nobody knows is ignored', addPath(SEND, '00010107'), addPath(RECEIVE), { addPath: ['ipv4'] }],
    ['paths: of labelled prefixes', addPath('00010402'), addPath('00010401'), { addPath: [] }],
    ['paths: of a length that it cannot have', '4503000101', addPath(RECEIVE), { addPath: [] }],
    ['route filters need both', ORF, '', { orf: false }],
    ['route filters', ORF, `82${ORF.slice(2)}`, { orf: true }],
  ]
  for (const [name, sender, receiver, expected] of CASES) {
    test(name, () => expect(negotiatedContext(open(sender), open(receiver))).toMatchObject(expected))
  }
  test('one AS is an internal peer', () => {
    expect(negotiatedContext(open(), open()).ibgp).toBe(true)
    expect(negotiatedContext(open(), open('', 'fde9')).ibgp).toBe(false)
  })
})

describe('path identifiers (RFC 7911 section 3)', () => {
  const wire = update({ attributes: MANDATORY, nlri: `00000001 ${NLRI} 00000002 ${NLRI}` })
  test('are read where they are agreed on', () => {
    expect(report(wire, { addPath: ['ipv4'] })).toMatchObject({
      outcome: 'ok',
      nlri: ['10.0.1.0/24', '10.0.1.0/24'],
      nlriPathIdentifiers: [1, 2],
    })
  })
  test('are none elsewhere', () => {
    expect(report(update({ attributes: MANDATORY, nlri: NLRI }), { addPath: ['ipv6'] })).not.toHaveProperty(
      'nlriPathIdentifiers',
    )
  })
  test('of withdrawn prefixes and of other families', () => {
    const reach = `800e 1e 0002 01 10 20010db8000000000000000000000001 00 ffffffff 20 20010db8`
    const both = { addPath: ['ipv4', 'ipv6'] as const }
    expect(report(update({ withdrawn: `00000007 ${NLRI}` }), both)).toMatchObject({ withdrawnPathIdentifiers: [7] })
    expect(report(update({ attributes: `${reach} ${ORIGIN} 400200` }), both)).toMatchObject({
      outcome: 'ok',
      attributes: { MP_REACH_NLRI: { nlri: ['2001:db8::/32'], nlriPathIdentifiers: [4294967295] } },
    })
  })
  test('without a prefix are an error', () => {
    const cut = update({ attributes: MANDATORY, nlri: '00000001' })
    expect(report(cut, { addPath: ['ipv4'] })).toMatchObject({ outcome: 'session-reset' })
  })
  test('the capability is shown', () => {
    const wire = message(1, '04 fdf2 005a 0a000001 08 02 06 4504 00010103')
    expect(report(wire)).toMatchObject({
      capabilities: [{ name: 'add-path', code: 69, tuples: [{ afi: 1, safi: 1, value: 3, sendReceive: 'both' }] }],
    })
  })
})

describe('what is not taken is shown', () => {
  test('an AS_PATH with an AS_SET', () => {
    const path = '40020a 0102 0000fde9 0000fdea'
    expect(report(update({ attributes: `${ORIGIN} ${path} 400304 c0000201`, nlri: NLRI }))).toMatchObject({
      outcome: 'treat-as-withdraw',
      rejected: [
        {
          name: 'AS_PATH',
          type: 2,
          flags: 64,
          value: '01020000fde90000fdea',
          segments: [{ type: 'AS_SET', asNumbers: [65001, 65002] }],
        },
      ],
    })
  })
  test('a second one, one of the wrong length, one that is cut', () => {
    expect(report(update({ attributes: `${MANDATORY} 40010101`, nlri: NLRI }))).toMatchObject({
      outcome: 'attribute-discard',
      rejected: [{ name: 'ORIGIN', value: '01' }],
    })
    expect(report(update({ attributes: `${MANDATORY} 800403000001`, nlri: NLRI }))).toMatchObject({
      rejected: [{ name: 'MULTI_EXIT_DISC', type: 4, flags: 128, value: '000001' }],
    })
    expect(report(update({ attributes: `${MANDATORY} c00808 0001`, nlri: NLRI }))).toMatchObject({
      rejected: [{ name: 'COMMUNITIES', value: '0001', cut: true }],
    })
  })
  test('nothing is rejected of a good UPDATE', () => {
    const { rejected } = report(update({ attributes: MANDATORY, nlri: NLRI }))
    expect(rejected).toBeUndefined()
  })
  test('a message that cannot be read, as octets', () => {
    expect(report(message(9, '0102'))).toMatchObject({
      type: null,
      typeCode: 9,
      octets: `${'ff'.repeat(16)}0015090102`,
    })
  })
})

describe('route filters (RFC 5291 section 5)', () => {
  const wire = message(5, '0001 00 01 01 40 000a 00 00000005 08 18 0a 01 02')
  test('are shown where they may come', () => {
    expect(report(wire, { orf: true })).toMatchObject({
      type: 'ROUTE-REFRESH',
      outcome: 'ok',
      whenToRefresh: 1,
      whenToRefreshName: 'IMMEDIATE',
      filters: [{ type: 64, entries: '000000000508180a0102' }],
    })
  })
  test('are a wrong length elsewhere', () => expect(report(wire)).toMatchObject({ outcome: 'session-reset' }))
})

test('what could steer a terminal or turn the text round is escaped in every string', () => {
  const text = 'a\u009b31m\u202eb\u2066\u200f\u061c\u007f\u001b'
  const shutdown = Buffer.from(text)
  const wire = message(3, `06 02 ${shutdown.length.toString(16).padStart(2, '0')} ${shutdown.toString('hex')}`)
  const line = jsonText(report(wire))
  expect(line).not.toMatch(/[^\x20-\x7e]/)
  expect(JSON.parse(line)).toMatchObject({ shutdownCommunication: text })
})

describe('lines', () => {
  const read = (...texts: string[]) => {
    const lines = new HexLines()
    return [...texts.flatMap(text => lines.push(text)), lines.end()].map(({ kind }) => kind)
  }
  test('come in pieces', () => {
    expect(read('ff', 'ff\n# no', 'thing\nzz\n0', '0')).toEqual(['bytes', 'empty', 'not-hex', 'bytes'])
  })
  test('a longer one than any message is told, and the next is read', () => {
    const piece = 'ff'.repeat(MAX_LINE / 4)
    expect(read(piece, piece, piece, 'ff\nff\n')).toEqual(['too-long', 'bytes', 'empty'])
  })
  test('one of the longest message is read', () => {
    expect(read('0xff '.repeat(65535))).toEqual(['bytes'])
  })
})
