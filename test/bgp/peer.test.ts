/**
 * Peers and sessions on a clock and a network that the test holds: what needs time or a badly behaved peer.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { cease, notification } from '../../src/bgp/errors.ts'
import type { Open } from '../../src/bgp/message-types.ts'
import { localOpen } from '../../src/bgp/negotiation.ts'
import { createSpeaker } from '../../src/bgp/speaker.ts'
import type { PeerConfig, SessionEvent, SessionView, Speaker } from '../../src/bgp/speaker-types.ts'
import { type Log, type LogFields, silentLog } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { hex, MANDATORY, NLRI, update } from './codec-support.ts'
import { SETTINGS } from './fsm-fixtures.ts'
import { type FakeConnection, FakeTransport, peerConfig } from './peer-fixtures.ts'

const ROUTE = { prefix: '10.0.1.0/24', nextHop: '10.0.0.11' }

function peerOpen(changes: Partial<Parameters<typeof localOpen>[0]> = {}): Open {
  return localOpen({ ...SETTINGS.local, localAs: 65001, routerId: '10.0.0.2', families: ['ipv4'], ...changes })
}

const WITHOUT_RESTART = (() => {
  const { gracefulRestart: _none, ...local } = SETTINGS.local
  return localOpen({ ...local, localAs: 65001, routerId: '10.0.0.2', families: ['ipv4'] })
})()

class World {
  readonly clock = new FakeClock()
  readonly transport = new FakeTransport()
  readonly events: SessionEvent[] = []
  readonly speaker: Speaker
  readonly warnings: (LogFields & { readonly msg: string })[] = []

  constructor(config: Partial<PeerConfig> = {}, options: { restarting?: boolean; announce?: boolean } = {}) {
    const warn: Log['warn'] = (fields, msg) => this.warnings.push({ ...fields, msg })
    this.speaker = createSpeaker({
      clock: this.clock,
      log: { ...silentLog, warn, child: () => ({ ...silentLog, warn }) },
      listen: { port: 179 },
      restarting: options.restarting ?? false,
      transport: this.transport,
    })
    this.speaker.onEvent(event => this.events.push(event))
    if (options.announce !== false) this.speaker.setAnnouncements('lan', [ROUTE])
    this.speaker.setPeers([peerConfig(config)])
  }
  get view(): SessionView {
    const [view] = this.speaker.sessions()
    if (view === undefined) throw new Error('no session')
    return view
  }
  get kinds(): string[] {
    return this.events.map(event => ('error' in event ? `${event.kind} ${event.error.kind}` : event.kind))
  }
  /** The peer's side of the handshake on a connection. */
  shake(connection: FakeConnection, open: Open = peerOpen()): FakeConnection {
    connection.send(open)
    connection.send({ type: 'KEEPALIVE' })
    return connection
  }
  up(open: Open = peerOpen()): FakeConnection {
    return this.shake(this.transport.dial.connect(), open)
  }
}

let world: World
afterEach(async () => {
  await world.speaker.close({ mode: 'restart' })
  expect(world.clock.pending).toBe(0)
})

