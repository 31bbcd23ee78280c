/**
 * Evaluation of BGPPeers: selection, the Accepted and Established conditions, and when a status is
 * worth a write.
 */
import { expect, test } from 'bun:test'
import { evaluatePeers, type PeerInputs, selectedNodes } from '../../src/controller/bgp-peers.ts'
import { MAXIMUM_SELECTED_NODES, statusPatch, statusToApply } from '../../src/controller/peer-status.ts'
import type { BGPPeerObject, BGPPeerStatus, SpeakerStatus } from '../../src/kube/bgp-peer.ts'
import { parseNodeSelector, selects } from '../../src/lib/node-selector.ts'
import { bgpPeer } from '../support/cluster.ts'

const SPEC = {
  localSpeakers: ['node-1', 'node-2'],
  localAsNumber: 65010,
  peerIP: '172.16.0.1',
  peerAsNumber: 65001,
  nodeSelector: 'pool=a',
}
const PASSWORD = { authPassword: { secretKeyRef: { name: 'bgp-secret', key: 'password' } } }
const NODES = new Map(
  Object.entries({
    'node-1': { pool: 'a' },
    'node-2': { pool: 'a' },
    'node-3': { pool: 'b' },
    'node-4': { pool: 'a' },
  }),
)
const SECRET = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'bgp-secret' }, data: { password: 'eA==' } }

function peer(name: string, spec: object = {}, status?: BGPPeerStatus): BGPPeerObject {
  return {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'BGPPeer',
    metadata: { name, uid: `uid-${name}`, generation: 2 },
    spec: { ...SPEC, ...spec },
    ...(status === undefined ? {} : { status }),
  }
}
function speaker(node: string, state: string, advertisedPrefixes = 0, lastError?: string) {
  return {
    node,
    state,
    since: 's',
    advertisedPrefixes,
    receivedPrefixes: 0,
    flaps: 0,
    ...(lastError === undefined ? {} : { lastError }),
  }
}
function evaluate(object: BGPPeerObject, inputs: Partial<PeerInputs> = {}) {
  const result = evaluatePeers({
    peers: [object],
    nodes: NODES,
    addresses: new Map([['node-1', ['172.16.0.11']]]),
    unheard: new Set(),
    published: new Map(),
    refused: new Map(),
    secret: () => undefined,
    ...inputs,
  }).at(-1)
  if (result === undefined) throw new Error('no peer')
  return result
}

test('a good BGPPeer is accepted and selects its nodes', () => {
  const result = evaluate(peer('p'))
  expect(result.accepted).toEqual({ status: 'True', reason: 'Accepted', message: 'the spec can work' })
  expect(result.nodes).toEqual(['node-1', 'node-2', 'node-4'])
  expect(result.sessions).toBe('0/2')
})

test('a speaker that is its own peer: refused, and it has no say in where packets go', () => {
  const result = evaluate(peer('p', { peerIP: '172.16.0.11' }))
  expect(result.accepted).toMatchObject({ status: 'False', reason: 'InvalidSpec' })
  expect(result.accepted.message).toContain('172.16.0.11 is the address of the speaker node-1 itself')
  expect(result.members).toEqual([])
  expect(evaluate(peer('p', { peerIP: '172.16.0.11', localSpeakers: ['node-2'] })).accepted.status).toBe('True')
})

test('a spec that became invalid hides no session of the one that worked', () => {
  const speakers = [
    speaker('node-1', 'Established', 3),
    speaker('node-2', 'Active', 0, 'refused'),
    speaker('gone', 'Idle'),
  ]
  const broken = evaluate(peer('p', { localAsNumber: 0 }, { speakers }))
  expect([broken.accepted.reason, broken.sessions, broken.prefixes]).toEqual(['InvalidSpec', '1/2', 3])
  expect(broken.established).toEqual({ status: 'False', reason: 'PartlyEstablished', message: 'node-2: refused' })
  expect(evaluate(peer('p', { localAsNumber: 0 })).established.message).toBe(
    'no session was opened: the spec cannot work (see Accepted)',
  )
})

