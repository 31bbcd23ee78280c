/**
 * Small print on what goes out, octet by octet where a statement is about octets: the OPEN, UPDATEs
 * and NOTIFICATIONs of this speaker as the RFCs want them. What is received is in
 * letter-received.test.ts.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { encodeAttributes } from '../../src/bgp/codec/attributes-loop.ts'
import { decodeMessage, encodeMessage, INITIAL_CONTEXT } from '../../src/bgp/codec/message.ts'
import type { Capability, Open, PathAttributes } from '../../src/bgp/codec/message-types.ts'
import { prefixTexts } from '../../src/bgp/codec/nlri.ts'
import { localOpen, type Negotiated, negotiate } from '../../src/bgp/machine/negotiation.ts'
import { settingsOf } from '../../src/bgp/machine/peer-settings.ts'
import { SessionTimers } from '../../src/bgp/machine/session-timers.ts'
import { AdjRibOut } from '../../src/bgp/rib/rib.ts'
import type { Announcement } from '../../src/bgp/speaker-types.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { bytes, EXTERNAL, hex, MANDATORY, NLRI, TWO_OCTET, update } from './codec/support.ts'
import { PEER_OPEN, SETTINGS } from './machine/fsm-fixtures.ts'
import { peerConfig } from './peer-fixtures.ts'
import { peerOpen, ROUTE, World } from './peer-world.ts'

let world: World | undefined
afterEach(async () => {
  await world?.speaker.close({ mode: 'restart' })
  world = undefined
})

const EXTENDED_LENGTH = 0x10

/** The path attributes of an UPDATE as they lie in it. */
function attributesOf(wire: Uint8Array): { readonly flags: number; readonly type: number }[] {
  const at16 = (at: number) => ((wire[at] ?? 0) << 8) | (wire[at + 1] ?? 0)
  const start = 21 + at16(19)
  const found: ReturnType<typeof attributesOf> = []
  for (let at = start + 2; at < start + 2 + at16(start); ) {
    const [flags = 0, type = 0, length = 0] = wire.subarray(at, at + 3)
    found.push({ flags, type })
    at += flags & EXTENDED_LENGTH ? 4 + at16(at + 2) : 3 + length
  }
  return found
}

describe('OPEN', () => {
  const restart = { restartTimeSeconds: 600, restarted: true, forwarding: true, longLivedSeconds: 3600 }
  const open = localOpen({ ...SETTINGS.local, gracefulRestart: restart, role: 3 })

  test('offers what this speaker can do, each capability once', () => {
    expect(open.capabilities.map(({ kind }) => kind).sort()).toEqual([
      'enhanced-route-refresh',
      'extended-message',
      'extended-next-hop',
      'four-octet-as',
      'graceful-restart',
      'long-lived-graceful-restart',
      'multiprotocol',
      'multiprotocol',
      'role',
      'route-refresh',
    ])
    expect(open.capabilities.filter(({ kind }) => kind === 'multiprotocol')).toEqual([
      { kind: 'multiprotocol', afi: 1, safi: 1 },
      { kind: 'multiprotocol', afi: 2, safi: 1 },
    ])
    expect(open.capabilities).toContainEqual({ kind: 'four-octet-as', asNumber: 65010 })
    expect(open.capabilities).toContainEqual({
      kind: 'extended-next-hop',
      tuples: [{ afi: 1, safi: 1, nextHopAfi: 2 }],
    })
  })
  test('has one parameter with all of them (RFC 5492 section 4)', () => {
    const wire = encodeMessage(open, INITIAL_CONTEXT)
    const [length, type, inner] = wire.subarray(28)
    expect([length, type, inner]).toEqual([wire.length - 29, 2, wire.length - 31])
  })
  test('an AS of four octets is AS_TRANS in the old field and itself in the capability', () => {
    const wire = encodeMessage(localOpen({ ...SETTINGS.local, localAs: 4_200_000_000 }), INITIAL_CONTEXT)
    expect(hex(wire.subarray(19, 22))).toBe('045ba0')
    expect(hex(wire)).toContain('4104fa56ea00')
  })
  test('the hold time is that of the peer’s configuration', () => {
    const facts = { restarting: false, hadSession: false, capabilities: true }
    const holdTime = (seconds: number) =>
      localOpen(settingsOf(peerConfig({ holdTimeSeconds: seconds }), 'outgoing', facts).local).holdTime
    expect([holdTime(0), holdTime(42)]).toEqual([0, 42])
  })
  test('F of every family, and N, whenever routes may be kept (RFC 8538 section 4)', () => {
    expect(open.capabilities).toContainEqual({
      kind: 'graceful-restart',
      restarted: true,
      notification: true,
      restartTime: 600,
      families: [
        { afi: 1, safi: 1, forwarding: true },
        { afi: 2, safi: 1, forwarding: true },
      ],
    })
  })
})

