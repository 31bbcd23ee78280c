/**
 * A whole pass as a value; Nodes reduced; Events told once; the Lease's rule; rows that fit the
 * status page.
 */
import { expect, test } from 'bun:test'
import { decide, type ObservedRemovals } from '../../src/controller/decide.ts'
import { Announcements } from '../../src/controller/events.ts'
import { leaseStep, type ObservedLease } from '../../src/controller/lease.ts'
import { nodeFacts, reduceNode } from '../../src/controller/nodes.ts'
import { NO_MEMORY, type PodCIDRConfig } from '../../src/controller/pod-cidr.ts'
import { clusterRows } from '../../src/controller/view.ts'
import { NO_REMOVALS } from '../../src/kube/mass-removal.ts'
import type { Node } from '../../src/kube/resources.ts'
import type { BgpSession } from '../../src/model/session.ts'
import type { LanView, NodeView, PoolView } from '../../src/model/snapshot.ts'

const REMOVALS: ObservedRemovals = {
  state: NO_REMOVALS,
  limits: { share: 0.5, number: 2, delayMilliseconds: 600_000 },
  at: 0,
  listedAt: 0,
  drained: new Set(),
}

const CONFIG: PodCIDRConfig = {
  podCIDRs: ['10.0.0.0/8'],
  podsPerNode: 128,
  serviceCIDRs: [],
  vpcCIDRs: [],
  dataCenterCIDRs: [],
  edgeNodes: { kind: 'all' },
  foreignPodCIDRs: false,
}

function node(
  name: string,
  change: { podCIDRs?: string[]; addresses?: string[]; labels?: Record<string, string>; ready?: string } = {},
): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: `uid-${name}`, labels: change.labels ?? {}, creationTimestamp: CREATED },
    spec: change.podCIDRs === undefined ? {} : { podCIDR: change.podCIDRs[0] ?? '', podCIDRs: change.podCIDRs },
    status: {
      addresses: [
        { type: 'Hostname', address: name },
        ...(change.addresses ?? [`172.16.0.${name.charCodeAt(0) - 86}`]).map(address => ({
          type: 'InternalIP',
          address,
        })),
        { type: 'ExternalIP', address: '203.0.113.1' },
      ],
      conditions: [{ type: 'Ready', status: change.ready ?? 'True' }],
    },
  }
}
const PEER = {
  apiVersion: 'network.openyurt.io/v1alpha1',
  kind: 'BGPPeer',
  metadata: { name: 'lan', uid: 'uid-lan', generation: 1 },
  spec: {
    localSpeakers: ['a'],
    localAsNumber: 65010,
    peerIP: '172.16.0.1',
    peerAsNumber: 65001,
    nodeSelector: 'lan=1',
  },
}
const CREATED = '2026-01-01T00:00:00Z'
const lan = { lan: '1' }

function observe(nodes: Node[], change: Partial<Parameters<typeof decide>[2]> = {}) {
  return {
    nodes: nodes.map(nodeFacts),
    peers: [PEER],
    slices: [],
    secret: () => undefined,
    now: '2026-02-01T00:00:00Z',
    memory: NO_MEMORY,
    removals: REMOVALS,
    apiServers: [],
    ...change,
  }
}

test('entries: nodes with a pod CIDR and an address, Ready or not, with the BGPPeers that select them', () => {
  const decision = decide(
    CONFIG,
    true,
    observe([
      node('a', { podCIDRs: ['10.0.1.0/25'], labels: lan }),
      node('b', { podCIDRs: ['10.0.2.0/25'], ready: 'Unknown', addresses: ['172.16.0.12', 'fd00::12'] }),
      node('c', { labels: lan, addresses: ['172.16.0.13'] }),
      node('d', { podCIDRs: ['10.0.3.0/25'], addresses: [] }),
    ]),
  )
  expect(decision.entries).toEqual([
    { node: 'a', addresses: ['172.16.0.11'], podCIDRs: ['10.0.1.0/25'], peers: ['lan'], createdAt: CREATED },
    { node: 'b', addresses: ['172.16.0.12', 'fd00::12'], podCIDRs: ['10.0.2.0/25'], peers: [], createdAt: CREATED },
    // as soon as it has it
    { node: 'c', addresses: ['172.16.0.13'], podCIDRs: ['10.0.0.0/25'], peers: ['lan'], createdAt: CREATED },
  ])
  expect([...decision.allocation.allocated]).toEqual([['c', ['10.0.0.0/25']]])
  expect(decision.slices.create).toHaveLength(1)
})

