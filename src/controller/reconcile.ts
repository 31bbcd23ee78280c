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
import { ApiError, type Cache, type EventRecorder, type KubeApi } from '../kube/api.ts'
import type { BGPPeerObject } from '../kube/bgp-peer.ts'
import type { RemovalLimits } from '../kube/mass-removal.ts'
import { BGP_PEERS, NODES, type Node, ROUTE_SLICES } from '../kube/resources.ts'
import type { RouteSlice } from '../kube/route-slice.ts'
import { speakerFieldManager, speakerPatch } from '../kube/speaker-entry.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { timestamp } from '../lib/timestamp.ts'
import { ApiServerAddresses } from './api-server-addresses.ts'
import { ensureCrds } from './crds.ts'
import { type Decision, decide } from './decide.ts'
import { Announcements, nodeEvent } from './events.ts'
import { FIELD_MANAGER } from './field-manager.ts'
import { Election } from './lease.ts'
import { type NodeFacts, nodeFacts, reduceNode } from './nodes.ts'
import { statusPatch, statusToApply } from './peer-status.ts'
import type { PodCIDRConfig } from './pod-cidr.ts'
import { PodCIDRMemory } from './pod-cidr-memory.ts'
import { type HeldRemovals, Removals } from './removals.ts'
import { PasswordSecrets } from './secrets.ts'
import { type ClusterRows, clusterRows, NO_ROWS } from './view.ts'
import { inParallel, until, within } from './writes.ts'

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
  readonly config: ControllerConfig
}

export interface ControllerView extends ClusterRows {
  /** Whether all caches are filled and the CRDs are there. */
  readonly ready: boolean
  readonly leader: string | undefined
  readonly isLeader: boolean
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
  /** `term` grows whenever the Lease is taken: before each, another may have led. */
  leadership(): { readonly isLeader: boolean; readonly term: number }
  view(): ControllerView
  /** Calls `listener` after each pass. Returns how to stop that. */
  onChange(listener: () => void): () => void
  /** Stops and gives the Lease back. Routes, slices and sessions stay as they are. */
  close(): Promise<void>
}

