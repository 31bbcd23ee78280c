/**
 * From the routes wanted and the routes there to the changes, in order: what is new or different
 * first, deletions last, so that no packet falls into a gap. An empty plan is the steady state.
 * Pure.
 *
 * Deletes only what bears our protocol number in our table. A foreign route with a destination of
 * ours is a conflict: reported, never overwritten.
 */

import { assertNever } from '../lib/assert.ts'
import { comparing, identical, nothingLeft } from '../lib/fields.ts'
import { familyOf } from '../lib/ip.ts'
import type { Request } from '../netlink/message.ts'
import { addRoute, deleteRoute, IPV6_DEFAULT_PRIORITY, type RouteSpec, replaceRoute } from '../netlink/route.ts'
import type { NextHop, Route } from '../netlink/types.ts'
import type { DesiredRoute } from './desired-routes.ts'

export interface Change {
  readonly do: 'add' | 'replace' | 'delete'
  readonly route: RouteSpec
}

/** A destination that somebody else has a route for. */
export interface Conflict {
  readonly destination: string
  readonly problem: string
}

export interface Plan {
  readonly changes: readonly Change[]
  readonly conflicts: readonly Conflict[]
  /** Destinations that stay without a route of ours because of a conflict. */
  readonly absent: readonly string[]
}

/** What marks our routes. */
export interface RouteMark {
  /** rtm_protocol. */
  readonly protocol: number
  readonly table: number
}

/** Routes of our table: those with our mark, and all others. */
export interface ObservedRoutes {
  readonly own: readonly Route[]
  readonly foreign: readonly Route[]
}

export function plan(desired: readonly DesiredRoute[], observed: ObservedRoutes, mark: RouteMark): Plan {
  const own = groupBy(observed.own)
  const foreign = groupBy(observed.foreign)
  const changes: Change[] = []
  const conflicts: Conflict[] = []
  const absent: string[] = []
  const keep = new Set<Route>()
  for (const wanted of desired) {
    const spec = specOf(wanted, mark)
    const present = own.get(wanted.destination)?.find(({ priority }) => priority === spec.priority)
    const other = foreign.get(wanted.destination)?.[0]
    if (other !== undefined) conflicts.push({ destination: wanted.destination, problem: conflictText(other) })
    if (present !== undefined) keep.add(present)
    if (present === undefined && other === undefined) changes.push({ do: 'add', route: spec })
    if (present === undefined && other !== undefined) absent.push(wanted.destination)
    if (present !== undefined && !sameWay(wanted, present) && mayReplace(present, foreign)) {
      changes.push({ do: 'replace', route: spec })
    }
  }
  for (const route of observed.own) {
    if (!keep.has(route)) changes.push({ do: 'delete', route: deletionOf(route) })
  }
  return { changes, conflicts, absent }
}

/**
 * Whether a route of the kernel is ours, and as it is wanted: when such a one goes, somebody else
 * took it, and when it comes, it is our own doing.
 */
export function isAsWanted(wanted: DesiredRoute | undefined, route: Route, mark: RouteMark): boolean {
  if (wanted === undefined || route.protocol !== mark.protocol || route.table !== mark.table) return false
  return route.priority === specOf(wanted, mark).priority && sameWay(wanted, route)
}

/** Brings a route back that went. Refused by the kernel where there is one again. */
export function restoration(wanted: DesiredRoute, mark: RouteMark): Change {
  return { do: 'add', route: specOf(wanted, mark) }
}

/** For the log: `2 added, 0 replaced, 1 deleted`. */
export function countText(changes: readonly Change[]): string {
  const count = (kind: Change['do']) => changes.filter(change => change.do === kind).length
  return `${count('add')} added, ${count('replace')} replaced, ${count('delete')} deleted`
}

/** Deletions of everything that bears our mark. */
export function planRemoval(own: readonly Route[]): Change[] {
  return own.map(route => ({ do: 'delete', route: deletionOf(route) }))
}

/** What to ask of the kernel for a change. */
export function changeRequest(change: Change): Request {
  switch (change.do) {
    case 'add':
      return addRoute(change.route)
    case 'replace':
      return replaceRoute(change.route)
    case 'delete':
      return deleteRoute(change.route)
    default:
      return assertNever(change.do)
  }
}

/**
 * The priority is always said: the kernel's defaults differ by family, and a deletion without one
 * matches any.
 */
function specOf(wanted: DesiredRoute, mark: RouteMark): RouteSpec & { readonly priority: number } {
  return {
    destination: wanted.destination,
    protocol: mark.protocol,
    table: mark.table,
    type: wanted.type,
    priority: familyOf(wanted.destination) === 'ipv6' ? IPV6_DEFAULT_PRIORITY : 0,
    nextHops: wanted.nextHops,
  }
}

function deletionOf({ destination, protocol, table, type, priority }: Route): RouteSpec {
  return { destination, protocol, table, type, priority }
}

/** IPv4 puts a new route in the place of the first one with that priority, whoever made that. */
function mayReplace(present: Route, foreign: ReadonlyMap<string, readonly Route[]>): boolean {
  return !(foreign.get(present.destination) ?? []).some(({ priority }) => priority === present.priority)
}

function conflictText(other: Route): string {
  const ways = other.nextHops.map(({ gateway, interface: index }) => gateway ?? `interface ${index}`).join(' and ')
  const what = ways === '' ? other.type : `via ${ways}`
  return `another program (rtnetlink protocol ${other.protocol}) has a route for it, ${what}: remove one of the two`
}

/** A next hop wanted and one of the kernel. An interface counts only where one is asked for. */
const sameHop = comparing<NextHop>({
  gateway: identical,
  interface: (wanted, present) => wanted === undefined || wanted === present,
  onlink: (wanted = false, present = false) => wanted === present,
  weight: (wanted = 1, present = 1) => wanted === present,
})

/** Whether a route of the kernel goes where it should. */
function sameWay(wanted: DesiredRoute, present: Route): boolean {
  const { type, nextHops, destination: _found, to: _forPeople, ...rest } = wanted
  nothingLeft(rest)
  if (type !== present.type || nextHops.length !== present.nextHops.length) return false
  return nextHops.every(hop => present.nextHops.some(other => sameHop(hop, other)))
}

function groupBy(routes: readonly Route[]): Map<string, Route[]> {
  const groups = new Map<string, Route[]>()
  for (const route of routes) {
    const group = groups.get(route.destination)
    if (group === undefined) groups.set(route.destination, [route])
    else group.push(route)
  }
  return groups
}
