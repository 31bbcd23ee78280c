/** What a node must do again after an upgrade. */
import { expect, test } from 'bun:test'
import { notBack } from '../../src/host/upgrade-verdict.ts'
import type { BgpSession } from '../../src/model/session.ts'
import type { RouteRow } from '../../src/model/snapshot.ts'

const session = (bgpPeer: string, state: string): BgpSession => ({
  bgpPeer,
  node: 'edge-1',
  peerIP: '172.16.0.1',
  peerAsNumber: 65001,
  localAsNumber: 65010,
  state,
  since: '2026-01-01T00:00:00Z',
  advertisedPrefixes: 1,
  receivedPrefixes: 0,
  flaps: 0,
  capabilities: [],
})
const route = (state: RouteRow['state']): RouteRow => ({ destination: '10.0.1.0/25', via: [], reason: 'edge-2', state })

const BEFORE = {
  version: '1',
  ready: true,
  problems: [],
  sessions: [session('a', 'Established'), session('b', 'Active')],
  routes: [route('present')],
}
const AFTER = { ...BEFORE, version: '2' }

test('all that was there is there', () => {
  expect(notBack(BEFORE, AFTER, '2')).toEqual([])
  expect(notBack(undefined, { ...AFTER, ready: false }, '2')).toEqual([])
  expect(notBack({ ...BEFORE, ready: false }, { ...AFTER, ready: false }, '2')).toEqual([])
})

test('a session that was up and a route that was present are missed; what the cluster wants no more is not', () => {
  const sessions = [session('a', 'Connect'), session('b', 'Active')]
  expect(notBack(BEFORE, { ...AFTER, sessions, routes: [route('failed')] }, '2')).toEqual([
    'the session of BGPPeer a with 172.16.0.1 is Connect',
    'the route to 10.0.1.0/25 is failed',
  ])
  expect(notBack(BEFORE, { ...AFTER, sessions: [], routes: [] }, '2')).toEqual([])
})

test('silence, another version and a node that is not ready any more are told', () => {
  expect(notBack(BEFORE, undefined, '2')).toEqual(['it does not answer'])
  expect(notBack(BEFORE, BEFORE, '2')).toEqual(['version 1 answers'])
  expect(notBack(BEFORE, { ...AFTER, ready: false, problems: ['no routes'] }, '2')).toEqual([
    'it is not ready: no routes',
  ])
})