describe('UPDATE', () => {
  function agreed(changes: Partial<Open> = {}, local: Partial<typeof SETTINGS.local> = {}): Negotiated {
    const outcome = negotiate({ ...SETTINGS.local, ...local }, { ...PEER_OPEN, ...changes })
    if (!('negotiated' in outcome)) throw new Error(outcome.reason)
    return outcome.negotiated
  }
  const SETS: readonly (readonly Announcement[])[] = [
    [
      { prefix: '10.0.1.0/24', nextHop: '10.9.0.11', med: 5, communities: ['65010:1'], largeCommunities: ['1:2:3'] },
      { prefix: '10.0.2.0/24', nextHop: 'fd00:9::12' },
      { prefix: 'fd01::/64', nextHop: 'fd00:9::11' },
      { prefix: 'fd02::/64', nextHop: 'fd00:9::12', communities: ['65010:2'] },
    ],
    [
      { prefix: '10.0.1.0/24', nextHop: '10.9.0.12' },
      { prefix: '10.0.3.0/24', nextHop: '10.9.0.11' },
      { prefix: 'fd02::/64', nextHop: 'fd00:9::11' },
      { prefix: 'fd03::/64', nextHop: 'fd00:9::11' },
    ],
    [],
  ]
  /** All UPDATEs of a session whose set changes, End-of-RIB among them. */
  function updates(session: Negotiated): { wire: Uint8Array; attributes: PathAttributes; fields: string[][] }[] {
    const rib = new AdjRibOut()
    rib.established(session, SETTINGS.local.localAs)
    const found: ReturnType<typeof updates> = []
    for (const set of SETS) {
      rib.setDesired(set)
      for (let wire = rib.next(); wire !== undefined; wire = rib.next()) {
        const decoded = decodeMessage(wire, session.context)
        if (decoded.outcome !== 'ok' || decoded.message.type !== 'UPDATE') throw new Error('no good UPDATE')
        const { withdrawn, nlri, attributes } = decoded.message
        const { MP_REACH_NLRI: reach, MP_UNREACH_NLRI: unreach } = attributes
        const blocks = [withdrawn, nlri, reach?.nlri, unreach]
        found.push({ wire, attributes, fields: blocks.map(block => (block === undefined ? [] : prefixTexts(block))) })
      }
    }
    return found
  }
  const EBGP = agreed()
  const IBGP = agreed(
    { asNumber: 65010, capabilities: localOpen({ ...SETTINGS.local, routerId: '10.0.0.2' }).capabilities },
    { peerAs: 65010 },
  )

  test('one of its four fields has prefixes, and no prefix is in two (RFC 7606 section 5.1)', () => {
    const used = updates(EBGP).map(({ fields }) => fields.flatMap((field, index) => (field.length > 0 ? [index] : [])))
    for (const of of used) expect(of.length).toBeLessThanOrEqual(1)
    expect(new Set(used.flat())).toEqual(new Set([0, 1, 2, 3]))
  })
  test('announcements have all mandatory attributes, and NEXT_HOP only beside plain prefixes', () => {
    for (const [session, internal] of [
      [EBGP, false],
      [IBGP, true],
    ] as const) {
      let announcing = 0
      for (const { wire, attributes, fields } of updates(session)) {
        const [, plain = [], multiprotocol = []] = fields
        if (plain.length + multiprotocol.length === 0) {
          expect(Object.keys(attributes).filter(name => name !== 'MP_UNREACH_NLRI')).toEqual([])
          continue
        }
        announcing++
        expect(attributes.ORIGIN).toBe('IGP')
        expect(attributes.AS_PATH).toEqual(internal ? [] : [{ type: 'AS_SEQUENCE', asNumbers: [65010] }])
        expect(attributes.LOCAL_PREF !== undefined).toBe(internal)
        // on the wire, as our own decoder ignores an idle one
        expect(attributesOf(wire).some(({ type }) => type === 3)).toBe(plain.length > 0)
      }
      expect(announcing).toBeGreaterThanOrEqual(6)
    }
  })
  test('flags are those of the attribute, no bit more, and types ascend behind the multiprotocol one', () => {
    const FLAGS: Record<number, number> = { 1: 0x40, 2: 0x40, 3: 0x40, 4: 0x80, 5: 0x40, 8: 0xc0, 14: 0x80, 15: 0x80 }
    for (const { wire } of [...updates(EBGP), ...updates(IBGP)]) {
      const found = attributesOf(wire)
      for (const { flags, type } of found) expect(flags & ~EXTENDED_LENGTH).toBe(FLAGS[type] ?? 0xc0)
      const types = found.map(({ type }) => type)
      const others = types.filter((type, index) => index > 0 || (type !== 14 && type !== 15))
      expect(others).toEqual([...others].sort((a, b) => a - b))
      expect(others).not.toContain(14)
    }
  })
  test('a path of more than 255 ASs goes on in another segment (RFC 4271 section 5.1.2)', () => {
    const asNumbers = Array.from({ length: 300 }, (_, index) => 65001 + (index % 100))
    const value = hex(encodeAttributes({ AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers }] }, EXTERNAL))
    // extended length: 1204 octets, 255 in the first
    expect(value.slice(0, 12)).toBe('500204b402ff')
    expect(value.slice((6 + 4 * 255) * 2).slice(0, 4)).toBe('022d')
  })
  test('AS4_PATH has no confederation segments (RFC 6793 section 4.2.2)', () => {
    const path: PathAttributes = {
      AS_PATH: [
        { type: 'AS_CONFED_SEQUENCE', asNumbers: [65020] },
        { type: 'AS_SEQUENCE', asNumbers: [70000] },
      ],
    }
    expect(hex(encodeAttributes(path, TWO_OCTET))).toEndWith('c01106020100011170')
  })
  test('ONLY_TO_CUSTOMER to customers, peers and clients of a route server, not to providers and route servers', () => {
    const told = [0, 1, 2, 3, 4].map(role => agreed({}, { role } as Partial<typeof SETTINGS.local>).onlyToCustomer)
    // provider, RS, RS-client, customer, peer
    expect(told).toEqual([true, true, undefined, undefined, true])
  })
  test('goes out without waiting for the End-of-RIB of a peer that restarted (RFC 4724 section 3)', () => {
    world = new World()
    const restarted = peerOpen({ gracefulRestart: { restartTimeSeconds: 120, restarted: true, forwarding: true } })
    expect(world.up(restarted).sent).toEqual(['OPEN', 'KEEPALIVE', 'UPDATE', 'UPDATE'])
  })
  test('what was announced and cannot be any more is withdrawn (RFC 4271 section 9.1.3)', () => {
    const plain = agreed({ capabilities: PEER_OPEN.capabilities.filter(({ kind }) => kind !== 'extended-next-hop') })
    const rib = new AdjRibOut()
    rib.established(plain, SETTINGS.local.localAs)
    rib.setDesired([{ prefix: '10.0.1.0/24', nextHop: '10.9.0.11' }])
    while (rib.next() !== undefined);
    rib.setDesired([{ prefix: '10.0.1.0/24', nextHop: 'fd00:9::11' }])
    expect(hex(rib.next()?.subarray(19) ?? bytes(''))).toBe('0004180a00010000')
    expect(rib.next()).toBeUndefined()
  })
  test('is sent once for a route that stays as it is (RFC 4271 section 9.2)', () => {
    world = new World()
    const connection = world.up()
    const before = connection.sent.length
    for (let times = 0; times < 3; times++) world.speaker.setAnnouncements('lan', [{ ...ROUTE }])
    expect(connection.sent.length).toBe(before)
  })
})

