/**
 * Whether packets go the way that they should: which addresses to ask the kernel about, and what
 * its answers mean. A route of ours that is there is not enough: a policy rule, another table, a
 * more specific route of another program or an address on a bridge comes before it. Pure; asking is
 * `ask-ways.ts`.
 *
 * Questions are bounded whatever the size of the cluster: a share of the routes in turn, and every
 * place where something of somebody else's lies within one of ours.
 */
import { counted } from '../lib/count-text.ts'
import { comparing, identical } from '../lib/fields.ts'
import { addressBits, compareAddresses, covers, familyOf, formatPrefix, maskBytes, prefixOf } from '../lib/ip.ts'
import { RT_TABLE, RTPROT } from '../netlink/constants.ts'
import type { NextHop, Route, RouteType, Rule } from '../netlink/types.ts'
import type { DesiredRoute } from './desired-routes.ts'

/** What a packet to `address` should do. */
export interface WayQuestion {
  readonly address: string
  readonly wanted: DesiredRoute
}

export interface WayAnswer extends WayQuestion {
  /** The route that it takes, or why there is none. */
  readonly way: Route | RouteType
  /** The address of the pod that sends it; absent: this machine does. */
  readonly source?: string
}

/** What others put into the kernel that packets may meet. */
export interface OthersRouting {
  /** Of every table that a rule leads to; pods' own host routes are not among them. */
  readonly routes: readonly Route[]
  readonly rules: readonly Rule[]
}

export interface QuestionsInput {
  readonly routes: readonly DesiredRoute[]
  readonly others: OthersRouting
  /** Counts up from pass to pass: whose turn it is. */
  readonly turn: number
  /** Addresses whose packets went astray last time. */
  readonly suspects: Iterable<string>
  /** Default 128: routes that are asked about in turn. */
  readonly most?: number
}

const ROUTES_EACH_TURN = 128
/** A machine with the whole Internet's routes is asked about ours alone. */
const MOST_FOREIGN = 20_000
const MOST_WITHIN = 256

export function wayQuestions({ routes, others, turn, suspects, most = ROUTES_EACH_TURN }: QuestionsInput) {
  const wantedAt = longestMatch(routes)
  const start = routes.length <= most ? 0 : (turn * most) % routes.length
  const turnOf = [...routes, ...routes].slice(start, start + Math.min(most, routes.length))
  const within = others.routes.length > MOST_FOREIGN ? [] : others.routes.map(({ destination }) => destination)
  const ruled = others.rules.flatMap(({ destination }) => destination ?? [])
  // a host route within this node's own podCIDRs is how a pod is reached, whoever wired it
  const isForeign = (prefix: string) => {
    const wanted = wantedAt(prefix)
    return wanted !== undefined && !(wanted.type === 'unreachable' && isHost(prefix))
  }
  const inside = [...within, ...ruled].filter(isForeign).slice(0, MOST_WITHIN)
  const addresses = [...turnOf.map(({ destination }) => destination), ...inside].map(firstAddress)
  const questions = new Map<string, WayQuestion>()
  for (const address of [...suspects, ...addresses]) {
    const wanted = wantedAt(`${address}/${addressBits(familyOf(address))}`)
    if (wanted !== undefined) questions.set(address, { address, wanted })
  }
  return [...questions.values()]
}

/** Packets that do not go where they should. */
export interface Astray {
  /** Of the route wanted. */
  readonly destination: string
  readonly address: string
  /** What they meet, and what to do about it. */
  readonly text: string
  readonly remedy: string
}

export interface JudgeInput {
  readonly answers: readonly WayAnswer[]
  readonly others: OthersRouting
  /** rtm_protocol of our routes. */
  readonly protocol: number
  /** Names of interfaces by index. */
  readonly names: ReadonlyMap<number, string>
}

export function astray({ answers, others, protocol, names }: JudgeInput): Astray[] {
  return answers.flatMap(({ address, wanted, way, source }) => {
    if (isRight(wanted, way, protocol)) return []
    const culprit = typeof way === 'string' ? dropping(address, way, others) : way
    return [{ destination: wanted.destination, address, ...describe({ way, culprit, address, source, others, names }) }]
  })
}

/** A line for each thing that leads packets astray, however many destinations it covers. */
export function astrayProblems(found: readonly Astray[]): string[] {
  const byCulprit = Map.groupBy(found, ({ text }) => text)
  return [...byCulprit].map(([text, all]) => {
    const destinations = [...new Set(all.map(({ destination }) => destination))].sort(compareAddresses)
    const others = destinations.length - 1
    const more = others === 0 ? '' : ` and ${counted(others, 'more destination')}`
    return `packets to ${destinations[0]}${more} ${text}: ${all[0]?.remedy ?? ''}`
  })
}

/** An answer of ours is right by the plan of routes. */
function isRight({ type, nextHops }: DesiredRoute, way: Route | RouteType, protocol: number): boolean {
  if (typeof way === 'string') return way === type
  if (way.protocol === protocol) return true
  if (way.type !== type || way.nextHops.length !== nextHops.length) return false
  return nextHops.every(hop => way.nextHops.some(other => isSameWay(hop, other)))
}

/** How packets share several ways is not asked here. */
const isSameWay = comparing<NextHop>({
  gateway: identical,
  interface: (wanted, other) => wanted === undefined || wanted === other,
  onlink: undefined,
  weight: undefined,
})

