/**
 * Small print of RFC 5880 and 5881: what the documents say in half a sentence, and what no other
 * test would miss.
 */
import { describe, expect, test } from 'bun:test'
import { newSession, step, transmitInterval } from '../../src/bfd/machine.ts'
import type { Event, Parameters, Session } from '../../src/bfd/machine-types.ts'
import { type ControlPacket, encodePacket } from '../../src/bfd/packet.ts'
import { BFD_STATES } from '../../src/bfd/registry.ts'
import { FakeNetwork, PEER } from './fake-network.ts'
import { OUR_DISCRIMINATOR, peerPacket } from './packets.ts'

const FAST: Parameters = { desiredMinTxInterval: 300_000, requiredMinRxInterval: 300_000, detectMult: 3 }
const SLOW: Parameters = { ...FAST, desiredMinTxInterval: 2_000_000, requiredMinRxInterval: 2_000_000 }
const packet = (change: Partial<ControlPacket>): Event => ({ kind: 'packet', packet: peerPacket(change) })
const after = (session: Session, ...events: Event[]) => events.reduce((now, event) => step(now, event)[0], session)
const up = after(
  newSession(FAST, OUR_DISCRIMINATOR),
  { kind: 'enable' },
  packet({ state: 'Down' }),
  packet({ state: 'Up' }),
  packet({ state: 'Up', final: true }),
)

describe('what is sent', () => {
  test('neither Multipoint nor authentication, Demand or Echo, nor that BFD outlives the control plane', () => {
    for (const state of BFD_STATES) {
      const octets = encodePacket(peerPacket({ state, poll: true, detectMult: 255, diagnostic: 31 }))
      expect([(octets[1] ?? 0) & 0x0f, octets[3], octets.length]).toEqual([0, 24, 24])
    }
    const [, actions] = step(up, { kind: 'transmit-timer-expired' })
    expect(actions).toContainEqual({
      do: 'send',
      packet: expect.objectContaining({ demand: false, controlPlaneIndependent: false, requiredMinEchoRxInterval: 0 }),
    })
  })
  test('new values ride on the packets that are due, no packet more (RFC 5880 section 6.5)', async () => {
    const network = new FakeNetwork()
    network.want({})
    network.up()
    await network.clock.advance(10)
    network.taken()
    network.want({ minimumIntervalMilliseconds: 1_000 })
    expect(network.taken()).toEqual([])
    await network.clock.advance(300)
    expect(network.taken().map(({ packet: { poll, desiredMinTxInterval } }) => [poll, desiredMinTxInterval])).toEqual([
      [true, 1_000_000],
    ])
  })
  test('a Final has the newest values, also those that were not polled yet (section 6.8.3)', () => {
    const changed = after(up, { kind: 'configure', parameters: SLOW })
    const [, actions] = step(changed, packet({ state: 'Up', poll: true }))
    expect(actions).toContainEqual({
      do: 'send',
      packet: expect.objectContaining({
        final: true,
        poll: false,
        desiredMinTxInterval: 2_000_000,
        requiredMinRxInterval: 2_000_000,
      }),
    })
  })
  test('a shorter interval counts at once: what is overdue goes now, and a Final does not count (section 6.8.3)', async () => {
    const network = new FakeNetwork()
    network.want({})
    network.up()
    network.clock.randomValue = 0.9999
    await network.clock.advance(500)
    network.receive({ state: 'Up', requiredMinRxInterval: 30_000_000, desiredMinTxInterval: 30_000_000 })
    network.taken()
    await network.clock.advance(1_000)
    network.receive({
      state: 'Up',
      poll: true,
      requiredMinRxInterval: 30_000_000,
      desiredMinTxInterval: 30_000_000,
    })
    expect(network.taken().map(({ packet: { final } }) => final)).toEqual([true])
    await network.clock.advance(100)
    // 300 ms again, and the last periodic packet is longer ago than that
    network.receive({ state: 'Up' })
    const now = network.clock.monotonic()
    await network.clock.advance(1)
    expect(network.taken().map(({ at, packet: { final } }) => [at, final])).toEqual([[now, false]])
  })
  test('each packet has jitter of its own (section 6.8.7)', async () => {
    const network = new FakeNetwork()
    network.want({})
    for (const chance of [0.999999, 0, 0.5]) {
      network.clock.randomValue = chance // for the packet behind the one that goes now
      await network.clock.advance(network.sent.length === 1 ? 750 : 1_000)
    }
    expect(network.sent.map(({ at }) => Math.round(at))).toEqual([0, 750, 1_750, 2_500])
  })
  test('AdminDown goes on for as long as a peer that wants few packets waits (section 6.8.16)', async () => {
    const network = new FakeNetwork()
    network.want({})
    network.up()
    network.receive({ state: 'Up', requiredMinRxInterval: 5_000_000 })
    network.want()
    network.taken()
    await network.clock.advance(14_900)
    expect(network.taken().filter(({ at }) => at > 5_000).length).toBeGreaterThan(0)
    expect(network.senders).toBe(1)
    await network.clock.advance(200)
    expect(network.senders).toBe(0)
  })
  test('goes to the address of the session, wherever the peer’s packets come from (RFC 5881 section 6)', async () => {
    const network = new FakeNetwork()
    network.want({})
    network.up()
    const [first] = network.sent
    const yourDiscriminator = first?.packet.myDiscriminator ?? 0
    network.receive({ state: 'Up', poll: true, yourDiscriminator }, '10.9.0.77')
    await network.clock.advance(300)
    expect(new Set(network.taken().map(({ to }) => to))).toEqual(new Set([PEER]))
  })
})

