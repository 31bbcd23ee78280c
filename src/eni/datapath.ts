/**
 * What the kernel of a node should have, whose pods sit on elastic network interfaces, and what is
 * to be changed for that: the interfaces up and without addresses of their own, the rules and
 * tables of netlink/policy-routes.ts, nothing of ours beside them. What others made stays, also of
 * the same priority. An interface that is gone leaves its pods "unreachable", never a way by the
 * primary interface. Pure.
 */
import { comparing, type FieldTable, fieldsOf, identical } from '../lib/fields.ts'
import { FAMILIES, type Family, familyOf } from '../lib/ip.ts'
import type { PolicyNumbers } from '../model/interface-pool.ts'
import { RT_SCOPE, RT_TABLE } from '../netlink/constants.ts'
import { linksByAddress } from '../netlink/link.ts'
import { interfaceRoutes, NO_INTERFACE, nodeRules, podRoute, podRule } from '../netlink/policy-routes.ts'
import { DEFAULT_DESTINATIONS, type RouteSpec } from '../netlink/route.ts'
import type { InterfaceAddress, Link, NextHop, Route, Rule } from '../netlink/types.ts'

/** An elastic network interface for pods. */
export interface PodInterface {
  readonly id: string
  readonly mac: string
  readonly gateways: readonly string[]
  /** Whether the cloud says that it is in the machine. */
  readonly attached: boolean
}

/** An address that a pod has. */
export interface PodAddress {
  readonly address: string
  readonly hostInterface: string
  readonly mac: string
}

export interface Observed {
  readonly links: readonly Link[]
  readonly addresses: readonly InterfaceAddress[]
  /** All there are, of all tables. */
  readonly routes: readonly Route[]
  readonly rules: readonly Rule[]
  /** The address of this node that packets to the world bear. */
  readonly sources: Readonly<Partial<Record<Family, string>>>
}

export interface DatapathInput {
  readonly numbers: PolicyNumbers
  readonly families: readonly Family[]
  readonly interfaces: readonly PodInterface[]
  readonly pods: readonly PodAddress[]
  readonly observed: Observed
  /** Table of the routes between nodes: nothing in it is ours. */
  readonly routeTable: number
}

/** Interfaces get their indexes one after another; a node does not see so many. */
const MOST_INDEXES = 2 ** 20

/** A way out by the primary interface. */
export interface Primary {
  readonly link: Link
  readonly routes: readonly Route[]
}

export interface Datapath {
  readonly primaries: readonly Primary[]
  /** By MAC, of the interfaces that are there. */
  readonly present: ReadonlyMap<string, Link>
  readonly missing: readonly PodInterface[]
  readonly rules: readonly Rule[]
  readonly routes: readonly RouteSpec[]
}

export interface Changes {
  /** Of interfaces for pods: no address of theirs is the host's. */
  readonly removeAddresses: readonly InterfaceAddress[]
  readonly setLinks: readonly { readonly index: number; readonly up?: boolean; readonly mtu?: number }[]
  readonly writeRoutes: readonly RouteSpec[]
  readonly addRules: readonly Rule[]
  readonly deleteRules: readonly Rule[]
  readonly deleteRoutes: readonly Route[]
}