describe('a session', () => {
  test('comes up and sends everything at once, End-of-RIB behind it', () => {
    world = new World()
    const connection = world.up()
    expect(connection.sent).toEqual(['OPEN', 'KEEPALIVE', 'UPDATE', 'UPDATE'])
    expect(world.view).toMatchObject({ state: 'Established', advertisedPrefixes: 1, peerRouterId: '10.0.0.2' })
    expect(world.kinds).toEqual(['established'])
  })
  test('sends keepalives with jitter, and expires without the peer', async () => {
    world = new World({ holdTimeSeconds: 9 })
    const connection = world.up()
    await world.clock.advance(8000)
    expect(connection.sent.filter(type => type === 'KEEPALIVE').length).toBeGreaterThanOrEqual(3)
    expect(world.view.state).toBe('Established')
    await world.clock.advance(1500)
    expect(connection.sent.at(-1)).toBe('4/0')
    expect(connection.ended).toBe('close')
    expect(world.kinds).toEqual(['established', 'lost hold-timer-expired', 'graceful-restart'])
  })
  test('a malformed UPDATE is logged whole, once a session for each reason (RFC 7606 section 6), also one that ends it', () => {
    world = new World()
    const connection = world.up()
    const malformed = () => world.warnings.filter(({ msg }) => msg === 'malformed UPDATE')
    const withdrawn = update({ attributes: `${MANDATORY} c00802 fde9`, nlri: NLRI })
    const reset = update({ attributes: `${MANDATORY} 40c800`, nlri: NLRI })
    connection.sendBytes(withdrawn)
    connection.sendBytes(withdrawn)
    expect(malformed()).toMatchObject([{ change: 'treat-as-withdraw', address: '10.0.0.2', detail: hex(withdrawn) }])
    connection.sendBytes(reset)
    expect(malformed().slice(1)).toMatchObject([{ change: 'session-reset', detail: hex(reset) }])
    expect(connection.sent.at(-1)).toBe('3/2')
  })
  test('stays up while the peer sends keepalives', async () => {
    world = new World({ holdTimeSeconds: 9 })
    const connection = world.up()
    for (let second = 0; second < 60; second += 3) {
      await world.clock.advance(3000)
      connection.send({ type: 'KEEPALIVE' })
    }
    expect(world.view).toMatchObject({ state: 'Established', flaps: 0 })
  })
  test('a peer that stops reading: the send hold timer ends it (RFC 9687), and nothing piles up', async () => {
    world = new World({ holdTimeSeconds: 90 })
    const connection = world.up()
    connection.congested = true
    const before = connection.sent.length
    world.speaker.setAnnouncements('lan', [ROUTE, { ...ROUTE, prefix: '10.0.2.0/24' }])
    for (let seconds = 0; seconds < 470; seconds += 10) {
      await world.clock.advance(10_000)
      connection.send({ type: 'KEEPALIVE' })
    }
    expect(connection.sent.length).toBe(before)
    expect(world.view.state).toBe('Established')
    await world.clock.advance(20_000)
    expect(connection.ended).toBe('abort')
    expect(connection.sent.at(-1)).toBe('8/0')
    expect(world.events.at(-2)).toMatchObject({ kind: 'lost', error: { notification: { sent: true, code: 8 } } })
  })
  test('what waited goes out when the peer reads again', () => {
    world = new World()
    const connection = world.up()
    connection.congested = true
    world.speaker.setAnnouncements('lan', [])
    const before = connection.sent.length
    expect(connection.sent.length).toBe(before)
    connection.drain()
    expect(connection.sent.slice(before)).toEqual(['UPDATE'])
  })
  test('received prefixes are counted once each and dropped', () => {
    world = new World()
    const connection = world.up()
    connection.sendBytes(updateBytes('10.1.0.0/16'))
    connection.sendBytes(updateBytes('10.1.0.0/16'))
    connection.sendBytes(updateBytes('10.2.0.0/16'))
    expect(world.view.receivedPrefixes).toBe(2)
  })
  test('garbage is answered with its NOTIFICATION', () => {
    world = new World()
    const connection = world.up()
    connection.sendBytes(new Uint8Array(19))
    expect(connection.sent.at(-1)).toBe('1/1')
    expect(world.view.lastError?.kind).toBe('notification-sent')
  })
})

describe('a failure', () => {
  test('is told with what to do, and tried again with back-off', async () => {
    world = new World({ connectRetrySeconds: 8 })
    const pauses: number[] = []
    for (let attempt = 0; attempt < 6; attempt++) {
      const dials = world.transport.dials.length
      world.transport.dial.fail('refused')
      let waited = 0
      while (world.transport.dials.length === dials) {
        await world.clock.advance(100)
        waited += 100
      }
      pauses.push(waited)
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 8000, 8000])
    expect(world.kinds).toEqual(Array(6).fill('failed refused'))
    expect(world.view.lastError?.message).toBe('connection refused: is BGP running on 10.0.0.2 port 179?')
  })
  test('no answer: with a password set, the password is suspected', () => {
    world = new World({ password: new Secret('x') })
    world.transport.dial.fail('timed-out')
    expect(world.view.lastError?.message).toContain('with a password set, a wrong password looks like this')
  })
  test('the connection attempt is given up after the ConnectRetryTimer even if the network never answers', async () => {
    world = new World({ connectRetrySeconds: 8 })
    const [first] = world.transport.dials
    await world.clock.advance(8000)
    expect(first?.cancelled).toBe(true)
    expect(world.kinds).toEqual(['failed timed-out'])
    expect(world.transport.dials.length).toBe(2)
  })
  test('closed before the OPEN', async () => {
    world = new World()
    world.transport.dial.connect().fail()
    expect(world.view.lastError?.message).toContain('is this node configured there as a BGP neighbour?')
    await world.clock.advance(1000)
    expect(world.transport.dials.length).toBe(2)
  })
  test('wrong AS: both numbers, and the peer may not dial in during the rest', async () => {
    world = new World()
    const connection = world.transport.dial.connect()
    connection.send(peerOpen({ localAs: 65009 }))
    expect(connection.sent).toEqual(['OPEN', '2/2'])
    expect(world.view.lastError?.message).toContain('the peer says AS 65009, the BGPPeer says 65001')
    expect(world.transport.incoming().ended).toBe('close')
    await world.clock.advance(5000)
    expect(world.transport.incoming().ended).toBeUndefined()
  })
  test('a shutdown by the peer is quoted, and the peer is left alone for long', async () => {
    world = new World()
    world.up().send(cease(2, 'maintenance until 5'))
    expect(world.view.lastError?.message).toContain('"maintenance until 5"')
    await world.clock.advance(29_000)
    expect(world.transport.dials.length).toBe(1)
    await world.clock.advance(1000)
    expect(world.transport.dials.length).toBe(2)
  })
  test('a peer that knows no capabilities is asked again without (RFC 5492)', async () => {
    world = new World()
    const connection = world.transport.dial.connect()
    connection.send(notification(2, 4))
    await world.clock.advance(5000)
    const second = world.transport.dial.connect()
    expect(second.received[0]).toMatchObject({ type: 'OPEN', capabilities: [] })
    world.shake(second, { ...peerOpen(), capabilities: [] })
    expect(world.view.state).toBe('Established')
  })
})

