/**
 * What `terway-edge bgp decode` makes of the messages besides UPDATE, and of headers, at the edge
 * of the standards. Written from the RFCs.
 */
import { describe, expect, test } from 'bun:test'
import { reportMessage } from '../../../src/bgp/report/decode-report.ts'
import { reportContext } from '../../../src/bgp/report/report-options.ts'
import { hex, message, NEXT_HOP, ORIGIN, update } from '../codec/support.ts'
import { DEFAULTS, OK, RESET, testOutcomes } from './decode-cases.ts'

describe('ROUTE-REFRESH (RFC 2918, 7313)', () => {
  const cut = (subtype: string) => message(5, `0001 ${subtype}`)
  const long = (subtype: string) => message(5, `0001 ${subtype} 01 ff`)
  testOutcomes([
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
  testOutcomes([
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
  testOutcomes([
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
  testOutcomes([
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
