/**
 * The route agent of a node: keeps the kernel's routes, the settings and the CNI configuration as
 * the view of the cluster wants them. Woken by the view, by netlink (a route deleted by hand, a
 * link that flaps, an address that moves) and every half minute; each pass compares everything. A
 * route that goes by itself is back before that (`restore-routes.ts`).
 *
 * Not ready is not empty: without a view, or while no entry names this node, nothing is deleted and
 * the last good routes are kept up. The only writer of routes between nodes; routes to pods are the
 * CNI plugin's.
 */
import type { ClusterView, ClusterViewSource } from '../kube/cluster-view-types.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'
import { errorText } from '../lib/errors.ts'
import type { Family } from '../lib/ip.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import type { KnownNetwork } from '../model/known-network.ts'
import type { RouteRow } from '../model/snapshot.ts'
import { type NetworkDoor, networkDoor } from '../netlink/door.ts'
import { askOnLink } from '../netlink/on-link.ts'
import type { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Link, NextHop } from '../netlink/types.ts'
import type { NamedChange } from '../netlink/watch.ts'
import { AnsweringGateways } from './answering-gateways.ts'
import { Ways } from './ask-ways.ts'
import { carryOut } from './carry-out.ts'
import { podCIDRProblems } from './cni-config.ts'
import { afterPass, contestProblems, isContested, NO_CONTEST } from './contest.ts'
import {
  addressesToAsk,
  desiredRoutes,
  namedGateways,
  networkText,
  type ObservedNetwork,
  type Routing,
  routingView,
  usedGateways,
} from './desired-routes.ts'
import type { PeerEvidence } from './gateway-evidence.ts'
import { type ObservedKernel, observe, outwardOf, ownAddresses, uplinkOf } from './observe.ts'
import { countText, type Plan, plan } from './plan.ts'
import { PodLinks } from './pod-links.ts'
import { mtuProblems, PodOffer, type PodOfferOptions } from './pod-offer.ts'
import { RouteRestorer } from './restore-routes.ts'
import { type Applied, routeProblems, routeRows, silentProblems } from './rows.ts'
import { SilentGateways } from './silent-gateways.ts'
import { applySettings, sysctlNeeds } from './sysctl.ts'
import { astrayProblems } from './ways.ts'

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
    readonly cni: PodOfferOptions['cni']
  }
  /** Path of the network namespace to work in; absent: this one. */
  readonly netns?: string
  /** Absent: the door to that namespace. */
  readonly door?: NetworkDoor
  /** Absent: the machine's. */
  readonly disk?: Disk
  /** Whoever made it closes it. */
  readonly firewall?: NetworkFollower
  /** What BGP and BFD know of peers; call `wake` when it changed. Absent: nothing. */
  readonly peers?: () => readonly PeerEvidence[]
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
/** After routes were changed or brought back, when everything is compared once more. */
const COMPARE_MILLISECONDS = 1000
/** Changes that another program undoes are made once a second. */
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
  readonly #silent: SilentGateways
  readonly #ways: Ways
  readonly #listeners = new Listeners()
  readonly #stopListening: readonly (() => void)[]
  #netlink: Rtnetlink | undefined
  #watch: { close(): void } | undefined
  #routing: Routing | undefined
  #memo: { view: ClusterView; network: string; routing: Routing | undefined } | undefined
  #contest = NO_CONTEST
  #cancelPause: Cancel | undefined
  readonly #offer: PodOffer
  readonly #restorer: RouteRestorer
  readonly #podLinks = new PodLinks()
  #repairs = 0
  /** What was wanted when the routes were last as they should be. */
  #kept: Routing | undefined
  readonly #lastGateways = new Map<Family, readonly NextHop[]>()
  #published = { ready: false, problems: [NO_VIEW] as readonly string[], rows: [] as readonly RouteRow[] }

  constructor(options: AgentOptions) {
    this.#options = options
    const { clock, log, netns } = options
    this.#door = options.door ?? networkDoor(netns)
    this.#offer = new PodOffer({ log, disk: options.disk, ...options.config })
    this.#restorer = new RouteRestorer(clock, options.config)
    this.#ways = new Ways(options.config)
    const onChange = () => this.#loop.wake()
    const peers = options.peers ?? (() => [])
    this.#answering = new AnsweringGateways({ clock, log, door: this.#door, onChange, peers })
    this.#silent = new SilentGateways({ clock, log, door: this.#door, onChange })
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
    this.#stopListening = [
      options.view.onChange(() => this.#loop.wake(0)), // whole, and somebody waits for a route
      ...(options.firewall === undefined ? [] : [options.firewall.onChange(() => this.#loop.wake())]),
    ]
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

  /** Changes of routes that were as wanted before and that somebody else undid. */
  get repairs(): number {
    return this.#repairs
  }

  /** The routes wanted, and whether they are there. */
  view(): readonly RouteRow[] {
    return this.#published.rows
  }

  /** Calls `listener` when `ready`, `problems` or `view()` changed. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  /** Has it look again soon. */
  wake(): void {
    this.#loop.wake()
  }

  /** The MTU that pods are given; undefined while no uplink was seen. */
  get podMtu(): number | undefined {
    return this.#offer.mtu
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
    await this.#silent.close()
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
    this.#podLinks.see(observed.links)
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
      ...contestProblems(this.#contest, applied.plan),
      ...this.#tend(routing, observed, uplink),
      ...silentProblems(this.#silent.among(usedGateways(routing.routes)), observed.links),
      ...astrayProblems(this.#ways.ask(netlink, { observed, routes: routing.routes, applied })),
      ...this.#firewallProblems(routing, current, outwardOf(observed, uplink)),
    ]
    const names = new Map(observed.links.map(({ index, name }) => [index, name]))
    const rows = routeRows(routing, applied, names, this.#ways.astray)
    const guarded = routing.routes.every(
      ({ destination, to }) => to !== 'this node' || !applied.failures.has(destination),
    )
    const served = routing.podCIDRs.length > 0 && unusable.length === 0 && guarded
    if (served) this.#offer.make(routing.podCIDRs, uplink)
    this.#publish({ ready: this.#published.ready || served, problems, rows })
    if (applied.failures.size > 0) throw new Incomplete()
  }

  async #open(): Promise<Rtnetlink> {
    this.#watch ??= await this.#door.watch({
      clock: this.#options.clock,
      kinds: ['link', 'address', 'route', 'rule', 'netconf'],
      onChange: () => this.#wakeByNetlink(),
      onNamed: change => this.#isTended(change),
      onLost: () => this.#wakeByNetlink(),
    })
    this.#netlink ??= this.#door.open()
    return this.#netlink
  }

  /** Whether nothing needs to be done soon about a change. */
  #isTended(change: NamedChange): boolean {
    if (this.#podLinks.isOfPod(change)) return true
    if (change.kind !== 'route' || this.#routing === undefined || this.#netlink === undefined) return false
    const { route, isGone } = change
    const what = this.#restorer.seen(route, isGone, { routing: this.#routing, netlink: this.#netlink })
    if (what === 'restored') {
      this.#repairs++
      this.#options.log.info({ destination: route.destination }, 'a route that somebody deleted is back')
      this.#loop.wake(COMPARE_MILLISECONDS)
    }
    return what !== 'other'
  }

  #wakeByNetlink(): void {
    if (!isContested(this.#contest)) {
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
    const gateways = namedGateways({ self, view }).flatMap(gateway => {
      const index = onLink.get(gateway.address)
      return index === undefined ? [] : [{ ...gateway, interface: index }]
    })
    const network: ObservedNetwork = {
      ownAddresses: ownAddresses(observed),
      onLink,
      ...(gateways.length > 1 && { judged: this.#answering.among(gateways) }),
      defaultGateways: {
        ipv4: this.#defaultGateways('ipv4', observed),
        ipv6: this.#defaultGateways('ipv6', observed),
      },
    }
    const key = networkText(network)
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

  #apply(netlink: Rtnetlink, todo: Plan): Applied {
    const { log } = this.#options
    const applied = carryOut(netlink, todo, log)
    const { made, failures } = applied
    this.#contest = afterPass(this.#contest, made)
    if (this.#kept === this.#routing) this.#repairs += made.filter(change => change.do !== 'delete').length
    if (failures.size === 0) this.#kept = this.#routing
    if (made.length > 0) {
      log.info({ count: made.length, detail: countText(made) }, 'routes changed')
      this.#loop.wake(COMPARE_MILLISECONDS) // the echo of our own changes wakes nobody
    }
    return applied
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
        controllers: view.controllers ?? [],
        nodeAddresses: view.entries.flatMap(({ addresses }) => addresses),
        uplinks,
      })
    }
    return firewall?.problems ?? []
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
    this.#listeners.tell()
  }
}
