/**
 * The OPEN message's errors (RFC 4271 section 6.2, 5492, 6286, 7607, 9072, 9234) and the check of
 * roles.
 */
import { describe, expect, test } from 'bun:test'
import { decodeMessage, encodeMessage, INITIAL_CONTEXT } from '../../../src/bgp/codec/message.ts'
import { checkRole } from '../../../src/bgp/codec/message-open.ts'
import type { Capability, Decoded, Open } from '../../../src/bgp/codec/message-types.ts'
import { Role } from '../../../src/bgp/codec/registry.ts'
import { toHex } from '../../../src/lib/bytes.ts'
import { answer, bytes, message } from './support.ts'

const open = (body: string): Decoded => decodeMessage(message(1, body), INITIAL_CONTEXT)
/** With these optional parameters, from the length octet on. */
const withParameters = (parameters: string): Decoded => open(`04 fdf2 005a 0a000001 ${parameters}`)
const capabilitiesOf = (decoded: Decoded) => (decoded.message?.type === 'OPEN' ? decoded.message.capabilities : decoded)

describe('fields', () => {
  test('version 3: the highest version is the data', () =>
    expect(answer(open('03 fdf2 005a 0a000001 00'))).toBe('2/1 0004'))
  test('AS 0 (RFC 7607)', () => expect(answer(open('04 0000 005a 0a000001 00'))).toBe('2/2'))
  test('AS 0 in the capability', () => expect(answer(withParameters('08 02 06 41 04 00000000'))).toBe('2/2'))
  test('identifier 0 (RFC 6286)', () => expect(answer(open('04 fdf2 005a 00000000 00'))).toBe('2/3'))
  test('an identifier that is no unicast address is one (RFC 6286)', () =>
    expect(open('04 fdf2 005a ffffffff 00').outcome).toBe('ok'))
  for (const holdTime of ['0001', '0002']) {
    test(`hold time ${holdTime}`, () => expect(answer(open(`04 fdf2 ${holdTime} 0a000001 00`))).toBe('2/6'))
  }
  for (const holdTime of ['0000', '0003', 'ffff']) {
    test(`hold time ${holdTime} is good`, () => expect(open(`04 fdf2 ${holdTime} 0a000001 00`).outcome).toBe('ok'))
  }
  test('what could be read is there for people', () => {
    expect(open('04 fdf2 0001 0a000001 00').message).toMatchObject({ type: 'OPEN', asNumber: 65010, holdTime: 1 })
  })
  test('the AS of the capability counts', () => {
    expect(withParameters('08 02 06 41 04 00011170').message).toMatchObject({ asNumber: 70000 })
  })
})

describe('optional parameters', () => {
  const CASES: readonly [string, string, string][] = [
    ['an unknown parameter', '03 01 01 00', '2/4'],
    ['a length beyond the message', '05 02 02 02 00', '2/0'],
    ['a length short of the message', '02 02 02 02 00', '2/0'],
    ['octets without a length', '00 02 02 02 00', '2/0'],
    ['one octet left', '05 02 02 02 00 02', '2/0'],
    ['a parameter that overruns', '04 02 06 02 00', '2/0'],
    ['a capability that overruns', '04 02 02 02 01', '2/0'],
    ['half a capability', '03 02 01 02', '2/0'],
    ['multiprotocol of 3 octets', '07 02 05 01 03 000200', '2/0'],
    ['4-octet AS of 2 octets', '06 02 04 41 02 fdf2', '2/0'],
    ['route refresh of 1 octet', '05 02 03 02 01 00', '2/0'],
    ['graceful restart of 1 octet', '05 02 03 40 01 00', '2/0'],
    ['graceful restart of 5 octets', '09 02 07 40 05 0078000101', '2/0'],
    ['role of 2 octets', '06 02 04 09 02 0303', '2/0'],
    ['extended next hop of 5 octets', '09 02 07 05 05 0001000100', '2/0'],
    ['long-lived graceful restart of 6 octets', '0a 02 08 47 06 000101800000', '2/0'],
    ['two different roles (RFC 9234)', '08 02 06 09 01 03 09 01 04', '2/11'],
  ]
  for (const [what, parameters, expected] of CASES) {
    test(what, () => expect(answer(withParameters(parameters))).toBe(expected))
  }
  test('several parameters with capabilities are one list (RFC 5492 section 4)', () => {
    expect(capabilitiesOf(withParameters('08 02 02 02 00 02 02 46 00'))).toEqual([
      { kind: 'route-refresh' },
      { kind: 'enhanced-route-refresh' },
    ])
  })
  test('the same role twice is one (RFC 9234)', () =>
    expect(withParameters('08 02 06 09 01 03 09 01 03').outcome).toBe('ok'))
  test('a software version of length 0 is only unknown', () => {
    expect(capabilitiesOf(withParameters('05 02 03 4b 01 00'))).toEqual([
      { kind: 'unknown', code: 75, value: bytes('00') },
    ])
    expect(capabilitiesOf(withParameters('04 02 02 4b 00'))).toEqual([{ kind: 'unknown', code: 75, value: bytes('') }])
  })
})