test('a node that loses its addresses for a moment keeps those that were published', () => {
  const entries = [{ node: 'a', addresses: ['172.16.0.11'], podCIDRs: ['10.0.1.0/25'], peers: [], createdAt: CREATED }]
  const slices = [{ apiVersion: '', kind: 'RouteSlice', metadata: { name: 'routes-1' }, entries }]
  const decision = decide(
    CONFIG,
    true,
    observe([node('a', { podCIDRs: ['10.0.1.0/25'], addresses: [] })], { slices, peers: [] }),
  )
  expect(decision.entries).toEqual(entries)
  expect(decision.slices).toEqual({ create: [], replace: [], remove: [] })
})

test('a BGPPeer that becomes invalid keeps the nodes that were published with it', () => {
  const entries = [
    { node: 'a', addresses: ['172.16.0.11'], podCIDRs: ['10.0.1.0/25'], peers: ['lan'], createdAt: CREATED },
  ]
  const slices = [{ apiVersion: '', kind: 'RouteSlice', metadata: { name: 'routes-1' }, entries }]
  const broken = { ...PEER, spec: { ...PEER.spec, nodeSelector: '=' } }
  const decision = decide(
    CONFIG,
    true,
    observe([node('a', { podCIDRs: ['10.0.1.0/25'], labels: lan })], { slices, peers: [broken] }),
  )
  expect(decision.entries).toEqual(entries)
})

test('of two nodes with one pod CIDR the second is not published', () => {
  const decision = decide(
    CONFIG,
    true,
    observe([node('a', { podCIDRs: ['10.0.1.0/25'] }), node('b', { podCIDRs: ['10.0.1.0/25'] })]),
  )
  expect(decision.entries.map(({ node }) => node)).toEqual(['a'])
  expect(decision.issues.map(({ node, reason }) => [node, reason])).toEqual([['b', 'PodCIDROverlap']])
})

test('a pod CIDR that is no prefix is an issue, the other one is used', () => {
  const decision = decide(CONFIG, true, observe([node('a', { podCIDRs: ['10.0.1.0/25', 'fd00::/200'] })]))
  expect(decision.entries[0]?.podCIDRs).toEqual(['10.0.1.0/25'])
  expect(decision.issues[0]).toEqual({
    node: 'a',
    reason: 'InvalidPodCIDR',
    message: 'its pod CIDR "fd00::/200" is not a prefix and is not routed',
  })
})

test('a heartbeat changes nothing that is kept of a Node', () => {
  const before = node('a', { podCIDRs: ['10.0.1.0/25'] })
  const beat = {
    ...before,
    metadata: { ...before.metadata, resourceVersion: '77', annotations: { beat: '1' } },
    status: {
      ...before.status,
      images: ['x'],
      conditions: [
        { type: 'Ready', status: 'True', lastHeartbeatTime: 'later' },
        { type: 'DiskPressure', status: 'False' },
      ],
    },
  }
  expect(reduceNode(beat)).toEqual(reduceNode(before))
  expect(nodeFacts(reduceNode(before))).toEqual(nodeFacts(before))
  expect(reduceNode(node('a', { ready: 'False' }))).not.toEqual(reduceNode(node('a')))
})

test('Events: once when it begins, not again while it stays, not again after a change of leader', () => {
  const nodes = [node('a', { podCIDRs: ['10.0.1.0/25'], labels: lan })]
  const broken = { ...PEER, spec: { ...PEER.spec, localAsNumber: 0 } }
  const bad = decide(CONFIG, true, observe(nodes, { peers: [broken] })).peers
  const good = decide(CONFIG, true, observe(nodes)).peers
  const told = new Announcements()
  const reasons = (peers: typeof bad) => told.peerEvents(peers).map(({ type, reason }) => `${type} ${reason}`)
  expect([reasons(bad), reasons(bad), reasons(good), reasons(good), reasons(bad)]).toEqual([
    ['Warning InvalidSpec'],
    [],
    ['Normal Accepted'],
    [],
    ['Warning InvalidSpec'],
  ])
  const conditions = [{ type: 'Accepted', ...bad[0]?.accepted, lastTransitionTime: '' }] as never
  const inherited = decide(CONFIG, true, observe(nodes, { peers: [{ ...broken, status: { conditions } }] })).peers
  expect(new Announcements().peerEvents(inherited)).toEqual([])
})