/** What there should be. */
export function desiredDatapath(input: DatapathInput): Datapath {
  const { numbers, families, interfaces, pods, observed } = input
  const byMac = linksByAddress(observed.links.filter(({ name }) => !pods.some(pod => pod.hostInterface === name)))
  const known = withThoseOfPods(interfaces, pods)
  const present = new Map(known.flatMap(({ mac }) => [[mac, byMac.get(mac)] as const]).filter(isPresent))
  const indexOf = (mac: string) => present.get(mac)?.index ?? NO_INTERFACE
  const primaries = primariesOf(observed, new Set([...present.values()].map(({ index }) => index)), families)
  const hostEnds = new Map(observed.links.map(({ name, index }) => [name, index]))
  const missing = known.filter(
    ({ mac, attached }) => !present.has(mac) && (attached || pods.some(pod => pod.mac === mac)),
  )
  const ways = [
    ...known.flatMap(one => (present.has(one.mac) ? [{ index: indexOf(one.mac), gateways: one.gateways }] : [])),
    ...(missing.some(({ mac }) => pods.some(pod => pod.mac === mac)) ? [{ index: NO_INTERFACE, gateways: [] }] : []),
  ]
  return {
    primaries,
    present,
    missing,
    rules: [
      ...families.flatMap(family => nodeRules(family, numbers)),
      ...pods.map(({ address, mac }) => podRule(address, indexOf(mac), numbers)),
    ],
    routes: [
      ...ways.flatMap(way => families.flatMap(family => interfaceRoutes(way, family, numbers))),
      ...primaries.flatMap(primary => markedRoutes(primary, numbers)),
      ...pods.flatMap(({ address, hostInterface }) => {
        const hostIndex = hostEnds.get(hostInterface)
        const source = observed.sources[familyOf(address)]
        if (hostIndex === undefined) return []
        return [podRoute({ address, hostIndex, ...(source !== undefined && { source }) }, numbers)]
      }),
    ],
  }
}

/** What to change, in the order of the fields. */
export function planDatapath(desired: Datapath, input: DatapathInput): Changes {
  const { numbers, observed, routeTable } = input
  const enis = new Map([...desired.present.values()].map(link => [link.index, link]))
  const mtu = desired.primaries[0]?.link.mtu
  const rulesThere = observed.rules.filter(rule => isOurRule(rule, numbers))
  const wantedRules = new Set(desired.rules.map(ruleKey))
  const keptTables = new Set(desired.rules.map(({ table }) => table))
  const place = ({ table, destination }: Pick<RouteSpec, 'table' | 'destination'>) =>
    `${table} ${familyOf(destination)}`
  const ways = new Set(desired.routes.filter(({ type }) => type !== 'unreachable').map(place))
  // where pods' rules lead, a way goes only in favour of another: what is not known takes none
  const isNeeded = (there: Route) =>
    keptTables.has(there.table) && (there.type === 'unreachable' || !ways.has(place(there)))
  const routesThere = observed.routes.filter(
    ({ protocol, table }) => protocol === numbers.protocol && table !== routeTable && isOurTable(table, numbers),
  )
  return {
    removeAddresses: observed.addresses.filter(
      ({ interface: index, family, scope }) =>
        enis.has(index) && (family === 'ipv4' || scope === RT_SCOPE.UNIVERSE || scope === RT_SCOPE.SITE),
    ),
    setLinks: [...enis.values()].flatMap(link => {
      const settings = {
        ...(!link.up && { up: true }),
        ...(mtu !== undefined && link.mtu < mtu && { mtu }),
      }
      return Object.keys(settings).length === 0 ? [] : [{ index: link.index, ...settings }]
    }),
    writeRoutes: desired.routes.filter(route => !routesThere.some(there => isSuch(there, route))),
    addRules: desired.rules.filter(rule => !rulesThere.some(there => ruleKey(there) === ruleKey(rule))),
    deleteRules: rulesThere.filter(rule => !wantedRules.has(ruleKey(rule))),
    deleteRoutes: routesThere.filter(
      there => !desired.routes.some(route => isSamePlace(there, route)) && !isNeeded(there),
    ),
  }
}

/** Interfaces that pods are on, though the list of interfaces does not have them any more. */
function withThoseOfPods(interfaces: readonly PodInterface[], pods: readonly PodAddress[]): readonly PodInterface[] {
  const listed = new Set(interfaces.map(({ mac }) => mac))
  const others = new Set(pods.map(({ mac }) => mac).filter(mac => !listed.has(mac)))
  return [...interfaces, ...[...others].map(mac => ({ id: mac, mac, gateways: [], attached: false }))]
}

function isPresent(entry: readonly [string, Link | undefined]): entry is readonly [string, Link] {
  return entry[1] !== undefined
}

/**
 * Of each family the interface that the default route of table main leaves by, with what leads to
 * it on the link.
 */
