/**
 * Whatever one object comes to say (a kubelet's credential writes its own Node's addresses; people
 * mistype), what is published of others stays as it is.
 */
import { describe, expect, test } from 'bun:test'
import { decide } from '../../src/controller/decide.ts'
import { nodeFacts } from '../../src/controller/nodes.ts'
import { NO_MEMORY } from '../../src/controller/pod-cidr.ts'
import type { BGPPeerObject } from '../../src/kube/bgp-peer.ts'
import { NO_REMOVALS } from '../../src/kube/mass-removal.ts'
import type { Node } from '../../src/kube/resources.ts'
import type { RouteSlice } from '../../src/kube/route-slice.ts'

const CONFIG = {
  podCIDRs: ['10.0.0.0/8', 'fd10::/32'],
  podsPerNode: 128,
  serviceCIDRs: ['172.21.0.0/20'],
  vpcCIDRs: ['192.168.0.0/16'],
  dataCenterCIDRs: ['172.16.0.0/16'],
  edgeNodes: { kind: 'all' } as const,
  foreignPodCIDRs: false,
}
const NODES = [0, 1, 2, 3, 4, 5].map(index =>
  node(`n${index}`, {
    podCIDRs: [`10.0.${index}.0/25`, `fd10::${index}:0/121`],
    addresses: [`172.16.${index >> 1}.1${index}`, `fd99:${index >> 1}::1${index}`],
    created: 1 + index,
    lan: `${index >> 1}`,
  }),
)
const PEERS = [0, 1, 2].map(lan =>
  bgpPeer(`lan-${lan}`, { peerIP: `172.16.${lan}.1`, nodeSelector: `lan=${lan}` }, true),
)

interface NodeSays {
  readonly podCIDRs: readonly string[]
  readonly addresses: readonly string[]
  readonly created: number
  readonly lan: string
}

function node(name: string, { podCIDRs, addresses, created, lan }: NodeSays): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: name, labels: { lan }, creationTimestamp: `2026-01-0${created}T00:00:00Z` },
    spec: { podCIDRs: [...podCIDRs] },
    status: { addresses: addresses.map(address => ({ type: 'InternalIP', address })), conditions: [] },
  }
}

function bgpPeer(name: string, spec: Record<string, unknown>, isAccepted = false): BGPPeerObject {
  const accepted = {
    type: 'Accepted',
    status: 'True',
    reason: 'Accepted',
    message: '',
    lastTransitionTime: '',
  } as const
  return {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'BGPPeer',
    metadata: { name, uid: name, generation: 1, creationTimestamp: '2026-01-02T12:00:00Z' },
    spec: { localSpeakers: ['n0'], localAsNumber: 65010, peerAsNumber: 65001, nodeSelector: 'all()', ...spec },
    ...(isAccepted && { status: { conditions: [{ ...accepted, observedGeneration: 1 }] } }),
  }
}

function pass(nodes: readonly Node[], peers: readonly BGPPeerObject[], slices: readonly RouteSlice[]) {
  return decide(CONFIG, true, {
    nodes: nodes.map(nodeFacts),
    peers,
    slices,
    secret: () => undefined,
    now: '2026-02-01T00:00:00Z',
    memory: NO_MEMORY,
    apiServers: ['192.168.0.10'],
    removals: {
      state: NO_REMOVALS,
      limits: { share: 0.5, number: 2, delayMilliseconds: 600_000 },
      at: 0,
      listedAt: 0,
      drained: new Set(),
    },
  })
}

const PUBLISHED = pass(NODES, PEERS, [])

/** Where entries that were published before differ, but for those of `whose`. */
function harmed(nodes: readonly Node[], peers: readonly BGPPeerObject[], whose: readonly string[] = []) {
  const after = new Map(pass(nodes, peers, PUBLISHED.slices.create).entries.map(entry => [entry.node, entry]))
  return PUBLISHED.entries.filter(entry => {
    const { podCIDRs, addresses } = after.get(entry.node) ?? { podCIDRs: [], addresses: [] }
    const same = Bun.deepEquals([podCIDRs, addresses], [entry.podCIDRs, entry.addresses])
    return !whose.includes(entry.node) && !same
  })
}

/** `list` with what is named as `one` in its place, or behind it. */
function withOne<T extends { readonly metadata: { readonly name: string } }>(list: readonly T[], one: T): T[] {
  const rest = list.filter(({ metadata }) => metadata.name !== one.metadata.name)
  return [...rest, one]
}

test('all are published', () => {
  expect(PUBLISHED.entries.map(({ node, podCIDRs }) => [node, podCIDRs.length])).toEqual(
    NODES.map(({ metadata }) => [metadata.name, 2]),
  )
})

