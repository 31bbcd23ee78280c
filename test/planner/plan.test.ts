/**
 * The document's example, end to end: capacity, forecast, the routes of every device, what
 * firewalls must let through, free ranges.
 */
import { expect, test } from 'bun:test'
import { monthAfter, nodesAfter, yearsUntil } from '../../src/planner/growth.ts'
import { planOf } from '../../src/planner/plan.ts'
import { planMarkdown, planText } from '../../src/planner/plan-text.ts'
import { freeRanges, poolLength } from '../../src/planner/suggest.ts'
import { type Draft, NOW, network } from './networks.ts'

const plan = planOf(network(), NOW)

test('capacity: 10.0.0.0/8 with 128 pods a node is 131,072 blocks of /25', () => {
  expect(plan.capacity).toMatchObject({
    podsPerNode: 128,
    nodesExpected: 40,
    cloudPods: 3 * (8192 - 4),
    families: [{ family: 'ipv4', blockLength: 25, podsPerBlock: 126, nodes: 131_072 }],
    lans: [{ lan: 'lan', nodes: 40, nodesInFiveYears: 90, prefixesInFiveYears: 90 }],
  })
  expect(plan.capacity.families[0]).not.toHaveProperty('fullIn')
})

test('forecast: when a pool is full, and what appending the free range beside it gives', () => {
  const { families } = planOf(
    network(draft => {
      draft.edge.podCIDRs = ['10.10.0.0/18'] // 128 blocks; 40 nodes and 10 more each year
    }),
    NOW,
  ).capacity
  expect(families[0]).toMatchObject({ nodes: 128, fullIn: '2035-09', append: { podCIDR: '10.0.0.0/18', nodes: 128 } })
  expect(families[0]?.yearsLeft).toBeCloseTo(8.8, 5)
})

test('a pool of which a part is reserved counts what is left', () => {
  const { families } = planOf(
    network(draft => {
      draft.edge.podCIDRs = ['192.168.0.0/15'] // 192.168.0.0/16 of it is the VPC
    }),
    NOW,
  ).capacity
  expect(families[0]?.nodes).toBe(512)
})

test('both families: a node needs a block of each', () => {
  const { families, lans } = planOf(
    network(draft => {
      draft.edge.podCIDRs.push('fd00:10::/112')
    }),
    NOW,
  ).capacity
  expect(families.map(({ family, nodes, blockLength }) => [family, nodes, blockLength])).toEqual([
    ['ipv4', 131_072, 25],
    ['ipv6', 512, 121],
  ])
  expect(lans[0]?.prefixesInFiveYears).toBe(180)
})

test('growth by a number is linear, by a share compound', () => {
  expect(nodesAfter({ nodes: 40, growthPerYear: 10 }, 5)).toBe(90)
  expect(nodesAfter({ nodes: 100, growthPerYear: '10%' }, 2)).toBe(121)
  expect(yearsUntil([{ nodes: 100, growthPerYear: '100%' }], 400)).toBeCloseTo(2, 3)
  expect(yearsUntil([{ nodes: 100, growthPerYear: 0 }], 100)).toBeUndefined()
  expect(yearsUntil([{ nodes: 101, growthPerYear: 0 }], 100)).toBeCloseTo(0, 6)
  expect(monthAfter(NOW, 1.55)).toBe('2028-06')
})

/** `destination > next hop (how)` of a device. */
function routesOf(device: string, draft: (draft: Draft) => void = () => {}): string[] {
  return planOf(network(draft), NOW)
    .routes.filter(route => route.device === device)
    .map(({ direction, destination, nextHop, how }) => `${direction} ${destination} > ${nextHop} (${how})`)
}

test("the document's routes: inbound to 192.168.0.0/16 on every device, outbound to 172.16.0.0/16 and 10.0.0.0/8", () => {
  expect(routesOf('nodes of lan')).toEqual([
    'inbound 192.168.0.0/16 > 172.16.0.1 (static)',
    "outbound each node's /25 of 10.0.0.0/8 > the node that owns it (terway-edge)",
  ])
  expect(routesOf('switch lan')).toEqual([
    'inbound 192.168.0.0/16 > gateway gw 172.16.255.254 (static)',
    "outbound each node's /25 of 10.0.0.0/8 > the node that owns it (BGP)",
    'outbound 10.0.0.0/8 > discard (Null0, blackhole) (static)',
  ])
  expect(routesOf('gateway gw')).toEqual([
    'inbound 192.168.0.0/16 > vbr vbr 172.31.0.2 (static)',
    'outbound 172.16.0.0/24 > switch lan 172.16.0.1 (static)',
    'outbound 10.0.0.0/8 > switch lan 172.16.0.1 (static)',
  ])
  expect(routesOf('vbr vbr')).toEqual([
    'inbound 192.168.0.0/16 > ecr ecr (static)',
    'outbound 172.16.0.0/16 > the circuit, gateway gw 172.31.0.1 (static)',
    'outbound 10.0.0.0/8 > the circuit, gateway gw 172.31.0.1 (static)',
  ])
  expect(routesOf('ecr ecr')).toEqual([
    'inbound 192.168.0.0/16 > cen cen (association)',
    'outbound 172.16.0.0/16 > vbr vbr (association)',
    'outbound 10.0.0.0/8 > vbr vbr (association)',
  ])
  expect(routesOf('cen cen')).toEqual([
    'inbound 192.168.0.0/16 > attachment of the VPC (static)',
    'outbound 172.16.0.0/16 > association with ecr ecr (static)',
    'outbound 10.0.0.0/8 > association with ecr ecr (static)',
  ])
  expect(routesOf('VPC route table')).toEqual([
    'outbound 172.16.0.0/16 > attachment of cen cen (static)',
    'outbound 10.0.0.0/8 > attachment of cen cen (static)',
  ])
})

