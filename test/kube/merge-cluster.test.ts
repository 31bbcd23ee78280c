/**
 * What a node takes over: last good versions of broken objects, passwords, deletions; and the file
 * that keeps it.
 */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BGPPeerObject, SpeakerStatus } from '../../src/kube/bgp-peer.ts'
import {
  type ClusterState,
  clusterStatePath,
  encodeClusterState,
  loadClusterState,
  type StateFacts,
  storeClusterState,
} from '../../src/kube/cluster-state.ts'
import { createClusterViewSource } from '../../src/kube/cluster-view.ts'
import { NO_REMOVALS } from '../../src/kube/mass-removal.ts'
import { EMPTY_STATE, mergeCluster, viewOf } from '../../src/kube/merge-cluster.ts'
import type { KubeObject, KubeSecret } from '../../src/kube/resources.ts'
import { REMOVALS_CONFIRMED, REMOVALS_RELEASED } from '../../src/kube/route-slice.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'

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

describe('a BGPPeer that comes to name an address in a podCIDR that is in force', () => {
  const merge = (spec: object, { uid = 'u1', last = first.state, slices = [slice('routes-1', [entry('a')])] } = {}) =>
    mergeCluster(last, { node: 'n1', slices, peers: [peer(spec, uid)], secret: () => secret('hush') })

  test('keeps its last version, also after a restart; a new one is not used; both are named', () => {
    const told = ['BGPPeer peer: 10.0.1.7 lies in 10.0.1.0/25, a pod CIDR of node a: not used']
    const mistyped = merge({ ...SPEC, peerIP: '10.0.1.7' })
    expect([mistyped.state.peers.get('peer')?.spec.peerIP, mistyped.problems]).toEqual(['172.16.0.1', told])
    expect(merge({ ...SPEC, peerIP: '10.0.1.7' }, { last: mistyped.state }).problems).toEqual(told)
    expect(merge({ ...SPEC, gateway: '10.0.1.7' }).state.peers.get('peer')?.spec.gateway).toBeUndefined()
    const anew = merge({ ...SPEC, peerIP: '10.0.1.7' }, { uid: 'u2' })
    expect([anew.state.peers.size, anew.problems]).toEqual([0, told])
  })

  test('is used where that podCIDR is not in force, or the address was there before', () => {
    const elsewhere = merge(
      { ...SPEC, peerIP: '10.0.1.7' },
      { slices: [slice('routes-1', [entry('b', '10.0.9.0/25')])] },
    )
    expect([elsewhere.state.peers.get('peer')?.spec.peerIP, elsewhere.problems]).toEqual(['10.0.1.7', []])
    const podCIDRs = slice('routes-1', [entry('a')])
    const later = merge({ ...SPEC, peerIP: '10.0.1.7', med: 5 }, { last: elsewhere.state, slices: [podCIDRs] })
    expect([later.state.peers.get('peer')?.spec.med, later.problems]).toEqual([5, []])
  })
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

describe('which BGPPeers had a session', () => {
  const seen = (last: ClusterState, object: BGPPeerObject) =>
    mergeCluster(last, { node: 'n1', slices: [], peers: [object], secret: () => undefined }).state
  const told = (state: string, flaps: number, uid = 'u1') => ({
    ...peer(SPEC, uid),
    status: { speakers: [{ node: 'n2', state, flaps } as SpeakerStatus] },
  })

  test('is remembered once any speaker said so, and of another object of that name it is not said', () => {
    const never = seen(first.state, told('Active', 0))
    expect(never.hadSession).toEqual([])
    const up = seen(never, told('Established', 0))
    expect(up.hadSession).toEqual(['peer u1'])
    expect(seen(up, told('Idle', 0)).hadSession).toEqual(['peer u1'])
    expect(seen(never, told('Idle', 2)).hadSession).toEqual(['peer u1'])
    expect(seen(up, told('Idle', 0, 'u2')).hadSession).toEqual([])
  })

  test('is known after a restart without the API server; of a state that does not say it nobody knows', () => {
    const stateDir = mkdtempSync(join(tmpdir(), 'te-sessions-'))
    const afterRestart = (state: ClusterState) => {
      storeClusterState(stateDir, encodeClusterState(state))
      const source = createClusterViewSource({
        api: undefined,
        node: 'n1',
        stateDir,
        clock: systemClock,
        log: silentLog,
      })
      const answers = [source.wasEstablished('peer'), source.wasEstablished('another')]
      source.close()
      return answers
    }
    try {
      const { hadSession: _, ...older } = first.state
      expect(afterRestart(older)).toEqual([undefined, undefined])
      expect(afterRestart(seen(first.state, told('Active', 0)))).toEqual([false, undefined])
      expect(afterRestart(seen(first.state, told('Established', 0)))).toEqual([true, undefined])
    } finally {
      rmSync(stateDir, { recursive: true, force: true })
    }
  })
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

describe('the file', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'te-state-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))
  const owner = { node: 'a', cluster: { server: 'https://one:6443', ca: 'x' } }
  const store = (state: typeof first.state, facts: StateFacts = owner) =>
    storeClusterState(folder, encodeClusterState(state, facts))
  const write = (text: string) => writeFileSync(clusterStatePath(folder), text)

  test('gives back what was stored, mode 0600, and when the server answered last', () => {
    expect(loadClusterState(folder, owner)).toEqual({ state: undefined, problems: [] })
    store(first.state, { ...owner, lastContact: '2026-01-01T00:00:00Z' })
    const stored = { state: first.state, lastContact: '2026-01-01T00:00:00Z', problems: [] }
    expect(loadClusterState(folder, owner)).toEqual(stored)
    expect(statSync(clusterStatePath(folder)).mode & 0o777).toBe(0o600)
  })

  test.each([
    ['x', 'cannot be read: JSON'],
    ['{"version":1,"slices":', 'cannot be read: JSON'],
    ['', 'cannot be read: JSON'],
    ['[]', 'it is not an object'],
  ])('cut short or not ours (%p): the generation before it counts, and that is told', (text, reason) => {
    store(first.state)
    store(EMPTY_STATE)
    write(text)
    const { state, problems } = loadClusterState(folder, owner)
    expect(state).toEqual(first.state)
    expect(problems).toEqual([expect.stringContaining(reason), 'going on from the state before it'])
  })

  test('one bad object spoils no other: the state before fills it in', () => {
    store(first.state)
    store(first.state)
    const document = JSON.parse(encodeClusterState(first.state, owner))
    const [slice = '', peer = ''] = [[...first.state.slices.keys()][0], [...first.state.peers.keys()][0]]
    document.slices[slice][0].addresses = ['x']
    document.peers[peer].spec.peerIP = 7
    document.version = 3
    write(JSON.stringify(document))
    const { state, problems } = loadClusterState(folder, owner)
    const entries = (from: typeof first.state | undefined) =>
      [...(from?.slices.values() ?? [])]
        .flat()
        .map(({ node }) => node)
        .sort()
    expect(entries(state)).toEqual(entries(first.state))
    expect(state?.peers).toEqual(first.state.peers)
    expect(problems.map(text => text.split(':')[1]?.trim().split(' ')[0])).toEqual(['its', 'RouteSlice', 'BGPPeer'])
    rmSync(`${clusterStatePath(folder)}.before`)
    const alone = loadClusterState(folder, owner).state
    expect(entries(alone)).toHaveLength(entries(first.state).length - 1)
    expect(alone?.peers.size).toBe(first.state.peers.size - 1)
  })

  test('of another node (a cloned disk), or of another cluster, is not used; a new CA or address alone is the same cluster', () => {
    store(first.state)
    const load = (other: StateFacts) => loadClusterState(folder, other)
    expect(load({ ...owner, node: 'b' })).toEqual({
      state: undefined,
      problems: ['cluster.json is of node a, not of b (a cloned disk?): it is not used'],
    })
    expect(load({ node: 'a', cluster: { server: 'https://two:6443', ca: 'y' } }).problems[0]).toContain(
      'another cluster',
    )
    expect(load({ node: 'a', cluster: { server: 'https://two:6443', ca: 'x' } }).state).toEqual(first.state)
    expect(load({ node: 'a', cluster: { server: 'https://one:6443', ca: 'y' } }).state).toEqual(first.state)
    expect(load({ node: 'a' }).state).toEqual(first.state)
  })
})

test('a Secret that says which devices it is for is used with no other', () => {
  const bound = secret('hush')
  const metadata = { ...bound.object.metadata, annotations: { 'network.openyurt.io/peer-ips': '172.16.0.1, fd00::1' } }
  const merge = (last: typeof EMPTY_STATE, spec: object) =>
    mergeCluster(last, {
      node: 'n1',
      slices: [],
      peers: [peer(spec)],
      secret: () => ({ object: { ...bound.object, metadata } }),
    })
  const good = merge(EMPTY_STATE, SPEC)
  expect(good.state.passwords.get('peer')).toBe('hush')
  const aimed = merge(good.state, { ...SPEC, peerIP: '198.51.100.1' })
  expect(aimed.state.passwords.get('peer')).toBeUndefined()
  expect(aimed.passwordProblems.get('peer')).toContain('is not for 198.51.100.1')
})

describe('mass removals', () => {
  const LIMITS = { share: 0.5, number: 2, delayMilliseconds: 600_000 }
  const nodes = ['a', 'b', 'c', 'd'].map(name => ({ ...entry(name, '10.0.0.0/25'), peers: ['lan'] }))
  const named = (name: string) => {
    const object = peer()
    return { ...object, metadata: { ...object.metadata, name, uid: name } }
  }
  const merge = (last: typeof EMPTY_STATE, change: { slices?: KubeObject[]; peers?: KubeObject[] }, at = 0) =>
    mergeCluster(last, {
      node: 'a',
      slices: change.slices ?? [slice('routes-1', nodes)],
      peers: change.peers ?? [named('lan'), named('other')],
      secret: () => undefined,
      removals: { state: NO_REMOVALS, limits: LIMITS, now: at, listedAt: at },
    })
  const last = merge(EMPTY_STATE, {}).state
  const shown = ({ state }: ReturnType<typeof merge>) =>
    [
      ...[...state.slices.values()].flat().map(({ node, peers }) => `${node}:${peers.join()}`),
      ...state.peers.keys(),
    ].sort()
  const all = ['a:lan', 'b:lan', 'c:lan', 'd:lan', 'lan', 'other']

  test('a slice that shrinks, a LAN that loses its nodes, all BGPPeers deleted: nothing changes', () => {
    expect(shown(merge(last, { slices: [slice('routes-1', nodes.slice(0, 1))] }))).toEqual(all)
    expect(
      shown(
        merge(last, {
          slices: [
            slice(
              'routes-1',
              nodes.map(node => ({ ...node, peers: [] })),
            ),
          ],
        }),
      ),
    ).toEqual(all)
    expect(shown(merge(last, { peers: [] }))).toEqual(all)
  })

  test('one node less, one BGPPeer of two less: at once', () => {
    expect(shown(merge(last, { slices: [slice('routes-1', nodes.slice(0, 3))] }))).toEqual(
      all.filter(text => text !== 'd:lan'),
    )
    expect(shown(merge(last, { peers: [named('lan')] }))).toEqual(all.filter(text => text !== 'other'))
  })

  test('what the controller released, or the operator confirmed, goes at once', () => {
    for (const annotation of [REMOVALS_RELEASED, REMOVALS_CONFIRMED]) {
      const shrunk = slice('routes-1', nodes.slice(0, 1))
      const metadata = { ...shrunk.metadata, annotations: { [annotation]: '2026-01-01T00:00:00Z' } }
      expect(shown(merge(last, { slices: [{ ...shrunk, metadata }] }))).toEqual(['a:lan', 'lan', 'other'])
    }
  })
})
