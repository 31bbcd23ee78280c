/**
 * Which Events a speaker records, in which words and how often: decided from values. Recorded with
 * an API server: test/e2e/speaker.test.ts.
 */
import { expect, test } from 'bun:test'
import type { PeerConfig, SessionError, SessionEvent } from '../../src/bgp/speaker-types.ts'
import {
  admit,
  type EventMemory,
  kubeEvent,
  lastingProblems,
  problemEvent,
  type SpeakerEvent,
  sessionEvent,
} from '../../src/speaker/events.ts'
import { bgpPeer, config, established, failure, session } from './fixtures.ts'

function failed(error: SessionError, peer: PeerConfig = config()): SpeakerEvent {
  return sessionEvent('node-1', { kind: 'failed', key: 'peer', session: session(), error }, peer)
}

test('each thing that happens to a session has its reason', () => {
  const error = failure('hold-timer-expired', 'hold timer expired')
  const all: SessionEvent[] = [
    { kind: 'established', key: 'peer', session: established() },
    { kind: 'failed', key: 'peer', session: session(), error },
    { kind: 'lost', key: 'peer', session: session(), error },
    { kind: 'graceful-restart', key: 'peer', session: session(), detail: 'the peer restarts' },
  ]
  expect(
    all.map(event => sessionEvent('node-1', event, config())).map(({ type, reason }) => `${type} ${reason}`),
  ).toEqual(['Normal Established', 'Warning FailedEstablish', 'Warning SessionLost', 'Normal GracefulRestart'])
})

test('a session that this node opens anew on purpose is no warning', () => {
  const error = {
    ...failure('closed', 'closed by this node to put a changed password into force'),
    planned: true,
  } as const
  const event = sessionEvent('node-1', { kind: 'lost', key: 'peer', session: session(), error }, config())
  expect(event).toMatchObject({ type: 'Normal', reason: 'SessionLost' })
})

test('a failure names node, peer, AS and why', () => {
  const { message } = failed(failure('refused', 'connection refused: nothing listens there'))
  expect(message).toBe('node-1 to 172.16.0.1 AS 65001: connection refused: nothing listens there')
})

test('a port other than 179 is named, IPv6 in brackets', () => {
  expect(failed(failure('reset', 'x'), config({ peerPort: 1179 })).message).toContain('172.16.0.1:1179')
  expect(failed(failure('reset', 'x'), config({ peerPort: 1179, peerAddress: 'fd00::1' })).message).toContain(
    '[fd00::1]:1179',
  )
})

test('what a peer sent is one short printable line', () => {
  const { message } = failed(failure('notification-received', `Cease\n\u001b[31m${'x'.repeat(1000)}`))
  expect(message).toMatch(/^[\x20-\x7e…]+$/)
  expect(message.length).toBeLessThan(400)
})

test('a missing Secret and a session that cannot be opened are Events; a prefix without next hop is not', () => {
  const problem = { bgpPeer: 'peer', message: 'm' }
  expect(problemEvent('node-1', { ...problem, kind: 'SecretNotFound' })?.reason).toBe('SecretNotFound')
  expect(problemEvent('node-1', { ...problem, kind: 'PeerTaken' })?.reason).toBe('FailedEstablish')
  expect(problemEvent('node-1', { ...problem, kind: 'NoNextHop' })).toBeUndefined()
})

test('a problem is told once it lasts, once; one that goes away first is none', () => {
  const secret = { bgpPeer: 'peer', kind: 'SecretNotFound', message: 'no Secret' } as const
  const first = lastingProblems(new Map(), [secret], 1_000)
  expect(first).toMatchObject({ lasting: [], news: [], waiting: true })
  const lasts = lastingProblems(first.memory, [secret], 3_000)
  expect(lasts).toMatchObject({ lasting: [secret], news: [secret], waiting: false })
  expect(lastingProblems(lasts.memory, [secret], 4_000)).toMatchObject({ lasting: [secret], news: [] })
  const gone = lastingProblems(first.memory, [], 2_000)
  expect(lastingProblems(gone.memory, [secret], 3_000)).toMatchObject({ lasting: [], waiting: true })
})

/** How many of `events`, each at its time in seconds, are recorded. */
function recorded(events: readonly (readonly [number, SpeakerEvent])[]): number[] {
  let memory: EventMemory = new Map()
  return events.flatMap(([seconds, event]) => {
    const admitted = admit(memory, event, seconds * 1000)
    memory = admitted.memory
    return admitted.record ? [seconds] : []
  })
}

test('a session that fails each second is recorded each 30 s', () => {
  const event = failed(failure('refused', 'refused'))
  expect(recorded(Array.from({ length: 100 }, (_, second) => [second, event] as const))).toEqual([0, 30, 60, 90])
})

test.each(['SecretNotFound', 'PeerTaken'] as const)('a problem that lasts (%s) is recorded each 10 minutes', kind => {
  const event = problemEvent('node-1', { bgpPeer: 'peer', kind, message: 'm' })
  if (event === undefined) throw new Error('it is an Event')
  expect(recorded(Array.from({ length: 1_300 }, (_, second) => [second, event] as const))).toEqual([0, 600, 1_200])
})

test('another reason is news, but not faster than each 5 s', () => {
  const refused = failed(failure('refused', 'refused'))
  const silent = failed(failure('timed-out', 'silent'))
  expect(
    recorded([
      [0, refused],
      [1, silent],
      [6, silent],
      [7, refused],
      [12, refused],
      [31, refused],
    ]),
  ).toEqual([0, 6, 31])
})

test('texts that always differ are recorded each 5 s at most, and the memory stays small', () => {
  let memory: EventMemory = new Map()
  let count = 0
  for (let second = 0; second < 5_000; second++) {
    const admitted = admit(memory, failed(failure('notification-received', `Cease ${second}`)), second * 1000)
    memory = admitted.memory
    if (admitted.record) count++
  }
  expect(count).toBe(1_000)
  expect(memory.size).toBeLessThan(200)
})

test('after the session was up the same failure is news at once', () => {
  const event = failed(failure('refused', 'refused'))
  const up = sessionEvent('node-1', { kind: 'established', key: 'peer', session: established() }, config())
  expect(
    recorded([
      [0, event],
      [1, up],
      [2, event],
    ]),
  ).toEqual([0, 1, 2])
})

test('BGPPeers do not hold back each other', () => {
  const event = failed(failure('refused', 'refused'))
  expect(
    recorded([
      [0, event],
      [1, { ...event, bgpPeer: 'other' }],
    ]),
  ).toEqual([0, 1])
})

test('the Event is about the BGPPeer, by name and uid', () => {
  expect(kubeEvent(failed(failure('refused', 'refused')), bgpPeer())).toEqual({
    regarding: { apiVersion: 'network.openyurt.io/v1alpha1', kind: 'BGPPeer', name: 'peer', uid: 'uid-of-peer' },
    type: 'Warning',
    reason: 'FailedEstablish',
    message: 'node-1 to 172.16.0.1 AS 65001: refused',
  })
})