describe('the oldest node', () => {
  const says = (change: Partial<NodeSays>) =>
    withOne(
      NODES,
      node('n0', { podCIDRs: ['10.0.0.0/25'], addresses: ['172.16.0.10'], created: 1, lan: '0', ...change }),
    )

  test.each([
    ['an address in the podCIDR of each other', NODES.map((_, index) => `10.0.${index + 1}.5`)],
    ['the same of the other family', ['172.16.0.10', ...NODES.map((_, index) => `fd10::${index + 1}:5`)]],
    ['the addresses of all others', ['172.16.0.11', '172.16.1.12', '172.16.1.13', '172.16.2.14', 'fd99:2::15']],
    ['what nobody has', ['0.0.0.0', '127.0.0.1', '::', '::1', 'ff02::1', '224.0.0.1', '::ffff:10.0.1.5', 'fe80::1']],
  ])('comes to name %s', (_what, addresses) => {
    expect(harmed(says({ addresses }), PEERS, ['n0'])).toEqual([])
  })

  test('comes by the podCIDR of another, which it had none of before', () => {
    const slices = pass(says({ podCIDRs: [] }), PEERS, []).slices.create
    const after = pass(says({ podCIDRs: ['10.0.3.0/25'] }), PEERS, slices).entries
    expect(after.find(({ node }) => node === 'n3')?.podCIDRs).toEqual(['10.0.3.0/25', 'fd10::3:0/121'])
    expect(after.some(({ node }) => node === 'n0')).toBe(false)
  })

  test('names thousands of addresses: few are published', () => {
    const addresses = Array.from({ length: 5000 }, (_, index) => `172.16.${16 + (index >> 8)}.${index & 255}`)
    const entries = pass(says({ addresses }), PEERS, PUBLISHED.slices.create).entries
    expect(entries.find(({ node }) => node === 'n0')?.addresses).toHaveLength(16)
  })

  test('names none that can be: it stays where it was', () => {
    const entries = pass(says({ addresses: ['127.0.0.1'] }), PEERS, PUBLISHED.slices.create).entries
    expect(entries.find(({ node }) => node === 'n0')?.addresses).toEqual(['172.16.0.10', 'fd99::10'])
  })
})

describe('a BGPPeer with an address in a podCIDR that is published', () => {
  const spec = { peerIP: '10.0.3.7', nodeSelector: 'lan=1' }
  const refused = (peers: readonly BGPPeerObject[], name: string) =>
    pass(NODES, peers, PUBLISHED.slices.create).peers.find(peer => peer.name === name)?.accepted

  test.each([
    ['a new one, of all nodes', bgpPeer('another', { peerIP: '10.0.3.7' })],
    ['a new one, of that node', bgpPeer('another', spec)],
    ['an older one of another LAN, edited', edited('lan-0', { peerIP: '10.0.3.7', nodeSelector: 'lan=0' })],
    ["that LAN's own, edited", edited('lan-1', spec)],
    ["that LAN's own, given a gateway", edited('lan-1', { ...spec, peerIP: '172.16.1.1', gateway: '10.0.3.7' })],
  ])('%s', (_what, one) => {
    const peers = withOne(PEERS, one)
    expect(harmed(NODES, peers)).toEqual([])
    expect(refused(peers, one.metadata.name)).toMatchObject({ status: 'False', reason: 'AddressInPodCIDR' })
  })

  /** One that was accepted as it was before. */
  function edited(name: string, change: Record<string, unknown>): BGPPeerObject {
    const one = bgpPeer(name, change, true)
    return { ...one, metadata: { ...one.metadata, generation: 2 } }
  }
})

test('a podCIDR that lost to an older one takes nothing from a third that it overlaps', () => {
  const at = (name: string, podCIDR: string, created: number) =>
    node(name, { podCIDRs: [podCIDR], addresses: [`172.16.9.${created}`], created, lan: 'x' })
  const nodes = [at('a', '10.9.0.0/25', 1), at('b', '10.9.0.0/24', 2), at('c', '10.9.0.128/25', 3)]
  const decision = decide({ ...CONFIG, podsPerNode: 256 }, true, {
    ...{ nodes: nodes.map(nodeFacts), peers: [], slices: [], secret: () => undefined, now: '', memory: NO_MEMORY },
    apiServers: [],
    removals: {
      ...{ state: NO_REMOVALS, limits: { share: 0.5, number: 2, delayMilliseconds: 1 }, at: 0, listedAt: 0 },
      drained: new Set<string>(),
    },
  })
  expect(decision.entries.map(({ node }) => node)).toEqual(['a', 'c'])
})
