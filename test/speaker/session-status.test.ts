/**
 * A session as its entry in the BGPPeer's status and as a row of the page, and when the entry is
 * written: values only.
 */
import { expect, test } from 'bun:test'
import type { SessionView } from '../../src/bgp/speaker-types.ts'
import type { SpeakerStatus } from '../../src/kube/bgp-peer.ts'
import { notAnnounced } from '../../src/speaker/not-announced.ts'
import { bgpSession, speakerStatus, writeDueAt } from '../../src/speaker/session-status.ts'
import { established, failure, START, session } from './fixtures.ts'

/** The report of a session as BGP has it. */
function report(
  session: SessionView,
  previous?: SpeakerStatus,
  missing: Parameters<typeof bgpSession>[2] = [],
): SpeakerStatus {
  return speakerStatus(bgpSession('node-1', session, missing), previous)
}

const up = report(established())

test('an established session is reported with what was negotiated', () => {
  expect(up).toEqual({
    node: 'node-1',
    state: 'Established',
    since: '2026-01-02T03:04:05Z',
    localAddress: '172.16.0.11',
    advertisedPrefixes: 3,
    receivedPrefixes: 0,
    flaps: 0,
    holdTimeSeconds: 90,
    capabilities: ['graceful-restart'],
  })
})

test('a failing session is one state with one time, whatever states it passes through', () => {
  const lastError = failure('refused', 'connection refused')
  let last: SpeakerStatus | undefined
  const reports = (['Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Idle', 'Connect'] as const).map((state, index) => {
    last = report(session({ state, since: START + index * 5000, lastError }), last)
    return last
  })
  for (const each of reports) expect(each).toEqual(reports[0] as SpeakerStatus)
  expect(reports[0]).toMatchObject({ state: 'Active', since: '2026-01-02T03:04:05Z', lastError: 'connection refused' })
})

test('a session that is up no longer shows why it once was not', () => {
  expect(report(established({ lastError: failure('refused', 'no') })).lastError).toBeUndefined()
})

test('a session that went down has the time of its fall, no counts and its flaps', () => {
  const down = report(session({ state: 'Idle', since: START + 60_000, flaps: 1 }), up)
  expect(down).toEqual({
    node: 'node-1',
    state: 'Active',
    since: '2026-01-02T03:05:05Z',
    advertisedPrefixes: 0,
    receivedPrefixes: 0,
    flaps: 1,
  })
})

test('the page shows the state as RFC 4271 has it', () => {
  const row = bgpSession('node-1', session({ state: 'OpenSent', lastError: failure('wrong-as', 'AS 65002') }), [])
  expect(row).toMatchObject({
    bgpPeer: 'peer',
    node: 'node-1',
    state: 'OpenSent',
    lastError: 'AS 65002',
    capabilities: [],
  })
})

test('the page shows no error of a session that is up', () => {
  expect(bgpSession('node-1', established({ lastError: failure('refused', 'no') }), []).lastError).toBeUndefined()
})

test('the first report, a transition and a removal are written after they settle', () => {
  const down = report(session({ flaps: 1, since: START + 60_000 }), up)
  expect(writeDueAt(undefined, up, 1_000)).toBe(3_000)
  expect(writeDueAt({ status: up, at: 0 }, down, 100_000)).toBe(102_000)
  expect(writeDueAt({ status: up, at: 0 }, undefined, 100_000)).toBe(102_000)
})

test('what the server has is not written again, ever', () => {
  expect(writeDueAt({ status: up, at: 0 }, { ...up }, 1e9)).toBeUndefined()
  expect(writeDueAt({ status: undefined, at: 0 }, undefined, 1e9)).toBeUndefined()
})

test('a session that flaps, counts that grow and texts that change are written at a bounded rate', () => {
  const written = { status: up, at: 100_000 }
  expect(writeDueAt(written, { ...up, flaps: 1 }, 100_500)).toBe(105_000)
  expect(writeDueAt(written, { ...up, advertisedPrefixes: 4 }, 100_500)).toBe(110_000)
  const trying = { ...up, state: 'Active' }
  expect(writeDueAt({ status: trying, at: 100_000 }, { ...trying, lastError: 'refused' }, 100_500)).toBe(105_000)
  const down = { ...up, state: 'Active', lastError: 'refused' }
  expect(writeDueAt({ status: down, at: 100_000 }, { ...down, lastError: 'timed out' }, 100_500)).toBe(130_000)
})

test('a session that is up says what it cannot announce, in status and on the page; one that is down says why it is down', () => {
  const missing = [
    { family: 'ipv4', reason: 'extended-next-hop-not-negotiated', prefixes: 2, message: 'why' },
    { family: 'ipv6', reason: 'family-not-negotiated', prefixes: 1, message: 'why not' },
  ] as const
  const lastError = 'not announced: 2 IPv4 prefixes: why; 1 IPv6 prefix: why not'
  expect(report(established(), undefined, missing)).toMatchObject({ state: 'Established', lastError })
  expect(bgpSession('node-1', established(), missing)).toMatchObject({ lastError, notAnnouncedPrefixes: 3 })
  expect(bgpSession('node-1', established(), [])).toMatchObject({ notAnnouncedPrefixes: 0 })
  // what packets proved, while the session is up; words only where they are lost
  const proved = bgpSession('node-1', established(), [], { proof: { status: 'True', message: '3 came out' } })
  expect(proved).toMatchObject({ routesVerified: 'True' })
  expect(proved).not.toHaveProperty('routesProblem')
  expect(bgpSession('node-1', established(), [], { proof: { status: 'False', message: 'x is lost' } })).toMatchObject({
    routesVerified: 'False',
    routesProblem: 'x is lost',
  })
  const down = session({ lastError: failure('refused', 'connection refused') })
  expect(bgpSession('node-1', down, missing)).not.toHaveProperty('notAnnouncedPrefixes')
  expect(bgpSession('node-1', down, missing).lastError).toBe('connection refused')
})

test('prefixes without a next hop count with those that the peer does not take, but only in a session that is up', () => {
  const view = {
    key: 'peer',
    state: 'Established',
    notAnnounced: [{ family: 'ipv6', reason: 'no-next-hop', prefixes: 1, message: 'm' }],
  } as const
  const problem = { bgpPeer: 'peer', kind: 'NoNextHop', message: 'x', family: 'ipv4' } as const
  const problems = [problem, problem, { ...problem, bgpPeer: 'other' }, { ...problem, kind: 'PrefixTaken' } as const]
  const found = notAnnounced(view, problems)
  expect(found.map(({ family, reason, prefixes }) => [family, reason, prefixes])).toEqual([
    ['ipv6', 'no-next-hop', 1],
    ['ipv4', 'no-next-hop', 2],
  ])
  expect(found[1]?.message).toBe('their nodes have no IPv4 address of their own to be the next hop')
  expect(notAnnounced({ ...view, state: 'Active' }, problems)).toEqual([])
})
