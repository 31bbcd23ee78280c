/**
 * A plan beside the cluster that runs: how many nodes each LAN has and was to have, when the pools
 * are full at the growth that the plan gives, and what is otherwise than planned. Pure.
 */
import { UserError } from '../lib/errors.ts'
import { FAMILIES, familyOf } from '../lib/ip.ts'
import { memoLast } from '../lib/memo.ts'
import type { PlannedLanView, PlanView, PoolView } from '../model/snapshot.ts'
import { departures, type ObservedCluster } from './cluster.ts'
import { monthAfter, nodesAfter, yearsUntil } from './growth.ts'
import { decodeNetwork, type Lan, lansOf, type Network } from './network.ts'

/** A plan that is to be shown, or why it cannot be. */
export type ShownPlan = { readonly network: Network } | { readonly problem: string }

/** A controller works without a plan, so one that cannot be read is a problem to be told. */
export function shownPlan(text: string, file: string): ShownPlan {
  try {
    return { network: decodeNetwork(text, file) }
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return { problem: `the plan cannot be shown: ${error.message}` }
  }
}

/** How far the page looks ahead. */
const AHEAD_YEARS = 5

export interface Beside {
  readonly plan: PlanView
  /** Those given, with `plannedFullIn` where it can be said. */
  readonly pools: readonly PoolView[]
}

/** `now` in milliseconds. */
export function besidePlan(
  network: Network,
  { cluster, pools, now }: { cluster: ObservedCluster; pools: readonly PoolView[]; now: number },
): Beside {
  const { plan, growing } = compared(network, cluster.lans, cluster.nodes, cluster.controller)
  return { plan, pools: forecast(pools, growing, now) }
}

/** A snapshot is asked for far more often than there is another cluster to compare with. */
const compared = memoLast(
  (
    network: Network,
    all: ObservedCluster['lans'],
    nodes: ObservedCluster['nodes'],
    controller: ObservedCluster['controller'],
  ) => {
    // of a BGPPeer that cannot work not everything is known
    const lans = all.filter(
      ({ peerIP, localAsNumber, peerAsNumber }) => peerIP !== '' && localAsNumber !== 0 && peerAsNumber !== 0,
    )
    const planned = lansOf(network).map(({ lan }) => ({ lan, ...membersOf(lan, lans) }))
    const plan: PlanView = {
      lans: planned.map(({ lan, bgpPeers, nodes: members }): PlannedLanView => {
        const { name, nodes: plannedNodes, growthPerYear } = lan
        return {
          lan: name,
          bgpPeers,
          nodes: members.size,
          plannedNodes,
          growthPerYear: String(growthPerYear),
          nodesInFiveYears: nodesAfter(expected(lan, members.size), AHEAD_YEARS),
        }
      }),
      departures: departures(network, { lans, nodes, ...(controller !== undefined && { controller }) }),
    }
    return { plan, growing: planned.map(({ lan, nodes: { size } }) => ({ lan, nodes: size })) }
  },
)

/** A LAN with several switches has a BGPPeer for each, and its nodes count once. */
function membersOf(lan: Lan, lans: ObservedCluster['lans']) {
  const addresses = new Set(lan.switches.map(({ address }) => address))
  const own = lans.filter(({ peerIP }) => addresses.has(peerIP))
  return { bgpPeers: own.map(({ bgpPeer }) => bgpPeer), nodes: new Set(own.flatMap(({ nodes }) => nodes)) }
}

/** While a LAN is being built, what it grows from is what was planned. */
function expected({ nodes, growthPerYear }: Lan, there: number): Pick<Lan, 'nodes' | 'growthPerYear'> {
  return { nodes: Math.max(nodes, there), growthPerYear }
}

/** Blocks are taken from the first pool that has room: one is full when those before it are. */
function forecast(
  pools: readonly PoolView[],
  lans: readonly { readonly lan: Lan; readonly nodes: number }[],
  now: number,
): readonly PoolView[] {
  const growing = lans.map(({ lan, nodes }) => expected(lan, nodes))
  const inLans = lans.reduce((sum, { nodes }) => sum + nodes, 0)
  const fullIn = new Map<PoolView, string>()
  for (const family of FAMILIES) {
    const own = pools.filter(({ podCIDR }) => familyOf(podCIDR) === family)
    const used = own.reduce((sum, pool) => sum + pool.used, 0)
    // blocks of nodes that the plan knows nothing of
    let room = -Math.max(0, used - inLans)
    for (const pool of own) {
      room += pool.blocks
      const years = yearsUntil(growing, room)
      if (years !== undefined) fullIn.set(pool, monthAfter(now, years))
    }
  }
  return pools.map(pool => {
    const plannedFullIn = fullIn.get(pool)
    return plannedFullIn === undefined ? pool : { ...pool, plannedFullIn }
  })
}
