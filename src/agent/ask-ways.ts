/**
 * Asks the kernel which way packets to the pods of other nodes would take now (RTM_GETROUTE, as `ip
 * route get fibmatch` does): this machine's own, and those of one of its pods, which rules for a
 * source or an incoming interface may treat differently. What to ask and what the answers mean is
 * `ways.ts`.
 */
import { familyOf } from '../lib/ip.ts'
import { POD_INTERFACE_PATTERN } from '../model/pod-interfaces.ts'
import { RT_TABLE } from '../netlink/constants.ts'
import { NetlinkError } from '../netlink/message.ts'
import type { ForwardedFrom } from '../netlink/route.ts'
import type { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Route, Rule } from '../netlink/types.ts'
import type { DesiredRoute } from './desired-routes.ts'
import type { ObservedKernel } from './observe.ts'
import type { RouteMark } from './plan.ts'
import type { Applied } from './rows.ts'
import { type Astray, astray, type OthersRouting, type WayAnswer, type WayQuestion, wayQuestions } from './ways.ts'

/** Asks pass after pass: about a share of the routes in turn, and what went astray before. */
export class Ways {
  readonly #mark: RouteMark
  #astray: readonly Astray[] = []
  #turn = 0

  constructor(mark: RouteMark) {
    this.#mark = mark
  }

  /** Packets that went astray when it was asked last. */
  get astray(): readonly Astray[] {
    return this.#astray
  }

  /**
   * Where packets would go now, of the routes that are as they should be. Throws `NetlinkError`.
   */
  ask(netlink: Rtnetlink, { observed, routes, applied }: AskedPass): readonly Astray[] {
    const { failures, plan } = applied
    const troubled = new Set([...failures.keys(), ...plan.conflicts.map(({ destination }) => destination)])
    this.#astray = askWays(netlink, {
      observed,
      routes: routes.filter(({ destination }) => !troubled.has(destination)),
      mark: this.#mark,
      turn: this.#turn++,
      suspects: this.#astray.map(({ address }) => address),
    })
    return this.#astray
  }
}

interface AskedPass {
  readonly observed: Pick<ObservedKernel, 'links' | 'routes'>
  readonly routes: readonly DesiredRoute[]
  readonly applied: Applied
}

export interface WaysInput {
  readonly observed: Pick<ObservedKernel, 'links' | 'routes'>
  /** Those that the kernel should have by now. */
  readonly routes: readonly DesiredRoute[]
  readonly mark: RouteMark
  readonly turn: number
  /** Of the last time. */
  readonly suspects: Iterable<string>
  /** Routes that are asked about; absent: a share in turn. */
  readonly most?: number
}

/** Packets that would not go where they should. Throws `NetlinkError`. */
export function askWays(netlink: Rtnetlink, input: WaysInput): Astray[] {
  const { observed, mark } = input
  const names = new Map(observed.links.map(({ index, name }) => [index, name]))
  const isPodRoute = ({ nextHops }: Route) =>
    nextHops.some(hop => POD_INTERFACE_PATTERN.test(names.get(hop.interface ?? 0) ?? ''))
  const rules = netlink.dumpRules().filter(({ protocol, mark: marked }) => protocol !== mark.protocol && !marked)
  const foreign = [...observed.routes.foreign, ...otherTables(netlink, rules, mark)]
  const others = { routes: foreign.filter(route => !isPodRoute(route)), rules }
  const questions = wayQuestions({ ...input, others })
  const pods = foreign.filter(isPodRoute)
  const answers = questions.flatMap(question => {
    const pod = podBehind(pods, question)
    return [...answer(netlink, question), ...(pod === undefined ? [] : answer(netlink, question, pod))]
  })
  return unlikeOnce(astray({ answers, others, protocol: mark.protocol, names }))
}

/** The tables beside ours that rules lead to. */
function otherTables(netlink: Rtnetlink, rules: readonly Rule[], mark: RouteMark): OthersRouting['routes'] {
  const tables = new Set(rules.map(({ table }) => table))
  for (const table of [mark.table, RT_TABLE.DEFAULT, 0]) tables.delete(table)
  return [...tables].flatMap(table => netlink.dumpRoutes({ table }).filter(route => route.protocol !== mark.protocol))
}

function podBehind(pods: readonly Route[], { address }: WayQuestion): ForwardedFrom | undefined {
  const pod = pods.find(({ family }) => family === familyOf(address))
  const [hop] = pod?.nextHops ?? []
  if (pod === undefined || hop?.interface === undefined) return undefined
  return { source: pod.destination.split('/')[0] ?? '', interface: hop.interface }
}

/** A pod that is taken away meanwhile is no answer. */
function answer(netlink: Rtnetlink, question: WayQuestion, from?: ForwardedFrom): WayAnswer[] {
  try {
    return [{ ...question, way: netlink.way(question.address, from), ...(from && { source: from.source }) }]
  } catch (error) {
    if (from !== undefined && error instanceof NetlinkError) return []
    throw error
  }
}

/** What is so for the node and for its pods is told once. */
function unlikeOnce(found: readonly Astray[]): Astray[] {
  return [...new Map(found.map(one => [`${one.address} ${one.text}`, one])).values()]
}
