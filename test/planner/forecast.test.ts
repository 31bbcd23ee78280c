/** When the pools of a running cluster are full, at the pace of the last 90 days. */
import { expect, test } from 'bun:test'
import { forecastPools } from '../../src/planner/forecast.ts'
import { NOW } from './networks.ts'

const daysAgo = (days: number) => new Date(NOW - days * 86_400_000).toISOString()
const POOLS = [
  { podCIDR: '10.0.0.0/18', blockLength: 25, blocks: 128, used: 100 },
  { podCIDR: '10.1.0.0/18', blockLength: 25, blocks: 128, used: 0 },
  { podCIDR: 'fd00:10::/96', blockLength: 121, blocks: 2 ** 25, used: 100 },
]
/** Ten nodes in the last 90 days: about 40 a year. */
const STEADY = [daysAgo(400), ...Array.from({ length: 10 }, (_, index) => daysAgo(index * 8 + 1))]

test('each pool when those before it are full; none of a pool that outlasts everybody', () => {
  const [first, second, large] = forecastPools(POOLS, STEADY, NOW)
  expect(first?.fullIn).toBe('2027-08') // 28 blocks are left
  expect(second?.fullIn).toBe('2030-10') // 156
  expect(large).not.toHaveProperty('fullIn')
})

test('a full pool is full now', () => {
  const [only] = forecastPools([{ podCIDR: '10.0.0.0/18', blockLength: 25, blocks: 128, used: 128 }], STEADY, NOW)
  expect(only?.fullIn).toBe('2026-12')
})

test('nothing to go by: a young cluster, no new nodes, no nodes at all', () => {
  for (const createdAt of [[daysAgo(20), daysAgo(1)], [daysAgo(400), daysAgo(200)], []])
    expect(forecastPools(POOLS, createdAt, NOW)).toEqual(POOLS)
})
