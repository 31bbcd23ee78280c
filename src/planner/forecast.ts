/**
 * When the pools of a running cluster are full, at the pace at which its nodes came lately. Blocks
 * are taken from the first pool that has room, so a pool is full when the ones before it are. Says
 * nothing where there is nothing to go by: a cluster that is young, or one that gets no nodes.
 * Pure.
 */
import { familyOf } from '../lib/ip.ts'
import type { PoolView } from '../model/snapshot.ts'
import { HORIZON_YEARS, monthAfter } from './growth.ts'

const DAY = 86_400_000
/** Nodes that came in this time make the pace. */
const PACE_DAYS = 90
/** Before that the pace is that of the first installation. */
const LEAST_AGE_DAYS = 120

/**
 * The pools with `fullIn` where it can be said. `createdAt`: when each node with a podCIDR came
 * (RFC 3339); `now` in milliseconds.
 */
export function forecastPools(
  pools: readonly PoolView[],
  createdAt: readonly string[],
  now: number,
): readonly PoolView[] {
  const ages = createdAt.map(time => (now - Date.parse(time)) / DAY).filter(age => age >= 0)
  const lately = ages.filter(age => age <= PACE_DAYS).length
  if (lately === 0 || Math.max(...ages) < LEAST_AGE_DAYS) return pools
  const perYear = (lately * 365.2425) / PACE_DAYS
  const free = { ipv4: 0, ipv6: 0 }
  return pools.map(pool => {
    const family = familyOf(pool.podCIDR)
    free[family] += pool.blocks - pool.used
    const years = free[family] / perYear
    return years > HORIZON_YEARS ? pool : { ...pool, fullIn: monthAfter(now, years) }
  })
}