describe('discriminators (section 6.8.1)', () => {
  test('are never zero and never the same, whatever chance says', () => {
    for (const chance of [0, 0.9999999999]) {
      const network = new FakeNetwork()
      network.clock.randomValue = chance
      network.want({ key: 'a' }, { key: 'b', peerAddress: '10.9.0.253' }, { key: 'c', peerAddress: 'fd00:9::254' })
      const found = new Set(network.heard.map(({ discriminator }) => discriminator))
      expect(found.size).toBe(3)
      expect(found).not.toContain(0)
    }
  })
})

describe('what a session begins with (section 6.8.1)', () => {
  test('Down on both sides, no diagnostic, nothing known of the peer, slow', () => {
    const fresh = after(newSession(FAST, OUR_DISCRIMINATOR), { kind: 'enable' })
    expect(fresh).toMatchObject({
      state: 'Down',
      diagnostic: 0,
      desiredMinTxInterval: 1_000_000,
      requiredMinRxInterval: 300_000,
      remote: { state: 'Down', discriminator: 0, requiredMinRxInterval: 1, demand: false },
    })
  })
})

test('what is expected of a peer in AdminDown: our side is Down, and says that the neighbour signaled it', () => {
  for (const before of [
    up,
    after(newSession(FAST, OUR_DISCRIMINATOR), { kind: 'enable' }, packet({ state: 'Down' })),
  ]) {
    expect(after(before, packet({ state: 'AdminDown' }))).toMatchObject({ state: 'Down', diagnostic: 3 })
  }
})

test('Demand mode of the peer counts only while both sides are Up (section 6.8.6)', () => {
  expect(transmitInterval(after(up, packet({ state: 'Up', demand: true })))).toBeUndefined()
  expect(transmitInterval(after(up, packet({ state: 'Init', demand: true })))).toBe(300_000)
})

describe('a planned restart (RFC 5882 section 4.3.2.2)', () => {
  const remote = {
    state: 'Up',
    diagnostic: 0,
    discriminator: 8,
    desiredMinTxInterval: 300_000,
    requiredMinRxInterval: 300_000,
    detectMult: 3,
    demand: false,
  } as const
  test('goes on with a session of the same addresses only', () => {
    const kept = { discriminator: 7, remote, desiredMinTxInterval: 200_000_000, requiredMinRxInterval: 300_000 }
    for (const [localAddress, state] of [
      ['10.9.0.1', 'Up'],
      ['10.9.0.2', 'Down'],
    ] as const) {
      const network = new FakeNetwork()
      network.engine.resume([
        { peerAddress: PEER, localAddress: '10.9.0.1', interface: 'eth0', waitsMilliseconds: 600_000, kept },
      ])
      network.want({ localAddress })
      expect(network.views).toMatchObject([{ state }])
    }
  })
  test('asks nothing of a session that is not up, and leaves its intervals', async () => {
    const network = new FakeNetwork()
    network.want({})
    network.receive({ state: 'Down' })
    network.taken()
    const suspended = network.engine.suspend(new Map([['lan', 600]]))
    expect(network.taken()).toEqual([])
    await network.clock.advance(3_000)
    expect(await suspended).toEqual([])
    const told = network.taken().map(({ packet: { desiredMinTxInterval } }) => desiredMinTxInterval)
    expect(new Set(told)).toEqual(new Set([1_000_000]))
  })
})

test('the end of the process waits no longer than the peers need to hear of it (RFC 5880 section 6.8.16)', async () => {
  const network = new FakeNetwork()
  network.want({ multiplier: 1 })
  const closed = network.engine.close()
  await network.clock.advance(1_000)
  expect(network.closed).toBe(true)
  await closed
})