test.each([
  ['Ready', [{ type: 'Ready', status: 'True', lastTransitionTime: 't' }], undefined],
  ['not Ready', [{ type: 'Ready', status: 'False', lastTransitionTime: 't' }], undefined],
  ['without conditions', [], undefined],
  ['of another condition that is Unknown', [{ type: 'DiskPressure', status: 'Unknown' }], undefined],
  ['Unknown', [{ type: 'Ready', status: 'Unknown', lastTransitionTime: 't' }], 't'],
  ['Unknown since nobody says when', [{ type: 'Ready', status: 'Unknown' }], ''],
])('whether a node is heard: %s', (_, conditions, since) => {
  const facts = nodeFacts(reduceNode({ ...node('a'), status: { conditions } }))
  expect(facts.unheardSince).toBe(since)
})

test('a node that is not heard keeps its entry, its LAN and its pod CIDR', () => {
  const made = (ready: string) => [
    node('a', { podCIDRs: ['10.0.1.0/25'], labels: lan, ready }),
    node('b', { labels: lan, addresses: ['172.16.0.12'], ready }),
  ]
  const [heard, unheard] = ['True', 'Unknown'].map(ready => decide(CONFIG, true, observe(made(ready))))
  expect(heard?.entries).toHaveLength(2)
  const routing = (of: typeof heard) => [of?.entries, of?.slices, of?.allocation, of?.issues]
  expect(routing(unheard)).toEqual(routing(heard))
  expect([heard?.peers[0]?.unheard, unheard?.peers[0]?.unheard]).toEqual([[], ['a']])
})

test('Events of speakers that are not heard: one when it begins, none when fewer are, none after a change of leader', () => {
  const both = { ...PEER, spec: { ...PEER.spec, localSpeakers: ['a', 'b'] } }
  const peers = (a: string, b: string, status = {}) => {
    const nodes = [node('a', { labels: lan, ready: a }), node('b', { labels: lan, ready: b })]
    return decide(CONFIG, false, observe(nodes, { peers: [{ ...both, status }] })).peers
  }
  const told = new Announcements()
  const messages = (a: string, b: string) =>
    told.unheardEvents(peers(a, b)).map(({ reason, message }) => [reason, message])
  expect(messages('True', 'False')).toEqual([])
  expect(messages('Unknown', 'True')).toEqual([
    ['SpeakerNotHeard', expect.stringContaining('a is not heard (Ready of the Node is Unknown)')],
  ])
  expect(messages('Unknown', 'True')).toEqual([])
  expect(messages('Unknown', 'Unknown')).toEqual([['SpeakerNotHeard', expect.stringContaining('a, b are not heard')]])
  expect([messages('True', 'Unknown'), messages('True', 'True')]).toEqual([[], []])
  expect(messages('True', 'Unknown')).toHaveLength(1)
  const conditions = [{ type: 'Established', ...peers('Unknown', 'True')[0]?.established, lastTransitionTime: '' }]
  expect(new Announcements().unheardEvents(peers('Unknown', 'True', { conditions }))).toEqual([])
  expect(new Announcements().unheardEvents(peers('Unknown', 'Unknown', { conditions }))).toHaveLength(1)
})

test('Events of nodes: once per issue, again when it comes back', () => {
  const nodes = [node('a', { podCIDRs: ['10.0.1.0/25'] }), node('b', { podCIDRs: ['10.0.1.0/25'] })]
  const facts = nodes.map(nodeFacts)
  const { issues } = decide(CONFIG, true, observe(nodes))
  const told = new Announcements()
  const reasons = (from: typeof issues) =>
    told.nodeEvents(facts, from).map(({ regarding, reason }) => `${regarding.name} ${reason}`)
  expect([reasons(issues), reasons(issues), reasons([]), reasons(issues)]).toEqual([
    ['b PodCIDROverlap'],
    [],
    [],
    ['b PodCIDROverlap'],
  ])
})

