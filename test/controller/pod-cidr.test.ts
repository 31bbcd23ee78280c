/**
 * Allocation of pod CIDRs: masks, order, what is in the way, exhaustion, overlaps, and that it is
 * fast.
 */
import { describe, expect, test } from 'bun:test'
import { decodeRecord, encodeRecord, nextRecord } from '../../src/controller/former-pod-cidrs.ts'
import {
  allocatePodCIDRs,
  type EdgeNode,
  type Memory,
  NO_MEMORY,
  type PodCIDRConfig,
} from '../../src/controller/pod-cidr.ts'
import type { Lifeline } from '../../src/controller/pod-cidr-place.ts'
import { blockLengthFor, freeBlocks, mergeRanges, prefixAt } from '../../src/lib/address-range.ts'
import { covers, overlaps, prefixRange } from '../../src/lib/ip.ts'
import { parseNodeSelector } from '../../src/lib/node-selector.ts'

const CONFIG: PodCIDRConfig = {
  podCIDRs: ['10.0.0.0/8'],
  podsPerNode: 128,
  serviceCIDRs: ['172.21.0.0/20'],
  vpcCIDRs: ['192.168.0.0/16'],
  dataCenterCIDRs: ['172.16.0.0/16'],
  edgeNodes: { kind: 'all' },
  foreignPodCIDRs: false,
}

function node(name: string, ...podCIDRs: string[]): EdgeNode {
  return { name, podCIDRs, addresses: [], labels: {}, createdAt: '2026-01-01T00:00:00Z' }
}
function allocated(config: Partial<PodCIDRConfig>, ...nodes: EdgeNode[]): Record<string, readonly string[]> {
  return Object.fromEntries(allocatePodCIDRs({ ...CONFIG, ...config }, nodes, { allocating: true }).allocated)
}

test.each([
  [1, 32, 128],
  [2, 31, 127],
  [64, 26, 122],
  [110, 25, 121],
  [128, 25, 121],
  [129, 24, 120],
  [256, 24, 120],
  [65536, 16, 112],
])('%d pods need an IPv4 /%d and an IPv6 /%d', (pods, v4, v6) => {
  expect([blockLengthFor('ipv4', pods), blockLengthFor('ipv6', pods)]).toEqual([v4, v6])
})

test('ranges are merged, and numbers become canonical prefixes', () => {
  const merged = mergeRanges(['10.0.1.0/24', '10.0.0.0/24', '10.0.0.128/25', '10.0.3.0/24'].map(prefixRange))
  expect(merged.map(({ first, last }) => [first, last])).toEqual([
    [prefixRange('10.0.0.0/24').first, prefixRange('10.0.1.0/24').last],
    [prefixRange('10.0.3.0/24').first, prefixRange('10.0.3.0/24').last],
  ])
  expect(prefixAt('ipv6', prefixRange('fd00:0:0:1::/64').first, 64)).toBe('fd00:0:0:1::/64')
})

test('free blocks are aligned and step around what is busy, whatever its size', () => {
  const busy = mergeRanges(['10.0.0.0/26', '10.0.0.200/29', '10.0.2.0/23'].map(prefixRange))
  const free = [...freeBlocks(prefixRange('10.0.0.0/22'), 128n, busy)].map(first => prefixAt('ipv4', first, 25))
  expect(free).toEqual(['10.0.1.0/25', '10.0.1.128/25'])
  expect([...freeBlocks(prefixRange('10.0.0.0/26'), 128n, [])]).toEqual([])
})

test('nodes without get the lowest free blocks in the order of their names; what nodes have stays', () => {
  expect(allocated({}, node('c'), node('a'), node('b', '10.0.0.128/25'))).toEqual({
    a: ['10.0.0.0/25'],
    c: ['10.0.1.0/25'],
  })
})

test('a freed block is used again, and a larger foreign one is stepped around', () => {
  const nodes = [node('a', '10.0.0.0/23'), node('b', '10.0.2.128/25'), node('c'), node('d')]
  expect(allocated({ foreignPodCIDRs: true }, ...nodes)).toEqual({
    c: ['10.0.2.0/25'],
    d: ['10.0.3.0/25'],
  })
})

