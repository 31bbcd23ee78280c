/**
 * The controller: watches Nodes, BGPPeers, RouteSlices and the Secrets that BGPPeers name, and
 * while it holds the Lease makes the cluster what `decide.ts` says. Followers decide too, for their
 * page, and write nothing.
 *
 * Not ready is not empty: nothing is decided before every cache has its first list, so no slice is
 * emptied by a server that is still thinking, and a new leader lists anew before it writes: what
 * the one before wrote may not have come in by the watch. One write that fails stops no other; the
 * pass is tried again with back-off.
 */
import type { Cache, EventRecorder, KubeApi } from '../kube/api.ts'
import type { BGPPeerObject } from '../kube/bgp-peer.ts'
import { withReadableStatus } from '../kube/bgp-peer-status.ts'
import type { RemovalLimits } from '../kube/mass-removal.ts'
import { BGP_PEERS, NODES, type Node, ROUTE_SLICES } from '../kube/resources.ts'
import type { RouteEntry, RouteSlice } from '../kube/route-slice.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { timestamp } from '../lib/timestamp.ts'
import { ApiServerAddresses } from './api-server-addresses.ts'
import { ControllerWrites } from './carry-out.ts'
import { ensureCrds } from './crds.ts'
import { decide } from './decide.ts'
import { Election } from './lease.ts'
import { nodeFacts, reduceNode, UNREAD_OF_NODE } from './nodes.ts'
import type { PodCIDRConfig } from './pod-cidr.ts'
import { PodCIDRMemory } from './pod-cidr-memory.ts'
import { Removals } from './removals.ts'
import { PasswordSecrets } from './secrets.ts'
import { type ClusterRows, clusterRows, NO_ROWS } from './view.ts'
import { within } from './writes.ts'

export interface ControllerConfig extends PodCIDRConfig {
  readonly allocatePodCIDRs: boolean
  /** How long a cluster that remembers no podCIDR waits for its nodes to say which they had. */
  readonly rememberSeconds: number
  readonly removal: RemovalLimits
  readonly leaseNamespace: string
}

export interface ControllerOptions {
  readonly api: KubeApi
  readonly events: EventRecorder
  readonly clock: Clock
  readonly log: Log
  /** Unique per process: names the holder of the Lease. */
  readonly identity: string
  /** Where this process answers probes that come from these podCIDRs; absent: nowhere. */
  readonly answersAt?: (podCIDRs: readonly string[]) => readonly string[]
  readonly config: ControllerConfig
}

export interface ControllerView extends ClusterRows {
  /** Whether all caches are filled and the CRDs are there. */
  readonly ready: boolean
  readonly leader: string | undefined
  readonly isLeader: boolean
  /** Since the start. */
  readonly leaderChanges: number
  readonly contact: {
    readonly server: string
    readonly connected: boolean
    readonly lastContact: number | undefined
    readonly problem: string | undefined
  }
}

export interface Controller {
  /** Nodes as the controller keeps them (`reduceNode`). */
  readonly nodes: Cache<Node>
  readonly bgpPeers: Cache<BGPPeerObject>
  /** `term` grows whenever the Lease is taken: before each, another may have led. */
  leadership(): { readonly isLeader: boolean; readonly term: number }
  view(): ControllerView
  /** What the last pass wants to be published; the same object until the next one. */
  entries(): readonly RouteEntry[]
  /** Calls `listener` after each pass. Returns how to stop that. */
  onChange(listener: () => void): () => void
  /** Stops and gives the Lease back. Routes, slices and sessions stay as they are. */
  close(): Promise<void>
}

/** Changes that come together (a BGPPeer and its Secret in one file) are one pass. */
const SETTLE_MILLISECONDS = 200
/**
 * A Node or a RouteSlice stands for itself, and somebody waits for its route: the first passes
 * within a second follow at once. Many nodes that come together are worth waiting for, as each
 * write of a slice travels to every node.
 */
const AT_ONCE = { milliseconds: 5, passes: 5, withinMilliseconds: 1000 }
/** All that a decision depends on wakes: this is for what nobody thought of. */
const FULL_PASS_MILLISECONDS = 600_000
/** How long the first lists wait for the election: a server that is slow is read all the same. */
const BEGIN_MILLISECONDS = 1000
/** How long a stop waits for a pass under way. */
const CLOSE_MILLISECONDS = 3_000

export function createController(options: ControllerOptions): Controller {
  return new Reconciler(options)
}