test('before it could work a BGPPeer has no members; after that, what goes missing takes none away', () => {
  const noSecret = () => ({ object: undefined })
  const published = new Map([['p', ['node-1']]])
  expect(evaluate(peer('p')).members).toEqual(['node-1', 'node-2', 'node-4'])
  expect(evaluate(peer('p', PASSWORD), { secret: noSecret }).members).toEqual([])
  expect(evaluate(peer('p', PASSWORD), { secret: noSecret, published }).members).toEqual(['node-1', 'node-2', 'node-4'])
  expect(evaluate(peer('p', { localSpeakers: ['x'], nodeSelector: 'all()' })).members).toEqual([])
  expect(evaluate(peer('p', { localSpeakers: ['x'] }), { published }).members).toEqual(['node-1', 'node-2', 'node-4'])
  expect(evaluate(peer('p', { localSpeakers: ['x', 'node-1'] })).members).toEqual(['node-1', 'node-2', 'node-4'])
  expect(evaluate(peer('p', { localAsNumber: 0 })).members).toEqual([])
  expect(evaluate(peer('p', { localAsNumber: 0 }), { published }).members).toEqual(['node-1'])
})

test('all problems of a spec that cannot work are in the message, and the nodes that were published stay', () => {
  const published = new Map([['p', ['node-4', 'gone']]])
  const result = evaluate(peer('p', { localAsNumber: 0, peerIP: 'x' }), { published })
  expect(result.accepted.status).toBe('False')
  expect(result.accepted.reason).toBe('InvalidSpec')
  expect(result.accepted.message).toContain('spec.localAsNumber: AS 0 is reserved')
  expect(result.accepted.message).toContain('spec.peerIP: "x" is not an IPv4 or IPv6 address')
  expect(result.nodes).toEqual(['node-4'])
})

test.each([
  [
    { localSpeakers: ['node-1', 'node-9'] },
    'False',
    'UnknownSpeaker',
    'node-9 is no node of this cluster; correct spec.localSpeakers',
  ],
  [{ localSpeakers: ['x', 'y'] }, 'False', 'UnknownSpeaker', 'x, y are no nodes'],
  [{ nodeSelector: 'pool=none' }, 'True', 'NoNodeSelected', 'spec.nodeSelector "pool=none" selects no node'],
  [{ localSpeakers: ['node-1', 'node-3'] }, 'True', 'SpeakerNotSelected', 'the speaker node-3 is not selected'],
])('%j: %s %s', (spec, status, reason, message) => {
  const { accepted } = evaluate(peer('p', spec))
  expect([accepted.status, accepted.reason]).toEqual([status as 'True' | 'False', reason])
  expect(accepted.message).toContain(message)
})

test.each([
  ['has not answered yet', undefined, 'True', 'Accepted'],
  ['is there', { object: SECRET }, 'True', 'Accepted'],
  ['is missing', { object: undefined }, 'False', 'SecretNotFound'],
  ['lacks the key', { object: { ...SECRET, data: {} } }, 'False', 'SecretNotFound'],
  ['may not be read', { problem: 'forbidden' }, 'Unknown', 'SecretNotReadable'],
])('a Secret that %s', (_, answer, status, reason) => {
  const { accepted } = evaluate(peer('p', PASSWORD), { secret: () => answer })
  expect([accepted.status, accepted.reason]).toEqual([status as 'True' | 'False' | 'Unknown', reason])
})

test('two BGPPeers that would open the same session: the younger is refused, whatever their names', () => {
  const made = (name: string, creationTimestamp: string) => {
    const object = peer(name)
    return { ...object, metadata: { ...object.metadata, creationTimestamp } }
  }
  const results = evaluatePeers({
    peers: [made('a', '2026-01-01T00:00:01Z'), made('b', '2026-01-01T00:00:00Z')],
    nodes: NODES,
    addresses: new Map(),
    unheard: new Set(),
    published: new Map([['b', ['node-1']]]),
    refused: new Map(),
    secret: () => undefined,
  })
  expect(results.map(({ name, accepted, members }) => [name, accepted.reason, members.length])).toEqual([
    ['a', 'DuplicatePeer', 0],
    ['b', 'Accepted', 3],
  ])
})

test('two BGPPeers that would open the same session, of one age: the second by name is refused', () => {
  const results = evaluatePeers({
    peers: [peer('b'), peer('a'), peer('c', { peerPort: 1179 }), peer('d', { localSpeakers: ['node-4'] })],
    nodes: NODES,
    addresses: new Map(),
    unheard: new Set(),
    published: new Map(),
    refused: new Map(),
    secret: () => undefined,
  })
  expect(results.map(({ name, accepted }) => [name, accepted.reason])).toEqual([
    ['a', 'Accepted'],
    ['b', 'DuplicatePeer'],
    ['c', 'Accepted'],
    ['d', 'Accepted'],
  ])
})

