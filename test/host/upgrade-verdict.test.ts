/** What a node must do again after an upgrade, also after one that was killed meanwhile. */
import { afterAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readRecord, removeRecord, writeRecord } from '../../src/host/upgrade-record.ts'
import { beforeOf, notBack } from '../../src/host/upgrade-verdict.ts'
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
  expect(notBack(beforeOf(BEFORE), AFTER, '2')).toEqual([])
  expect(notBack(undefined, { ...AFTER, ready: false }, '2')).toEqual([])
  expect(notBack(beforeOf({ ...BEFORE, ready: false }), { ...AFTER, ready: false }, '2')).toEqual([])
})

test('a session that was up and a route that was present are missed; what the cluster wants no more is not', () => {
  const sessions = [session('a', 'Connect'), session('b', 'Active')]
  expect(notBack(beforeOf(BEFORE), { ...AFTER, sessions, routes: [route('failed')] }, '2')).toEqual([
    'the session of BGPPeer a with 172.16.0.1 is Connect',
    'the route to 10.0.1.0/25 is failed',
  ])
  expect(notBack(beforeOf(BEFORE), { ...AFTER, sessions: [], routes: [] }, '2')).toEqual([])
})

test('silence, another version and a node that is not ready any more are told', () => {
  expect(notBack(beforeOf(BEFORE), undefined, '2')).toEqual(['it does not answer'])
  expect(notBack(beforeOf(BEFORE), BEFORE, '2')).toEqual(['version 1 answers'])
  expect(notBack(beforeOf(BEFORE), { ...AFTER, ready: false, problems: ['no routes'] }, '2')).toEqual([
    'it is not ready: no routes',
  ])
})

const folder = mkdtempSync(join(tmpdir(), 'te-upgrade-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const HOUR = 3600_000

test('an upgrade that was killed: the next to the same version compares with what was before the first', () => {
  const file = join(folder, 'upgrading')
  const before = new Map([
    ['node', beforeOf(BEFORE)],
    ['controller', undefined],
  ] as const)
  writeRecord(file, { to: 'digest', at: 1000, before })
  const kept = readRecord(file, { to: 'digest', now: 2000 })
  // the new version runs, and no session of its came back
  const after = { ...AFTER, sessions: [session('a', 'Connect')] }
  expect(notBack(kept?.get('node'), after, '2')).toEqual(['the session of BGPPeer a with 172.16.0.1 is Connect'])
  expect(kept?.get('controller')).toBeUndefined()
  expect(readRecord(file, { to: 'another', now: 2000 })).toBeUndefined()
  expect(readRecord(file, { to: 'digest', now: 1001 + HOUR })).toBeUndefined()
  expect(readRecord(file, { to: 'digest', now: 999 })).toBeUndefined()
  removeRecord(file)
  removeRecord(file)
  expect(existsSync(file)).toBe(false)
  expect(readRecord(file, { to: 'digest', now: 2000 })).toBeUndefined()
})

test.each(['', '{', 'null', '[]', '{"to":"digest","at":"1000"}'])('a record that is damaged says nothing: %p', text => {
  const file = join(folder, 'damaged')
  writeFileSync(file, text)
  expect(readRecord(file, { to: 'digest', now: 2000 })).toBeUndefined()
})
