/**
 * NOTIFICATIONs in words (RFC 4271 section 4.5, 4486, 6608, 7313, 8538, 9003, 9384, 9687), and
 * communities in text.
 */
import { describe, expect, test } from 'bun:test'
import {
  communityName,
  formatCommunity,
  parseCommunity,
  parseLargeCommunity,
} from '../../../src/bgp/codec/communities.ts'
import {
  cease,
  describeNotification,
  hardReset,
  hardResetReason,
  maximumPrefixes,
  notification,
  shutdownText,
} from '../../../src/bgp/codec/errors.ts'
import { Cease } from '../../../src/bgp/codec/registry.ts'
import { bytes, hex } from './support.ts'

describe('describeNotification', () => {
  const CASES: readonly [number, number, string, string][] = [
    [1, 1, '', 'Message Header Error / Connection Not Synchronized'],
    [1, 2, '1001', 'Message Header Error / Bad Message Length: data 1001'],
    [2, 1, '0004', 'OPEN Message Error / Unsupported Version Number: the highest version it speaks is 4'],
    [2, 2, '', 'OPEN Message Error / Bad Peer AS'],
    [2, 7, '4600', 'OPEN Message Error / Unsupported Capability: data 4600'],
    [2, 11, '', 'OPEN Message Error / Role Mismatch'],
    [3, 11, '', 'UPDATE Message Error / Malformed AS_PATH'],
    [4, 0, '', 'Hold Timer Expired'],
    [5, 2, '', 'Finite State Machine Error / Receive Unexpected Message in OpenConfirm State'],
    [6, 1, '0001 01 000003e8', 'Cease / Maximum Number of Prefixes Reached: at most 1000 prefixes of AFI 1 SAFI 1'],
    [6, 2, '', 'Cease / Administrative Shutdown'],
    [6, 2, '05 68656c6c6f', 'Cease / Administrative Shutdown: "hello"'],
    [6, 4, '06 c3a974c3a920', 'Cease / Administrative Reset: "été "'],
    [6, 9, '06 03', 'Cease / Hard Reset: Cease / Peer De-configured'],
    [6, 9, '06 02 02 6f6b', 'Cease / Hard Reset: Cease / Administrative Shutdown: "ok"'],
    [6, 9, '06', 'Cease / Hard Reset: data 06'],
    // A NOTIFICATION without its code and subcode: only its data is there.
    [6, 9, '05 68656c6c6f', 'Cease / Hard Reset: "hello"'],
    [6, 9, '68656c6c6f', 'Cease / Hard Reset: "hello"'],
    [6, 9, '06 6d616e75616c', 'Cease / Hard Reset: "manual"'],
    [
      6,
      9,
      '0001 01 000003e8',
      'Cease / Hard Reset: Cease / Maximum Number of Prefixes Reached: at most 1000 prefixes of AFI 1 SAFI 1',
    ],
    [6, 9, '06 02 04 61626364', 'Cease / Hard Reset: Cease / Administrative Shutdown: "abcd"'],
    [6, 10, '', 'Cease / BFD Down'],
    [7, 1, '', 'ROUTE-REFRESH Message Error / Invalid Message Length'],
    [8, 0, '', 'Send Hold Timer Expired'],
    [6, 99, '', 'Cease / subcode 99'],
    [99, 7, '01', 'error code 99 subcode 7: data 01'],
  ]
  for (const [code, subcode, data, text] of CASES) {
    test(text, () => expect(describeNotification(notification(code, subcode, bytes(data)))).toBe(text))
  }
  test('a shutdown message that is not UTF-8, or of a wrong length, is said to be so, and shown as octets', () => {
    expect(describeNotification(notification(6, 2, bytes('02 c328')))).toBe(
      'Cease / Administrative Shutdown: a text that is not as RFC 9003 section 2 has it (invalid UTF-8): data 02c328',
    )
    expect(describeNotification(notification(6, 2, bytes('09 6f6b')))).toBe(
      'Cease / Administrative Shutdown: a text that is not as RFC 9003 section 2 has it (its length says 9, 2 octets follow): data 096f6b',
    )
  })
  test('nothing in it steers a terminal', () => {
    const text = describeNotification(cease(Cease.AdministrativeShutdown, '\u001b[2J\r\n\u202eevil'))
    expect(text).toBe('Cease / Administrative Shutdown: "\\u001b[2J\\r\\n\\u202eevil"')
  })
  test('long data is cut', () => {
    expect(describeNotification(notification(3, 5, new Uint8Array(4000)))).toEndWith('… (4000 octets)')
  })
})

describe('shutdown communication (RFC 9003)', () => {
  test('both ways', () => {
    const message = cease(Cease.AdministrativeShutdown, 'maintenance at 22:00')
    expect(message.data[0]).toBe(20)
    expect(shutdownText(message)).toBe('maintenance at 22:00')
  })
  test('is cut at a character', () => {
    const message = cease(Cease.AdministrativeReset, `x${'é'.repeat(200)}`)
    expect(message.data.length).toBe(128)
    expect(shutdownText(message)).toBe(`x${'é'.repeat(63)}`)
  })
  test('128 octets are sent, 255 are read', () => {
    expect(shutdownText(cease(Cease.AdministrativeShutdown, 'x'.repeat(300)))).toBe('x'.repeat(128))
    expect(shutdownText(notification(6, 2, bytes(`ff${'78'.repeat(255)}`)))).toBe('x'.repeat(255))
  })
  test('only where the RFC has it', () => {
    expect(cease(Cease.PeerDeconfigured, 'text').data.length).toBe(0)
    expect(shutdownText(notification(6, 3, bytes('02 6f6b')))).toBeUndefined()
    expect(shutdownText(notification(2, 2, bytes('02 6f6b')))).toBeUndefined()
  })
})

test('a Hard Reset carries its reason (RFC 8538)', () => {
  const outer = hardReset(cease(Cease.AdministrativeShutdown, 'ok'))
  expect([outer.code, outer.subcode, hex(outer.data)]).toEqual([6, 9, '0602026f6b'])
  expect(hardResetReason(outer)).toEqual(cease(Cease.AdministrativeShutdown, 'ok'))
  expect(hardResetReason(cease(Cease.AdministrativeShutdown, 'ok'))).toBeUndefined()
})

test('maximum prefixes (RFC 4486)', () => {
  expect(maximumPrefixes(notification(6, 1, bytes('0002 01 00000064')))).toEqual({ afi: 2, safi: 1, limit: 100 })
  expect(maximumPrefixes(notification(6, 1, bytes('0002 01')))).toBeUndefined()
})

describe('communities', () => {
  test('text and number', () => {
    expect(parseCommunity('65001:10')).toBe(65001 * 65536 + 10)
    expect(parseCommunity('graceful-shutdown')).toBe(0xffff0000)
    expect(formatCommunity(0xffffff01)).toBe('65535:65281')
    expect(communityName('65535:65281')).toBe('no-export')
    expect(communityName('65001:1')).toBeUndefined()
    expect(parseLargeCommunity('4294967295:0:1')).toEqual([4294967295, 0, 1])
  })
  for (const text of ['', '1', '1:2:3', '65536:1', '1:65536', '-1:1', '01:1', '1:1 ', 'toString', '__proto__']) {
    test(`${JSON.stringify(text)} is none`, () => expect(parseCommunity(text)).toBeUndefined())
  }
  for (const text of ['1:2', '1:2:3:4', '4294967296:1:1', '1:1:x', '01:1:1', '1:00:1']) {
    test(`${text} is no large one`, () => expect(parseLargeCommunity(text)).toBeUndefined())
  }
})
