/**
 * What `terway-edge bgp decode` says of a message, as an object; and the command itself with real
 * pipes and files.
 */
import { describe, expect, test } from 'bun:test'
import { reportMessage } from '../../../src/bgp/report/decode-report.ts'
import { readHexLine } from '../../../src/bgp/report/hex-lines.ts'
import { reportContext } from '../../../src/bgp/report/report-options.ts'
import { bytes, hex, LOCAL_PREF, MANDATORY, message, NLRI, update } from '../codec/support.ts'

const DEFAULTS = { as2: false, ibgp: false, families: ['ipv4', 'ipv6'], extendedMessages: false } as const
const report = (wire: Uint8Array, options = {}) => reportMessage(wire, reportContext({ ...DEFAULTS, ...options }))

describe('lines', () => {
  const CASES: readonly [string, string | undefined][] = [
    ['ff00', 'ff00'],
    ['FF 00', 'ff00'],
    ['ff:00\r', 'ff00'],
    ['0xff, 0x00'.replace(',', ''), 'ff00'],
    ['0XFF00 # a comment', 'ff00'],
    ['\tff00', 'ff00'],
    ['fff', undefined],
    ['hello', undefined],
    ['ff-00', undefined],
  ]
  for (const [line, expected] of CASES) {
    test(JSON.stringify(line), () => {
      const read = readHexLine(line)
      expect(read.kind === 'bytes' ? hex(read.bytes) : undefined).toBe(expected)
    })
  }
  for (const line of ['', '  ', '# ff', ' # x']) {
    test(`${JSON.stringify(line)} is empty`, () => expect(readHexLine(line).kind).toBe('empty'))
  }
})

describe('reports', () => {
  test('KEEPALIVE', () => expect(report(message(4, ''))).toEqual({ type: 'KEEPALIVE', length: 19, outcome: 'ok' }))
  test('OPEN', () => {
    expect(report(message(1, '04 5ba0 005a 0a000001 13 02 11 41 04 00011170 09 01 03 49 06 04 686f7374 00'))).toEqual({
      type: 'OPEN',
      length: 48,
      version: 4,
      asNumber: 70000,
      holdTime: 90,
      bgpIdentifier: '10.0.0.1',
      capabilities: [
        { name: 'four-octet-as', code: 65, asNumber: 70000 },
        { name: 'role', code: 9, role: 3, roleName: 'Customer' },
        { name: 'fqdn', code: 73, value: '04686f737400' },
      ],
      outcome: 'ok',
    })
  })
  test('UPDATE', () => {
    const wire = update({
      withdrawn: '18 0a0002',
      attributes: `${MANDATORY} c00808 fde9000a ffffff01 c06301 07 c02801 00`,
      nlri: NLRI,
    })
    expect(report(wire)).toEqual({
      type: 'UPDATE',
      length: wire.length,
      withdrawn: ['10.0.2.0/24'],
      attributes: {
        ORIGIN: 'IGP',
        AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [65001] }],
        NEXT_HOP: '192.0.2.1',
        COMMUNITIES: ['65001:10', '65535:65281'],
        COMMUNITIES_named: ['65001:10', 'no-export'],
        unknown: [
          { type: 99, flags: 192, value: '07' },
          { name: 'BGP_PREFIX_SID', type: 40, flags: 192, value: '00' },
        ],
      },
      nlri: ['10.0.1.0/24'],
      outcome: 'ok',
    })
  })
  test('UPDATE of IPv6', () => {
    const reach =
      '800e29 0002 01 20 fd000000000000000000000000000001 fe800000000000000000000000000001 00 20 fd000001'.replace(
        '29',
        '2a',
      )
    const wire = update({ attributes: `${reach} 400101 00 400200` })
    expect(report(wire)).toMatchObject({
      attributes: {
        MP_REACH_NLRI: { afi: 2, safi: 1, nextHop: 'fd00::1', linkLocalNextHop: 'fe80::1', nlri: ['fd00:1::/32'] },
      },
      outcome: 'ok',
    })
  })
  test('--as2: the attributes as received, and what they mean together', () => {
    const wire = update({
      attributes: '400101 00 400206 0202 5ba0 fde9 400304 c0000201 c0110a 0202 00011170 0000fde9',
      nlri: NLRI,
    })
    const sequence = (...asNumbers: number[]) => [{ type: 'AS_SEQUENCE', asNumbers }]
    expect(report(wire, { as2: true })).toMatchObject({
      attributes: { AS_PATH: sequence(23456, 65001), AS4_PATH: sequence(70000, 65001) },
      merged: { AS_PATH: sequence(70000, 65001) },
      outcome: 'ok',
    })
    expect(report(wire)).toMatchObject({ outcome: 'treat-as-withdraw' })
  })
  test('--ibgp', () => {
    const wire = update({ attributes: MANDATORY + LOCAL_PREF, nlri: NLRI })
    expect(report(wire, { ibgp: true })).toMatchObject({ attributes: { LOCAL_PREF: 100 }, outcome: 'ok' })
    expect(report(wire)).toMatchObject({
      outcome: 'attribute-discard',
      reason: expect.stringContaining('RFC 7606 section 7.5'),
    })
  })
  test('--families', () => {
    const wire = update({ attributes: '800f04 0002 01 00' })
    expect(report(wire)).toMatchObject({ outcome: 'ok' })
    expect(report(wire, { families: ['ipv4'] })).toMatchObject({ outcome: 'attribute-discard' })
  })
  test('a reset comes with its NOTIFICATION', () => {
    const wire = message(2, '0000 0005 40010100')
    expect(report(wire)).toEqual({
      type: 'UPDATE',
      length: 27,
      octets: hex(wire),
      outcome: 'session-reset',
      reason: 'RFC 4271 section 6.3: Total Path Attribute Length is too large',
      notification: { code: 3, subcode: 1, data: '' },
      notificationText: 'UPDATE Message Error / Malformed Attribute List',
    })
  })
  test('NOTIFICATION', () => {
    expect(report(message(3, '06 02 02 6f6b'))).toEqual({
      type: 'NOTIFICATION',
      length: 24,
      code: 6,
      subcode: 2,
      data: '026f6b',
      text: 'Cease / Administrative Shutdown: "ok"',
      shutdownCommunication: 'ok',
      outcome: 'ok',
    })
    expect(report(message(3, '06 09 04 00'))).toMatchObject({ hardReset: { code: 4, subcode: 0, data: '' } })
  })
  test('ROUTE-REFRESH', () => {
    expect(report(message(5, '0002 01 01'))).toEqual({
      type: 'ROUTE-REFRESH',
      length: 23,
      afi: 2,
      subtype: 1,
      safi: 1,
      outcome: 'ok',
    })
  })
  test('what is no message', () => {
    expect(report(bytes('c0ffee'))).toMatchObject({
      type: null,
      length: 3,
      outcome: 'session-reset',
      notification: { code: 1, subcode: 2 },
    })
    expect(report(bytes(`${'00'.repeat(19)}`))).toMatchObject({
      type: null,
      outcome: 'session-reset',
      notification: { code: 1, subcode: 1 },
    })
    expect(report(message(9, ''))).toMatchObject({
      type: null,
      typeCode: 9,
      outcome: 'session-reset',
      notification: { code: 1, subcode: 3, data: '09' },
    })
  })
})