class Reconciler implements Controller {
  readonly #options: ControllerOptions
  readonly #nodes: Cache<Node>
  readonly #peers: Cache<BGPPeerObject>
  readonly #slices: Cache<RouteSlice>
  readonly #secrets: PasswordSecrets
  readonly #memory: PodCIDRMemory
  readonly #apiServers: ApiServerAddresses
  readonly #election: Election
  readonly #loop: Loop
  readonly #listeners = new Listeners()
  readonly #writes: ControllerWrites
  /** Made when somebody asks. */
  #rows: () => ClusterRows = () => NO_ROWS
  #entries: readonly RouteEntry[] = []
  readonly #removals: Removals
  #decided = false
  #closing = false
  #crds: 'unknown' | 'there' = 'unknown'
  /**
   * The last pass carried out nothing, or not all: the Lease had run out by then. It may be renewed
   * before anybody sees that.
   */
  #undone = false
  /** Since when lists had to be newer than what was listed last; Clock.monotonic() milliseconds. */
  #caughtUp: number | undefined
  /** When a write ended of which nobody knows whether it took effect. */
  #unknownAt = Number.NEGATIVE_INFINITY
  /** Ends the wait of the caches for the election. */
  readonly #begin: () => void
  #problem: string | undefined
  /** When the last passes decided, in Clock.monotonic() milliseconds. */
  #passes: number[] = []