test('sessions and prefixes come from the speakers of the spec that exist', () => {
  const speakers = [
    speaker('node-1', 'Established', 3),
    speaker('node-2', 'Active', 0, 'connection refused'),
    speaker('old', 'Established', 9),
  ]
  const result = evaluate(peer('p', {}, { speakers }))
  expect([result.sessions, result.prefixes]).toEqual(['1/2', 3])
  expect(result.established).toEqual({
    status: 'False',
    reason: 'PartlyEstablished',
    message: 'node-2: connection refused',
  })
  const both = evaluate(
    peer('p', {}, { speakers: [speaker('node-1', 'Established', 3), speaker('node-2', 'Established', 4)] }),
  )
  expect([both.sessions, both.prefixes, both.established.status]).toEqual(['2/2', 4, 'True'])
  const none = evaluate(peer('p'))
  expect(none.established).toEqual({
    status: 'False',
    reason: 'NoneEstablished',
    message: 'node-1: says nothing (not started yet, or drained); node-2: says nothing (not started yet, or drained)',
  })
})

const UP = ['node-1', 'node-2'].map(name => speaker(name, 'Established', 3))
const ONE_DOWN = [speaker('node-1', 'Established', 3), speaker('node-2', 'Active', 0, 'refused')]
const THREE = { localSpeakers: ['node-1', 'node-2', 'node-4'] }
const silent = (...names: string[]) => ({ unheard: new Set(names) })

test.each([
  ['all are heard and up', {}, UP, [], 'True', 'AllEstablished', '2/2', 3],
  ['one that was up is not heard', {}, UP, ['node-1'], 'Unknown', 'SpeakerNotHeard', '1/2', 3],
  ['one that was down is not heard', {}, ONE_DOWN, ['node-2'], 'Unknown', 'SpeakerNotHeard', '1/2', 3],
  ['one that never reported is not heard', {}, UP.slice(0, 1), ['node-2'], 'Unknown', 'SpeakerNotHeard', '1/2', 3],
  ['nobody is heard', {}, UP, ['node-1', 'node-2'], 'Unknown', 'SpeakerNotHeard', '0/2', 0],
  ['the one that is heard is down', {}, ONE_DOWN, ['node-1'], 'False', 'SpeakerNotHeard', '0/2', 0],
  ['one is up, one down, one not heard', THREE, ONE_DOWN, ['node-4'], 'False', 'PartlyEstablished', '1/3', 3],
  ['who is not heard is no speaker', {}, UP, ['node-4'], 'True', 'AllEstablished', '2/2', 3],
] as const)('%s', (_, spec, speakers, unheard, status, reason, sessions, prefixes) => {
  const result = evaluate(peer('p', spec, { speakers }), silent(...unheard))
  expect(result.established).toMatchObject({ status, reason })
  expect([result.sessions, result.prefixes]).toEqual([sessions, prefixes])
  const named = unheard.filter(name => result.object.status?.speakers !== undefined && name !== 'node-4')
  for (const name of named) expect(result.established.message).toContain(name)
  expect(result.established.message.includes('may well be up')).toBe(reason !== 'AllEstablished')
})

test('who is not heard stays selected, a member and accepted: routing knows nothing of it', () => {
  const published = new Map([['p', ['node-1', 'node-2']]])
  const [heard, unheard] = [{}, silent('node-1', 'node-2', 'node-4')].map(inputs =>
    evaluate(peer('p', {}, { speakers: UP }), { ...inputs, published }),
  )
  const routing = (of: typeof heard) => [of?.nodes, of?.members, of?.accepted]
  expect(routing(unheard)).toEqual(routing(heard))
})

test('entries of nodes that are gone or no speakers any more are to be taken away; not those of a spec that cannot be read', () => {
  const speakers = [...UP, speaker('gone', 'Established'), speaker('node-4', 'Active')]
  const spec = { localSpeakers: ['node-1', 'gone'] }
  expect(evaluate(peer('p', spec, { speakers }), silent('node-1')).left).toEqual(['node-2', 'gone', 'node-4'])
  expect(evaluate(peer('p', { localSpeakers: 7 }, { speakers })).left).toEqual([])
})

test('entries that others left half empty harm nothing', () => {
  const result = evaluate(
    peer('p', {}, { speakers: [{ node: 'node-1' } as never, { node: 'node-2', state: 'Established' } as never] }),
  )
  expect([result.sessions, result.prefixes]).toEqual(['1/2', 0])
})