test('Service, VPC and data center ranges inside a pool are never given out', () => {
  const config = {
    podCIDRs: ['10.0.0.0/22'],
    serviceCIDRs: ['10.0.0.0/24'],
    vpcCIDRs: ['10.0.1.0/25'],
    dataCenterCIDRs: ['10.0.2.7/32'],
  }
  expect(allocated(config, node('a'), node('b'), node('c'))).toEqual({
    a: ['10.0.1.128/25'],
    b: ['10.0.2.128/25'],
    c: ['10.0.3.0/25'],
  })
})

test('dual stack: one block of each family', () => {
  const podCIDRs = ['10.0.0.0/8', 'fd00:10::/64']
  expect(allocated({ podCIDRs }, node('a'), node('b'))).toEqual({
    a: ['10.0.0.0/25', 'fd00:10::/121'],
    b: ['10.0.0.128/25', 'fd00:10::80/121'],
  })
  expect(allocated({ podCIDRs }, node('a', '10.0.0.0/25'))).toEqual({})
})

test('IPv6 alone', () => {
  expect(allocated({ podCIDRs: ['fd00:10::/48'] }, node('a'))).toEqual({ a: ['fd00:10::/121'] })
})

test('an appended pool is used when the first is full', () => {
  const podCIDRs = ['10.0.0.0/24', '10.9.0.0/24']
  expect(allocated({ podCIDRs }, node('a'), node('b'), node('c'))).toEqual({
    a: ['10.0.0.0/25'],
    b: ['10.0.0.128/25'],
    c: ['10.9.0.0/25'],
  })
})

test('a full pool is a problem of exactly the nodes that get nothing', () => {
  const result = allocatePodCIDRs({ ...CONFIG, podCIDRs: ['10.0.0.0/24'] }, [node('a'), node('b'), node('c')], {
    allocating: true,
  })
  expect([...result.allocated.keys()]).toEqual(['a', 'b'])
  expect(result.problems).toEqual([
    {
      node: 'c',
      reason: 'PodCIDRPoolExhausted',
      message: 'no IPv4 block for 128 pods is left in 10.0.0.0/24; append a pool to network.podCIDRs',
    },
  ])
  expect(result.pools).toEqual([{ podCIDR: '10.0.0.0/24', blockLength: 25, blocks: 2, used: 2 }])
})

test('when one family has no room a node gets neither: it could not be given the other later', () => {
  const result = allocatePodCIDRs({ ...CONFIG, podCIDRs: ['10.0.0.0/8', 'fd00::/121'] }, [node('a'), node('b')], {
    allocating: true,
  })
  expect(Object.fromEntries(result.allocated)).toEqual({ a: ['10.0.0.0/25', 'fd00::/121'] })
  expect(result.problems[0]?.message).toStartWith('no IPv6 block for 128 pods is left')
})

test('without a pool there is a problem that says what to do, and none where others allocate', () => {
  const config = { ...CONFIG, podCIDRs: [] }
  expect(allocatePodCIDRs(config, [node('a')], { allocating: true }).problems[0]?.message).toContain(
    'network.podCIDRs names no pool',
  )
  expect(allocatePodCIDRs(config, [node('a'), node('b', '192.0.2.0/25')], { allocating: false }).problems).toEqual([])
  expect(allocatePodCIDRs(CONFIG, [node('a')], { allocating: false }).allocated.size).toBe(0)
})

test('two nodes that overlap: the younger is told and not routed, the older goes on', () => {
  const old = { ...node('z', '10.0.0.128/25'), createdAt: '2025-01-01T00:00:00Z' }
  const result = allocatePodCIDRs(CONFIG, [node('a', '10.0.0.128/25'), old, node('b', '10.0.1.0/25')], {
    allocating: true,
  })
  expect(result.problems.map(({ node, reason }) => [node, reason])).toEqual([['a', 'PodCIDROverlap']])
  expect(result.problems[0]?.message).toContain('overlaps 10.0.0.128/25 of node z, which was there first')
  expect([...result.withheld]).toEqual([['a', new Set(['10.0.0.128/25'])]])
})