test('rows for the status page', () => {
  const speakers = [
    { node: 'a', state: 'Established', since: 's', advertisedPrefixes: 1, receivedPrefixes: 0, flaps: 0 },
  ]
  const nodes = [node('a', { podCIDRs: ['10.0.1.0/25'], labels: lan }), node('b', { addresses: [], labels: lan })]
  const bad = { ...PEER, metadata: { ...PEER.metadata, name: 'bad', uid: 'u2' }, spec: { localAsNumber: 7 } }
  const twoSpeakers = { ...PEER, spec: { ...PEER.spec, localSpeakers: ['a', 'b'] }, status: { speakers } }
  const decision = decide(CONFIG, false, observe(nodes, { peers: [twoSpeakers, bad] }))
  const rows = clusterRows(nodes.map(nodeFacts), decision)
  const fit: {
    nodes: readonly NodeView[]
    lans: readonly LanView[]
    sessions: readonly BgpSession[]
    pools: readonly PoolView[]
  } = rows
  expect(fit.nodes.map(({ name, peers, speakerOf, problem }) => ({ name, peers, speakerOf, problem }))).toEqual([
    { name: 'a', peers: ['lan'], speakerOf: ['lan'], problem: undefined },
    { name: 'b', peers: ['lan'], speakerOf: ['lan'], problem: 'it has no InternalIP yet' },
  ])
  expect(fit.sessions).toMatchObject([
    { bgpPeer: 'lan', node: 'a', state: 'Established', peerIP: '172.16.0.1', capabilities: [] },
    { bgpPeer: 'lan', node: 'b', state: 'unknown', since: '', advertisedPrefixes: 0 },
  ])
  expect(fit.lans.map(({ bgpPeer, localAsNumber, nodes }) => [bgpPeer, localAsNumber, nodes])).toEqual([
    ['bad', 7, []],
    ['lan', 65010, ['a', 'b']],
  ])
  expect(rows.problems).toHaveLength(2)
  expect(rows.problems[0]).toStartWith('BGPPeer bad: InvalidSpec: spec.localSpeakers: is required')
  expect(rows.problems[1]).toStartWith('BGPPeer lan: the session of b with 172.16.0.1 is unknown')
})

test('a session row of a speaker that is not heard says what is not known', () => {
  const speakers = [
    {
      node: 'a',
      state: 'Established',
      since: 's',
      localAddress: '172.16.0.11',
      advertisedPrefixes: 7,
      receivedPrefixes: 1,
      flaps: 2,
      holdTimeSeconds: 90,
      capabilities: ['route-refresh'],
    },
  ]
  const made = {
    ...node('a', { labels: lan }),
    status: { conditions: [{ type: 'Ready', status: 'Unknown', lastTransitionTime: 't' }] },
  }
  const decision = decide(CONFIG, false, observe([made], { peers: [{ ...PEER, status: { speakers } }] }))
  expect(clusterRows([nodeFacts(made)], decision).sessions).toEqual([
    {
      bgpPeer: 'lan',
      node: 'a',
      peerIP: '172.16.0.1',
      peerAsNumber: 65001,
      localAsNumber: 65010,
      state: 'unknown',
      since: 't',
      advertisedPrefixes: 0,
      receivedPrefixes: 0,
      flaps: 2,
      capabilities: [],
      lastError: expect.stringMatching(/^a is not heard .* may well be up; its last report was Established$/),
    },
  ])
})

const held = (holderIdentity: string, leaseDurationSeconds = 15): ObservedLease => ({
  lease: { apiVersion: '', kind: 'Lease', metadata: { name: 'x' }, spec: { holderIdentity, leaseDurationSeconds } },
  at: 1000,
})
test.each([
  ['there is none', undefined, 0, 'create'],
  ['it is ours', held('me'), 999_999, 'renew'],
  ['it was given back', held('', 1), 1000, 'take'],
  ['another holds it', held('other'), 15_999, 'wait'],
  ['another has not renewed it', held('other'), 16_000, 'take'],
  ['another renews more rarely', held('other', 60), 16_000, 'wait'],
] as const)('Lease: %s', (_, observed, now, step) => {
  expect(leaseStep(observed, 'me', now)).toBe(step)
})
