/** What a session went through, as it is remembered: transitions, since when, NOTIFICATIONs. */
import { expect, test } from 'bun:test'
import type { SessionError, SessionEvent } from '../../src/bgp/speaker-types.ts'
import { changeText } from '../../src/speaker/changed-settings.ts'
import { freshMemory, remember, type SessionMemory, saidSinceUp } from '../../src/speaker/session-history.ts'
import { config, session } from './fixtures.ts'

const refused: SessionError = { kind: 'refused', message: 'refused', at: 0 }
const cease: SessionError = {
  kind: 'notification-received',
  message: 'the peer closed: maintenance until 18:00',
  at: 0,
  notification: { sent: false, code: 6, subcode: 2, text: 'Cease' },
}
const up = { kind: 'established', key: 'peer', session: session() } satisfies SessionEvent
const failed = (error: SessionError): SessionEvent => ({ kind: 'failed', key: 'peer', session: session(), error })
const lost = (error: SessionError): SessionEvent => ({ kind: 'lost', key: 'peer', session: session(), error })

function after(...events: readonly (readonly [number, SessionEvent])[]): SessionMemory {
  return events.reduce((memory, [at, event]) => remember(memory, event, at), freshMemory(0))
}

test('the time without a session does not begin anew with each try', () => {
  const memory = after([1000, up], [5000, lost(cease)], [9000, failed(refused)], [19_000, failed(refused)])
  expect(memory.downSince).toBe(5000)
  expect(memory.lastUp).toBe(5000)
  expect(remember(memory, up, 20_000).downSince).toBeUndefined()
})

test('tries that fail alike are one transition', () => {
  const { transitions } = after([1000, up], [5000, lost(cease)], [9000, failed(refused)], [19_000, failed(refused)])
  expect(transitions).toMatchObject([
    {
      what: 'failed',
      times: 2,
      reason: 'refused',
      time: '1970-01-01T00:00:09Z',
      lastTime: '1970-01-01T00:00:19Z',
    },
    { what: 'down', notification: 'received' },
    { what: 'up' },
  ])
})

test('what the peer said counts until the session is up again, whatever failed since', () => {
  const memory = after([1000, up], [5000, lost(cease)], [9000, failed(refused)])
  expect(saidSinceUp(memory.transitions)?.reason).toBe('the peer closed: maintenance until 18:00')
  expect(saidSinceUp(remember(memory, up, 10_000).transitions)).toBeUndefined()
})

test('NOTIFICATIONs are counted by direction, code and subcode; the memory is bounded', () => {
  const events = Array.from(
    { length: 50 },
    (_, at) =>
      [
        [at, up],
        [at, lost(cease)],
      ] as const,
  ).flat()
  const memory = after(...events)
  expect(memory.notifications).toEqual([{ direction: 'received', code: 6, subcode: 2, count: 50 }])
  expect(memory.transitions).toHaveLength(20)
})

test('a change that closes the session is named, one that does not is not', () => {
  const before = config()
  expect(changeText(before, config({ ttlSecurity: 1 }), 0)).toContain(
    'until ttlSecurity (not set before) of the BGPPeer',
  )
  expect(changeText(before, config({ holdTimeSeconds: 30 }), 0)).toContain('holdTimeSeconds (90 before)')
  expect(changeText(before, config({ connectRetrySeconds: 5 }), 0)).toBeUndefined()
})