function primariesOf({ links, routes }: Observed, enis: ReadonlySet<number>, families: readonly Family[]): Primary[] {
  const main = routes.filter(({ table }) => table === RT_TABLE.MAIN)
  return families.flatMap(family => {
    const ways = main
      .filter(route => route.family === family && route.destination === DEFAULT_DESTINATIONS[family])
      .filter(({ type, nextHops }) => type === 'unicast' && !nextHops.some(hop => enis.has(hop.interface ?? 0)))
      .sort((a, b) => a.priority - b.priority)
    const [best] = ways
    const link = links.find(({ index }) => index === best?.nextHops[0]?.interface)
    if (best === undefined || link === undefined) return []
    return [{ link, routes: [best, ...onLinkRoutes(main, link, family)] }]
  })
}

function onLinkRoutes(main: readonly Route[], link: Link, family: Family): Route[] {
  return main.filter(
    ({ family: own, destination, type, nextHops }) =>
      own === family &&
      type === 'unicast' &&
      destination !== DEFAULT_DESTINATIONS[family] &&
      destination !== 'fe80::/64' &&
      nextHops.length === 1 &&
      nextHops[0]?.interface === link.index &&
      nextHops[0]?.gateway === undefined,
  )
}

/** What leads out by the primary interface, in the table of marked packets. */
function markedRoutes({ routes }: Primary, { protocol, marked }: PolicyNumbers): RouteSpec[] {
  return routes.map(({ destination, nextHops }) => ({ destination, protocol, table: marked.table, nextHops }))
}

/** Probes have rules of this program, too, at a priority of their own. */
function isOurRule({ protocol, priority }: Rule, numbers: PolicyNumbers): boolean {
  const { pods, marked, interfaces } = numbers
  const priorities = [pods.priority, marked.priority, interfaces.priority]
  return protocol === numbers.protocol && priorities.includes(priority)
}

/**
 * Tables that stand for interfaces begin behind the base; those of the kernel and of routes between
 * nodes are not ours.
 */
function isOurTable(table: number, { pods, marked, interfaces }: PolicyNumbers): boolean {
  const kernels: readonly number[] = [RT_TABLE.MAIN, RT_TABLE.LOCAL, RT_TABLE.DEFAULT]
  if (kernels.includes(table)) return false
  const { tableBase } = interfaces
  return table === pods.table || table === marked.table || (table >= tableBase && table < tableBase + MOST_INDEXES)
}

/** Whether a field tells one rule of ours from another; who made a rule is looked at before. */
const RULE_FIELDS: FieldTable<Rule, 'tells' | 'not'> = {
  family: 'tells',
  priority: 'tells',
  table: 'tells',
  source: 'tells',
  destination: 'tells',
  mark: 'tells',
  markMask: 'tells',
  inputInterface: 'tells',
  outputInterface: 'tells',
  protocol: 'not',
}
const TELLING = fieldsOf(RULE_FIELDS, 'tells')

function ruleKey(rule: Rule): string {
  return JSON.stringify(TELLING.map(field => rule[field]))
}

/** A route that the kernel would take for the one wanted: of one place only one can stand. */
function isSamePlace(there: Route, wanted: RouteSpec): boolean {
  return (
    there.table === wanted.table &&
    there.destination === wanted.destination &&
    (wanted.priority === undefined ? there.type === 'unicast' : there.priority === wanted.priority)
  )
}

/** Of ours there is one next hop, or those of the interface's gateways, none with a weight. */
const sameHop = comparing<NextHop>({ gateway: identical, interface: identical, onlink: undefined, weight: undefined })

/** Of two at one place; whose the one there is was looked at before, and its scope follows. */
const sameWay = comparing<RouteSpec>({
  destination: undefined,
  table: undefined,
  priority: undefined,
  protocol: undefined,
  scope: undefined,
  type: (there = 'unicast', wanted = 'unicast') => there === wanted,
  preferredSource: identical,
  nextHops: (there = [], wanted = []) =>
    there.length === wanted.length && wanted.every((hop, index) => sameHop(there[index] ?? {}, hop)),
})

function isSuch(there: Route, wanted: RouteSpec): boolean {
  return isSamePlace(there, wanted) && sameWay(there, wanted)
}

/** Families that are served: of IPv4 always. */
export function familiesServed(dualStack: boolean): readonly Family[] {
  return dualStack ? FAMILIES : ['ipv4']
}