describe('extended optional parameters (RFC 9072)', () => {
  test('are read, whatever the one-octet length says', () => {
    for (const length of ['ff', '01', '07']) {
      expect(capabilitiesOf(withParameters(`${length} ff 0005 02 0002 02 00`))).toEqual([{ kind: 'route-refresh' }])
    }
  })
  const CASES: readonly [string, string][] = [
    ['a cut length', 'ff ff 00'],
    ['a length beyond the message', 'ff ff 0006 02 0002 02 00'],
    ['a parameter that overruns', 'ff ff 0005 02 0003 02 00'],
    ['a cut parameter', 'ff ff 0002 02 00'],
  ]
  for (const [what, parameters] of CASES) test(what, () => expect(answer(withParameters(parameters))).toBe('2/0'))
  test('an empty list', () => expect(capabilitiesOf(withParameters('ff ff 0000'))).toEqual([]))
  const openWith = (capabilities: Capability[]): Open => ({
    type: 'OPEN',
    version: 4,
    asNumber: 65010,
    holdTime: 90,
    bgpIdentifier: '10.0.0.1',
    capabilities,
  })
  test('more than 253 octets of capabilities are sent that way, and come back', () => {
    const capabilities: Capability[] = [
      { kind: 'unknown', code: 200, value: new Uint8Array(250).fill(7) },
      { kind: 'route-refresh' },
    ]
    const value = openWith(capabilities)
    const wire = encodeMessage(value, INITIAL_CONTEXT)
    expect(toHex(wire.subarray(28, 35))).toBe('ffff01010200fe')
    expect(decodeMessage(wire, INITIAL_CONTEXT)).toEqual({ outcome: 'ok', message: value })
  })
  test('253 octets still go the old way', () => {
    const capabilities: Capability[] = [{ kind: 'unknown', code: 200, value: new Uint8Array(251) }]
    const value = openWith(capabilities)
    const wire = encodeMessage(value, INITIAL_CONTEXT)
    expect(toHex(wire.subarray(28, 31))).toBe('ff02fd')
    expect(decodeMessage(wire, INITIAL_CONTEXT)).toEqual({ outcome: 'ok', message: value })
  })
})

describe('checkRole (RFC 9234 section 4.2)', () => {
  const ROLES: readonly [number, number | undefined, string][] = [
    [Role.Customer, Role.Provider, 'accepted'],
    [Role.Provider, Role.Customer, 'accepted'],
    [Role.Peer, Role.Peer, 'accepted'],
    [Role.RS, Role['RS-Client'], 'accepted'],
    [Role['RS-Client'], Role.RS, 'accepted'],
    [Role.Customer, Role.Customer, '2/11'],
    [Role.Peer, Role.Provider, '2/11'],
    [Role.Customer, 9, '2/11'],
    [Role.Customer, undefined, 'accepted'],
  ]
  const check = (role: number, remote: number | undefined, strict: boolean) => {
    const capabilities: Capability[] = remote === undefined ? [] : [{ kind: 'role', role: remote }]
    const open: Open = { type: 'OPEN', version: 4, asNumber: 1, holdTime: 90, bgpIdentifier: '10.0.0.1', capabilities }
    const refused = checkRole(open, { role, strict })
    return refused === undefined ? 'accepted' : `${refused.notification.code}/${refused.notification.subcode}`
  }
  for (const [local, remote, result] of ROLES) {
    test(`role ${local} and ${remote}`, () => expect(check(local, remote, false)).toBe(result))
  }
  test('no role in strict mode', () => expect(check(Role.Customer, undefined, true)).toBe('2/11'))
})
