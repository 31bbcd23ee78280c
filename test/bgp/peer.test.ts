/**
 * Peers and sessions on a clock and a network that the test holds: what needs time or a badly
 * behaved peer. Two connections with one peer: peer-connections.test.ts; how we end sessions and
 * open them anew: peer-restart.test.ts. With real routers: test/interop.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { cease, notification } from '../../src/bgp/codec/errors.ts'
import { encodeMessage, INITIAL_CONTEXT } from '../../src/bgp/codec/message.ts'
import { noNlri } from '../../src/bgp/codec/nlri.ts'
import { Secret } from '../../src/lib/secret.ts'
import { hex, MANDATORY, NLRI, update } from './codec/support.ts'
import { peerOpen, ROUTE, World } from './peer-world.ts'

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
    expect(world.view).toMatchObject({
      state: 'Established',
      advertisedPrefixes: 1,
      neighbor: { peerRouterId: '10.0.0.2' },
    })
    expect(world.kinds).toEqual(['established'])
  })
  test('tells who listens of every message, both ways, and nobody afterwards', () => {
    world = new World()
    const seen: string[] = []
    expect(world.speaker.trace?.('other', () => {})).toBeUndefined()
    const stop = world.speaker.trace?.('lan', ({ direction, bytes }) => seen.push(`${direction} ${bytes[18]}`))
    const connection = world.up()
    expect(seen).toEqual(['sent 1', 'received 1', 'sent 4', 'received 4', 'sent 2', 'sent 2'])
    stop?.()
    connection.send({ type: 'KEEPALIVE' })
    expect(seen).toHaveLength(6)
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
    expect(malformed()).toMatchObject([
      { change: 'treat-as-withdraw', address: '10.0.0.2', prefixes: '10.0.1.0/24', detail: hex(withdrawn) },
    ])
    connection.sendBytes(reset)
    expect(malformed().slice(1)).toMatchObject([{ change: 'session-reset', detail: hex(reset) }])
    expect(connection.sent.at(-1)).toBe('3/2')
  })
  test('long messages are taken from our OPEN on, also behind the KEEPALIVE in one read (RFC 8654 section 4)', () => {
    for (const capabilities of [undefined, []]) {
      world = new World()
      const connection = world.transport.dial.connect()
      const open = peerOpen()
      connection.send(
        capabilities === undefined
          ? open
          : { ...open, capabilities: [...open.capabilities].filter(({ kind }) => kind !== 'extended-message') },
      )
      const long = updateBytes('10.1.0.0/16', 5000)
      expect(long.length).toBeGreaterThan(4096)
      connection.sendBytes(Buffer.concat([encodeMessage({ type: 'KEEPALIVE' }, INITIAL_CONTEXT), long]))
      expect(world.view).toMatchObject({ state: 'Established', receivedPrefixes: 1 })
    }
  })
  test('ROUTE-REFRESH keeps no session alive, neither received nor sent (RFC 4271 section 4.2)', async () => {
    world = new World({ holdTimeSeconds: 9 })
    const connection = world.up()
    const keepalives = () => connection.sent.filter(type => type === 'KEEPALIVE').length
    const before = keepalives()
    for (let second = 0; second < 8; second++) {
      connection.send({ type: 'ROUTE-REFRESH', afi: 1, subtype: 0, safi: 1 })
      world.speaker.setAnnouncements('lan', [])
      await world.clock.advance(1000)
    }
    // BoRR and EoRR
    expect(connection.sent.filter(type => type === 'ROUTE-REFRESH')).toHaveLength(16)
    expect(keepalives() - before).toBeGreaterThanOrEqual(2)
    await world.clock.advance(1500)
    expect(world.kinds).toContain('lost hold-timer-expired')
  })
  test('a subtype means something only to who has the capability (RFC 2918 section 3, RFC 7313 section 5)', () => {
    world = new World()
    const connection = world.up()
    const sent = connection.sent.length
    connection.send({ type: 'ROUTE-REFRESH', afi: 1, subtype: 7, safi: 1 })
    connection.send({ type: 'ROUTE-REFRESH', afi: 1, subtype: 1, safi: 1 })
    expect(connection.sent.length).toBe(sent)
    expect(world.warnings.map(({ msg, reason }) => [msg, reason])).toEqual([
      ['ignored a ROUTE-REFRESH', 'RFC 7313 section 5: subtype 7'],
    ])

    world = new World()
    const open = peerOpen()
    const plain = world.up({
      ...open,
      capabilities: open.capabilities.filter(({ kind }) => kind !== 'enhanced-route-refresh'),
    })
    const before = plain.sent.length
    plain.send({ type: 'ROUTE-REFRESH', afi: 1, subtype: 7, safi: 1 })
    expect(plain.sent.slice(before)).toEqual(['UPDATE'])
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
    const before = connection.sent.length
    world.speaker.setAnnouncements('lan', [])
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
  test('our own end is gone: over at once, without a NOTIFICATION, and tried again', async () => {
    world = new World()
    const connection = world.up()
    const before = connection.sent.length
    world.speaker.failSession('lan', { kind: 'local-end-gone', reason: 'the link eth0 is down' })
    expect(connection.sent.length).toBe(before)
    expect(connection.ended).toBe('close')
    expect(world.kinds).toEqual(['established', 'lost unreachable', 'graceful-restart'])
    expect(world.view.lastError?.message).toContain('the link eth0 is down')
    await world.clock.advance(1000)
    expect(world.transport.dials).toHaveLength(2)
  })
  test('is known in the detail of a router, before and after it went down', async () => {
    world = new World({ password: new Secret('x'), ttlSecurity: 1 })
    expect(world.view.neighbor).toMatchObject({
      password: true,
      ttl: 255,
      minimumTtl: 255,
      established: 0,
      families: [{ negotiated: false }],
    })
    const connection = world.up()
    connection.sendBytes(
      encodeMessage(
        { type: 'UPDATE', withdrawn: noNlri('ipv4'), attributes: {}, nlri: noNlri('ipv4') },
        INITIAL_CONTEXT,
      ),
    )
    expect(world.view.neighbor).toMatchObject({
      routerId: '10.0.0.1',
      peerRouterId: '10.0.0.2',
      connection: { openedBy: 'us' },
      negotiated: { holdTimeSeconds: 90, keepaliveSeconds: 30 },
      sent: { open: 1, update: 2, notification: 0, keepalive: 1, routeRefresh: 0 },
      received: { open: 1, update: 1, notification: 0, keepalive: 1, routeRefresh: 0 },
      established: 1,
      dropped: 0,
      families: [{ family: 'ipv4', negotiated: true, endOfRibSent: true, endOfRibReceived: true }],
      waitingPrefixes: 0,
      congested: false,
    })
    expect(world.view.neighbor.peerCapabilities).toContain('four-octet-as')
    expect(world.view.neighbor.localCapabilities).toContain('graceful-restart')
    connection.congested = true
    world.speaker.setAnnouncements('lan', [ROUTE, { ...ROUTE, prefix: '10.0.2.0/24' }])
    expect(world.view.neighbor).toMatchObject({ waitingPrefixes: 1, congested: true })
    connection.fail()
    expect(world.view.neighbor).toMatchObject({
      established: 1,
      dropped: 1,
      lastReset: { reason: expect.stringContaining('connection lost') },
    })
    expect(world.view.neighbor).not.toHaveProperty('peerRouterId')
  })
  test('tells what the peer was told, not what waits', () => {
    world = new World()
    expect(world.speaker.advertised('lan')).toEqual([])
    expect(world.speaker.advertised('other')).toBeUndefined()
    const connection = world.up()
    const told = [{ prefix: '10.0.1.0/24', nextHop: '10.0.0.11', origin: 'IGP', asPath: [65010] }]
    expect(world.speaker.advertised('lan')).toEqual(told)
    connection.congested = true
    world.speaker.setAnnouncements('lan', [ROUTE, { prefix: '10.0.2.0/24', nextHop: '10.0.0.12', med: 7 }])
    expect(world.speaker.advertised('lan')).toEqual(told)
    connection.drain()
    expect(world.speaker.advertised('lan')).toContainEqual({
      prefix: '10.0.2.0/24',
      nextHop: '10.0.0.12',
      origin: 'IGP',
      asPath: [65010],
      med: 7,
    })
    connection.fail()
    expect(world.speaker.advertised('lan')).toEqual([])
  })
  test('connections come from the address preferred, and the peer may dial any', () => {
    world = new World({ preferredSource: '10.0.0.7' })
    expect(world.transport.dial.to.sourceAddress).toBe('10.0.0.7')
    expect(world.transport.incoming().ended).toBeUndefined()
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

/** `padding`: octets of communities. */
function updateBytes(prefix: string, padding = 0): Uint8Array {
  const [address = '', length = ''] = prefix.split('/')
  const octets = address
    .split('.')
    .map(Number)
    .slice(0, Number(length) / 8)
  const attributes = [0x40, 1, 1, 0, 0x40, 2, 6, 2, 1, 0, 0, 0xfd, 0xe9, 0x40, 3, 4, 10, 0, 0, 2]
  if (padding > 0) attributes.push(0xd0, 8, padding >> 8, padding & 255, ...Array(padding).fill(1))
  const body = [0, 0, attributes.length >> 8, attributes.length & 255, ...attributes, Number(length), ...octets]
  const total = 19 + body.length
  return Uint8Array.from([...Array(16).fill(0xff), total >> 8, total & 255, 2, ...body])
}
