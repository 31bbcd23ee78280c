/**
 * A session that BFD ends: the NOTIFICATION of RFC 9384, what the peer then keeps, what people
 * read, and when the next try is.
 */
import { expect, test } from 'bun:test'
import { sessionError } from '../../src/bgp/machine/failure-text.ts'
import { step } from '../../src/bgp/machine/fsm.ts'
import { bfdDown, keptSeconds } from '../../src/bgp/machine/graceful-restart.ts'
import { idleHold } from '../../src/bgp/machine/idle-hold.ts'
import type { Negotiated } from '../../src/bgp/machine/negotiation.ts'
import { config } from '../speaker/fixtures.ts'
import { sessionIn } from './machine/fsm-fixtures.ts'
import { World } from './peer-world.ts'

const REASON = 'nothing from 172.16.0.1 for 900 ms (Control Detection Time Expired)'
const DOWN = bfdDown(REASON)

test('Established: Cease, BFD Down goes out, then the connection closes', () => {
  const [after, actions] = step(sessionIn('Established'), { kind: 'AutomaticStop', failure: DOWN })
  expect(after.state).toBe('Idle')
  const [first, second] = actions
  expect(first).toMatchObject({ do: 'send', message: { type: 'NOTIFICATION', code: 6, subcode: 10 } })
  expect(second).toEqual({ do: 'close' })
  expect(actions.at(-1)).toEqual({ do: 'down', reason: DOWN })
})

test('not a Hard Reset: a peer with the N bit keeps our routes, another one does not', () => {
  const established = sessionIn('Established')
  if (established.state !== 'Established') throw new Error('not established')
  const { negotiated } = established
  const keeping = (notification: boolean): Negotiated => ({
    ...negotiated,
    gracefulRestart: { restartTimeSeconds: 600, peerRestartTimeSeconds: 120, peerRestarted: false, notification },
  })
  expect(keptSeconds(keeping(true), DOWN)).toBe(600)
  expect(keptSeconds(keeping(false), DOWN)).toBeUndefined()
})

test('people read that BFD ended it, and why', () => {
  const error = sessionError({ config: config(), reason: DOWN, at: 1, wasEstablished: true, openSent: true })
  expect(error).toMatchObject({
    kind: 'bfd-down',
    message: `BFD down: ${REASON}`,
    notification: { sent: true, code: 6, subcode: 10, text: 'Cease / BFD Down' },
  })
})

test('the next try comes soon, and the peer may dial at any time', () => {
  expect(idleHold(DOWN, 30)).toMatchObject({ initialMilliseconds: 1000, refusesIncoming: false })
})

test('while it is held no session is begun or let in; then at once (RFC 5882 section 4.1)', async () => {
  const world = new World()
  world.up()
  world.speaker.failSession('lan', { kind: 'bfd-down', reason: 'nothing for 900 ms' })
  world.speaker.holdSession('lan', 'BGP waits for BFD')
  const dials = world.transport.dials.length
  await world.clock.advance(300_000)
  expect(world.transport.dials.length).toBe(dials)
  expect(world.transport.incoming().ended).toBe('close')
  world.speaker.holdSession('lan', undefined)
  expect(world.transport.dials.length).toBe(dials + 1)
  expect(world.transport.incoming().ended).toBeUndefined()
  world.shake(world.transport.dial.connect())
  expect(world.view.state).toBe('Established')
})

test('a session that is up is not ended by it, and one that rests dials when the rest is over', async () => {
  const world = new World()
  const connection = world.up()
  world.speaker.holdSession('lan', 'BGP waits for BFD')
  await world.clock.advance(10_000)
  expect(world.view.state).toBe('Established')
  connection.fail()
  world.speaker.holdSession('lan', undefined)
  const dials = world.transport.dials.length
  await world.clock.advance(30_000)
  expect(world.transport.dials.length).toBe(dials + 1)
})