describe('two connections', () => {
  test('both open: the one of the larger identifier stays, the other ends with 6/7, nobody is alarmed', () => {
    world = new World()
    const ours = world.transport.dial.connect()
    const theirs = world.transport.incoming()
    ours.send(peerOpen())
    theirs.send(peerOpen())
    expect(ours.sent.at(-1)).toBe('6/7')
    expect(ours.ended).toBe('close')
    theirs.send({ type: 'KEEPALIVE' })
    expect(world.view.state).toBe('Established')
    expect(world.kinds).toEqual(['established'])
  })
  test('the same the other way round', () => {
    world = new World({ routerId: '10.0.0.200' })
    const ours = world.transport.dial.connect()
    const theirs = world.transport.incoming()
    theirs.send(peerOpen())
    ours.send(peerOpen())
    expect(theirs.sent.at(-1)).toBe('6/7')
    ours.send({ type: 'KEEPALIVE' })
    expect(world.view.state).toBe('Established')
  })
  test('a collision that the peer resolved is no failure', async () => {
    world = new World()
    world.transport.dial.connect().send(cease(7))
    expect(world.kinds).toEqual([])
    await world.clock.advance(1000)
    world.up()
    expect(world.kinds).toEqual(['established'])
  })
  test('the peer was faster: our attempt ends', () => {
    world = new World()
    world.shake(world.transport.incoming())
    expect(world.view.state).toBe('Established')
    expect(world.transport.dials[0]?.cancelled).toBe(true)
  })
  test('a dialler without a word is replaced by the next, and cannot outstay its time', async () => {
    world = new World({ passive: true })
    expect(world.view.state).toBe('Active')
    const first = world.transport.incoming()
    const second = world.transport.incoming()
    expect(first.ended).toBe('close')
    await world.clock.advance(60_000)
    expect(second.sent).toEqual(['OPEN', '4/0'])
    expect(second.ended).toBe('close')
    expect(world.view.state).toBe('Active')
  })
  test('strangers are refused', () => {
    world = new World()
    expect(world.transport.incoming('10.0.0.66').ended).toBe('abort')
  })
  test('a bare connection does not disturb an established session', () => {
    world = new World()
    const connection = world.up()
    const stranger = world.transport.incoming()
    expect(connection.ended).toBeUndefined()
    stranger.fail()
    expect(world.view).toMatchObject({ state: 'Established', flaps: 0 })
    expect(world.kinds).toEqual(['established'])
  })
  test('a peer that restarted takes over with graceful restart, and not without', async () => {
    world = new World()
    const old = world.up()
    await world.clock.advance(1000)
    const restarted = peerOpen({ gracefulRestart: { restartTimeSeconds: 120, restarted: true, forwarding: true } })
    const fresh = world.shake(world.transport.incoming(), restarted)
    expect(old.ended).toBe('close')
    expect(old.sent.at(-1)).toBe('UPDATE') // no NOTIFICATION
    expect(world.view.state).toBe('Established')
    expect(fresh.sent).toEqual(['OPEN', 'KEEPALIVE', 'UPDATE', 'UPDATE'])
    await world.speaker.close({ mode: 'restart' })

    world = new World()
    const kept = world.up(WITHOUT_RESTART)
    await world.clock.advance(60_000)
    const refused = world.transport.incoming()
    refused.send(WITHOUT_RESTART)
    expect(refused.sent.at(-1)).toBe('6/7')
    expect(kept.ended).toBeUndefined()
  })
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
  test('a new password: opened anew without a NOTIFICATION, the listener has the new key', () => {
    world = new World({ password: new Secret('old') })
    const connection = world.up()
    const password = new Secret('new')
    world.speaker.setPeers([peerConfig({ password })])
    expect(connection.ended).toBe('close')
    expect(connection.sent.at(-1)).toBe('UPDATE')
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

function updateBytes(prefix: string): Uint8Array {
  const [address = '', length = ''] = prefix.split('/')
  const octets = address
    .split('.')
    .map(Number)
    .slice(0, Number(length) / 8)
  const attributes = [0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9, 0x40, 3, 4, 10, 0, 0, 2]
  const body = [0, 0, 0, attributes.length, ...attributes, Number(length), ...octets]
  const total = 19 + body.length
  return Uint8Array.from([...Array(16).fill(0xff), total >> 8, total & 255, 2, ...body])
}
