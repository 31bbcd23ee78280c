/**
 * BFD in the speaker room: which sessions are wanted, and what a path that goes does to BGP.
 * test/e2e/speaker-bfd.test.ts has real routers.
 */
import { expect, test } from 'bun:test'
import type { Bfd, BfdEvent, BfdSessionConfig, BfdSessionView } from '../../src/bfd/bfd-types.ts'
import type { PeerConfig, Speaker } from '../../src/bgp/speaker-types.ts'
import type { KubeEvent } from '../../src/kube/api.ts'
import type { BGPPeer } from '../../src/kube/bgp-peer.ts'
import type { ClusterView } from '../../src/kube/cluster-view-types.ts'
import { silentLog } from '../../src/lib/log.ts'
import { bfdPath, bfdProblems, waitsForBfd } from '../../src/speaker/bfd-status.ts'
import { desiredBfd } from '../../src/speaker/desired-bfd.ts'
import { desiredPeers } from '../../src/speaker/desired-peers.ts'
import { createSpeakerRoom } from '../../src/speaker/reconcile.ts'
import { PlainView } from '../support/cluster.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { bgpPeer, config, localOfNode1, view } from './fixtures.ts'

const BFD = { enabled: true, minimumIntervalMilliseconds: 300, multiplier: 3 }
const SESSION: BfdSessionConfig = {
  key: 'peer',
  peerAddress: '172.16.0.1',
  interface: 'eth0',
  minimumIntervalMilliseconds: 300,
  multiplier: 3,
}

const LINKS = new Map([['172.16.0.1', 'eth0']])
const wanted = (peers: readonly PeerConfig[], bgpPeers: readonly BGPPeer[]) =>
  desiredBfd({ peers, bgpPeers, links: LINKS, former: [] })

test('a BFD session for each BGP session that asks for it', () => {
  const asks = bgpPeer('peer', { bfd: BFD })
  expect(wanted([config()], [asks])).toEqual({ sessions: [SESSION], problems: [] })
  expect(wanted([config()], [bgpPeer()]).sessions).toEqual([])
  expect(wanted([config()], [bgpPeer('peer', { bfd: { ...BFD, enabled: false } })]).sessions).toEqual([])
  expect(wanted([], [asks]).sessions).toEqual([])
})

test('source address and interface are those of the BGP session', () => {
  const peers = [config({ sourceAddress: '172.16.0.11' })]
  expect(wanted(peers, [bgpPeer('peer', { bfd: BFD })]).sessions).toEqual([{ ...SESSION, localAddress: '172.16.0.11' }])
})

test('more than one hop: no BFD, and a problem that says so', () => {
  for (const hops of [{ ebgpMultihop: 2 }, { ttlSecurity: 3 }]) {
    const { sessions, problems } = wanted([config()], [bgpPeer('peer', { bfd: BFD, ...hops })])
    expect(sessions).toEqual([])
    expect(problems).toMatchObject([{ bgpPeer: 'peer', kind: 'BfdMultihop' }])
    expect(problems[0]?.message).toContain(Object.keys(hops)[0])
  }
  expect(wanted([config()], [bgpPeer('peer', { bfd: BFD, ttlSecurity: 1 })]).sessions).toHaveLength(1)
  const all = desiredPeers({
    self: 'node-1',
    view: view({ peers: [bgpPeer('peer', { bfd: BFD, ebgpMultihop: 2 })] }),
    local: localOfNode1,
  })
  expect(all.peers).toHaveLength(1)
  expect(all.problems.map(({ kind }) => kind)).toContain('BfdMultihop')
})