test('several LANs: no static route says where a block is; what nobody has is discarded where they meet', () => {
  const secondLan = (draft: Draft) => {
    const [first] = draft.dataCenters[0].lans
    draft.dataCenters[0].lans.push({
      ...first,
      name: 'lan-b',
      hostCIDRs: ['172.16.1.0/24'],
      switches: [{ address: '172.16.1.1', asNumber: 65002 }],
    })
  }
  expect(routesOf('switch lan-b', secondLan)).toEqual([
    'inbound 192.168.0.0/16 > gateway gw 172.16.255.254 (static)',
    'inbound 172.16.0.0/24 > gateway gw 172.16.255.254 (static)',
    "outbound each node's /25 of 10.0.0.0/8 > the node that owns it (BGP)",
    'inbound 10.0.0.0/8 > gateway gw 172.16.255.254 (static)',
  ])
  expect(routesOf('gateway gw', secondLan)).toContain(
    "outbound each node's /25 of 10.0.0.0/8 in lan-b > switch lan-b 172.16.1.1 (BGP)",
  )
  expect(routesOf('gateway gw', secondLan)).toContain('outbound 10.0.0.0/8 > discard (Null0, blackhole) (static)')
  expect(routesOf('vbr vbr', secondLan)).toContain('outbound 10.0.0.0/8 > the circuit, gateway gw 172.31.0.1 (static)')
})

test('a packet finds its way: inbound from a node to the VPC, outbound from the VPC to a node, over every device once', () => {
  const order = ['nodes of lan', 'switch lan', 'gateway gw', 'vbr vbr', 'ecr ecr', 'cen cen']
  const next = (device: string, destination: string) =>
    plan.routes.find(route => route.device === device && route.destination === destination)?.nextHop ?? ''
  for (const [index, device] of order.entries()) {
    const following = order[index + 1]?.split(' ')[1] ?? 'VPC'
    const hop = next(device, '192.168.0.0/16')
    expect(hop === '172.16.0.1' ? 'lan' : hop).toContain(following)
  }
  for (const destination of ['172.16.0.0/16', '10.0.0.0/8']) {
    expect(next('VPC route table', destination)).toContain('cen')
    expect(next('cen cen', destination)).toContain('ecr')
    expect(next('ecr ecr', destination)).toContain('vbr')
    expect(next('vbr vbr', destination)).toContain('gw')
  }
  expect(next('gateway gw', '10.0.0.0/8')).toContain('172.16.0.1')
})

test('security: the API server for hosts, everything for pods, kubelets for the control plane', () => {
  const rules = plan.security.map(({ where, direction, protocol, ports, peer }) =>
    [where, direction, protocol, ports, peer].join(' '),
  )
  expect(rules).toContain('security group in TCP 6443 172.16.0.0/16')
  expect(rules).toContain('security group in all all 10.0.0.0/8')
  expect(rules).toContain('security group out TCP 10250 172.16.0.0/16')
  expect(rules).toContain('data center in TCP 179 172.16.0.1')
})

test('free ranges avoid everything that is named, and Docker', () => {
  const of = (purpose: 'pods' | 'service' | 'lan', length: number) =>
    freeRanges(network(), { purpose, family: 'ipv4', length, count: 2 })
  // 10/8 is taken, 172.17/16 is Docker's
  expect(of('pods', 16)).toEqual(['172.18.0.0/16', '172.19.0.0/16'])
  expect(of('service', 20)).toEqual(['172.18.0.0/20', '172.18.16.0/20'])
  expect(of('lan', 24)).toEqual(['172.16.1.0/24', '172.16.2.0/24'])
  expect(of('pods', 8)).toEqual([])
  expect(freeRanges(network(), { purpose: 'pods', family: 'ipv6', length: 48, count: 1 })).toEqual(['fd00::/48'])
  expect(poolLength('ipv4', 500, 128)).toBe(16)
})

test('as text and as Markdown: the verdict first, every route in it', () => {
  const text = planText(plan)
  expect(text).toStartWith('The network can work as planned: no problems.\n')
  const markdown = planMarkdown(plan)
  for (const { destination, device } of plan.routes) {
    expect(text).toContain(destination)
    expect(markdown).toContain(`### ${device}`)
  }
  expect(
    markdown
      .split('\n')
      .filter(line => line.startsWith('|'))
      .every(line => line.endsWith('|')),
  ).toBe(true)
})
