/**
 * The route agent of a node: keeps the kernel's routes, the settings and the CNI configuration as
 * the view of the cluster wants them. Woken by the view, by netlink (a route deleted by hand, a
 * link that flaps, an address that moves) and every half minute; each pass compares everything.
 *
 * Not ready is not empty: without a view, or while no entry names this node, nothing is deleted and
 * the last good routes are kept up. The only writer of routes between nodes; routes to pods are the
 * CNI plugin's.
 */
import type { ClusterView, ClusterViewSource } from '../kube/cluster-view-types.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'
import { ERRNO } from '../lib/errno.ts'
import { errorText } from '../lib/errors.ts'
import type { Family } from '../lib/ip.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { POD_INTERFACE_PATTERN } from '../model/pod-interfaces.ts'
import type { RouteRow } from '../model/snapshot.ts'
import { type NetworkDoor, networkDoor } from '../netlink/door.ts'
import { askOnLink } from '../netlink/on-link.ts'
import type { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Link, NextHop } from '../netlink/types.ts'
import { AnsweringGateways } from './answering-gateways.ts'
import { askWays } from './ask-ways.ts'
import { podCIDRProblems, writeCniConfig } from './cni-config.ts'
import { CHAINED_FOR, chainedPlugins, missingPlugins } from './cni-plugins.ts'
import {
  addressesToAsk,
  desiredRoutes,
  namedGateways,
  type ObservedNetwork,
  OWN_REASON,
  type Routing,
  type RoutingView,
} from './desired-routes.ts'
import { type ObservedKernel, observe, outwardLinks, ownAddresses, uplinkOf } from './observe.ts'
import { type Change, changeRequest, type Plan, plan } from './plan.ts'
import { type Applied, routeProblems, routeRows } from './rows.ts'
import { applySettings, sysctlNeeds } from './sysctl.ts'
import { type Astray, astrayProblems } from './ways.ts'

export interface AgentOptions {
  readonly clock: Clock
  readonly log: Log
  /** The name of this node. */
  readonly self: string
  readonly view: ClusterViewSource
  readonly config: {
    /** rtm_protocol of our routes. */
    readonly protocol: number
    readonly table: number
    readonly stateDir: string
    readonly cni: {
      readonly confDir: string
      readonly binDir: string
      readonly mtu: number | 'auto'
      readonly allowSourceAddresses?: boolean
    }
  }
  /** Path of the network namespace to work in; absent: this one. */
  readonly netns?: string
  /** Absent: the door to that namespace. */
  readonly door?: NetworkDoor
  /** Absent: the machine's. */
  readonly disk?: Disk
  /** Whoever made it closes it. */
  readonly firewall?: NetworkFollower
}

/** What is known of the network after a pass. */
export interface KnownNetwork {
  /** This node's own. */
  readonly podCIDRs: readonly string[]
  /** Of all nodes of the cluster. */
  readonly clusterPodCIDRs: readonly string[]
  readonly nodeAddresses: readonly string[]
  /** Names of the interfaces that lead away from this machine. */
  readonly uplinks: readonly string[]
}

/**
 * Is told after each pass what is known; its problems are shown with the agent's. The firewall is
 * one.
 */
export interface NetworkFollower {
  want(network: KnownNetwork): void
  readonly problems: readonly string[]
  /** Calls `listener` when `problems` changed. Returns how to stop that. */
  onChange(listener: () => void): () => void
}

const FULL_COMPARE_MILLISECONDS = 30_000
/** One change of the network comes as several messages. */
const SETTLE_MILLISECONDS = 10
/**
 * When the same changes are needed so often in a row, somebody undoes them: from then on they are
 * made once a second.
 */
const CONTEST_PASSES = 5
const CONTEST_PAUSE_MILLISECONDS = 1000

const NO_VIEW = 'nothing is known of the cluster yet: neither the API server nor the state folder has said anything'

export function createAgent(options: AgentOptions): Agent {
  return new Agent(options)
}

/** Some changes failed: thrown to have the loop try again; each is a problem already. */
class Incomplete extends Error {}

