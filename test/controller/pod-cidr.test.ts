/** Allocation of pod CIDRs: masks, order, what is in the way, exhaustion, overlaps, and that it is fast. */
import { expect, test } from 'bun:test'
import { allocatePodCIDRs, type PodCIDRConfig, type PodCIDRNode } from '../../src/controller/pod-cidr.ts'
import { blockLengthFor, freeBlocks, mergeRanges, prefixAt } from '../../src/lib/address-range.ts'
import { covers, overlaps, prefixRange } from '../../src/lib/ip.ts'

const CONFIG: PodCIDRConfig = {
  podCIDRs: ['10.0.0.0/8'],
  podsPerNode: 128,
  serviceCIDRs: ['172.21.0.0/20'],
  vpcCIDRs: ['192.168.0.0/16'],
  dataCenterCIDRs: ['172.16.0.0/16'],
}

function node(name: string, ...podCIDRs: string[]): PodCIDRNode {
  return { name, podCIDRs, createdAt: '2026-01-01T00:00:00Z' }
}
function allocated(config: Partial<PodCIDRConfig>, ...nodes: PodCIDRNode[]): Record<string, readonly string[]> {
  return Object.fromEntries(allocatePodCIDRs({ ...CONFIG, ...config }, nodes, true).allocated)
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
  expect(allocated({}, node('a', '10.0.0.0/23'), node('b', '10.0.2.128/25'), node('c'), node('d'))).toEqual({
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
  const result = allocatePodCIDRs({ ...CONFIG, podCIDRs: ['10.0.0.0/24'] }, [node('a'), node('b'), node('c')], true)
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
  const result = allocatePodCIDRs({ ...CONFIG, podCIDRs: ['10.0.0.0/8', 'fd00::/121'] }, [node('a'), node('b')], true)
  expect(Object.fromEntries(result.allocated)).toEqual({ a: ['10.0.0.0/25', 'fd00::/121'] })
  expect(result.problems[0]?.message).toStartWith('no IPv6 block for 128 pods is left')
})

test('without a pool there is a problem that says what to do, and none where others allocate', () => {
  const config = { ...CONFIG, podCIDRs: [] }
  expect(allocatePodCIDRs(config, [node('a')], true).problems[0]?.message).toContain('network.podCIDRs names no pool')
  expect(allocatePodCIDRs(config, [node('a'), node('b', '192.0.2.0/25')], false).problems).toEqual([])
  expect(allocatePodCIDRs(CONFIG, [node('a')], false).allocated.size).toBe(0)
})

test('two nodes that overlap: the younger is told and not routed, the older goes on', () => {
  const old = { ...node('z', '10.0.0.0/24'), createdAt: '2025-01-01T00:00:00Z' }
  const result = allocatePodCIDRs(CONFIG, [node('a', '10.0.0.128/25'), old, node('b', '10.0.1.0/25')], true)
  expect(result.problems.map(({ node, reason }) => [node, reason])).toEqual([['a', 'PodCIDROverlap']])
  expect(result.problems[0]?.message).toContain('overlaps 10.0.0.0/24 of node z, which was there first')
  expect([...result.withheld]).toEqual([['a', new Set(['10.0.0.128/25'])]])
})

test('the same block three times: two are told, one goes on', () => {
  const result = allocatePodCIDRs(
    CONFIG,
    [node('a', '10.0.0.0/25'), node('b', '10.0.0.0/25'), node('c', '10.0.0.0/25')],
    true,
  )
  expect([...result.withheld.keys()].sort()).toEqual(['b', 'c'])
})

test('a node in a reserved range, and one outside all pools, are told and used', () => {
  const result = allocatePodCIDRs(CONFIG, [node('a', '172.16.3.0/25'), node('b', '100.64.0.0/25')], true)
  expect(result.problems.map(({ node, reason }) => [node, reason]).sort()).toEqual([
    ['a', 'PodCIDROverlap'],
    ['b', 'PodCIDROutsidePools'],
  ])
  expect(result.withheld.size).toBe(0)
})

test('the use of a pool counts blocks that are taken in part once, and reserved ones', () => {
  const nodes = [node('a', '10.0.0.0/26'), node('b', '10.0.0.64/26'), node('c', '10.0.4.0/22'), node('d', '9.0.0.0/8')]
  const config = { ...CONFIG, podCIDRs: ['10.0.0.0/21'], serviceCIDRs: ['10.0.1.0/24'] }
  expect(allocatePodCIDRs(config, nodes, true).pools).toEqual([
    { podCIDR: '10.0.0.0/21', blockLength: 25, blocks: 16, used: 11 },
  ])
})

test('10,000 nodes: each gets its own block, and one more finds its place without a walk over all blocks', () => {
  const nodes = Array.from({ length: 10_000 }, (_, index) => node(`node-${String(index).padStart(5, '0')}`))
  const first = allocatePodCIDRs(CONFIG, nodes, true)
  expect(first.allocated.size).toBe(10_000)
  const settled = nodes.map(({ name }) => node(name, ...(first.allocated.get(name) ?? [])))
  const next = allocatePodCIDRs(CONFIG, [...settled, node('one-more')], true)
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
    const config = { ...CONFIG, podCIDRs: ['10.0.0.0/20'], podsPerNode: 1 + random(300) }
    const { allocated } = allocatePodCIDRs(config, nodes, true)
    const given = [...allocated.values()].flat()
    const all = [...given, ...nodes.flatMap(({ podCIDRs }) => podCIDRs)]
    for (const one of given) {
      expect(covers('10.0.0.0/20', one)).toBe(true)
      expect(all.filter(other => overlaps(one, other))).toEqual([one])
    }
  }
})