test('the same block three times: two are told, one goes on', () => {
  const result = allocatePodCIDRs(
    CONFIG,
    [node('a', '10.0.0.0/25'), node('b', '10.0.0.0/25'), node('c', '10.0.0.0/25')],
    { allocating: true },
  )
  expect([...result.withheld.keys()].sort()).toEqual(['b', 'c'])
})

test('what lies where no podCIDR belongs is told and withheld, and keeps no block busy; an option admits it', () => {
  const nodes = [
    node('a', '172.16.3.0/25'),
    node('b', '8.8.8.0/24'),
    node('c', '10.0.0.0/8'),
    node('d', '192.168.0.8/29'),
    node('e', '172.21.0.0/25'),
    node('f', '128.0.0.0/2'),
    node('g'),
  ]
  const judged = (foreignPodCIDRs: boolean) =>
    allocatePodCIDRs({ ...CONFIG, foreignPodCIDRs }, nodes, { allocating: true })
  const { problems, withheld, allocated: given, pools } = judged(false)
  const reasons = [
    ['a', 'PodCIDROverlap'],
    ['b', 'PodCIDROutsidePools'],
    ['c', 'PodCIDRTooLarge'],
    ['d', 'PodCIDROverlap'],
    ['e', 'PodCIDROverlap'],
    ['f', 'PodCIDROverlap'],
  ]
  expect(problems.map(({ node, reason }) => [node, reason]).sort()).toEqual(reasons)
  expect([...withheld.keys()].sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
  expect([[...given], pools[0]?.used]).toEqual([[['g', ['10.0.0.0/25']]], 1])
  const admitted = judged(true)
  expect([...admitted.withheld.keys()]).toEqual(['f']) // it overlaps a's
  expect(new Set(admitted.problems.map(({ node }) => node))).toEqual(new Set('abcdefg'))
})

const OLD = '2020-01-01T00:00:00Z'
const NEW = '2030-01-01T00:00:00Z'

describe('a lifeline is never covered', () => {
  const judge = (nodes: EdgeNode[], lifelines: Lifeline[] = []) =>
    allocatePodCIDRs(CONFIG, nodes, { allocating: true, lifelines })
  const bgpPeer = (createdAt: string, ...selected: string[]) => ({ name: 'lan', createdAt, nodes: new Set(selected) })

  test('of the API server, whoever was first; and no block over it is given out', () => {
    const lifelines = [{ address: '10.0.0.7', what: 'the API server' }]
    const result = judge([{ ...node('a', '10.0.0.0/25'), createdAt: OLD }, node('b')], lifelines)
    expect(result.problems.map(({ message }) => message)).toEqual([
      'its pod CIDR 10.0.0.0/25 holds 10.0.0.7, the API server, and is not routed; delete the Node and register it again to get another',
    ])
    expect([...result.allocated]).toEqual([['b', ['10.0.0.128/25']]])
  })

  test('an older BGPPeer and the own one are right; a younger of others is refused', () => {
    const lifelines = (createdAt: string, ...selected: string[]) => [
      { address: '10.0.0.7', what: 'peerIP of BGPPeer lan', bgpPeer: bgpPeer(createdAt, ...selected) },
    ]
    const a = node('a', '10.0.0.0/25')
    for (const given of [lifelines(OLD), lifelines(NEW, 'a')]) {
      const { withheld, refusedPeers } = judge([a], given)
      expect([withheld.size, refusedPeers.size]).toEqual([1, 0])
    }
    const { withheld, refusedPeers, problems } = judge([a], lifelines(NEW, 'b'))
    expect([withheld.size, problems]).toEqual([0, []])
    expect(refusedPeers.get('lan')).toContain('10.0.0.7 (peerIP of BGPPeer lan) lies in 10.0.0.0/25')
  })

  test('an older node is right; the address of a younger one is not used', () => {
    const a = node('a', '10.0.0.0/25')
    const at = (createdAt: string) => ({ ...node('b', '10.0.1.0/25'), addresses: ['10.0.0.9'], createdAt })
    expect([...judge([a, at(OLD)]).withheld.keys()]).toEqual(['a'])
    const { withheld, unusable, problems } = judge([a, at(NEW)])
    expect([withheld.size, [...unusable]]).toEqual([0, [['b', new Set(['10.0.0.9'])]]])
    expect(problems.map(({ node, reason }) => [node, reason])).toEqual([['b', 'AddressInPodCIDR']])
  })

  test('two Nodes with one InternalIP: the younger is not reached by it, and both are told', () => {
    const at = (name: string, createdAt: string, podCIDR: string) => ({
      ...node(name, podCIDR),
      addresses: ['172.16.0.11'],
      createdAt,
    })
    const { unusable, problems } = judge([at('a', NEW, '10.0.0.0/25'), at('b', OLD, '10.0.1.0/25')])
    expect([...unusable]).toEqual([['a', new Set(['172.16.0.11'])]])
    expect(problems.map(({ node, reason }) => [node, reason])).toEqual([
      ['a', 'DuplicateAddress'],
      ['b', 'DuplicateAddress'],
    ])
  })
})

describe('what is remembered', () => {
  const former = (podCIDR: string, since = OLD) => ({ podCIDRs: [podCIDR], since })
  const give = (
    nodes: EdgeNode[],
    memory: Partial<Memory>,
    config: Partial<PodCIDRConfig> = {},
  ): Record<string, readonly string[]> => {
    const given = { allocating: true, memory: { ...NO_MEMORY, ...memory } }
    const { allocated, waiting } = allocatePodCIDRs({ ...CONFIG, ...config }, nodes, given)
    return { ...Object.fromEntries(allocated), ...(waiting.length > 0 && { waiting }) }
  }

  test('nodes that register again in another order get their own back', () => {
    const record = new Map([
      ['a', former('10.0.1.0/25')],
      ['b', former('10.0.0.0/25')],
      ['c', former('10.0.0.128/25')],
    ])
    expect(give([node('c'), node('b'), node('new'), node('a')], { record })).toEqual({
      a: ['10.0.1.0/25'],
      b: ['10.0.0.0/25'],
      c: ['10.0.0.128/25'],
      new: ['10.0.1.128/25'],
    })
  })

  test('a freed block goes to another node as late as possible, the one that is free for longest first', () => {
    const record = new Map([
      ['x', former('10.0.0.0/25', '2026-01-02T00:00:00Z')],
      ['y', former('10.0.0.128/25', '2026-01-01T00:00:00Z')],
    ])
    const nodes = ['a', 'b', 'c', 'd'].map(name => node(name))
    expect(give(nodes, { record }, { podCIDRs: ['10.0.0.0/23'] })).toEqual({
      a: ['10.0.1.0/25'],
      b: ['10.0.1.128/25'],
      c: ['10.0.0.128/25'],
      d: ['10.0.0.0/25'],
    })
  })

  test('what a node says counts where nothing else is known, is in the pools and free; the record is right before it', () => {
    const record = new Map([['a', former('10.0.5.0/25')]])
    const claims = new Map([
      ['a', ['10.0.6.0/25']],
      ['b', ['10.0.5.0/25']],
      ['c', ['10.0.7.0/25']],
      ['d', ['8.8.8.0/25']],
      ['e', ['10.0.0.0/16']],
      ['f', ['10.0.7.0/25']],
    ])
    expect(
      give(
        ['a', 'b', 'c', 'd', 'e', 'f'].map(name => node(name)),
        { record, claims },
      ),
    ).toEqual({
      a: ['10.0.5.0/25'],
      b: ['10.0.0.0/25'],
      c: ['10.0.7.0/25'],
      d: ['10.0.0.128/25'],
      e: ['10.0.1.0/25'],
      f: ['10.0.1.128/25'],
    })
  })

  test('a cluster without memory waits for what its nodes say; who said it gets it at once', () => {
    const claims = new Map([
      ['a', ['10.0.1.0/25']],
      ['new', []],
    ])
    const nodes = [node('a'), node('new'), node('silent')]
    expect(give(nodes, { claims, waiting: true })).toEqual({ a: ['10.0.1.0/25'], waiting: ['new', 'silent'] })
    expect(give(nodes.slice(0, 2), { claims, waiting: true })).toEqual({ a: ['10.0.1.0/25'], new: ['10.0.0.0/25'] })
    expect(give(nodes.slice(0, 2), { claims, waiting: true, restored: true })).toEqual({
      a: ['10.0.1.0/25'],
      waiting: ['new'],
    })
    expect(give(nodes, { claims })).toEqual({ a: ['10.0.1.0/25'], new: ['10.0.0.0/25'], silent: ['10.0.0.128/25'] })
  })

  test('the record: who is published and gone goes in, who has podCIDRs again goes out; a ConfigMap keeps it', () => {
    const entry = (name: string, podCIDR: string) =>
      [name, { node: name, addresses: [], podCIDRs: [podCIDR], peers: [] }] as const
    const published = new Map([entry('gone', '10.0.0.0/25'), entry('here', '10.0.1.0/25')])
    const record = new Map([['back', former('10.0.2.0/25')]])
    const nodes = new Map([
      ['here', { podCIDRs: ['10.0.1.0/25'] }],
      ['back', { podCIDRs: ['10.0.2.0/25'] }],
    ])
    const next = nextRecord(record, { published, nodes, now: NEW })
    expect([...next]).toEqual([['gone', { podCIDRs: ['10.0.0.0/25'], since: NEW }]])
    const config = encodeRecord(next)
    expect(decodeRecord(config)).toEqual(next)
    expect(decodeRecord({ ...config, data: { ...config.data, bad: '{', worse: '{"podCIDRs":["x"]}' } })).toEqual(next)
  })

  test('only edge nodes get one', () => {
    const parsed = parseNodeSelector('edge=true')
    if (!('selector' in parsed)) throw new Error('a selector')
    const edge = { ...node('a'), labels: { edge: 'true' } }
    expect(give([edge, node('cloud')], {}, { edgeNodes: parsed.selector })).toEqual({ a: ['10.0.0.0/25'] })
    expect(give([edge], {}, { edgeNodes: undefined })).toEqual({})
  })
})

test('the use of a pool counts blocks that are taken in part once, and reserved ones', () => {
  const nodes = [node('a', '10.0.0.0/26'), node('b', '10.0.0.64/26'), node('c', '10.0.4.0/22'), node('d', '9.0.0.0/8')]
  const config = { ...CONFIG, podCIDRs: ['10.0.0.0/21'], serviceCIDRs: ['10.0.1.0/24'], foreignPodCIDRs: true }
  expect(allocatePodCIDRs(config, nodes, { allocating: true }).pools).toEqual([
    { podCIDR: '10.0.0.0/21', blockLength: 25, blocks: 16, used: 11 },
  ])
})

test('10,000 nodes: each gets its own block, and one more finds its place without a walk over all blocks', () => {
  const nodes = Array.from({ length: 10_000 }, (_, index) => node(`node-${String(index).padStart(5, '0')}`))
  const first = allocatePodCIDRs(CONFIG, nodes, { allocating: true })
  expect(first.allocated.size).toBe(10_000)
  const settled = nodes.map(({ name }) => node(name, ...(first.allocated.get(name) ?? [])))
  const next = allocatePodCIDRs(CONFIG, [...settled, node('one-more')], { allocating: true })
  expect(next.problems).toEqual([])
  expect(next.allocated.get('one-more')).toEqual(['10.19.136.0/25'])
  expect(next.pools[0]?.used).toBe(10_001)
})

test('whatever nodes have, what is given overlaps nothing (1,000 random clusters)', () => {
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed % below
  }
  for (let round = 0; round < 1000; round++) {
    const nodes = Array.from({ length: 12 }, (_, index) => {
      const length = 22 + random(8)
      const address = `10.0.${random(16)}.${random(256)}`
      const network = prefixAt(
        'ipv4',
        (prefixRange(`${address}/32`).first >> BigInt(32 - length)) << BigInt(32 - length),
        length,
      )
      return random(2) === 0 ? node(`n${index}`) : node(`n${index}`, network)
    })
    const config = { ...CONFIG, podCIDRs: ['10.0.0.0/20'], podsPerNode: 1 + random(300), foreignPodCIDRs: true }
    const { allocated } = allocatePodCIDRs(config, nodes, { allocating: true })
    const given = [...allocated.values()].flat()
    const all = [...given, ...nodes.flatMap(({ podCIDRs }) => podCIDRs)]
    for (const one of given) {
      expect(covers('10.0.0.0/20', one)).toBe(true)
      expect(all.filter(other => overlaps(one, other))).toEqual([one])
    }
  }
})