/** The route of others, of that type, that is most specific for the address. */
function dropping(address: string, type: RouteType, { routes }: OthersRouting): Route | undefined {
  return routes
    .filter(route => route.type === type && route.family === familyOf(address) && covers(route.destination, address))
    .toSorted((a, b) => prefixOf(b.destination).length - prefixOf(a.destination).length)[0]
}

const FATES: Readonly<Partial<Record<RouteType, string>>> = {
  blackhole: 'are dropped',
  unreachable: 'are refused as unreachable',
  prohibit: 'are refused as prohibited',
}

function describe(input: {
  readonly way: Route | RouteType
  readonly culprit: Route | undefined
  readonly address: string
  readonly source: string | undefined
  readonly others: OthersRouting
  readonly names: ReadonlyMap<number, string>
}): Pick<Astray, 'text' | 'remedy'> {
  const { way, culprit, address, source, others, names } = input
  const fate = typeof way === 'string' ? (FATES[way] ?? 'find no way') : undefined
  if (culprit === undefined) {
    const rule =
      others.rules.find(one => one.table === 0 && one.destination && covers(one.destination, address)) ??
      others.rules.find(one => source !== undefined && one.source !== undefined && covers(one.source, source))
    if (rule !== undefined)
      return { text: `${fate} by ${ruleText(rule)}`, remedy: `remove the rule (ip rule del priority ${rule.priority})` }
    return {
      text: fate ?? 'go another way',
      remedy: `see ip route get ${address}, ip rule and ip route show table all`,
    }
  }
  const route = routeWords(culprit, names)
  const rule = others.rules.find(({ table, mark }) => table === culprit.table && mark === undefined)
  const usual = culprit.table === RT_TABLE.MAIN || culprit.table === RT_TABLE.LOCAL
  const by = usual || rule === undefined ? '' : `, which ${ruleText(rule)} leads to`
  const text = `${fate ?? 'go another way'} by ${route}, ${makerOf(culprit, names)}${by}`
  if (!usual && rule !== undefined) return { text, remedy: `remove the rule (ip rule del priority ${rule.priority})` }
  const device = deviceOf(culprit, names)
  if (culprit.protocol === RTPROT.KERNEL && device !== undefined)
    return { text, remedy: `give ${device} an address of another network` }
  const where = culprit.table === RT_TABLE.MAIN ? '' : ` table ${usual ? 'local' : culprit.table}`
  return { text, remedy: `remove it (ip route del ${culprit.destination}${where})` }
}

function routeWords({ type, destination, nextHops, table }: Route, names: ReadonlyMap<number, string>): string {
  const ways = nextHops.map(({ gateway, interface: index }) =>
    gateway === undefined ? `on ${names.get(index ?? 0) ?? `interface ${index}`}` : `via ${gateway}`,
  )
  const where = table === RT_TABLE.MAIN || table === RT_TABLE.LOCAL ? '' : ` of table ${table}`
  return `${type === 'unicast' ? 'the route' : type} ${[destination, ways.join(' and ')].filter(Boolean).join(' ')}${where}`
}

function ruleText({ priority, source, destination, inputInterface, table }: Rule): string {
  const words = [
    `ip rule ${priority}: from ${source ?? 'all'}`,
    ...(destination === undefined ? [] : [`to ${destination}`]),
    ...(inputInterface === undefined ? [] : [`iif ${inputInterface}`]),
    ...(table === 0 ? [] : [`lookup ${table}`]),
  ]
  return `(${words.join(' ')})`
}

/** <linux/rtnetlink.h>, rtm_protocol. */
const MAKERS: Readonly<Record<number, string>> = {
  [RTPROT.BOOT]: 'made by hand or by a script',
  [RTPROT.STATIC]: 'a static one',
  [RTPROT.RA]: 'made by a router advertisement',
  11: 'made by Zebra',
  12: 'made by BIRD',
  16: 'made by DHCP',
  186: 'made by BGP of another program',
  188: 'made by OSPF',
}

function makerOf(route: Route, names: ReadonlyMap<number, string>): string {
  if (route.protocol === RTPROT.KERNEL)
    return `made by the kernel for an address of ${deviceOf(route, names) ?? 'a link'}`
  return MAKERS[route.protocol] ?? `made by another program (rtnetlink protocol ${route.protocol})`
}

function deviceOf({ nextHops }: Route, names: ReadonlyMap<number, string>): string | undefined {
  const index = nextHops[0]?.interface
  return index === undefined ? undefined : names.get(index)
}

function isHost(prefix: string): boolean {
  return prefix.endsWith(`/${addressBits(familyOf(prefix))}`)
}

function firstAddress(prefix: string): string {
  return prefix.slice(0, prefix.indexOf('/'))
}

/** The most specific of the routes that covers a prefix. */
function longestMatch(routes: readonly DesiredRoute[]): (prefix: string) => DesiredRoute | undefined {
  const byPrefix = new Map(routes.map(route => [route.destination, route]))
  const lengths = { ipv4: new Set<number>(), ipv6: new Set<number>() }
  for (const { destination } of routes) lengths[familyOf(destination)].add(Number(destination.split('/')[1]))
  const sorted = { ipv4: descending(lengths.ipv4), ipv6: descending(lengths.ipv6) }
  return prefix => {
    const { family, bytes, length: own } = prefixOf(prefix)
    for (const length of sorted[family]) {
      if (length > own) continue
      const route = byPrefix.get(formatPrefix({ bytes: maskBytes(bytes, length), length }))
      if (route !== undefined) return route
    }
    return undefined
  }
}

function descending(numbers: ReadonlySet<number>): number[] {
  return [...numbers].sort((a, b) => b - a)
}
