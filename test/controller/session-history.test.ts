/** What the controller remembers of sessions, from one report to the next. */
import { expect, test } from 'bun:test'
import { type SeenSessions, seeSessions, withHistory } from '../../src/controller/session-history.ts'
import type { BGPPeerObject, SpeakerStatus } from '../../src/kube/bgp-peer.ts'
import { SESSION } from '../status/sample.ts'

const UP = 'Established'

function peer(...speakers: readonly Partial<SpeakerStatus>[]): BGPPeerObject {
  const common = { flaps: 0, advertisedPrefixes: 0, receivedPrefixes: 0 }
  const entries = speakers.map(one => ({ node: 'node-1', state: UP, since: 't0', ...common, ...one }))
  return { apiVersion: '', kind: 'BGPPeer', metadata: { name: 'lan-a' }, status: { speakers: entries } }
}

/** What is told of node-1 after these reports, one a minute. */
function told(...reports: readonly Partial<SpeakerStatus>[]): string[] {
  let seen: SeenSessions = new Map()
  for (const [minute, report] of reports.entries()) seen = seeSessions(seen, [peer(report)], `t${minute}`)
  const [session] = withHistory([{ ...SESSION, bgpPeer: 'lan-a', node: 'node-1' }], seen)
  return (session?.history ?? []).map(({ time, what, reason = '' }) => `${time} ${what} ${reason}`.trim())
}

test('up, lost with its reason, tries that fail, up again: newest first', () => {
  expect(
    told(
      { since: 't0' },
      { since: 't0', advertisedPrefixes: 3 },
      { state: 'Active', since: 't2', lastError: 'Hold Timer Expired' },
      { state: 'Connect', since: 't2', lastError: 'Hold Timer Expired' },
      { state: 'Active', since: 't2', lastError: 'connection refused' },
      { since: 't5' },
    ),
  ).toEqual(['t5 up', 't4 failed connection refused', 't2 down Hold Timer Expired', 't0 up'])
})

test('one that was never seen up is down since it says so', () => {
  expect(told({ state: 'Active', since: 't0', lastError: 'timed out' })).toEqual(['t0 down timed out'])
})

test('no more than the last twenty are kept, and none of who reports no more', () => {
  const flapping = Array.from(
    { length: 50 },
    (_, index): Partial<SpeakerStatus> =>
      index % 2 === 0 ? { since: `t${index}` } : { state: 'Idle', since: `t${index}` },
  )
  expect(told(...flapping)).toHaveLength(20)
  const seen = seeSessions(seeSessions(new Map(), [peer({})], 't0'), [peer()], 't1')
  expect(seen.size).toBe(0)
})
