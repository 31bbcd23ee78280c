/**
 * Sessions that we end or open anew, on a clock and a network that the test holds: a restart, a
 * shutdown with and without forewarning, a changed configuration, and what is said to the peer of
 * it.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { Secret } from '../../src/lib/secret.ts'
import { type FakeConnection, peerConfig } from './peer-fixtures.ts'
import { ROUTE, WITHOUT_RESTART, World } from './peer-world.ts'

let world: World
afterEach(async () => {
  await world.speaker.close({ mode: 'restart' })
  expect(world.clock.pending).toBe(0)
})

describe('graceful restart', () => {
  const restartOf = (connection: FakeConnection) => {
    const [open] = connection.received
    return open?.type === 'OPEN' ? open.capabilities.find(({ kind }) => kind === 'graceful-restart') : undefined
  }

  test('R until the peer has the whole set, F also after', async () => {
    world = new World({}, { restarting: true, announce: false })
    const first = world.up()
    expect(restartOf(first)).toMatchObject({ restarted: true, families: [{ forwarding: true }] })
    first.fail() // before it was told anything
    await world.clock.advance(1000)
    const second = world.up()
    expect(restartOf(second)).toMatchObject({ restarted: true })
    world.speaker.setAnnouncements('lan', [ROUTE])
    second.fail()
    await world.clock.advance(2000)
    expect(restartOf(world.up())).toMatchObject({ restarted: false, families: [{ forwarding: true }] })
  })
  test('after a start of the machine R, and F only once a session was up', async () => {
    world = new World({}, { restarting: true, rebooted: true, announce: false })
    const first = world.up()
    expect(restartOf(first)).toMatchObject({ restarted: true, families: [{ forwarding: false }] })
    first.fail()
    await world.clock.advance(1000)
    expect(restartOf(world.up())).toMatchObject({ restarted: true, families: [{ forwarding: true }] })
  })
  test('R not beyond the restart time', async () => {
    world = new World({ connectRetrySeconds: 1000 }, { restarting: true })
    world.transport.dial.fail('refused')
    await world.clock.advance(600_000)
    world.transport.dial.fail('refused')
    await world.clock.advance(600_000)
    expect(restartOf(world.transport.dial.connect())).toMatchObject({ restarted: false })
  })
  test('a first start says neither', () => {
    world = new World()
    expect(restartOf(world.up())).toMatchObject({ restarted: false, families: [{ forwarding: false }] })
  })
  test('close with restart sends nothing', async () => {
    world = new World()
    const connection = world.up()
    const before = connection.sent.length
    await world.speaker.close({ mode: 'restart' })
    expect(connection.sent.length).toBe(before)
    expect(connection.ended).toBe('close')
    expect(world.transport.listening).toBe(false)
  })
  test('close with shutdown withdraws, then a Hard Reset with the reason inside', async () => {
    world = new World()
    const connection = world.up()
    await world.speaker.close({ mode: 'shutdown', reason: 'bye' })
    expect(connection.sent.slice(-2)).toEqual(['UPDATE', '6/9'])
    expect(connection.received.at(-1)).toMatchObject({ data: Uint8Array.of(6, 2, 3, 98, 121, 101) })
  })
})

describe('graceful shutdown (RFC 8326)', () => {
  const shutdown = { mode: 'shutdown', reason: 'bye', forewarnMilliseconds: 5000 } as const
  test('GRACEFUL_SHUTDOWN first, the withdrawal after the pause', async () => {
    world = new World()
    const connection = world.up()
    const closed = world.speaker.close(shutdown)
    await world.clock.advance(4999)
    expect(connection.received.at(-1)).toMatchObject({ attributes: { COMMUNITIES: ['65535:0'] }, nlri: { count: 1 } })
    await world.clock.advance(1)
    await closed
    expect(connection.sent.slice(-3)).toEqual(['UPDATE', 'UPDATE', '6/9'])
    expect(connection.received.at(-2)).toMatchObject({ withdrawn: { count: 1 }, nlri: { count: 0 } })
  })
  test('a stop of the process does not wait for it', async () => {
    world = new World()
    const connection = world.up()
    const closed = world.speaker.close(shutdown)
    await world.clock.advance(1000)
    await world.speaker.close({ mode: 'restart' })
    await closed
    expect(connection.sent.at(-1)).toBe('6/9')
    expect(connection.ended).toBe('close')
  })
  test('nobody to warn: no wait', async () => {
    world = new World()
    await world.speaker.close(shutdown)
    expect(world.transport.dial.cancelled).toBe(true)
  })
})

describe('a changed configuration', () => {
  test('nothing changed: nothing happens', () => {
    world = new World({ password: new Secret('same') })
    const connection = world.up()
    world.speaker.setPeers([peerConfig({ password: new Secret('same') })])
    expect(connection.ended).toBeUndefined()
    expect(world.view.state).toBe('Established')
  })
  test('connect retry and passive do not touch the session', () => {
    world = new World()
    const connection = world.up()
    world.speaker.setPeers([peerConfig({ connectRetrySeconds: 7, passive: true })])
    expect(connection.ended).toBeUndefined()
  })
  test('a new password: opened anew by a graceful Cease (RFC 8538 section 3), the listener has the new key', () => {
    world = new World({ password: new Secret('old') })
    const connection = world.up()
    const password = new Secret('new')
    world.speaker.setPeers([peerConfig({ password })])
    expect(connection.ended).toBe('close')
    expect(connection.sent.at(-1)).toBe('6/6')
    expect(world.transport.dials.length).toBe(2)
    expect(world.transport.dial.to.password).toBe(password)
    expect(world.transport.keys.get('10.0.0.2')).toBe(password)
    const lost = world.events.find(event => event.kind === 'lost')
    expect(lost).toMatchObject({ error: { kind: 'closed', planned: true } })
    world.up()
    expect(world.view).toMatchObject({ state: 'Established', flaps: 0 })
  })
  test('without graceful restart it is a Cease, Other Configuration Change', () => {
    world = new World()
    const connection = world.up(WITHOUT_RESTART)
    world.speaker.setPeers([peerConfig({ holdTimeSeconds: 30 })])
    expect(connection.sent.at(-1)).toBe('6/6')
  })
  test('a removed peer: withdrawn, Cease, Peer De-configured, no key left', async () => {
    world = new World({ password: new Secret('x') })
    const connection = world.up(WITHOUT_RESTART)
    world.speaker.setPeers([])
    await world.clock.advance(0)
    expect(connection.sent.slice(-2)).toEqual(['UPDATE', '6/3'])
    expect(world.speaker.sessions()).toEqual([])
    expect(world.transport.keys.size).toBe(0)
  })
  test('another AS is another peer', async () => {
    world = new World()
    const connection = world.up(WITHOUT_RESTART)
    world.speaker.setPeers([peerConfig({ peerAs: 65002 })])
    await world.clock.advance(0)
    expect(connection.sent.at(-1)).toBe('6/3')
    expect(world.view.peerAs).toBe(65002)
    expect(world.transport.dials.length).toBe(2)
  })
})
