/** What a node takes over: last good versions of broken objects, passwords, deletions; and the file that keeps it. */
import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  clusterStatePath,
  decodeClusterState,
  encodeClusterState,
  loadClusterState,
  storeClusterState,
} from '../../src/kube/cluster-state.ts'
import { EMPTY_STATE, mergeCluster, viewOf } from '../../src/kube/merge-cluster.ts'
import type { KubeObject, KubeSecret } from '../../src/kube/resources.ts'

const SPEC = {
  localSpeakers: ['n1'],
  localAsNumber: 65010,
  peerIP: '172.16.0.1',
  peerAsNumber: 65001,
  nodeSelector: 'all()',
  authPassword: { secretKeyRef: { name: 's', key: 'k' } },
}

function peer(spec: object = SPEC, uid = 'u1'): KubeObject {
  const metadata = { name: 'peer', uid, generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' }
  return { apiVersion: '', kind: 'BGPPeer', metadata, spec } as KubeObject
}
function slice(name: string, entries: unknown): KubeObject {
  return { apiVersion: '', kind: 'RouteSlice', metadata: { name }, entries } as KubeObject
}
function entry(node: string, podCIDR = '10.0.1.0/25') {
  return { node, addresses: ['172.16.0.11'], podCIDRs: [podCIDR], peers: ['peer'] }
}
function secret(text: string): { object: KubeSecret } {
  return { object: { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, data: { k: btoa(text) } } }
}
const first = mergeCluster(EMPTY_STATE, {
  node: 'n1',
  slices: [slice('routes-1', [entry('a'), entry('b', '10.0.1.128/25')])],
  peers: [peer()],
  secret: () => secret('hush\n'),
})

test('good objects are taken over', () => {
  expect(first.problems).toEqual([])
  const view = viewOf(first.state, first.passwordProblems, 'api')
  expect(view.entries.map(({ node }) => node)).toEqual(['a', 'b'])
  expect(view.peers.map(({ name }) => name)).toEqual(['peer'])
  expect(view.passwords.get('peer')?.reveal()).toBe('hush')
  expect(JSON.stringify([...view.passwords])).not.toContain('hush')
})

test('a broken entry or slice keeps its last good version, and others are taken over', () => {
  const entries = [{ ...entry('a'), podCIDRs: ['10.0.9/25'] }, entry('b', '10.0.2.0/25'), entry('c')]
  const merged = mergeCluster(first.state, {
    node: 'n1',
    slices: [slice('routes-1', entries)],
    peers: [],
    secret: () => undefined,
  })
  const view = viewOf(merged.state, new Map(), 'api')
  expect(view.entries.map(({ node, podCIDRs }) => [node, podCIDRs[0]])).toEqual([
    ['a', '10.0.1.0/25'],
    ['b', '10.0.2.0/25'],
    ['c', '10.0.1.0/25'],
  ])
  expect(merged.problems).toEqual(['RouteSlice routes-1: entries[0] podCIDRs is not a list of prefixes'])
  const nonsense = mergeCluster(first.state, {
    node: 'n1',
    slices: [slice('routes-1', 7)],
    peers: [],
    secret: () => undefined,
  })
  expect(nonsense.state.slices).toEqual(first.state.slices)
})

test('deleted objects go away', () => {
  const other = slice('routes-2', [])
  const merged = mergeCluster(first.state, { node: 'n1', slices: [other], peers: [], secret: () => undefined })
  expect([...merged.state.slices]).toEqual([['routes-2', []]])
  expect(merged.state.peers.size).toBe(0)
  expect(merged.state.passwords.size).toBe(0)
})

test('an API server that has lost its memory takes nothing away; a deleted BGPPeer beside it does go', () => {
  const answer = () => secret('hush')
  const lost = mergeCluster(first.state, { node: 'n1', slices: [], peers: [], secret: answer })
  expect(lost.state).toEqual(first.state)
  expect(lost.problems).toEqual([expect.stringContaining('RouteSlices: there are none any more')])
  const kept = mergeCluster(first.state, { node: 'n1', slices: [], peers: [peer(SPEC, 'u2')], secret: answer })
  expect(kept.state.slices).toEqual(first.state.slices)
  expect(kept.state.peers.get('peer')?.uid).toBe('u2')
  const never = mergeCluster(EMPTY_STATE, { node: 'n1', slices: [], peers: [], secret: answer })
  expect(never).toMatchObject({ state: EMPTY_STATE, problems: [] })
})

test('a BGPPeer with a spec that cannot work keeps its last good one, unless it is another object', () => {
  const broken = { ...SPEC, localAsNumber: 0 }
  const same = mergeCluster(first.state, {
    node: 'n1',
    slices: [],
    peers: [peer(broken)],
    secret: () => secret('hush'),
  })
  expect(same.state.peers.get('peer')?.spec.localAsNumber).toBe(65010)
  expect(same.problems[0]).toStartWith('BGPPeer peer: spec.localAsNumber AS 0 is reserved')
  const other = mergeCluster(first.state, {
    node: 'n1',
    slices: [],
    peers: [peer(broken, 'u2')],
    secret: () => secret('hush'),
  })
  expect(other.state.peers.size).toBe(0)
})

test.each([
  ['is gone', { object: undefined }, 'Secret kube-system/s does not exist'],
  [
    'lost its key',
    { object: { ...secret('x').object, data: { other: 'eA==' } } },
    'Secret kube-system/s has no key k (it has other)',
  ],
  ['is empty', secret('\n'), 'the key k of Secret kube-system/s is empty'],
  ['is too long', secret('x'.repeat(81)), 'longer than the 80 bytes'],
  ['cannot be read', { problem: 'forbidden' }, 'forbidden'],
])('a Secret that %s is a problem, and the last good password stays', (_, answer, problem) => {
  const merged = mergeCluster(first.state, { node: 'n1', slices: [], peers: [peer()], secret: () => answer })
  expect(merged.passwordProblems.get('peer')).toContain(problem)
  expect(merged.state.passwords.get('peer')).toBe('hush')
  const fresh = mergeCluster(EMPTY_STATE, { node: 'n1', slices: [], peers: [peer()], secret: () => answer })
  expect(fresh.state.passwords.size).toBe(0)
})

test('a node that is no speaker asks for no password', () => {
  const merged = mergeCluster(EMPTY_STATE, {
    node: 'n2',
    slices: [],
    peers: [peer()],
    secret: () => {
      throw new Error('asked')
    },
  })
  expect(merged.state.passwords.size).toBe(0)
})

test('of a node in two slices the first by name counts', () => {
  const state = mergeCluster(EMPTY_STATE, {
    node: 'n1',
    slices: [slice('routes-2', [entry('a', '10.2.0.0/25')]), slice('routes-1', [entry('a', '10.1.0.0/25')])],
    peers: [],
    secret: () => undefined,
  }).state
  expect(viewOf(state, new Map(), 'api').entries.map(({ podCIDRs }) => podCIDRs)).toEqual([['10.1.0.0/25']])
})

test('the first slice is the one in which the controller keeps the node: routes-2 comes before routes-10', () => {
  const state = mergeCluster(EMPTY_STATE, {
    node: 'n1',
    slices: [slice('routes-10', [entry('a', '10.10.0.0/25')]), slice('routes-2', [entry('a', '10.2.0.0/25')])],
    peers: [],
    secret: () => undefined,
  }).state
  expect(viewOf(state, new Map(), 'api').entries.map(({ podCIDRs }) => podCIDRs)).toEqual([['10.2.0.0/25']])
})

test('the file gives back what was stored, mode 0600', () => {
  const folder = mkdtempSync(join(tmpdir(), 'te-state-'))
  try {
    expect(loadClusterState(folder)).toEqual({ state: undefined })
    storeClusterState(folder, encodeClusterState(first.state))
    expect(loadClusterState(folder)).toEqual({ state: first.state })
    expect(statSync(clusterStatePath(folder)).mode & 0o777).toBe(0o600)
    writeFileSync(clusterStatePath(folder), '{"version":1,"slices":')
    expect(loadClusterState(folder)).toHaveProperty('problem')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.each([
  ['[]', 'not an object'],
  ['{"version":2}', 'its version is 2'],
  ['{"version":1,"slices":{},"peers":{}}', 'a part is missing'],
  ['{"version":1,"slices":{"r":[{"node":"a","addresses":["x"]}]},"peers":{},"passwords":{}}', 'r: entries[0]'],
  ['{"version":1,"slices":{},"peers":{"p":{"spec":{}}},"passwords":{}}', 'p: spec.localSpeakers'],
  ['{"version":1,"slices":{},"peers":{},"passwords":{"p":7}}', 'the password of p'],
])('the file %s is refused', (text, reason) => {
  expect(() => decodeClusterState(text)).toThrow(reason)
})
