/** The set of sessions and their timers, on a clock that stands still until told. */
import { expect, test } from 'bun:test'
import { FakeNetwork, PEER } from './fake-network.ts'
import { PEER_DISCRIMINATOR, peerPacket } from './packets.ts'

const OTHER = 'fd00:9::254'

function times(packets: readonly { readonly at: number }[]): number[] {
  return packets.map(({ at }) => at)
}

test('one packet a second at most until the peer answers, then as negotiated', async () => {
  const network = new FakeNetwork()
  network.want({})
  await network.clock.advance(2300)
  expect(times(network.taken())).toEqual([0, 750, 1500, 2250]) // jitter at its least: 75 %
  network.clock.randomValue = 0.9999
  network.up()
  network.taken()
  const start = network.clock.monotonic()
  for (let count = 0; count < 4; count++) {
    await network.clock.advance(300)
    network.receive({ state: 'Up' })
  }
  const gaps = times(network.taken()).map((at, index, all) => at - (all[index - 1] ?? start))
  expect(gaps.length).toBeGreaterThanOrEqual(3)
  for (const gap of gaps.slice(1)) expect(gap).toBeCloseTo(300, 0)
})

test('down after the Detection Time, not before, with a reason', async () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  expect(network.events).toEqual([{ kind: 'up', key: 'lan', at: 0 }])
  expect(network.views).toMatchObject([{ state: 'Up', detectionTimeMilliseconds: 900 }])
  for (let count = 0; count < 5; count++) {
    await network.clock.advance(899)
    network.receive({ state: 'Up' })
  }
  await network.clock.advance(900)
  expect(network.events).toHaveLength(1)
  await network.clock.advance(1) // waiting packets are read first
  const reason = `nothing from ${PEER} for 900 ms (Control Detection Time Expired)`
  expect(network.events[1]).toMatchObject({ kind: 'down', key: 'lan', reason, administrative: false })
  expect(network.views).toMatchObject([
    { state: 'Down', diagnostic: 'Control Detection Time Expired', lastDown: reason, remoteState: 'Down' },
  ])
  expect(network.taken().at(-1)?.packet).toMatchObject({ state: 'Down', diagnostic: 1, yourDiscriminator: 0 })
})

test('a thread that comes late reads what waits before it gives the peer up', async () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  // the timer comes first, the packets that waited in the socket right behind it
  network.clock.after(900, () => network.clock.after(0.5, () => network.receive({ state: 'Up' })))
  await network.clock.advance(1500)
  expect(network.events).toHaveLength(1)
  await network.clock.advance(500)
  expect(network.events).toHaveLength(2)
})

test('what the peer says of its going down', () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  network.receive({ state: 'Down', diagnostic: 1 })
  expect(network.events[1]).toMatchObject({
    kind: 'down',
    reason: `${PEER} says its side is down (Control Detection Time Expired)`,
    administrative: false,
  })
  network.up()
  network.receive({ state: 'AdminDown', diagnostic: 7 })
  expect(network.events[3]).toMatchObject({
    kind: 'down',
    reason: `${PEER} took its side out of service (AdminDown)`,
    administrative: true,
  })
})

test('a session that never came up tells nothing', async () => {
  const network = new FakeNetwork()
  network.want({})
  network.receive({ state: 'Down' })
  await network.clock.advance(10_000)
  network.receive({ state: 'AdminDown' })
  expect(network.events).toEqual([])
})

test('each packet to its session: by discriminator whatever its source, else by address', () => {
  const network = new FakeNetwork()
  network.want({ key: 'a' }, { key: 'b', peerAddress: OTHER })
  network.receive({ state: 'Down', yourDiscriminator: 0 }, OTHER)
  expect(network.views).toMatchObject([{ state: 'Down' }, { state: 'Init' }])
  const [first] = network.sent
  const yourDiscriminator = first?.packet.myDiscriminator ?? 0
  expect(first?.to).toBe(PEER)
  network.receive({ state: 'Init', yourDiscriminator: 12345 }, PEER)
  network.receive({ state: 'Down', yourDiscriminator: 0 }, '10.9.0.77')
  network.receiveBytes(new Uint8Array([1, 2, 3]))
  expect(network.views).toMatchObject([{ state: 'Down' }, { state: 'Init' }])
  network.receive({ state: 'Init', yourDiscriminator }, '10.9.0.77') // another address of the peer
  expect(network.views).toMatchObject([{ state: 'Up' }, { state: 'Init' }])
  expect(new Set(network.sent.map(({ packet }) => packet.myDiscriminator)).size).toBe(2)
})

test('a changed interval is polled and keeps the session', () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  network.taken()
  network.want({ key: 'renamed', minimumIntervalMilliseconds: 100, multiplier: 5 })
  expect(network.views).toMatchObject([{ key: 'renamed', state: 'Up' }])
  expect(network.events).toHaveLength(1)
  network.receive({ state: 'Up', final: true, desiredMinTxInterval: 50_000 })
  expect(network.views).toMatchObject([{ detectionTimeMilliseconds: 300 }])
})

