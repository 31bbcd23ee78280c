/**
 * One node's interfaces: record, call, record the outcome, until nothing is left to do. At the
 * beginning of a term, after a crash and after every unclear answer the cloud is asked first.
 *
 * What is to be done is decided in `controller-plan.ts`, what an answer means in `cloud-errors.ts`
 * and `operations.ts`; the record is kept by `controller-record.ts`, what the cloud says by
 * `controller-listing.ts`, what it refuses by `controller-refusals.ts`.
 */

import { actionFacts } from '../cloud/actions.ts'
import type { CloudAnswer } from '../cloud/cloud-api.ts'
import type { ENINodeSpec, ENIOperation } from '../kube/eni-node.ts'
import { backoffMilliseconds } from '../lib/backoff.ts'
import { EarliestTimer } from '../lib/earliest-timer.ts'
import { errorText } from '../lib/errors.ts'
import { Loop } from '../lib/loop.ts'
import { timestamp } from '../lib/timestamp.ts'
import { judge, type Scope, type Verdict } from './cloud-errors.ts'
import { CloudReadError } from './cloud-reader.ts'
import { findings } from './controller-conditions.ts'
import { NodeListing } from './controller-listing.ts'
import { planNode } from './controller-plan.ts'
import { IdleReclaim } from './controller-reclaim.ts'
import { NodeRecord } from './controller-record.ts'
import { Refusals } from './controller-refusals.ts'
import { capacityOf, type WorkerShared, type WorkerView, type WorkerWish } from './controller-shared.ts'
import { BELIEVE_MISSING_MILLISECONDS } from './missing.ts'
import { applyAnswer, blockedActionOf, cloudActionOf, dropOperation, type Recorded, targetOf } from './operations.ts'
import type { NodePlan } from './plan-cards.ts'
import type { SeenENINode } from './seen-eni-node.ts'
import { tagsFor } from './tags.ts'

const FULL_READ_MILLISECONDS = 10 * 60_000
/** While states change, and while what is missing has to be believed. */
const POLL_MILLISECONDS = [2_000, 3_000, 5_000, 10_000] as const
const UNCLEAR = { initialMilliseconds: 1_000, maximumMilliseconds: 60_000 }

export class NodeWorker {
  readonly name: string
  readonly #shared: WorkerShared
  readonly #loop: Loop
  #wish: WorkerWish = { wish: 'leave', config: undefined, misconfigured: undefined }
  #told = false
  #closed = false
  /** The term in which the record was read from the API server. */
  #term: number | undefined
  readonly #record: NodeRecord
  readonly #listing: NodeListing
  readonly #refusals: Refusals
  #mustRead = true
  #readAt = 0
  #polls = 0
  #unclear = 0
  #pauseUntil = 0
  #plan: NodePlan | undefined
  readonly #reclaim: IdleReclaim
  readonly #readTimer: EarliestTimer
  readonly #wakeTimer: EarliestTimer

