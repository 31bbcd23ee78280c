/**
 * What the kernel needs for probes, decided: a `local` route for each of this node's probe
 * addresses, which makes it answer there without having the address on an interface (so it is never
 * the source of anything else by accident), and for each switch a table with a default route to it,
 * chosen by the mark of the socket (ip-rule(8)). All of it bears our protocol number. Pure.
 */
import { familyOf, hostPrefix } from '../lib/ip.ts'
import { RT_SCOPE, RT_TABLE } from '../netlink/constants.ts'
import { DEFAULT_DESTINATIONS, type RouteSpec } from '../netlink/route.ts'
import type { Route, Rule } from '../netlink/types.ts'

/** Tables and marks of ours begin here; the nth switch has the nth of both. */
const FIRST_TABLE = 0x5445
const FIRST_MARK = 0x5445_0000
/** A node has a switch or two. */
const MOST_SWITCHES = 8
/** Before everything but the kernel's own table: the way is the subject of the question. */
export const RULE_PRIORITY = 187

export interface ProbeRouting {
  readonly routes: readonly RouteSpec[]
  readonly rules: readonly Rule[]
}

export interface ProbeRoutingInput {
  /** Probe addresses of this node. */
  readonly own: readonly string[]
  /** Addresses of switches and the interface that each is on-link at. */
  readonly switches: ReadonlyMap<string, number>
  /** Index of the loopback interface. */
  readonly loopback: number
  /** rtm_protocol of our routes. */
  readonly protocol: number
}

/** The mark of sockets whose packets go to a switch, by its address: in order of address. */
export function marksOf(switches: Iterable<string>): ReadonlyMap<string, number> {
  return new Map(
    [...switches]
      .toSorted()
      .slice(0, MOST_SWITCHES)
      .map((address, index) => [address, FIRST_MARK + index]),
  )
}

export function probeRouting({ own, switches, loopback, protocol }: ProbeRoutingInput): ProbeRouting {
  const local = own.map(
    (address): RouteSpec => ({
      destination: hostPrefix(address),
      protocol,
      table: RT_TABLE.LOCAL,
      type: 'local',
      scope: RT_SCOPE.HOST,
      nextHops: [{ interface: loopback }],
    }),
  )
  const marks = [...marksOf(switches.keys())]
  const ways = marks.flatMap(([gateway, mark]): { route: RouteSpec; rule: Rule }[] => {
    const index = switches.get(gateway)
    if (index === undefined) return []
    const table = FIRST_TABLE + mark - FIRST_MARK
    const family = familyOf(gateway)
    const route = {
      destination: DEFAULT_DESTINATIONS[family],
      protocol,
      table,
      nextHops: [{ gateway, interface: index }],
    }
    const rule = { family, priority: RULE_PRIORITY, table, protocol, mark, markMask: 0xffff_ffff }
    return [{ route, rule }]
  })
  return { routes: [...local, ...ways.map(({ route }) => route)], rules: ways.map(({ rule }) => rule) }
}

/** Whether a route of the kernel is one of those that probes need, or a leftover of theirs. */
export function isProbeRoute(route: Route, protocol: number): boolean {
  if (route.protocol !== protocol) return false
  return (route.table === RT_TABLE.LOCAL && route.type === 'local') || isProbeTable(route.table)
}

export function isProbeRule(rule: Rule, protocol: number): boolean {
  return rule.protocol === protocol && rule.priority === RULE_PRIORITY && isProbeTable(rule.table)
}

function isProbeTable(table: number): boolean {
  return table >= FIRST_TABLE && table < FIRST_TABLE + MOST_SWITCHES
}

export interface ProbeRoutingChanges {
  readonly addRoutes: readonly RouteSpec[]
  readonly deleteRoutes: readonly Route[]
  readonly addRules: readonly Rule[]
  readonly deleteRules: readonly Rule[]
}

/** `present` holds what `isProbeRoute` and `isProbeRule` say is ours. */
export function planProbeRouting(
  wanted: ProbeRouting,
  present: { readonly routes: readonly Route[]; readonly rules: readonly Rule[] },
): ProbeRoutingChanges {
  const routeKey = ({ destination, table, nextHops }: RouteSpec | Route) =>
    `${destination} ${table} ${(nextHops ?? []).map(hop => `${hop.gateway ?? ''}@${hop.interface ?? ''}`).join()}`
  const ruleKey = ({ family, table, mark }: Rule) => `${family} ${table} ${mark}`
  const [wantedRoutes, presentRoutes] = [wanted.routes, present.routes].map(list => new Set(list.map(routeKey)))
  const [wantedRules, presentRules] = [wanted.rules, present.rules].map(list => new Set(list.map(ruleKey)))
  return {
    addRoutes: wanted.routes.filter(route => !presentRoutes?.has(routeKey(route))),
    deleteRoutes: present.routes.filter(route => !wantedRoutes?.has(routeKey(route))),
    addRules: wanted.rules.filter(rule => !presentRules?.has(ruleKey(rule))),
    deleteRules: present.rules.filter(rule => !wantedRules?.has(ruleKey(rule))),
  }
}