test('what the socket did not take was not sent: the send hold timer runs from before it (RFC 9687)', async () => {
  world = new World()
  const connection = world.up()
  const pass = async (seconds: number) => {
    for (let left = seconds; left > 0; left -= 5) {
      connection.send({ type: 'KEEPALIVE' })
      await world?.clock.advance(5_000)
    }
  }
  await pass(45) // a KEEPALIVE of ours went after 30 s
  const write = connection.write.bind(connection)
  connection.write = octets => {
    write(octets)
    connection.congested = true
  }
  world.speaker.setAnnouncements('lan', [])
  await pass(460)
  expect(connection.ended).toBeUndefined()
  await pass(10)
  expect(connection.ended).toBe('abort')
})

describe('NOTIFICATION', () => {
  const without = (change: (capability: Capability) => Capability | undefined): Open => {
    const open = peerOpen()
    return { ...open, capabilities: open.capabilities.flatMap(capability => change(capability) ?? []) }
  }
  test('stays within 4096 octets to who offered no long messages (RFC 8654 section 5)', () => {
    world = new World()
    const connection = world.up(
      without(capability => (capability.kind === 'extended-message' ? undefined : capability)),
    )
    connection.sendBytes(update({ attributes: `${MANDATORY} 50ff1388 ${'00'.repeat(5000)}`, nlri: NLRI }))
    const last = connection.received.at(-1)
    expect(last).toMatchObject({ type: 'NOTIFICATION', code: 3, subcode: 2 })
    expect(last?.type === 'NOTIFICATION' && hex(last.data.subarray(0, 4))).toBe('50ff1388')
    expect(last?.type === 'NOTIFICATION' && last.data.length).toBe(4096 - 21)
  })
  test('no Hard Reset to who did not send the N bit (RFC 8538 section 4)', async () => {
    world = new World()
    const connection = world.up(
      without(capability =>
        capability.kind === 'graceful-restart' ? { ...capability, notification: false } : capability,
      ),
    )
    world.speaker.setPeers([])
    await world.clock.advance(0)
    expect(connection.sent.slice(-2)).toEqual(['UPDATE', '6/3'])
  })
  test('what is wrong in an OPEN is an OPEN Message Error, behind which the connection closes (RFC 4271 section 6.2)', () => {
    world = new World()
    const connection = world.transport.dial.connect()
    connection.sendBytes(bytes(`${'ff'.repeat(16)} 001d 01 04 fde9 0001 0a000002 00`))
    expect(connection.sent).toEqual(['OPEN', '2/6'])
    expect(connection.ended).toBe('close')
  })
})

test('jitter is chosen anew each time a timer is set (RFC 4271 section 10)', async () => {
  const clock = new FakeClock(0)
  const expired: number[] = []
  const timers = new SessionTimers(clock, () => expired.push(Math.round(clock.monotonic())))
  clock.randomValue = 0
  timers.start('KeepaliveTimer', 30)
  await clock.advance(30_000)
  clock.randomValue = 0.999999
  timers.start('KeepaliveTimer', 30)
  await clock.advance(30_000)
  expect(expired).toEqual([30_000, 52_500])
  timers.close()
})