test('a peer that is on no link: no BFD and why; one that was on a link keeps its session, which is nowhere', () => {
  const bgpPeers = [bgpPeer('peer', { bfd: BFD, peerAsNumber: 65010 })]
  const off = { peers: [config({ peerAs: 65010 })], bgpPeers, links: new Map() }
  const { sessions, problems } = desiredBfd({ ...off, former: [] })
  expect(sessions).toEqual([])
  expect(problems).toMatchObject([{ bgpPeer: 'peer', kind: 'BfdNotOnLink' }])
  expect(problems[0]?.message).toContain('172.16.0.1 is on no link of this node')
  expect(desiredBfd({ ...off, former: [SESSION] })).toEqual({
    sessions: [{ ...SESSION, interface: undefined }],
    problems: [],
  })
})

/** The room with a speaker and a BFD that note what they are told, in order. */
function setUp(current: ClusterView, views: BfdSessionView[] = []) {
  const told: unknown[] = []
  const events: KubeEvent[] = []
  const holds: unknown[] = []
  const listeners = new Set<(event: BfdEvent) => void>()
  const bfd: Bfd = {
    setSessions: sessions => told.push(['bfd', sessions]),
    sessions: () => views,
    resume: sessions => {
      if (sessions.length > 0) told.push(['resume', sessions])
    },
    suspend: async seconds => {
      told.push(['suspend', [...seconds]])
      return []
    },
    onEvent(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close: async () => {
      told.push('bfd closed')
    },
  }
  const speaker: Speaker = {
    setPeers() {},
    setAnnouncements() {},
    holdSession: (...hold) => holds.push(hold),
    failSession: (...failure) => told.push(failure),
    sessions: () => [],
    advertised: () => undefined,
    onEvent: () => () => {},
    onChange: () => () => {},
    close: async () => {
      told.push('speaker closed')
    },
  }
  const clock = new FakeClock()
  const room = createSpeakerRoom({
    self: 'node-1',
    view: PlainView.of(current),
    api: undefined,
    events: { record: event => events.push(event), close: async () => {} },
    speaker,
    bfd,
    marker: undefined,
    localAddresses: () => localOfNode1,
    linkTo: () => 'eth0',
    clock,
    log: silentLog,
  })
  const happen = (event: BfdEvent) => {
    for (const listener of listeners) listener(event)
  }
  return { room, clock, told, happen, events, holds }
}

test('a path that goes takes the session down with the reason; up and AdminDown do not touch it', async () => {
  const { room, clock, told, happen } = setUp(view({ peers: [bgpPeer('peer', { bfd: BFD })] }))
  await clock.advance(10)
  expect(told).toEqual([['bfd', [SESSION]]])
  told.length = 0
  happen({ kind: 'up', key: 'peer', at: 1 })
  happen({ kind: 'down', key: 'peer', at: 2, reason: 'out of service', administrative: true })
  expect(told).toEqual([])
  happen({ kind: 'down', key: 'peer', at: 3, reason: 'nothing for 900 ms', administrative: false })
  expect(told).toEqual([['peer', { kind: 'bfd-down', reason: 'nothing for 900 ms' }]])
  told.length = 0
  await room.close({ mode: 'restart' })
  expect(told).toEqual([['suspend', [['peer', 600]]], 'speaker closed', 'bfd closed'])
  happen({ kind: 'down', key: 'peer', at: 4, reason: 'late', administrative: false })
  expect(told).toHaveLength(3)
})

test('no BGPPeer asks for BFD: none is wanted', async () => {
  const { clock, told } = setUp(view())
  await clock.advance(10)
  expect(told).toEqual([['bfd', []]])
})

const DOWN: BfdSessionView = {
  key: 'peer',
  peerAddress: '172.16.0.1',
  state: 'Down',
  since: 0,
  notUpSince: 0,
  diagnostic: 'No Diagnostic',
  remoteState: 'Down',
}

test('a session that does not come up is a problem that says why, an Event, and none any more when it is up', async () => {
  const views = [DOWN]
  const { room, clock, happen, events } = setUp(view({ peers: [bgpPeer('peer', { bfd: BFD })] }), views)
  views[0] = { ...DOWN, notUpSince: clock.now() }
  await clock.advance(29_000)
  expect(room.problems()).toEqual([])
  await clock.advance(10_000)
  expect(room.problems()).toMatchObject([expect.stringMatching(/BFD with 172.16.0.1 is not up: nothing is heard/)])
  expect(events).toMatchObject([{ type: 'Warning', reason: 'BfdNotUp', regarding: { name: 'peer' } }])
  const { notUpSince: _, ...rest } = DOWN
  views[0] = { ...rest, state: 'Up', remoteState: 'Up', detectionTimeMilliseconds: 900 }
  happen({ kind: 'up', key: 'peer', at: clock.now() })
  await clock.advance(10)
  expect(room.problems()).toEqual([])
  await room.close({ mode: 'restart' })
  expect(clock.pending).toBe(0)
})

test('why a session is not up', () => {
  const why = (change: Partial<BfdSessionView>) => bfdProblems([{ ...DOWN, ...change }], 30_000)[0]?.message
  expect(why({})).toContain('nothing is heard from it; configure BFD for this node on the switch')
  const heard = { detectionTimeMilliseconds: 900 }
  expect(why({ ...heard, remoteState: 'AdminDown' })).toContain('out of service (AdminDown)')
  expect(why({ ...heard, remoteState: 'Down' })).toContain('the switch does not hear this node')
  expect(why({ ...heard, remoteState: 'Init' })).toContain('coming up')
  expect(bfdProblems([DOWN], 29_999)).toEqual([])
  const { notUpSince: _, ...up } = DOWN
  expect(bfdProblems([{ ...up, state: 'Up' }], 1e9)).toEqual([])
})

test('a BGP session shows its BFD, and what the peer says only while it is heard', () => {
  expect(bfdPath(DOWN)).toEqual({ state: 'Down', since: '1970-01-01T00:00:00Z' })
  expect(bfdPath({ ...DOWN, detectionTimeMilliseconds: 900, lastDown: 'nothing for 900 ms' })).toEqual({
    state: 'Down',
    since: '1970-01-01T00:00:00Z',
    remoteState: 'Down',
    detectionTimeMilliseconds: 900,
    lastDown: 'nothing for 900 ms',
  })
})

test('BGP waits for a BFD session that was lost while its peer wants it and is heard, and for no other', () => {
  const lost = { ...DOWN, pathLost: true, detectionTimeMilliseconds: 900 } as const
  expect(waitsForBfd(lost)).toContain(
    'BGP waits until BFD with 172.16.0.1 is up again: the switch does not hear this node',
  )
  expect(waitsForBfd({ ...lost, state: 'Init', remoteState: 'Init' })).toBeDefined()
  const { pathLost: _, ...neverUp } = lost
  const { detectionTimeMilliseconds: __, ...silent } = lost
  const { notUpSince: ___, ...up } = lost
  expect(waitsForBfd(neverUp)).toBeUndefined()
  expect(waitsForBfd(silent)).toBeUndefined()
  expect(waitsForBfd({ ...lost, remoteState: 'AdminDown' })).toBeUndefined()
  expect(waitsForBfd({ ...lost, state: 'AdminDown' })).toBeUndefined()
  expect(waitsForBfd({ ...up, state: 'Up' })).toBeUndefined()
})

test('the speaker is told to wait, and to go on when the peer falls silent', async () => {
  const views: BfdSessionView[] = [{ ...DOWN, pathLost: true, detectionTimeMilliseconds: 900 }]
  const { room, clock, happen, holds } = setUp(view({ peers: [bgpPeer('peer', { bfd: BFD })] }), views)
  await clock.advance(10)
  happen({ kind: 'down', key: 'peer', at: 1, reason: 'the switch says its side is down', administrative: false })
  expect(holds.at(-1)).toMatchObject(['peer', expect.stringContaining('BGP waits')])
  views[0] = { ...DOWN, pathLost: true }
  await clock.advance(1_500)
  expect(holds.at(-1)).toEqual(['peer', undefined])
  await room.close({ mode: 'restart' })
  expect(clock.pending).toBe(0)
})
