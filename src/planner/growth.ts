/**
 * Nodes over time: how many there will be, and when a number of them is reached. Linear for a
 * number a year, compound for a share. Pure.
 */
import type { Lan } from './network.ts'

/** How many nodes a LAN has after `years`, rounded up. */
export function nodesAfter({ nodes, growthPerYear }: Pick<Lan, 'nodes' | 'growthPerYear'>, years: number): number {
  if (typeof growthPerYear === 'number') return Math.ceil(nodes + growthPerYear * years)
  return Math.ceil(nodes * (1 + Number.parseFloat(growthPerYear) / 100) ** years - 1e-9)
}

/** The farthest that a forecast looks. */
export const HORIZON_YEARS = 50

/**
 * After how many years `lans` together have more than `room` nodes; undefined: not within the
 * horizon.
 */
export function yearsUntil(lans: readonly Pick<Lan, 'nodes' | 'growthPerYear'>[], room: number): number | undefined {
  const total = (years: number) => lans.reduce((sum, lan) => sum + nodesAfter(lan, years), 0)
  if (total(HORIZON_YEARS) <= room) return undefined
  let [low, high] = [0, HORIZON_YEARS]
  for (let step = 0; step < 40; step++) {
    const middle = (low + high) / 2
    if (total(middle) > room) high = middle
    else low = middle
  }
  return high
}

/** The month that is `years` after `now` (milliseconds): `2031-05`. */
export function monthAfter(now: number, years: number): string {
  return new Date(now + years * 365.2425 * 86_400_000).toISOString().slice(0, 7)
}