test('another local address is another session', () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  const before = network.taken().at(-1)?.packet.myDiscriminator
  network.clock.randomValue = 0.5
  network.want({ localAddress: '10.9.0.1' })
  const sent = network.taken().map(({ packet }) => packet)
  expect(sent.map(({ state }) => state)).toEqual(['AdminDown', 'Down'])
  expect(sent[1]?.myDiscriminator).not.toBe(before)
  expect(network.views).toMatchObject([{ state: 'Down' }])
  expect(network.senders).toBe(1)
})

test('a session that is no longer wanted says AdminDown for a Detection Time, and nothing to us', async () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  network.taken()
  network.want()
  expect(network.views).toEqual([])
  expect(network.taken().map(({ packet }) => [packet.state, packet.diagnostic])).toEqual([['AdminDown', 7]])
  await network.clock.advance(2_999)
  const later = network.taken()
  expect(later.length).toBeGreaterThanOrEqual(2)
  expect(later.every(({ packet }) => packet.state === 'AdminDown')).toBe(true)
  expect(network.heard).toHaveLength(1)
  await network.clock.advance(10_000)
  expect(network.heard).toEqual([])
  expect(network.senders).toBe(0)
  expect(network.clock.pending).toBe(0)
  expect(network.events).toHaveLength(1)
})

test('a session wanted again while it says goodbye goes on with its peer', async () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  const before = network.taken().at(-1)?.packet.myDiscriminator ?? 0
  network.want()
  network.want({})
  expect(network.views).toMatchObject([{ state: 'Down', remoteState: 'Up' }])
  expect(network.taken().at(-1)?.packet).toMatchObject({
    myDiscriminator: before,
    yourDiscriminator: PEER_DISCRIMINATOR,
  })
  await network.clock.advance(500)
  network.receive({ state: 'Init' })
  expect(network.views).toMatchObject([{ state: 'Up' }])
  await network.clock.advance(300)
  expect(network.senders).toBe(1)
})

test('before a planned restart the peer is asked to wait, and the next process goes on with the session', async () => {
  const first = new FakeNetwork()
  first.want({ key: 'a' }, { key: 'b', peerAddress: OTHER })
  first.up()
  first.up(OTHER)
  first.taken()
  const agreeing = first.engine.suspend(new Map([['a', 600]]))
  const asked = first.taken()
  expect(asked.map(({ to }) => to)).toEqual([PEER])
  expect(asked[0]?.packet).toMatchObject({ state: 'Up', poll: true, desiredMinTxInterval: 200_000_000, detectMult: 3 })
  await first.clock.advance(50)
  first.receive({ state: 'Up', final: true })
  await first.clock.advance(50)
  const sessions = await agreeing
  expect(sessions).toMatchObject([{ peerAddress: PEER, interface: 'eth0', waitsMilliseconds: 600_000 }])
  first.taken()
  const closing = first.engine.close()
  await first.clock.advance(3_000)
  await closing
  // silence towards who waits
  expect(new Set(first.taken().map(({ to }) => to))).toEqual(new Set([OTHER]))

  const second = new FakeNetwork()
  second.engine.resume(structuredClone(sessions))
  second.want({ key: 'a' }, { key: 'b', peerAddress: OTHER })
  expect(second.views).toMatchObject([{ state: 'Up' }, { state: 'Down' }])
  const [resumed] = second.taken()
  expect(resumed?.packet).toMatchObject({
    state: 'Up',
    poll: true,
    desiredMinTxInterval: 300_000,
    myDiscriminator: sessions[0]?.kept.discriminator,
    yourDiscriminator: PEER_DISCRIMINATOR,
  })
  expect(second.heard[0]?.discriminator).toBe(resumed?.packet.myDiscriminator)
  second.receive({ state: 'Up', final: true })
  expect(second.events).toMatchObject([{ kind: 'up', key: 'a' }])
  await second.clock.advance(950)
  expect(second.events).toMatchObject([{ kind: 'up' }, { kind: 'down', administrative: false }])
})

test('a peer that does not agree is told AdminDown; a session on another link starts anew', async () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  network.taken()
  const agreeing = network.engine.suspend(new Map([['lan', 600]]))
  await network.clock.advance(100)
  network.receive({ state: 'Up' })
  await network.clock.advance(500)
  network.receive({ state: 'Up' })
  await network.clock.advance(500)
  network.receive({ state: 'Up' })
  await network.clock.advance(1_000)
  expect(await agreeing).toEqual([])
  const other = new FakeNetwork()
  const kept = { discriminator: 7, desiredMinTxInterval: 1, requiredMinRxInterval: 1 }
  const remote = { ...peerPacket({ state: 'Up' }), discriminator: PEER_DISCRIMINATOR }
  other.engine.resume([{ peerAddress: PEER, interface: 'eth1', waitsMilliseconds: 1, kept: { ...kept, remote } }])
  other.want({})
  expect(other.views).toMatchObject([{ state: 'Down' }])
})