describe('terway-edge bgp', () => {
  async function run(
    args: readonly string[],
    input = '',
  ): Promise<{ status: number; lines: string[]; stderr: string }> {
    const child = Bun.spawn([process.execPath, 'src/main.ts', 'bgp', ...args], {
      stdin: Buffer.from(input),
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    return { status: await child.exited, lines: stdout.split('\n').filter(line => line !== ''), stderr }
  }
  const outcomes = (lines: readonly string[]) => lines.map(line => String(JSON.parse(line).outcome))

  test('one object a line, 0 when all lines were hexadecimal', async () => {
    const input = `# a session\n${hex(message(4, ''))}\n\nc0:ff:ee # not a message\n${hex(update({ attributes: '400101 03', nlri: NLRI }))}`
    const { status, lines } = await run(['decode'], input)
    expect(outcomes(lines)).toEqual(['ok', 'session-reset', 'treat-as-withdraw'])
    expect(status).toBe(0)
  })
  test('1 when a line was not, and the others are decoded', async () => {
    const { status, lines } = await run(['decode'], `what?\n${hex(message(4, ''))}\n`)
    expect(outcomes(lines)).toEqual(['session-reset', 'ok'])
    expect(status).toBe(1)
  })
  test('options reach the decoder', async () => {
    const wire = hex(update({ attributes: `400101 00 400204 0201 fde9 400304 c0000201 ${LOCAL_PREF}`, nlri: NLRI }))
    expect(outcomes((await run(['decode', '--as2', '--ibgp', '--families', 'ipv4'], wire)).lines)).toEqual(['ok'])
    const large = hex(update({ attributes: MANDATORY, nlri: NLRI.repeat(2000) }))
    expect(outcomes((await run(['decode', '--extended-messages'], large)).lines)).toEqual(['ok'])
  })
  test('a capture of two BIRDs', async () => {
    const { status, lines } = await run(['decode', '--pcap', 'test/vectors/bird-2.0.12.pcap'])
    expect(status).toBe(0)
    expect(lines.length).toBe(20)
    expect(new Set(outcomes(lines))).toEqual(new Set(['ok']))
  })
  test('wrong usage is 2, an unreadable file 1', async () => {
    expect((await run(['decode', '--families', 'ipx'])).status).toBe(2)
    expect((await run(['decode', '--nonsense'])).status).toBe(2)
    expect((await run(['encode'])).status).toBe(2)
    const missing = await run(['decode', '--pcap', '/nonexistent.pcap'])
    expect(missing.status).toBe(1)
    expect(missing.stderr).toContain('/nonexistent.pcap')
    expect((await run(['decode', '--pcap', 'package.json'])).stderr).toContain('neither a pcap nor a pcapng')
  })
  test('a reader that goes away ends it', async () => {
    const child = Bun.spawn(['sh', '-c', `"$0" src/main.ts bgp decode | head -n 1`, process.execPath], {
      stdin: Buffer.from(`${hex(message(4, ''))}\n`.repeat(20_000)),
      stdout: 'pipe',
      stderr: 'pipe',
    })
    expect(await new Response(child.stderr).text()).toBe('')
    expect(await new Response(child.stdout).json()).toMatchObject({ type: 'KEEPALIVE' })
    await child.exited
  })
  test('many lines, cut anywhere by the pipe', async () => {
    const input = `${hex(message(4, ''))}\n${hex(message(3, '0602'))}\n`.repeat(5000)
    const { status, lines } = await run(['decode'], input)
    expect([status, lines.length]).toEqual([0, 10_000])
    expect(new Set(outcomes(lines))).toEqual(new Set(['ok']))
  })
  test('--help shows examples', async () => {
    const { status, lines } = await run(['decode', '--help'])
    expect(status).toBe(0)
    expect(lines.join('\n')).toContain('Examples:')
  })
})