  constructor(options: ControllerOptions) {
    const { api, clock, log, identity, config } = options
    this.#options = options
    this.#loop = new Loop({
      clock,
      run: () => this.#pass(),
      onError: (error, retryMilliseconds) => this.#failed(error, retryMilliseconds),
      everyMilliseconds: FULL_PASS_MILLISECONDS,
      settleMilliseconds: SETTLE_MILLISECONDS,
    })
    const wake = () => this.#loop.wake()
    // what is listed after the Lease was taken need not be listed once more
    const { promise: begin, resolve } = Promise.withResolvers<void>()
    const cancelBegin = clock.after(BEGIN_MILLISECONDS, resolve)
    this.#begin = () => {
      cancelBegin()
      resolve()
    }
    this.#nodes = api.cache<Node>(NODES, { reduce: reduceNode, unread: UNREAD_OF_NODE, begin })
    this.#peers = api.cache<BGPPeerObject>(BGP_PEERS, { reduce: withReadableStatus, begin })
    this.#slices = api.cache<RouteSlice>(ROUTE_SLICES, { begin })
    this.#peers.onChange(wake)
    for (const cache of [this.#nodes, this.#slices]) cache.onChange(() => this.#loop.wake(this.#settleMilliseconds()))
    this.#secrets = new PasswordSecrets(api, wake)
    this.#memory = new PodCIDRMemory({ api, clock, log, rememberSeconds: config.rememberSeconds, onChange: wake })
    this.#apiServers = new ApiServerAddresses({ api, clock, onChange: wake })
    this.#removals = new Removals({
      clock,
      limits: config.removal,
      caches: [this.#nodes, this.#peers, this.#slices],
      wake,
    })
    this.#writes = new ControllerWrites({
      ...options,
      nodes: this.#nodes,
      peers: this.#peers,
      slices: this.#slices,
      mayWrite: () => {
        if (!this.#election.isLeader) this.#undone = true
        return !this.#undone && !this.#closing
      },
      onUnknownOutcome: () => {
        this.#unknownAt = clock.monotonic()
      },
    })
    let wasLeader = false
    this.#election = new Election({
      api,
      clock,
      log,
      identity,
      namespace: config.leaseNamespace,
      onChange: () => {
        const { isLeader } = this.#election
        if (isLeader !== wasLeader || (isLeader && this.#undone)) wake()
        wasLeader = isLeader
        this.#begin()
        this.#tell()
      },
    })
    wake()
  }

  get nodes(): Cache<Node> {
    return this.#nodes
  }
  get bgpPeers(): Cache<BGPPeerObject> {
    return this.#peers
  }
  leadership(): { readonly isLeader: boolean; readonly term: number } {
    const { isLeader, term } = this.#election
    return { isLeader, term }
  }
  view(): ControllerView {
    const caches = [this.#nodes, this.#peers, this.#slices]
    const problem = caches.find(cache => cache.problem !== undefined)?.problem
    const lastContact = Math.max(0, ...caches.map(cache => cache.lastContact ?? 0))
    const own = [...new Set([problem, this.#election.problem, this.#problem, this.#memory.problem])].filter(
      text => text !== undefined,
    )
    const rows = this.#rows()
    return {
      ...rows,
      problems: [...own, ...rows.problems],
      ready: this.#decided,
      leader: this.#election.leader,
      isLeader: this.#election.isLeader,
      leaderChanges: this.#election.leaderChanges,
      contact: {
        server: this.#options.api.server,
        connected: problem === undefined && caches.every(cache => cache.synced),
        lastContact: lastContact === 0 ? undefined : lastContact,
        problem,
      },
    }
  }
  entries(): readonly RouteEntry[] {
    return this.#entries
  }
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }
  async close(): Promise<void> {
    this.#listeners.clear()
    this.#closing = true
    this.#begin()
    await within(this.#options.clock, CLOSE_MILLISECONDS, this.#loop.close())
    await this.#election.close()
    this.#secrets.close()
    this.#memory.close()
    this.#removals.close()
    this.#apiServers.close()
    for (const cache of [this.#nodes, this.#peers, this.#slices]) cache.close()
  }

  #settleMilliseconds(): number {
    const now = this.#options.clock.monotonic()
    this.#passes = this.#passes.filter(at => now - at < AT_ONCE.withinMilliseconds)
    return this.#passes.length < AT_ONCE.passes ? AT_ONCE.milliseconds : SETTLE_MILLISECONDS
  }

  async #pass(): Promise<void> {
    // also when somebody deleted them: the network stays as it is, and there is a place for
    // BGPPeers again
    const gone = this.#peers.kindUnknown || this.#slices.kindUnknown
    if ((this.#crds === 'unknown' || gone) && this.#election.isLeader) await this.#installCrds()
    if (!this.#nodes.synced || !this.#peers.synced || !this.#slices.synced) return
    await this.#catchUp()
    const peers = [...this.#peers.objects.values()]
    if (!this.#secrets.watch(peers)) return // wakes when the new ones have answered
    if (!this.#memory.hasAnswered) return
    this.#apiServers.follow()
    const { config } = this.#options
    const nodes = [...this.#nodes.objects.values()].map(nodeFacts)
    const decision = decide(config, config.allocatePodCIDRs, {
      nodes,
      peers,
      slices: [...this.#slices.objects.values()],
      secret: name => this.#secrets.answer(name),
      now: timestamp(this.#options.clock.now()),
      memory: this.#memory.current(nodes),
      apiServers: this.#apiServers.known,
      removals: this.#removals.observe(nodes),
      controllers: this.#options.answersAt?.(nodes.flatMap(({ podCIDRs }) => podCIDRs)) ?? [],
    })
    const peersOf = new Map(decision.entries.map(({ node, peers }) => [node, peers]))
    const held = this.#removals.take(decision.removals, node => peersOf.get(node) ?? [])
    this.#rows = once(() => clusterRows(nodes, decision, held))
    this.#entries = decision.entries
    this.#passes.push(this.#options.clock.monotonic())
    this.#decided = true
    this.#tell()
    this.#undone = !this.#election.isLeader
    if (!this.#undone) {
      // before any entry goes: who takes one away remembers what was in it
      const remembered = await this.#memory.keep(decision.record).then(
        () => undefined,
        (error: unknown) => error,
      )
      await this.#writes.carryOut(nodes, decision, held)
      if (remembered !== undefined) throw remembered
    }
    this.#problem = undefined
    this.#tell()
  }

  /**
   * A podCIDR cannot be taken back, so a leader hands none out by what it knew before others, or a
   * write that timed out, did.
   */
  async #catchUp(): Promise<void> {
    while (this.#election.isLeader) {
      const since = Math.max(this.#election.ledSince, this.#unknownAt)
      if (this.#caughtUp === since) return
      await Promise.all([this.#nodes, this.#peers, this.#slices].map(cache => cache.refresh(since)))
      if (this.#closing) return
      this.#caughtUp = since
    }
  }

  async #installCrds(): Promise<void> {
    const how = await ensureCrds(this.#options.api)
    this.#crds = 'there'
    this.#options.log.info({ state: how }, 'the CustomResourceDefinitions are there')
  }

  #failed(error: unknown, retryMilliseconds: number): void {
    const problem = errorText(error)
    if (problem !== this.#problem) {
      this.#options.log.warn(
        { reason: problem, milliseconds: Math.round(retryMilliseconds) },
        'a pass failed; trying again',
      )
    }
    this.#problem = problem
    this.#tell()
  }

  #tell(): void {
    this.#listeners.tell()
  }
}

/** `compute` at the first call, its answer at all calls. */
function once<T>(compute: () => T): () => T {
  let known: { readonly answer: T } | undefined
  return () => {
    known ??= { answer: compute() }
    return known.answer
  }
}