test('of two with one peer address the first has it', () => {
  const network = new FakeNetwork()
  network.want({ key: 'first' }, { key: 'second' })
  expect(network.views).toMatchObject([{ key: 'first' }])
})

test('close says AdminDown to all for a Detection Time, and stops all timers', async () => {
  const network = new FakeNetwork()
  network.want({ key: 'a' }, { key: 'b', peerAddress: OTHER })
  network.up()
  network.up(OTHER)
  network.taken()
  const closing = network.engine.close()
  await network.clock.advance(3_000)
  await closing
  const last = network.taken()
  for (const peer of [PEER, OTHER]) {
    const states = last.filter(({ to }) => to === peer).map(({ packet }) => packet.state)
    expect(states.length).toBeGreaterThanOrEqual(3)
    expect(new Set(states)).toEqual(new Set(['AdminDown']))
  }
  expect(network.closed).toBe(true)
  expect(network.senders).toBe(0)
  expect(network.clock.pending).toBe(0)
  expect(network.events.map(({ kind }) => kind)).toEqual(['up', 'up'])
})

test('problems are told once, and when they end', async () => {
  const network = new FakeNetwork()
  network.problem = 'sendto: ENETUNREACH (network is unreachable)'
  network.want({})
  await network.clock.advance(5_000)
  network.problem = undefined
  await network.clock.advance(5_000)
  network.listening('bind: EADDRINUSE')
  network.listening('bind: EADDRINUSE')
  network.listening(undefined)
  expect(network.notes).toEqual([
    'warn: BFD packets cannot be sent: sendto: ENETUNREACH (network is unreachable)',
    'info: BFD packets are sent again: undefined',
    'warn: BFD packets cannot be received; no session comes up: bind: EADDRINUSE',
    'info: BFD packets can be received again: undefined',
  ])
})

test('a peer that sends nonsense fills no log and costs no session', async () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  for (let count = 0; count < 1000; count++) {
    network.receiveBytes(new Uint8Array(24).fill(count))
    network.receive({ yourDiscriminator: 7 })
  }
  expect(network.views).toMatchObject([{ state: 'Up' }])
  expect(network.notes).toEqual(['debug: discarded a BFD packet: not BFD version 1'])
  await network.clock.advance(899)
  expect(network.views).toMatchObject([{ state: 'Up' }])
})

test('a session waits for its interface, and another interface is another session', async () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  const [{ discriminator = 0 } = {}] = network.heard
  expect(network.heard).toMatchObject([{ peerAddress: PEER, interface: 'eth0' }])
  network.want({ interface: undefined })
  network.want({ interface: 'eth0' })
  expect(network.moved).toEqual([undefined, 'eth0'])
  expect(network.views).toMatchObject([{ state: 'Up' }])
  expect(network.heard).toMatchObject([{ interface: 'eth0', discriminator }])
  network.clock.randomValue = 0.5
  network.want({ interface: 'eth1' })
  expect(network.views).toMatchObject([{ state: 'Down' }])
  expect(network.heard[0]?.discriminator).not.toBe(discriminator)
})

test('a Final is an answer: the next packet is due when it was', async () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  await network.clock.advance(500)
  network.receive({ state: 'Up' })
  network.taken()
  const start = network.clock.monotonic()
  await network.clock.advance(100)
  network.receive({ state: 'Up', poll: true })
  expect(network.taken().map(({ packet }) => packet.final)).toEqual([true])
  await network.clock.advance(250)
  const periodic = network.taken().filter(({ packet }) => !packet.final)
  expect(periodic.length).toBeGreaterThan(0)
  expect((periodic[0]?.at ?? 0) - start).toBeLessThan(300) // not put off by the answer
})

test('a Detection Time that becomes shorter counts from the packet that says so', async () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  network.receive({ state: 'Up', desiredMinTxInterval: 2_000_000 })
  expect(network.views).toMatchObject([{ detectionTimeMilliseconds: 6_000 }])
  await network.clock.advance(1_000) // what was set for 900 ms has found that it is too early
  network.receive({ state: 'Up', desiredMinTxInterval: 300_000 })
  await network.clock.advance(950)
  expect(network.events.map(({ kind }) => kind)).toEqual(['up', 'down'])
})

test('a Detection Time of ours that becomes longer moves the deadline that runs', async () => {
  const network = new FakeNetwork()
  network.want({})
  network.up()
  await network.clock.advance(500)
  network.want({ minimumIntervalMilliseconds: 1_000 })
  await network.clock.advance(2_400) // 900 ms from the last packet are long over, 3 s are not
  expect(network.events.map(({ kind }) => kind)).toEqual(['up'])
  await network.clock.advance(200)
  expect(network.events.map(({ kind }) => kind)).toEqual(['up', 'down'])
})
