/**
 * A status that no schema of ours admits (from under another definition of the kind) stops nobody:
 * the rest of it is read, and the controller decides and writes.
 */
import { expect, test } from 'bun:test'
import { decide } from '../../src/controller/decide.ts'
import { Announcements } from '../../src/controller/events.ts'
import { nodeFacts } from '../../src/controller/nodes.ts'
import { statusToApply } from '../../src/controller/peer-status.ts'
import { NO_MEMORY } from '../../src/controller/pod-cidr.ts'
import { clusterRows } from '../../src/controller/view.ts'
import type { BGPPeerObject } from '../../src/kube/bgp-peer.ts'
import { withReadableStatus } from '../../src/kube/bgp-peer-status.ts'
import { NO_REMOVALS } from '../../src/kube/mass-removal.ts'

const CONDITION = {
  type: 'Accepted',
  status: 'True',
  reason: 'Accepted',
  message: 'the spec can work',
  lastTransitionTime: '2026-01-01T00:00:00Z',
  observedGeneration: 1,
}
const SPEAKER = { node: 'a', state: 'Established', since: '2026-01-01T00:00:00Z', flaps: 0, capabilities: ['mp-ipv4'] }
const GOOD = { conditions: [CONDITION], speakers: [SPEAKER], selectedNodes: ['a'], sessions: '1/1', prefixes: 1 }

function withStatus(status: unknown): BGPPeerObject {
  const metadata = { name: 'lan', uid: 'u', generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' }
  const spec = {
    ...{ localSpeakers: ['a'], localAsNumber: 65010, peerIP: '172.16.0.1', peerAsNumber: 65001 },
    nodeSelector: 'all()',
  }
  return { apiVersion: '', kind: 'BGPPeer', metadata, spec, status } as BGPPeerObject
}

const NODE = nodeFacts({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'a', uid: 'a', labels: {}, creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { podCIDRs: ['10.0.1.0/25'] },
  status: { addresses: [{ type: 'InternalIP', address: '172.16.0.11' }], conditions: [] },
})

/** What the controller makes of it, up to what it would write. */
function pass(object: BGPPeerObject) {
  const decision = decide(
    {
      ...{ podCIDRs: ['10.0.0.0/8'], podsPerNode: 128, serviceCIDRs: [], vpcCIDRs: [], dataCenterCIDRs: [] },
      ...{ edgeNodes: { kind: 'all' } as const, foreignPodCIDRs: false },
    },
    true,
    {
      ...{ nodes: [NODE], peers: [object], slices: [], secret: () => undefined, now: '2026-02-01T00:00:00Z' },
      ...{ memory: NO_MEMORY, apiServers: [] },
      removals: {
        ...{ state: NO_REMOVALS, limits: { share: 0.5, number: 2, delayMilliseconds: 1 }, at: 0, listedAt: 0 },
        drained: new Set<string>(),
      },
    },
  )
  const told = new Announcements()
  const events = [
    ...told.peerEvents(decision.peers),
    ...told.unheardEvents(decision.peers),
    ...told.routesEvents(decision.peers),
  ]
  const rows = clusterRows([NODE], decision, { text: undefined })
  const statuses = decision.peers.map(peer => statusToApply(peer, '2026-02-01T00:00:00Z'))
  return { text: JSON.stringify([events, rows, statuses]), entries: decision.entries }
}

test('a status that can be read stays the object that it is', () => {
  for (const status of [undefined, {}, GOOD]) {
    const object = withStatus(status)
    expect(withReadableStatus(object)).toBe(object)
  }
})

test('of one that cannot, what can be read is', () => {
  const status = { ...GOOD, conditions: [null, CONDITION, { ...CONDITION, reason: 7 }], speakers: 'x', sessions: {} }
  expect(withReadableStatus(withStatus(status)).status).toEqual({
    conditions: [CONDITION],
    selectedNodes: ['a'],
    prefixes: 1,
  } as BGPPeerObject['status'])
})

const JUNK: readonly unknown[] = [null, 0, '', 'x', true, [], {}, [null], [[]], { a: null }, { toString: 1 }]
const FIELDS = ['conditions', 'speakers', 'selectedNodes', 'sessions', 'prefixes']

test.each([
  ...JUNK.map(junk => ['the whole', junk] as const),
  ...FIELDS.flatMap(field => JUNK.map(junk => [field, { ...GOOD, [field]: junk }] as const)),
  ...Object.keys(CONDITION).flatMap(field =>
    JUNK.map(junk => [`a condition's ${field}`, { ...GOOD, conditions: [{ ...CONDITION, [field]: junk }] }] as const),
  ),
  ...Object.keys(SPEAKER).flatMap(field =>
    JUNK.map(junk => [`a speaker's ${field}`, { ...GOOD, speakers: [{ ...SPEAKER, [field]: junk }] }] as const),
  ),
])('whatever it holds, the controller goes on: %s', (_what, status) => {
  const { entries, text } = pass(withReadableStatus(withStatus(status)))
  expect([entries.length, text.length > 2]).toEqual([1, true])
})
