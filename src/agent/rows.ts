/**
 * What the status interface and the logs say of the routes: one row per route wanted, and the
 * problems. Pure.
 */
import { present, type Said } from '../lib/fields.ts'
import type { RouteRow } from '../model/snapshot.ts'
import type { Link, NextHop } from '../netlink/types.ts'
import { type DesiredRoute, type Routing, targetText, type UsedGateway } from './desired-routes.ts'
import type { Plan } from './plan.ts'
import type { Astray } from './ways.ts'

/** What became of a plan: why changes failed, by destination. */
export interface Applied {
  readonly plan: Plan
  readonly failures: ReadonlyMap<string, string>
}

/** A row for each route wanted. */
export function routeRows(
  routing: Routing,
  applied: Applied,
  interfaceNames: ReadonlyMap<number, string>,
  astray: readonly Astray[] = [],
): RouteRow[] {
  const { plan, failures } = applied
  const elsewhere = new Map(astray.map(({ destination, text }) => [destination, `packets ${text}`]))
  const conflicts = new Map(plan.conflicts.map(({ destination, problem }) => [destination, problem]))
  const absent = new Set(plan.absent)
  return routing.routes.map(route => {
    const failure = failures.get(route.destination)
    const conflict = conflicts.get(route.destination)
    const state = failure !== undefined ? 'failed' : absent.has(route.destination) ? 'missing' : 'present'
    const problem = failure ?? conflict ?? elsewhere.get(route.destination)
    return present<RouteRow>({ ...wayOf(route, interfaceNames), state, problem })
  })
}

/** Failures told one by one; the rows tell each. */
const FAILURES_TOLD = 5

/** What an operator should know of the routes, without a line twice. */
export function routeProblems(routing: Routing, applied: Applied): string[] {
  const conflicts = applied.plan.conflicts.map(({ destination, problem }) => `${destination}: ${problem}`)
  const failures = [...applied.failures.values()]
  const told = failures.slice(0, FAILURES_TOLD)
  const more = failures.length - told.length
  return [...new Set([...routing.problems, ...conflicts, ...told, ...(more > 0 ? [`${more} more routes failed`] : [])])]
}

/** What an operator should know of gateways at which nobody answers. */
export function silentProblems(silent: readonly UsedGateway[], links: readonly Link[]): string[] {
  return silent.map(({ address, interface: index }) => {
    const name = links.find(link => link.index === index)?.name ?? `interface ${index}`
    return `nobody answers at the gateway ${address} on ${name}: correct gateway of the BGPPeer (or the default route), or see whether that device is up`
  })
}

function wayOf(
  route: DesiredRoute,
  names: ReadonlyMap<number, string>,
): Pick<Said<RouteRow>, 'destination' | 'via' | 'interface' | 'reason'> {
  const devices = new Set(route.nextHops.flatMap(hop => interfaceName(hop, names) ?? []))
  return {
    destination: route.destination,
    via: route.nextHops.flatMap(({ gateway }) => gateway ?? []),
    interface: devices.size > 0 ? [...devices].join(', ') : undefined,
    reason: targetText(route.to),
  }
}

function interfaceName(hop: NextHop, names: ReadonlyMap<number, string>): string | undefined {
  return hop.interface === undefined ? undefined : (names.get(hop.interface) ?? `interface ${hop.interface}`)
}