/** Changes that come together (a BGPPeer and its Secret in one file) are one pass. */
const SETTLE_MILLISECONDS = 200
const FULL_PASS_MILLISECONDS = 60_000
/** How long to wait until our own writes have come back by the watch. */
const ECHO_MILLISECONDS = 5_000
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
  readonly #listeners = new Set<() => void>()
  readonly #announcements = new Announcements()
  #rows: ClusterRows = NO_ROWS
  readonly #removals: Removals
  #decided = false
  #closing = false
  #crds: 'unknown' | 'there' = 'unknown'
  /**
   * The last pass carried out nothing, or not all: the Lease had run out by then. It may be renewed
   * before anybody sees that.
   */
  #undone = false
  /**
   * The term in whose beginning all was listed; undefined also while the outcome of a write is not
   * known.
   */
  #caughtUp: number | undefined
  #problem: string | undefined

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
    this.#nodes = api.cache<Node>(NODES, { reduce: reduceNode })
    this.#peers = api.cache<BGPPeerObject>(BGP_PEERS)
    this.#slices = api.cache<RouteSlice>(ROUTE_SLICES)
    for (const cache of [this.#nodes, this.#peers, this.#slices]) cache.onChange(wake)
    this.#secrets = new PasswordSecrets(api, wake)
    this.#memory = new PodCIDRMemory({ api, clock, log, rememberSeconds: config.rememberSeconds, onChange: wake })
    this.#apiServers = new ApiServerAddresses({ api, clock, onChange: wake })
    this.#removals = new Removals({
      clock,
      limits: config.removal,
      caches: [this.#nodes, this.#peers, this.#slices],
      wake,
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
        this.#tell()
      },
    })
    wake()
  }

  get nodes(): Cache<Node> {
    return this.#nodes
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
    return {
      ...this.#rows,
      problems: [...own, ...this.#rows.problems],
      ready: this.#decided,
      leader: this.#election.leader,
      isLeader: this.#election.isLeader,
      contact: {
        server: this.#options.api.server,
        connected: problem === undefined && caches.every(cache => cache.synced),
        lastContact: lastContact === 0 ? undefined : lastContact,
        problem,
      },
    }
  }
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
  async close(): Promise<void> {
    this.#listeners.clear()
    this.#closing = true
    await within(this.#options.clock, CLOSE_MILLISECONDS, this.#loop.close())
    await this.#election.close()
    this.#secrets.close()
    this.#memory.close()
    this.#removals.close()
    this.#apiServers.close()
    for (const cache of [this.#nodes, this.#peers, this.#slices]) cache.close()
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
    this.#apiServers.refresh()
    const { config } = this.#options
    const nodes = [...this.#nodes.objects.values()].map(nodeFacts)
    const decision = decide(config, config.allocatePodCIDRs, {
      nodes,
      peers,
      slices: [...this.#slices.objects.values()],
      secret: name => this.#secrets.answer(name),
      now: timestamp(this.#options.clock.now()),
      memory: this.#memory.current(),
      apiServers: this.#apiServers.known,
      removals: this.#removals.observe(nodes),
    })
    const peersOf = new Map(decision.entries.map(({ node, peers }) => [node, peers]))
    const held = this.#removals.take(decision.removals, node => peersOf.get(node) ?? [])
    this.#rows = clusterRows(nodes, decision, held)
    this.#decided = true
    this.#tell()
    this.#undone = !this.#election.isLeader
    if (!this.#undone) {
      // before any entry goes: who takes one away remembers what was in it
      const remembered = await this.#memory.keep(decision.record, decision.allocation.waiting.length > 0).then(
        () => undefined,
        (error: unknown) => error,
      )
      await this.#carryOut(nodes, decision, held)
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
    while (this.#election.isLeader && this.#caughtUp !== this.#election.term) {
      const { term } = this.#election
      await Promise.all([this.#nodes.refresh(), this.#peers.refresh(), this.#slices.refresh()])
      if (this.#closing) return
      this.#caughtUp = term
    }
  }

  async #installCrds(): Promise<void> {
    const how = await ensureCrds(this.#options.api)
    this.#crds = 'there'
    this.#options.log.info({ state: how }, 'the CustomResourceDefinitions are there')
  }

  /** Everything is tried; the first failure is thrown at the end, so that the pass runs again. */
  async #carryOut(nodes: readonly NodeFacts[], decision: Decision, held: HeldRemovals): Promise<void> {
    const { events } = this.#options
    for (const event of this.#announcements.peerEvents(decision.peers)) events.record(event)
    for (const event of this.#announcements.unheardEvents(decision.peers)) events.record(event)
    for (const event of this.#announcements.routesEvents(decision.peers)) events.record(event)
    for (const event of this.#announcements.nodeEvents(nodes, decision.issues)) events.record(event)
    const slices = [...this.#slices.objects.values()]
    for (const event of this.#announcements.removalEvents(held, decision.peers, slices)) events.record(event)
    const writes = [
      ...this.#sliceWrites(decision),
      ...this.#statusWrites(decision, held),
      ...this.#leftWrites(decision),
      ...this.#nodeWrites(nodes, decision),
    ]
    const failures = await inParallel(writes, () => this.#mayWrite())
    const [first] = failures
    if (first !== undefined) throw first
  }

  #mayWrite(): boolean {
    if (!this.#election.isLeader) this.#undone = true
    return !this.#undone && !this.#closing
  }

  /**
   * Each returns when the write has come back by the watch: the next pass must not decide on what
   * was before it.
   */
  #sliceWrites({ slices }: Decision): (() => Promise<void>)[] {
    const { api, log } = this.#options
    const echo = (written: RouteSlice) =>
      this.#echo(this.#slices, () => {
        const seen = this.#slices.objects.get(written.metadata.name)
        return seen?.metadata.resourceVersion === written.metadata.resourceVersion
      })
    return [
      ...slices.create.map(slice => async () => {
        const written = await api.create<RouteSlice>(ROUTE_SLICES, slice)
        log.info({ name: slice.metadata.name, count: slice.entries.length }, 'created a RouteSlice')
        await echo(written)
      }),
      ...slices.replace.map(slice => async () => echo(await api.replace<RouteSlice>(ROUTE_SLICES, slice))),
      ...slices.remove.map(slice => async () => {
        const { name } = slice.metadata
        await api.deleteUnchanged(ROUTE_SLICES, slice)
        log.info({ name }, 'deleted an empty RouteSlice')
        await this.#echo(this.#slices, () => !this.#slices.objects.has(name))
      }),
    ]
  }

  #statusWrites({ peers }: Decision, held: HeldRemovals): (() => Promise<void>)[] {
    const { api, clock, log } = this.#options
    return peers.flatMap(evaluated => {
      const status = statusToApply(evaluated, timestamp(clock.now()), held.of(evaluated.name))
      if (status === undefined) return []
      return [
        async () => {
          const patch = statusPatch(evaluated, status)
          const { status: state, reason, message } = evaluated.accepted
          const fields = { bgpPeer: evaluated.name, state: evaluated.sessions, reason, detail: message }
          try {
            await api.apply(BGP_PEERS, patch, { fieldManager: FIELD_MANAGER, force: true, subresource: 'status' })
          } catch (error) {
            // stored before the schema refused it: no status can be written either, the Event tells
            if (!(error instanceof ApiError && error.status === 422)) throw error
            log.warn(fields, 'BGPPeer that the schema refuses today: its status cannot be written')
            return
          }
          if (state === 'True') log.info(fields, 'BGPPeer status')
          else log.warn(fields, 'BGPPeer cannot work as it is')
          await this.#echo(this.#peers, () => {
            const seen = this.#peers.objects.get(evaluated.name)
            return (
              seen === undefined ||
              statusToApply({ ...evaluated, object: seen }, '', held.of(evaluated.name)) === undefined
            )
          })
        },
      ]
    })
  }

  /**
   * Takes entries away that nobody else will: by resourceVersion, for a node that is a speaker
   * again writes its own. What another field manager wrote (a node about others, kubectl edit) is
   * taken away as well: nobody reports for who is no speaker.
   */
  #leftWrites({ peers }: Decision): (() => Promise<void>)[] {
    const { api, log } = this.#options
    const left = peers.flatMap(({ object, left: nodes }) => nodes.map(node => ({ object, node })))
    return left.map(({ object, node }) => async () => {
      const { name, uid, resourceVersion } = object.metadata
      const seen = {
        ...(uid === undefined ? {} : { uid }),
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      }
      const options = { fieldManager: speakerFieldManager(node), force: true, subresource: 'status' } as const
      try {
        const after: BGPPeerObject = await api.apply(BGP_PEERS, speakerPatch({ name, ...seen }, undefined), options)
        const speakers = after.status?.speakers ?? []
        if (!speakers.some(entry => entry.node === node)) {
          log.info({ bgpPeer: name, node }, 'took away the entry of a speaker that left')
          return
        }
        const metadata = { ...seen, resourceVersion: after.metadata.resourceVersion }
        const status = { speakers: speakers.filter(entry => entry.node !== node) }
        await api.mergePatch(BGP_PEERS, name, { metadata, status }, { subresource: 'status' })
        log.warn({ bgpPeer: name, node }, 'took away an entry that somebody else wrote for who is no speaker')
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 409)) throw error // what changed wakes the next pass
      }
    })
  }

  #nodeWrites(nodes: readonly NodeFacts[], { allocation }: Decision): (() => Promise<void>)[] {
    const { api, events, log } = this.#options
    const uids = new Map(nodes.map(({ name, uid }) => [name, uid]))
    return [...allocation.allocated].map(([name, podCIDRs]) => async () => {
      const uid = uids.get(name) ?? ''
      // with the uid: a Node that was made anew meanwhile answers 409 and is looked at again
      const patch = { metadata: { uid }, spec: { podCIDR: podCIDRs[0], podCIDRs } }
      await api.mergePatch<Node>(NODES, name, patch).catch((error: unknown) => {
        if (!(error instanceof ApiError) || error.status === 0 || error.status >= 500) this.#caughtUp = undefined
        throw error
      })
      const podCIDR = podCIDRs.join(', ')
      log.info({ node: name, podCIDR }, 'allocated pod CIDRs')
      events.record(
        nodeEvent(name, uid, { type: 'Normal', reason: 'PodCIDRsAllocated', message: `pod CIDR ${podCIDR}` }),
      )
      const hasCome = () => {
        const seen = this.#nodes.objects.get(name)
        return seen === undefined || seen.metadata.uid !== uid || seen.spec?.podCIDR !== undefined
      }
      await this.#echo(this.#nodes, hasCome)
      if (!hasCome()) this.#caughtUp = undefined
    })
  }

  #echo(cache: Pick<Cache<Node>, 'onChange'>, seen: () => boolean): Promise<void> {
    return until(this.#options.clock, {
      condition: seen,
      milliseconds: ECHO_MILLISECONDS,
      subscribe: listener => cache.onChange(listener),
    })
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
    for (const listener of [...this.#listeners]) listener()
  }
}
