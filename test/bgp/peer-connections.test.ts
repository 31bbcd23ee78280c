/**
 * Two connections with one peer: ours and the one that it dialled (RFC 4271 sections 6.8 and
 * 8.2.1), strangers who dial, and a peer that restarted and takes its session over.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { cease } from '../../src/bgp/codec/errors.ts'
import { peerOpen, WITHOUT_RESTART, World } from './peer-world.ts'

let world: World
afterEach(async () => {
  await world.speaker.close({ mode: 'restart' })
  expect(world.clock.pending).toBe(0)
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
    const stranger = () => world.transport.incoming('10.0.0.66')
    const first = stranger()
    expect(first.sent).toEqual(['6/5']) // RFC 4486 section 4
    expect(first.ended).toBe('close')
  })
  test('who floods us is refused without a word', async () => {
    world = new World()
    const flood = Array.from({ length: 100 }, () => world.transport.incoming('10.0.0.66'))
    expect(flood.filter(({ sent }) => sent.length > 0)).toHaveLength(10)
    expect(flood.filter(({ ended }) => ended === 'abort')).toHaveLength(90)
    await world.clock.advance(1000)
    expect(world.transport.incoming('10.0.0.66').sent).toEqual(['6/5'])
  })
  test('a second connection of the peer has its own machine while the first one awaits its KEEPALIVE (RFC 4271 section 8.2.1)', () => {
    world = new World({ passive: true })
    const first = world.transport.incoming()
    first.send(peerOpen())
    const second = world.transport.incoming()
    expect(second.sent).toEqual(['OPEN'])
    second.send(peerOpen())
    expect(second.sent.at(-1)).toBe('6/7')
    first.send({ type: 'KEEPALIVE' })
    expect(world.view.state).toBe('Established')
  })
  test('a peer that resets each session at once is let in after rests that grow, and the log tells once', async () => {
    world = new World({ passive: true, connectRetrySeconds: 30 })
    let refused = 0
    for (let tries = 0; tries < 1000; tries++) {
      const connection = world.transport.incoming()
      if (connection.ended === undefined) world.shake(connection).fail({ kind: 'reset', detail: 'connection reset' })
      else refused++
      await world.clock.advance(10)
    }
    expect(refused).toBeGreaterThan(980)
    const lost = world.warnings.filter(({ msg }) => msg === 'BGP session lost')
    expect(lost).toHaveLength(4)
    expect(world.warnings.filter(({ msg }) => msg.startsWith('BGP sessions do not last'))).toHaveLength(1)
    await world.clock.advance(30_000)
    const forgiven = world.shake(world.transport.incoming())
    await world.clock.advance(10_000)
    forgiven.fail()
    expect(world.transport.incoming().ended).toBeUndefined() // it lasted
  })
  test('a late OPEN on our own connection does not replace a session (RFC 4724 section 5)', async () => {
    world = new World()
    const ours = world.transport.dial.connect()
    const theirs = world.transport.incoming()
    theirs.send(peerOpen())
    theirs.send({ type: 'KEEPALIVE' })
    expect(world.view.state).toBe('Established')
    await world.clock.advance(20_000)
    const restarted = peerOpen({ gracefulRestart: { restartTimeSeconds: 120, restarted: true, forwarding: true } })
    ours.send(restarted)
    expect(ours.sent.at(-1)).toBe('6/7')
    expect(theirs.ended).toBeUndefined()
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