test('a status is written once, and again only when it says something else', () => {
  const first = evaluate(peer('p'))
  const status = statusToApply(first, '2026-01-01T00:00:00Z')
  expect(status).toMatchObject({ sessions: '0/2', prefixes: 0, selectedNodes: ['node-1', 'node-2', 'node-4'] })
  expect(
    status?.conditions.map(({ type, status, lastTransitionTime, observedGeneration }) => [
      type,
      status,
      lastTransitionTime,
      observedGeneration,
    ]),
  ).toEqual([
    ['Accepted', 'True', '2026-01-01T00:00:00Z', 2],
    ['Established', 'False', '2026-01-01T00:00:00Z', 2],
    ['RoutesVerified', 'Unknown', '2026-01-01T00:00:00Z', 2],
  ])
  if (status === undefined) throw new Error('no status')
  expect(statusToApply(evaluate(peer('p', {}, status)), '2026-01-02T00:00:00Z')).toBeUndefined()
  const speakers = [speaker('node-1', 'Established', 1), speaker('node-2', 'Established', 1)]
  const next = statusToApply(evaluate(peer('p', {}, { ...status, speakers })), '2026-01-02T00:00:00Z')
  expect(next?.conditions.map(({ status, lastTransitionTime }) => [status, lastTransitionTime])).toEqual([
    ['True', '2026-01-01T00:00:00Z'],
    ['True', '2026-01-02T00:00:00Z'],
    ['Unknown', '2026-01-01T00:00:00Z'],
  ])
})

test('what packets proved: one speaker that misses some outweighs others, and who has no session says nothing', () => {
  const verified = (...reports: readonly Partial<SpeakerStatus>[]) => {
    const speakers = reports.map((report, index) => ({ ...speaker(`node-${index + 1}`, 'Established', 1), ...report }))
    return evaluate(peer('p', {}, { speakers })).routesVerified
  }
  expect(verified({ routesVerified: 'True' }, {})).toMatchObject({ status: 'True', reason: 'PacketsArrive' })
  expect(verified({}, {})).toMatchObject({ status: 'Unknown', reason: 'NoEvidence' })
  const lost = { routesVerified: 'False', routesProblem: '10.0.1.0/25 does not come out' } as const
  expect(verified({ routesVerified: 'True' }, lost)).toEqual({
    status: 'False',
    reason: 'PacketsLost',
    message: 'node-2: 10.0.1.0/25 does not come out',
  })
  expect(verified({ ...lost, state: 'Active' }, {})).toMatchObject({ status: 'Unknown' })
})

test('what is applied is exactly what the controller owns', () => {
  const evaluated = evaluate(peer('p', {}, { speakers: [speaker('node-1', 'Established')] }))
  const status = statusToApply(evaluated, 'now')
  if (status === undefined) throw new Error('no status')
  const patch = statusPatch(evaluated, status)
  expect(Object.keys(patch).sort()).toEqual(['apiVersion', 'kind', 'metadata', 'status'])
  expect(patch.metadata).toEqual({ name: 'p', uid: 'uid-p' })
  expect(Object.keys(patch.status).sort()).toEqual(['conditions', 'prefixes', 'selectedNodes', 'sessions'])
})

test('of thousands of selected nodes a status names the first', () => {
  const nodes = new Map(
    Array.from({ length: 5000 }, (_, index) => [`n${String(index).padStart(4, '0')}`, { pool: 'a' }]),
  )
  const result = evaluate(peer('p'), { nodes })
  expect(result.nodes).toHaveLength(5000)
  expect(statusToApply(result, 'now')?.selectedNodes).toHaveLength(MAXIMUM_SELECTED_NODES)
})

test('what a selector selects among many nodes is what it selects of each', () => {
  let state = 7
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff
    return (state >> 8) % below
  }
  const selectors = [
    'a=1',
    'a in (1,2,2)',
    'a!=1',
    'a=1,b=2',
    'b=2,!a',
    '!a',
    'a',
    'a notin (1),b in (1,3)',
    'all()',
    'toString=1',
  ]
  for (let round = 0; round < 200; round++) {
    const nodes = new Map(
      Array.from({ length: random(20) }, (_, index): [string, Record<string, string>] => [
        `node-${index}`,
        Object.fromEntries(['a', 'b'].flatMap(key => (random(3) === 0 ? [] : [[key, String(random(4))]]))),
      ]),
    )
    for (const nodeSelector of selectors) {
      const parsed = parseNodeSelector(nodeSelector)
      if (!('selector' in parsed)) throw new Error(nodeSelector)
      const { selector } = parsed
      const one = [...nodes].flatMap(([name, labels]) => (selects(selector, labels) ? [name] : [])).sort()
      expect(selectedNodes(bgpPeer('lan', { peerIP: '192.0.2.1', nodeSelector }), nodes)).toEqual(one)
    }
  }
})