export class Agent {
  readonly #options: AgentOptions
  readonly #door: NetworkDoor
  readonly #loop: Loop
  readonly #answering: AnsweringGateways
  readonly #listeners = new Set<() => void>()
  readonly #stopListening: readonly (() => void)[]
  #netlink: Rtnetlink | undefined
  #watch: { close(): void } | undefined
  #routing: Routing | undefined
  #memo: { view: ClusterView; network: string; routing: Routing | undefined } | undefined
  #contest = { changes: '', passes: 0 }
  /** Packets that went astray in the last pass, and how many passes asked. */
  #ways = { astray: [] as readonly Astray[], turn: 0 }
  #cancelPause: Cancel | undefined
  #lastMtu: number | undefined
  #lastUplink: string | undefined
  readonly #lastGateways = new Map<Family, readonly NextHop[]>()
  #published = { ready: false, problems: [NO_VIEW] as readonly string[], rows: [] as readonly RouteRow[] }

  constructor(options: AgentOptions) {
    this.#options = options
    const { clock, log, netns } = options
    this.#door = options.door ?? networkDoor(netns)
    const onChange = () => this.#loop.wake()
    this.#answering = new AnsweringGateways({ clock, log, door: this.#door, onChange })
    this.#loop = new Loop({
      clock: options.clock,
      run: () => this.#pass(),
      onError: error => {
        if (error instanceof Incomplete) return
        this.#netlink?.close() // a conversation that broke off is not taken up again
        this.#netlink = undefined
        this.#publish({ ...this.#published, problems: [errorText(error)] })
      },
      everyMilliseconds: FULL_COMPARE_MILLISECONDS,
      settleMilliseconds: SETTLE_MILLISECONDS,
    })
    this.#stopListening = [options.view, ...(options.firewall === undefined ? [] : [options.firewall])].map(source =>
      source.onChange(() => this.#loop.wake()),
    )
    this.#loop.wake()
  }

  /**
   * Whether the node can serve pods: its podCIDRs are known and the routes were programmed once.
   */
  get ready(): boolean {
    return this.#published.ready
  }

  /** What an operator should know; empty when all is well. */
  get problems(): readonly string[] {
    return this.#published.problems
  }

  /** The routes wanted, and whether they are there. */
  view(): readonly RouteRow[] {
    return this.#published.rows
  }

  /** Calls `listener` when `ready`, `problems` or `view()` changed. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The MTU that pods are given; undefined while no uplink was seen. */
  get podMtu(): number | undefined {
    return this.#lastMtu
  }

  /**
   * Stops. The routes stay, so that pods go on talking over an upgrade; `leaveNetwork` takes them
   * away.
   */
  async close(): Promise<void> {
    for (const stop of this.#stopListening) stop()
    this.#cancelPause?.()
    this.#watch?.close()
    await this.#answering.close()
    await this.#loop.close()
    this.#watch?.close()
    this.#netlink?.close()
  }

  async #pass(): Promise<void> {
    const { view, config } = this.#options
    const netlink = await this.#open()
    const current = view.current()
    if (current === undefined && this.#routing === undefined) {
      this.#publish({ ...this.#published, problems: [NO_VIEW] })
      return
    }
    const observed = observe(netlink, config)
    const fresh = current && this.#decide(netlink, current, observed)
    const routing = fresh ?? this.#routing
    const doubt = current === undefined ? NO_VIEW : this.#unknownSelf()
    if (routing === undefined) {
      this.#publish({ ...this.#published, problems: [doubt] })
      return
    }
    this.#routing = routing
    const applied = this.#apply(netlink, plan(routing.routes, observed.routes, config))
    const uplink = uplinkOf(observed, routing.addresses)
    const unusable = podCIDRProblems(routing.podCIDRs)
    const problems = [
      ...(fresh === undefined ? [`${doubt}; the last good routes stay`] : []),
      ...unusable,
      ...mtuProblems(observed.links, uplink, config.cni.mtu),
      ...routeProblems(routing, applied),
      ...this.#contestProblems(applied.plan),
      ...this.#tend(routing, observed, uplink),
      ...astrayProblems(this.#askWays(netlink, observed, routing, applied)),
      ...this.#firewallProblems(routing, current, outwardOf(observed, uplink)),
    ]
    const names = new Map(observed.links.map(({ index, name }) => [index, name]))
    const rows = routeRows(routing, applied, names, this.#ways.astray)
    const guarded = rows.every(({ reason, state }) => reason !== OWN_REASON || state !== 'failed')
    const served = routing.podCIDRs.length > 0 && unusable.length === 0 && guarded
    if (served) this.#offerPods(routing, uplink)
    this.#publish({ ready: this.#published.ready || served, problems, rows })
    if (applied.failures.size > 0) throw new Incomplete()
  }

  async #open(): Promise<Rtnetlink> {
    this.#watch ??= await this.#door.watch({
      clock: this.#options.clock,
      kinds: ['link', 'address', 'route', 'rule', 'netconf'],
      onChange: () => this.#wakeByNetlink(),
      onLost: () => this.#wakeByNetlink(),
    })
    this.#netlink ??= this.#door.open()
    return this.#netlink
  }

  #wakeByNetlink(): void {
    if (this.#contest.passes < CONTEST_PASSES) {
      this.#loop.wake()
      return
    }
    this.#cancelPause ??= this.#options.clock.after(CONTEST_PAUSE_MILLISECONDS, () => {
      this.#cancelPause = undefined
      this.#loop.wake()
    })
  }

  /** The routes wanted now; the last answer while nothing that it depends on has changed. */
  #decide(netlink: Rtnetlink, view: ClusterView, observed: ObservedKernel): Routing | undefined {
    const { self } = this.#options
    const onLink = askOnLink(netlink, addressesToAsk({ self, view }), observed.links)
    const gateways = namedGateways({ self, view }).flatMap(address => {
      const index = onLink.get(address)
      return index === undefined ? [] : [{ address, interface: index }]
    })
    const network: ObservedNetwork = {
      ownAddresses: ownAddresses(observed),
      onLink,
      ...(gateways.length > 1 && { answering: this.#answering.among(gateways) }),
      defaultGateways: {
        ipv4: this.#defaultGateways('ipv4', observed),
        ipv6: this.#defaultGateways('ipv6', observed),
      },
    }
    const answering = [...(network.answering ?? [])]
    const key = JSON.stringify([[...onLink], network.defaultGateways, network.ownAddresses, answering])
    if (this.#memo?.view !== view || this.#memo.network !== key) {
      this.#memo = { view, network: key, routing: desiredRoutes({ self, view: routingView(view), network }) }
    }
    return this.#memo.routing
  }

  /**
   * While a family has no default route (a lease that is renewed, a link that is down) the last one
   * counts.
   */
  #defaultGateways(family: Family, observed: ObservedKernel): readonly NextHop[] {
    const now = observed.defaultGateways[family]
    if (now.length > 0) this.#lastGateways.set(family, now)
    return this.#lastGateways.get(family) ?? []
  }

  /** Carries out a plan; one change that fails does not stop the others. */
  #apply(netlink: Rtnetlink, todo: Plan): Applied {
    const { log } = this.#options
    const failures = new Map<string, string>()
    const outcomes = netlink.execute(todo.changes.map(changeRequest))
    for (const [index, { error }] of outcomes.entries()) {
      const change = todo.changes[index]
      if (change === undefined) continue
      const gone = change.do === 'delete' && error?.errno === ERRNO.ESRCH
      if (error !== undefined && !gone) failures.set(change.route.destination, error.message)
      else log.debug({ change: change.do, destination: change.route.destination }, 'route changed')
    }
    const made = todo.changes.filter(({ route }) => !failures.has(route.destination))
    const text = made.map(change => `${change.do} ${change.route.destination}`).join()
    this.#contest = {
      changes: text,
      passes: text !== '' && text === this.#contest.changes ? this.#contest.passes + 1 : 0,
    }
    if (made.length > 0) log.info({ count: made.length, detail: countText(made) }, 'routes changed')
    return { plan: todo, failures }
  }

  #contestProblems(todo: Plan): string[] {
    if (this.#contest.passes < CONTEST_PASSES || todo.changes.length === 0) return []
    return ['another program keeps undoing changes of routes: see which one writes to this table (ip monitor route)']
  }

  /** Where packets would go now, of the routes that are as they should be. */
  #askWays(netlink: Rtnetlink, observed: ObservedKernel, routing: Routing, { plan, failures }: Applied) {
    const troubled = new Set([...failures.keys(), ...plan.conflicts.map(({ destination }) => destination)])
    const { astray, turn } = this.#ways
    const found = askWays(netlink, {
      observed,
      routes: routing.routes.filter(({ destination }) => !troubled.has(destination)),
      mark: this.#options.config,
      turn,
      suspects: astray.map(({ address }) => address),
    })
    this.#ways = { astray: found, turn: turn + 1 }
    return found
  }

  /** Settings of the kernel. Returns problems. */
  #tend(routing: Routing, observed: ObservedKernel, uplink: Link | undefined): string[] {
    const { config, netns, disk, log } = this.#options
    const place = {
      stateDir: config.stateDir,
      ...(netns !== undefined && { netns }),
      ...(disk !== undefined && { disk }),
    }
    const { written, problems } = applySettings(sysctlNeeds(routing, observed.links, uplink), place)
    for (const { name, value } of written)
      log.info({ name: name.replaceAll('/', '.'), state: value }, 'setting changed')
    return [...problems]
  }

  /** Tells the firewall what is known; with no view, what it was told last stands. */
  #firewallProblems(routing: Routing, view: ClusterView | undefined, uplinks: readonly string[]): readonly string[] {
    const { firewall } = this.#options
    if (view !== undefined) {
      firewall?.want({
        podCIDRs: routing.podCIDRs,
        clusterPodCIDRs: view.entries.flatMap(({ podCIDRs }) => podCIDRs),
        nodeAddresses: view.entries.flatMap(({ addresses }) => addresses),
        uplinks,
      })
    }
    return firewall?.problems ?? []
  }

  /**
   * Tells the container runtime that pods can be wired. With no uplink to be seen, the MTU that was
   * written before stays.
   */
  #offerPods(routing: Routing, uplink: Link | undefined): void {
    const { stateDir, cni } = this.#options.config
    const mtu = cni.mtu === 'auto' ? (uplink?.mtu ?? this.#lastMtu) : cni.mtu
    this.#lastMtu = mtu
    this.#lastUplink = uplink?.name ?? this.#lastUplink
    const chained = chainedPlugins(cni.binDir)
    const { allowSourceAddresses } = cni
    const own = { podCIDRs: routing.podCIDRs, stateDir, allowSourceAddresses, uplink: uplink?.name ?? this.#lastUplink }
    const config = { ...own, chained, ...(mtu !== undefined && { mtu }) }
    if (!writeCniConfig(cni.confDir, config, this.#options.disk)) return
    const { log } = this.#options
    log.info({ file: cni.confDir }, 'CNI configuration written')
    for (const name of missingPlugins(chained)) {
      log.info({ name, file: cni.binDir, detail: CHAINED_FOR[name] }, 'CNI plugin not chained: it is not installed')
    }
  }

  #unknownSelf(): string {
    return `no RouteSlice names node ${this.#options.self} yet: is it registered under this name, and does the controller run?`
  }

  #publish(next: { ready: boolean; problems: readonly string[]; rows: readonly RouteRow[] }): void {
    const before = this.#published
    this.#published = next
    const { log } = this.#options
    for (const detail of next.problems.filter(text => !before.problems.includes(text))) log.warn({ detail }, 'problem')
    for (const detail of before.problems.filter(text => !next.problems.includes(text))) {
      if (detail !== NO_VIEW) log.info({ detail }, 'problem is over')
    }
    if (JSON.stringify(before) === JSON.stringify(next)) return
    for (const listener of this.#listeners) listener()
  }
}

/** Links told one by one. */
const LINKS_TOLD = 5

/** Pods whose packets the uplink does not take, and a configuration that makes such. */
function mtuProblems(links: readonly Link[], uplink: Link | undefined, configured: number | 'auto'): string[] {
  if (uplink === undefined) return []
  const { name, mtu } = uplink
  const larger = links.filter(link => POD_INTERFACE_PATTERN.test(link.name) && link.mtu > mtu)
  const told = larger.slice(0, LINKS_TOLD).map(link => `${link.name} (${link.alias ?? 'unknown'}, ${link.mtu})`)
  const more = larger.length > told.length ? ` and ${larger.length - told.length} more` : ''
  return [
    ...(configured !== 'auto' && configured > mtu
      ? [`cni.mtu ${configured} is larger than ${mtu}, that of ${name}: pods get ${mtu}`]
      : []),
    ...(larger.length > 0
      ? [
          `pods made before the MTU of ${name} was ${mtu} send packets that are too large: ${told.join(', ')}${more}; recreate them`,
        ]
      : []),
  ]
}

function outwardOf(observed: ObservedKernel, uplink: Link | undefined): string[] {
  return [...new Set([...outwardLinks(observed), ...(uplink === undefined ? [] : [uplink.name])])].sort()
}

function routingView({ entries, peers, refused = [] }: ClusterView): RoutingView {
  const taken = new Set(entries.flatMap(({ podCIDRs }) => podCIDRs))
  const unreachable = refused.filter(one => one.unreachable && !taken.has(one.podCIDR)).map(({ podCIDR }) => podCIDR)
  return { entries, peers, unreachable: [...new Set(unreachable)] }
}

function countText(changes: readonly Change[]): string {
  const count = (kind: Change['do']) => changes.filter(change => change.do === kind).length
  return `${count('add')} added, ${count('replace')} replaced, ${count('delete')} deleted`
}
