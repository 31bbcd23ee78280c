/** A plan beside a running cluster: nodes of each LAN, pools at the growth planned, departures. */
import { expect, test } from 'bun:test'
import type { PoolView } from '../../src/model/snapshot.ts'
import { besidePlan, shownPlan } from '../../src/planner/beside.ts'
import type { ObservedCluster } from '../../src/planner/cluster.ts'
import { DOCUMENT, type Draft, NOW, network } from './networks.ts'
import { AS_PLANNED, lanTo } from './observed.ts'

/** Of a month, so that whole years end in the same one. */
const MIDDLE = NOW + 14 * 86_400_000

const pool = (podCIDR: string, blocks: number, used: number): PoolView => ({ podCIDR, blockLength: 25, blocks, used })

function beside(
  change: (draft: Draft) => void,
  { cluster = AS_PLANNED, pools = [] }: { cluster?: ObservedCluster; pools?: readonly PoolView[] } = {},
) {
  return besidePlan(network(change), { cluster, pools, now: MIDDLE })
}
const asItIs = () => {}

test('nodes that are, that were planned, and in five years', () => {
  expect(beside(asItIs).plan).toEqual({
    lans: [
      {
        lan: 'lan',
        bgpPeers: ['lan'],
        nodes: 3,
        plannedNodes: 40,
        growthPerYear: '10',
        nodesInFiveYears: 90, // while it is being built: from the 40 that were planned
      },
    ],
    departures: [],
  })
  const nodes = Array.from({ length: 60 }, (_, index) => `node-${index + 1}`)
  const larger = { ...AS_PLANNED, lans: [lanTo('172.16.0.1', { nodes })] }
  const { plan } = beside(
    draft => {
      draft.dataCenters[0].lans[0].growthPerYear = '20%'
    },
    { cluster: larger },
  )
  // 60 x 1.2^5
  expect(plan.lans[0]).toMatchObject({ nodes: 60, growthPerYear: '20%', nodesInFiveYears: 150 })
  expect(plan.departures).toContainEqual({ where: 'LAN lan', planned: '40 nodes', is: '60' })
})

test('it is compared anew when something of the cluster is another, and not for each snapshot', () => {
  const planned = network()
  const now = (cluster: ObservedCluster) =>
    besidePlan(planned, { cluster: { ...cluster }, pools: [], now: MIDDLE }).plan
  const first = now(AS_PLANNED)
  expect(now(AS_PLANNED)).toBe(first)
  const others = { ...AS_PLANNED, lans: [lanTo('172.16.0.1', { peerAsNumber: 65002 })] }
  expect(now(others).departures.map(({ is }) => is)).toEqual(['65002'])
  expect(now(AS_PLANNED)).toEqual(first)
  expect(now({ ...AS_PLANNED, nodes: [] }).departures).not.toEqual([])
})

test('a LAN of two switches has a BGPPeer to each, and its nodes count once', () => {
  const second = (draft: Draft) =>
    draft.dataCenters[0].lans[0].switches.push({ address: '172.16.0.2', asNumber: 65001 })
  const cluster = {
    ...AS_PLANNED,
    lans: [lanTo('172.16.0.1', { bgpPeer: 'lan-1' }), lanTo('172.16.0.2', { bgpPeer: 'lan-2' })],
  }
  expect(beside(second, { cluster }).plan).toMatchObject({
    lans: [{ bgpPeers: ['lan-1', 'lan-2'], nodes: 3 }],
    departures: [],
  })
})

test('pools at the growth planned: each when those before it are full, and with what others took', () => {
  const months = (pools: readonly PoolView[]) => beside(asItIs, { pools }).pools.map(one => one.plannedFullIn)
  // 40 and ten a year: 70 in three years, 90 in five
  expect(months([pool('10.0.0.0/18', 70, 3), pool('10.1.0.0/18', 20, 0), pool('10.2.0.0/8', 131_072, 0)])).toEqual([
    '2029-12',
    '2031-12',
    undefined,
  ])
  // 20 blocks of nodes that no BGPPeer of the plan selects
  expect(months([pool('10.0.0.0/18', 90, 23)])).toEqual(['2029-12'])
  // full by those that are planned: now
  expect(months([pool('10.0.0.0/18', 30, 3)])).toEqual(['2026-12'])
  expect(
    beside(draft => Object.assign(draft.dataCenters[0].lans[0], { growthPerYear: 0 }), {
      pools: [pool('10.0.0.0/18', 40, 3)],
    }).pools,
  ).toEqual([pool('10.0.0.0/18', 40, 3)])
})

test('families are full apart from each other', () => {
  const pools = [pool('10.0.0.0/18', 70, 3), { ...pool('fd00:10::/115', 90, 3), blockLength: 121 }]
  expect(beside(asItIs, { pools }).pools.map(one => one.plannedFullIn)).toEqual(['2029-12', '2031-12'])
})

test('a BGPPeer that cannot work is none of the plan, and not compared with it', () => {
  const broken = lanTo('172.16.0.1', { localAsNumber: 0, problem: 'InvalidSpec: …' })
  const { plan } = beside(asItIs, { cluster: { ...AS_PLANNED, lans: [broken] } })
  expect(plan.lans[0]).toMatchObject({ bgpPeers: [], nodes: 0 })
  expect(plan.departures).toEqual([{ where: 'LAN lan', planned: 'a BGPPeer to 172.16.0.1', is: '-' }])
})

test('a plan that cannot be read is a problem, not the end of a controller', () => {
  expect(shownPlan(DOCUMENT, 'network.yaml')).toEqual({ network: network() })
  expect(shownPlan('vpc: {}', 'network.yaml')).toEqual({
    problem: expect.stringMatching(/^the plan cannot be shown: network\.yaml/),
  })
  expect(shownPlan('vpc: [', 'network.yaml')).toEqual({ problem: expect.stringContaining('is not YAML') })
})
