/**
 * Brings routes back the moment that netlink says somebody deleted them, without looking at the
 * others: those are compared a little later. Gives way where that happens again and again, or to
 * many at once: then whoever compares everything decides, slowly (`reconcile.ts`).
 */
import type { Clock } from '../lib/clock.ts'
import { memoByObject } from '../lib/memo.ts'
import type { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Route } from '../netlink/types.ts'
import type { Routing } from './desired-routes.ts'
import { changeRequest, isAsWanted, type RouteMark, restoration } from './plan.ts'

/** Within this time so many of one destination, and of all, are brought back. */
const PERIOD_MILLISECONDS = 10_000
const MOST_OF_ONE = 3
const MOST = 100

const byDestination = memoByObject(({ routes }: Routing) => new Map(routes.map(route => [route.destination, route])))

export class RouteRestorer {
  readonly #clock: Clock
  readonly #mark: RouteMark
  #began = Number.NEGATIVE_INFINITY
  #total = 0
  readonly #counts = new Map<string, number>()

  constructor(clock: Clock, mark: RouteMark) {
    this.#clock = clock
    this.#mark = mark
  }

  /**
   * What came of a route that came or went: `ours` is the echo of a change of our own, `restored`
   * is there again; anything else has to be looked at.
   */
  seen(route: Route, isGone: boolean, at: { routing: Routing; netlink: Rtnetlink }): 'ours' | 'restored' | 'other' {
    const wanted = byDestination(at.routing).get(route.destination)
    if (wanted === undefined || !isAsWanted(wanted, route, this.#mark)) return 'other'
    if (!isGone) return 'ours'
    if (!this.#mayRestore(route.destination)) return 'other'
    const [outcome] = at.netlink.execute([changeRequest(restoration(wanted, this.#mark))])
    return outcome?.error === undefined ? 'restored' : 'other'
  }

  #mayRestore(destination: string): boolean {
    const now = this.#clock.monotonic()
    if (now - this.#began > PERIOD_MILLISECONDS) {
      this.#began = now
      this.#total = 0
      this.#counts.clear()
    }
    const count = (this.#counts.get(destination) ?? 0) + 1
    this.#counts.set(destination, count)
    this.#total++
    return count <= MOST_OF_ONE && this.#total <= MOST
  }
}