  constructor(name: string, shared: WorkerShared) {
    this.name = name
    this.#shared = shared
    this.#record = new NodeRecord(name, shared)
    this.#listing = new NodeListing(shared, this.#record)
    this.#refusals = new Refusals(shared, this.#record)
    this.#wakeTimer = new EarliestTimer(shared.clock, () => this.wake())
    this.#readTimer = new EarliestTimer(shared.clock, () => {
      this.#mustRead = true
      this.wake()
    })
    this.#reclaim = new IdleReclaim(shared.clock)
    this.#loop = new Loop({
      clock: shared.clock,
      run: () => this.#pass(),
      onError: (error, milliseconds) => this.#failed(error, milliseconds),
      backoff: { initialMilliseconds: 500, maximumMilliseconds: 30_000 },
    })
  }

  /** What is wanted of the node from now on. */
  set(wish: WorkerWish): void {
    const same = this.#told && Bun.deepEquals(wish, this.#wish)
    this.#wish = wish
    this.#told = true
    if (!same) this.wake()
  }
  wake(): void {
    this.#loop.wake()
  }
  /**
   * The object as the watch sees it: the node's report, and whether somebody wrote what is not
   * theirs.
   */
  observe(seen: SeenENINode | undefined): void {
    if (this.#record.observe(seen)) this.wake()
  }

  view(): WorkerView {
    const { node, recorded, conditions } = this.#record
    return {
      name: this.name,
      spec: node?.spec,
      interfaces: recorded.interfaces,
      operations: recorded.operations,
      report: node?.report,
      idle: this.#plan?.idle ?? 0,
      capacity: this.#capacity(),
      conditions,
      lastError: this.#refusals.lastError,
    }
  }
  /** Whether the object is gone, and with it the work. */
  get isOver(): boolean {
    return this.#record.isGone || this.#record.node === undefined
  }
  /** Asks the cloud again: there is something new of this node. */
  readAgain(): void {
    this.#mustRead = true
    this.wake()
  }
  async close(): Promise<void> {
    this.#closed = true
    this.#readTimer.close()
    this.#wakeTimer.close()
    await this.#loop.close()
  }

  #leads(): boolean {
    return !this.#closed && this.#shared.leadership().isLeader
  }

  async #pass(): Promise<void> {
    const record = this.#record
    if (!this.#told || !this.#leads() || record.isGone) return
    const { term } = this.#shared.leadership()
    if (this.#term !== term || record.node === undefined) {
      if (!(await record.load())) return
      this.#term = term
      this.#listing.forget() // and the cloud is asked before anything else
      this.#mustRead = true
    } else if (record.isStale) await this.#refresh()
    for (let rounds = 0; this.#leads() && !record.isGone; rounds++) {
      if (!(await this.#round())) break
      if (rounds > 500) throw new Error('a node is never done: it is left alone for a while')
    }
    this.#schedule()
    this.#shared.onChange()
  }

  async #refresh(): Promise<void> {
    if (await this.#record.refresh()) this.#mustRead = true
  }

  /** One round. Whether another is to follow at once. */
  async #round(): Promise<boolean> {
    const { clock } = this.#shared
    const pause = this.#pauseUntil - clock.monotonic()
    if (pause > 0) {
      this.#later(pause)
      return false
    }
    const record = this.#record
    if (this.#mustRead && !(await this.#readCloud())) {
      await this.#write(record.recorded)
      return false
    }
    const unresolved = record.recorded.operations
    const plan = unresolved.length > 0 ? undefined : await this.#decide()
    if (record.isStale) {
      await this.#refresh()
      return true
    }
    const calls =
      plan === undefined ? this.#permitted(unresolved) : this.#permitted(plan.calls.map(call => this.#operation(call)))
    if (plan?.done === true) return this.#remove()
    const interfaces = plan?.interfaces ?? record.recorded.interfaces
    const proposal: Recorded = { interfaces, operations: plan === undefined ? unresolved : calls }
    if (!(await this.#write(proposal))) return true // something changed: decide anew
    record.recorded = proposal
    if (calls.length === 0) return false
    const answers = await Promise.all(calls.map(operation => this.#call(operation)))
    for (const [index, operation] of calls.entries()) {
      const answer = answers[index]
      if (answer !== undefined) this.#outcome(operation, answer)
    }
    return true
  }

  #operation(call: NodePlan['calls'][number]): ENIOperation {
    const { clock, newToken } = this.#shared
    const { token } = actionFacts(call.action)
    return {
      action: call.operation,
      parameters: call.parameters,
      token: token ? newToken() : '',
      since: timestamp(clock.now()),
    }
  }

  /** Those for which there is a turn now. */
  #permitted(operations: readonly ENIOperation[]): readonly ENIOperation[] {
    const { buckets, clock, blocks } = this.#shared
    const urgent = (this.#record.node?.report?.waiting ?? 0) > 0
    return operations.filter(operation => {
      const now = clock.monotonic()
      const action = blockedActionOf(this.#record.node?.spec.platform, operation.action)
      if (blocks.get('action', action, now) !== undefined) {
        this.#later(Math.max(100, (blocks.nextEnd(now) ?? now) - now))
        return false
      }
      const taken = buckets.take(operation.action, { name: this.name, urgent }, now)
      if (taken === 'taken') return true
      this.#later(taken)
      return false
    })
  }

  async #decide(): Promise<NodePlan> {
    const { reader, blocks, clock, degradation, clusterID } = this.#shared
    const node = this.#record.node
    if (node === undefined || this.#listing.items === undefined) throw new Error('nothing is known of the node')
    const { config, wish } = this.#wish
    const { spec } = node
    await this.#vSwitches(spec)
    const now = clock.monotonic()
    const plan = planNode({
      spec: this.#effectiveSpec(spec),
      recorded: this.#record.recorded,
      report: node.report,
      cloud: this.#listing.items,
      wish,
      blocked: (scope: Scope, id: string) => blocks.get(scope, id, now),
      vSwitches: reader.knownVSwitches(),
      selection: config?.selection ?? 'ordered',
      random: clock.random(),
      degradation,
      reclaimBatch: this.#reclaim.batch(config?.reclaim, node.report),
      warmedUp: this.#record.hasCondition('WarmedUp'),
      tags: tagsFor({ clusterID, instanceID: spec.instanceID, node: this.name }, config?.tags ?? {}),
      resourceGroupID: config?.resourceGroupID,
      stuck: this.#listing.stuck(),
    })
    this.#plan = plan
    return plan
  }

  #capacity(): number {
    const spec = this.#record.node?.spec
    return spec === undefined ? 0 : capacityOf(this.#effectiveSpec(spec))
  }

  /** On ENS there are as many interfaces as were bought. */
  #effectiveSpec(spec: ENINodeSpec): ENINodeSpec {
    if (spec.platform === 'ecs') return spec
    const interfaces = Math.min(spec.limits.interfaces, this.#record.recorded.interfaces.length)
    return { ...spec, limits: { ...spec.limits, interfaces } }
  }

  async #vSwitches(spec: ENINodeSpec): Promise<void> {
    if (spec.platform === 'ens') return
    try {
      await this.#shared.reader.vSwitches(spec.regionID, spec.vSwitchIDs)
    } catch (error) {
      if (!(error instanceof CloudReadError)) throw error
      this.#refusals.add(error.action, error.verdict)
    }
  }

  /** Asks the cloud and brings the record in line. False: it does not say. */
  async #readCloud(): Promise<boolean> {
    const { clock } = this.#shared
    try {
      await this.#listing.read()
    } catch (error) {
      if (!(error instanceof CloudReadError)) throw error
      this.#refusals.add(error.action, error.verdict)
      this.#later(backoffMilliseconds(UNCLEAR, this.#unclear++, clock.random()))
      return false
    }
    this.#refusals.access = undefined
    this.#mustRead = false
    this.#readAt = clock.monotonic()
    if (this.#listing.isMissing) this.#readLater(BELIEVE_MISSING_MILLISECONDS)
    return true
  }

  async #call(operation: ENIOperation): Promise<CloudAnswer> {
    const { cloud, onCall } = this.#shared
    const action = cloudActionOf(this.#record.node?.spec.platform ?? 'ecs', operation.action)
    if (action === undefined) return { kind: 'not-sent', reason: `no such action: ${operation.action}` }
    onCall(action)
    const regionID = this.#record.node?.spec.regionID ?? ''
    return await cloud.call({ action, regionID, parameters: operation.parameters, token: operation.token })
  }

  #outcome(operation: ENIOperation, answer: CloudAnswer): void {
    const { clock, reader, blocks } = this.#shared
    const spec = this.#record.node?.spec
    if (spec === undefined) return
    if (operation.action === 'CreateNetworkInterface') reader.forgetVSwitch(operation.parameters.VSwitchId ?? '')
    if (answer.kind === 'ok') {
      const applied = applyAnswer(this.#record.recorded, operation, answer.body, {
        spec,
        vSwitches: reader.knownVSwitches(),
      })
      if (applied !== undefined) {
        this.#record.recorded = applied
        this.#unclear = 0
        const target = targetOf(operation)
        blocks.clear('action', blockedActionOf(spec.platform, operation.action))
        // that an attaching has begun says nothing of its end
        if (target !== undefined && operation.action !== 'AttachNetworkInterface') blocks.clear('interface', target)
        this.#refusals.access = undefined
        this.#listing.noteStates()
        return
      }
    }
    const unclear = { kind: 'unknown', reason: 'the answer does not say what was done' } as const
    this.#judged(operation, judge(answer.kind === 'ok' ? unclear : answer, clock.now()))
  }

  #judged(operation: ENIOperation, verdict: Verdict): void {
    const { clock } = this.#shared
    const { action } = operation
    if (verdict.kind === 'effect-unknown') {
      // the record stays until reading back, or the same call again, has said what was done
      this.#mustRead = true
      this.#pauseUntil = clock.monotonic() + backoffMilliseconds(UNCLEAR, this.#unclear++, clock.random())
      return
    }
    this.#record.recorded = dropOperation(this.#record.recorded, operation)
    // what is not there any more needs no taking away
    const taking = /^(Detach|Delete|Unassign)/.test(action)
    // neither too many calls nor one that was not sent say anything about what there is
    if (verdict.kind !== 'throttled' && verdict.code !== '') this.#mustRead = true
    this.#refusals.add(action, taking && verdict.kind === 'gone' ? { ...verdict, tell: false } : verdict, operation)
  }

  /** False: somebody wrote meanwhile, decide anew. */
  async #write(proposal: Recorded): Promise<boolean> {
    const written = await this.#record.write(proposal, this.#findings())
    if (!written && this.#record.isStale) await this.#refresh()
    return written
  }

  #findings() {
    return findings({
      plan: this.#plan,
      capacity: this.#capacity(),
      waiting: this.#record.node?.report?.waiting ?? 0,
      misconfigured: this.#wish.misconfigured,
      access: this.#refusals.access,
      warmedUp: this.#plan?.warmedUp ?? this.#record.hasCondition('WarmedUp'),
      degradation: this.#shared.degradation,
    })
  }

  /** Everything is given back: the object goes too. */
  async #remove(): Promise<boolean> {
    if (!(await this.#write(this.#record.recorded))) return true
    if (await this.#record.remove()) return false
    await this.#refresh()
    return true
  }

  /** When to look again. */
  #schedule(): void {
    const { clock, blocks } = this.#shared
    const now = clock.monotonic()
    const moving = this.#record.recorded.interfaces.some(({ state }) => state !== 'InUse' && state !== 'Available')
    const unattached = this.#wish.wish === 'leave'
    if (moving) {
      const pause = POLL_MILLISECONDS[Math.min(this.#polls++, POLL_MILLISECONDS.length - 1)] ?? 10_000
      this.#readLater(pause)
    } else this.#polls = 0
    if (unattached && !moving) this.#readLater(60_000)
    if (!this.#mustRead) this.#readLater(Math.max(0, this.#readAt + FULL_READ_MILLISECONDS - now))
    const end =
      (this.#plan?.shortage ?? 0) > 0 || (this.#plan?.obstacles.length ?? 0) > 0 ? blocks.nextEnd(now) : undefined
    if (end !== undefined) this.#later(Math.max(100, end - now))
  }

  #readLater(milliseconds: number): void {
    this.#readTimer.set(milliseconds)
  }
  #later(milliseconds: number): void {
    this.#wakeTimer.set(milliseconds)
  }

  #failed(error: unknown, milliseconds: number): void {
    const text = errorText(error)
    if (!this.#closed && text !== this.#refusals.lastError)
      this.#shared.log.warn(
        { node: this.name, reason: text, milliseconds: Math.round(milliseconds) },
        'cannot take care of the interfaces of a node; trying again',
      )
    this.#refusals.lastError = text
  }
}
