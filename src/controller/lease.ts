/**
 * Leader election by a Lease of coordination.k8s.io, by the rules of the other Kubernetes
 * controllers: the holder renews every 2 s, gives up when it could not for 10 s, and another may
 * take over when the Lease has not changed for 15 s. Times of other machines are never compared
 * with ours: only how long *we* have seen no change counts.
 */

import { ApiError, type KubeApi } from '../kube/api.ts'
import { CONTROLLER_LEASE, type KubeObject, LEASES } from '../kube/resources.ts'
import type { Clock } from '../lib/clock.ts'
import { sleep } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { within } from './writes.ts'

const LEASE_SECONDS = 15
const RENEW_DEADLINE_MILLISECONDS = 10_000
const RETRY_MILLISECONDS = 2_000
const CLOSE_MILLISECONDS = 2_000

interface LeaseSpec {
  readonly holderIdentity?: string
  readonly leaseDurationSeconds?: number
  readonly acquireTime?: string
  readonly renewTime?: string
  readonly leaseTransitions?: number
}

export interface Lease extends KubeObject {
  readonly spec?: LeaseSpec
}

/** A Lease as we last saw it change, and when (monotonic milliseconds). */
export interface ObservedLease {
  readonly lease: Lease
  readonly at: number
}

export type LeaseStep = 'create' | 'renew' | 'take' | 'wait'

/** What to do about the Lease at `now`. Pure. */
export function leaseStep(observed: ObservedLease | undefined, identity: string, now: number): LeaseStep {
  if (observed === undefined) return 'create'
  const { holderIdentity, leaseDurationSeconds } = observed.lease.spec ?? {}
  if (holderIdentity === identity) return 'renew'
  if (holderIdentity === undefined || holderIdentity === '') return 'take'
  return now - observed.at >= (leaseDurationSeconds ?? LEASE_SECONDS) * 1000 ? 'take' : 'wait'
}

/** While nobody holds the Lease nobody has changed. */
function afterLook(known: { last: string | undefined; changes: number }, leader: string | undefined) {
  if (leader === undefined || leader === known.last) return known
  return { last: leader, changes: known.last === undefined ? 0 : known.changes + 1 }
}

export interface ElectionOptions {
  readonly api: KubeApi
  readonly clock: Clock
  readonly log: Log
  readonly namespace: string
  /** Unique per process. */
  readonly identity: string
  /** Called when `isLeader` or `leader` has changed. */
  readonly onChange: () => void
}

export class Election {
  readonly #options: ElectionOptions
  readonly #closed = new AbortController()
  readonly #running: Promise<void>
  #observed: ObservedLease | undefined
  /** Until when (monotonic) we lead: renewed with each write that succeeded. */
  #leadsUntil = 0
  #term = 0
  #ledSince = 0
  #wasLeader = false
  #leaders: { readonly last: string | undefined; readonly changes: number } = { last: undefined, changes: 0 }
  #problem: string | undefined

  constructor(options: ElectionOptions) {
    this.#options = options
    this.#running = this.#run()
  }
  get isLeader(): boolean {
    return !this.#closed.signal.aborted && this.#options.clock.monotonic() < this.#leadsUntil
  }
  /** Grows whenever we take the Lease: before each, another may have led. */
  get term(): number {
    return this.#term
  }
  /** When we took it last, in Clock.monotonic() milliseconds: from then on no other leads. */
  get ledSince(): number {
    return this.#ledSince
  }
  /** The identity of who holds the Lease. */
  get leader(): string | undefined {
    return this.#observed?.lease.spec?.holderIdentity || undefined
  }
  /** How often somebody else has come to hold it since the start. */
  get leaderChanges(): number {
    return this.#leaders.changes
  }
  /** Why the last try failed. */
  get problem(): string | undefined {
    return this.#problem
  }
  /** Gives the Lease back, so that another need not wait. */
  async close(): Promise<void> {
    const held = this.isLeader
    this.#closed.abort()
    const { api, clock } = this.#options
    await within(clock, CLOSE_MILLISECONDS, this.#running)
    if (!held || this.#observed === undefined) return
    const { lease } = this.#observed
    const released = { ...lease, spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 } }
    await within(
      clock,
      CLOSE_MILLISECONDS,
      api.replace(LEASES, released).catch(() => {}),
    ) // else it runs out by itself
  }

  async #run(): Promise<void> {
    const { clock } = this.#options
    while (!this.#closed.signal.aborted) {
      try {
        await this.#step()
        this.#problem = undefined
      } catch (error) {
        this.#failed(error)
      }
      this.#tell()
      await sleep(clock, RETRY_MILLISECONDS * (1 + clock.random() / 5), this.#closed.signal)
    }
  }

  async #step(): Promise<void> {
    const { api, clock, namespace, identity } = this.#options
    this.#observe(await api.get<Lease>(LEASES, CONTROLLER_LEASE, namespace))
    if (this.#closed.signal.aborted) return
    const step = leaseStep(this.#observed, identity, clock.monotonic())
    if (step === 'wait') return
    const sent = clock.monotonic()
    const wanted = this.#wanted(step)
    const written = await (step === 'create' ? api.create<Lease>(LEASES, wanted) : api.replace<Lease>(LEASES, wanted))
    const now = clock.monotonic()
    if (step !== 'renew') {
      this.#term++
      this.#ledSince = now
    }
    this.#observed = { lease: written, at: now }
    this.#leadsUntil = sent + RENEW_DEADLINE_MILLISECONDS
  }

  #observe(lease: Lease | undefined): void {
    const now = this.#options.clock.monotonic()
    if (lease === undefined) this.#observed = undefined
    else if (lease.metadata.resourceVersion !== this.#observed?.lease.metadata.resourceVersion)
      this.#observed = { lease, at: now }
    if (lease?.spec?.holderIdentity !== this.#options.identity) this.#leadsUntil = 0
  }

  #wanted(step: Exclude<LeaseStep, 'wait'>): Lease {
    const { clock, namespace, identity } = this.#options
    const now = new Date(clock.now()).toISOString().replace('Z', '000Z') // metav1.MicroTime
    const before = this.#observed?.lease
    const transitions = before?.spec?.leaseTransitions ?? 0
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: before?.metadata ?? { name: CONTROLLER_LEASE, namespace },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: LEASE_SECONDS,
        renewTime: now,
        acquireTime: step === 'renew' ? (before?.spec?.acquireTime ?? now) : now,
        leaseTransitions: step === 'take' ? transitions + 1 : transitions,
      },
    }
  }

  #failed(error: unknown): void {
    if (error instanceof ApiError && error.status === 409) return // another was faster: look again
    const problem = errorText(error)
    if (this.#problem === undefined)
      this.#options.log.warn({ reason: problem }, 'cannot renew or read the leader Lease')
    this.#problem = problem
  }

  #tell(): void {
    const { identity, log, onChange } = this.#options
    this.#leaders = afterLook(this.#leaders, this.leader)
    if (this.isLeader !== this.#wasLeader) {
      this.#wasLeader = this.isLeader
      log.info(
        { name: identity, state: this.isLeader ? 'leader' : 'follower' },
        this.isLeader ? 'leading now' : 'leading no more',
      )
    }
    onChange()
  }
}
