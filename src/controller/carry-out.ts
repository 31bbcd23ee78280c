/**
 * Carries a decision of the controller out: Events, podCIDRs of Nodes, RouteSlices, the status of
 * BGPPeers. Everything is tried, a few writes at a time, while the Lease is ours; each waits until
 * it has come back by the watch, so that the next pass does not decide on what was before it. A new
 * podCIDR is published as soon as the API server has taken it. Decides nothing.
 */
import { ApiError, type Cache, type EventRecorder, type KubeApi } from '../kube/api.ts'
import type { BGPPeerObject } from '../kube/bgp-peer.ts'
import { BGP_PEERS, NODES, type Node, ROUTE_SLICES } from '../kube/resources.ts'
import type { RouteSlice } from '../kube/route-slice.ts'
import { speakerFieldManager, speakerPatch } from '../kube/speaker-entry.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { Decision } from './decide.ts'
import { Announcements, nodeEvent } from './events.ts'
import { FIELD_MANAGER } from './field-manager.ts'
import type { NodeFacts } from './nodes.ts'
import { statusPatch, statusToApply } from './peer-status.ts'
import type { HeldRemovals } from './removals.ts'
import { type SliceChanges, withoutPromises } from './slices.ts'
import { inParallel, until } from './writes.ts'

export interface ControllerWritesOptions {
  readonly api: KubeApi
  readonly events: EventRecorder
  readonly clock: Clock
  readonly log: Log
  readonly nodes: Cache<Node>
  readonly peers: Cache<BGPPeerObject>
  readonly slices: Cache<RouteSlice>
  /** Asked before each write. */
  readonly mayWrite: () => boolean
  /** Nobody knows whether a podCIDR was written: all is to be listed before the next is given. */
  readonly onUnknownOutcome: () => void
}

/** How long to wait until our own writes have come back by the watch. */
const ECHO_MILLISECONDS = 5_000

export class ControllerWrites {
  readonly #options: ControllerWritesOptions
  readonly #announcements = new Announcements()

  constructor(options: ControllerWritesOptions) {
    this.#options = options
  }

  /** Everything is tried; the first failure is thrown at the end, so that the pass runs again. */
  async carryOut(nodes: readonly NodeFacts[], decision: Decision, held: HeldRemovals): Promise<void> {
    const { events } = this.#options
    for (const event of this.#announcements.peerEvents(decision.peers)) events.record(event)
    for (const event of this.#announcements.unheardEvents(decision.peers)) events.record(event)
    for (const event of this.#announcements.routesEvents(decision.peers)) events.record(event)
    for (const event of this.#announcements.nodeEvents(nodes, decision.issues)) events.record(event)
    const slices = [...this.#options.slices.objects.values()]
    for (const event of this.#announcements.removalEvents(held, decision.peers, slices)) events.record(event)
    const { mayWrite } = this.#options
    const given = new Map<string, () => Promise<void>>()
    const failures = await inParallel(this.#nodeWrites(nodes, decision, given), mayWrite)
    const refused = new Set([...decision.allocation.allocated.keys()].filter(name => !given.has(name)))
    const writes = [
      ...this.#sliceWrites(withoutPromises(decision.slices, refused, slices)),
      ...this.#statusWrites(decision, held),
      ...this.#leftWrites(decision),
    ]
    // in any case: what was given is not given to another before it was seen
    const echoes = Promise.all([...given.values()].map(echo => echo()))
    const [first] = [...failures, ...(await inParallel(writes, mayWrite))]
    await echoes
    if (first !== undefined) throw first
  }

  /**
   * Each returns when the write has come back by the watch: the next pass must not decide on what
   * was before it.
   */
  #sliceWrites(slices: SliceChanges): (() => Promise<void>)[] {
    const { api, log } = this.#options
    const echo = (written: RouteSlice) =>
      this.#echo(this.#options.slices, () => {
        const seen = this.#options.slices.objects.get(written.metadata.name)
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
        await this.#echo(this.#options.slices, () => !this.#options.slices.objects.has(name))
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
          await this.#echo(this.#options.peers, () => {
            const seen = this.#options.peers.objects.get(evaluated.name)
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
        // what changed wakes the next pass
        if (!(error instanceof ApiError && error.status === 409)) throw error
      }
    })
  }

  /** Puts into `given` each node that got its podCIDRs, with how to wait until that is seen. */
  #nodeWrites(
    nodes: readonly NodeFacts[],
    { allocation }: Decision,
    given: Map<string, () => Promise<void>>,
  ): (() => Promise<void>)[] {
    const { api, events, log } = this.#options
    const uids = new Map(nodes.map(({ name, uid }) => [name, uid]))
    return [...allocation.allocated].map(([name, podCIDRs]) => async () => {
      const uid = uids.get(name) ?? ''
      // with the uid: a Node that was made anew meanwhile answers 409 and is looked at again
      const patch = { metadata: { uid }, spec: { podCIDR: podCIDRs[0], podCIDRs } }
      await api.mergePatch<Node>(NODES, name, patch).catch((error: unknown) => {
        if (!(error instanceof ApiError) || error.status === 0 || error.status >= 500) this.#options.onUnknownOutcome()
        throw error
      })
      const podCIDR = podCIDRs.join(', ')
      log.info({ node: name, podCIDR }, 'allocated pod CIDRs')
      events.record(
        nodeEvent(name, uid, { type: 'Normal', reason: 'PodCIDRsAllocated', message: `pod CIDR ${podCIDR}` }),
      )
      const hasCome = () => {
        const seen = this.#options.nodes.objects.get(name)
        return seen === undefined || seen.metadata.uid !== uid || seen.spec?.podCIDR !== undefined
      }
      given.set(name, async () => {
        await this.#echo(this.#options.nodes, hasCome)
        if (!hasCome()) this.#options.onUnknownOutcome()
      })
    })
  }

  #echo(cache: Pick<Cache<Node>, 'onChange'>, seen: () => boolean): Promise<void> {
    return until(this.#options.clock, {
      condition: seen,
      milliseconds: ECHO_MILLISECONDS,
      subscribe: listener => cache.onChange(listener),
    })
  }
}
