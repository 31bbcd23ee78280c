/**
 * One node's interfaces: record, call, record the outcome, until nothing is left to do. The record
 * is the ENINode in the API server; each write names the resourceVersion that it follows, so
 * whoever was a leader before overwrites nothing, and what the node writes beside its own report is
 * put right. At the beginning of a term, after a crash and after every unclear answer the cloud is
 * asked first.
 *
 * What is to be done is decided in `controller-plan.ts`, what an answer means in `cloud-errors.ts`
 * and `operations.ts`.
 */

import { actionFacts } from '../cloud/actions.ts'
import type { CloudInterface } from '../cloud/answers.ts'
import type { CloudAnswer, CloudApi } from '../cloud/cloud-api.ts'
import { ApiError, type KubeApi } from '../kube/api.ts'
import { decodeENINode } from '../kube/decode-eni-node.ts'
import {
  type ENIInterface,
  type ENINode,
  type ENINodeObject,
  type ENINodeReport,
  type ENINodeSpec,
  type ENIOperation,
  withoutEmptyTexts,
} from '../kube/eni-node.ts'
import { type Condition, ENI_NODES } from '../kube/resources.ts'
import { backoffMilliseconds } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { EarliestTimer } from '../lib/earliest-timer.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { timestamp } from '../lib/timestamp.ts'
import { judge, type Scope, type Verdict } from './cloud-errors.ts'
import { CloudReadError, type CloudReader } from './cloud-reader.ts'
import type { Blocks } from './controller-blocks.ts'
import { findings, verdictText, withTimes } from './controller-conditions.ts'
import { planNode } from './controller-plan.ts'
import type { EniConfig } from './eni-config.ts'
import { BELIEVE_MISSING_MILLISECONDS, MissingThings } from './missing.ts'
import { applyAnswer, cloudActionOf, dropOperation, type Recorded, readBack, targetOf } from './operations.ts'
import { type Degradation, type NodePlan, newInterfaceOf } from './plan-cards.ts'
import { isOurs, madeFor, tagsFor } from './tags.ts'
import type { TokenBuckets } from './token-buckets.ts'

/** The name under which the controller owns ENINodes. */
export const FIELD_MANAGER = 'terway-edge-eni-controller'

/** What the whole cluster has in common. */
export interface WorkerShared {
  readonly api: KubeApi
  readonly cloud: CloudApi
  readonly clock: Clock
  readonly log: Log
  readonly reader: CloudReader
  readonly blocks: Blocks
  readonly buckets: TokenBuckets
  readonly clusterID: string
  readonly degradation: Degradation
  readonly leadership: () => { readonly isLeader: boolean; readonly term: number }
  readonly newToken: () => string
  readonly event: (node: string, type: 'Normal' | 'Warning', reason: string, message: string) => void
  readonly onCall: (action: string) => void
  readonly onChange: () => void
}

/** What a worker is told from outside. */
export interface WorkerWish {
  readonly wish: 'stay' | 'leave'
  readonly config: EniConfig | undefined
  readonly misconfigured: string | undefined
}

/** What a worker shows. */
export interface WorkerView {
  readonly name: string
  readonly spec: ENINodeSpec | undefined
  readonly interfaces: readonly ENIInterface[]
  readonly operations: readonly ENIOperation[]
  readonly report: ENINodeReport | undefined
  readonly idle: number
  readonly capacity: number
  readonly conditions: readonly Condition[]
  readonly lastError: string | undefined
}

/** The controller's part of the status as it was written. */
interface Written {
  readonly recorded: Recorded
  readonly conditions: readonly Condition[]
}

const FULL_READ_MILLISECONDS = 10 * 60_000
/** While states change, and while what is missing has to be believed. */
const POLL_MILLISECONDS = [2_000, 3_000, 5_000, 10_000] as const
/** A detaching or deleting that takes longer is asked for again. */
const STUCK_MILLISECONDS = 60_000
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
  #node: ENINode | undefined
  #resourceVersion = ''
  /** The truth: what was written, and outcomes that are still to be written. */
  #recorded: Recorded = { interfaces: [], operations: [] }
  #conditions: readonly Condition[] = []
  #written: Written | undefined
  /** What the last write said, also when its answer never came. */
  #attempted: Written | undefined
  #cloud: readonly CloudInterface[] | undefined
  #mustRead = true
  #readAt = 0
  #polls = 0
  #unclear = 0
  #pauseUntil = 0
  readonly #missing = new MissingThings()
  readonly #stateSince = new Map<string, { state: string; at: number }>()
  #access: { action: string; verdict: Verdict } | undefined
  #lastError: string | undefined
  #plan: NodePlan | undefined
  #activity = { text: '', at: 0 }
  #reclaimedAt = 0
  #gone = false
  readonly #readTimer: EarliestTimer
  readonly #wakeTimer: EarliestTimer

  constructor(name: string, shared: WorkerShared) {
    this.name = name
    this.#shared = shared
    this.#wakeTimer = new EarliestTimer(shared.clock, () => this.wake())
    this.#readTimer = new EarliestTimer(shared.clock, () => {
      this.#mustRead = true
      this.wake()
    })
    this.#activity.at = shared.clock.monotonic()
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
  observe(object: ENINodeObject): void {
    const { node } = decodeENINode(object)
    if (node === undefined || this.#node === undefined) {
      this.wake()
      return
    }
    if (isOlder(object.metadata.resourceVersion, this.#resourceVersion)) return
    const report = node.status.node
    const news = !Bun.deepEquals(report, this.#node.status.node) || !Bun.deepEquals(node.spec, this.#node.spec)
    if (news || !this.#isAsWritten(node)) {
      this.#stale = true
      this.wake()
    }
  }
  #stale = false

  view(): WorkerView {
    const spec = this.#node?.spec
    return {
      name: this.name,
      spec,
      interfaces: this.#recorded.interfaces,
      operations: this.#recorded.operations,
      report: this.#node?.status.node,
      idle: this.#plan?.idle ?? 0,
      capacity: this.#capacity(),
      conditions: this.#conditions,
      lastError: this.#lastError,
    }
  }
  /** Whether the object is gone, and with it the work. */
  get isOver(): boolean {
    return this.#gone || this.#node === undefined
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
    if (!this.#told || !this.#leads() || this.#gone) return
    const { term } = this.#shared.leadership()
    if (this.#term !== term || this.#node === undefined) {
      if (!(await this.#load())) return
      this.#term = term
    } else if (this.#stale) await this.#refresh()
    for (let rounds = 0; this.#leads() && !this.#gone; rounds++) {
      if (!(await this.#round())) break
      if (rounds > 500) throw new Error('a node is never done: it is left alone for a while')
    }
    this.#schedule()
    this.#shared.onChange()
  }

  /**
   * Begins a term: the record is what the API server has, and the cloud is asked before anything
   * else.
   */
  async #load(): Promise<boolean> {
    const object = await this.#shared.api.get<ENINodeObject>(ENI_NODES, this.name)
    const { node } = object === undefined ? { node: undefined } : decodeENINode(object)
    if (object === undefined || node === undefined) return false
    const { interfaces, operations, conditions } = node.status
    this.#node = node
    this.#resourceVersion = object.metadata.resourceVersion ?? ''
    // an operation that is not of this node's platform or interfaces was not written by us
    this.#recorded = { interfaces, operations: operations.filter(operation => this.#isOwnOperation(node, operation)) }
    this.#conditions = conditions
    this.#written = { recorded: { interfaces, operations }, conditions }
    this.#cloud = undefined
    this.#mustRead = true
    this.#stale = false
    return true
  }

  #isOwnOperation({ spec, name }: ENINode, operation: ENIOperation): boolean {
    if (cloudActionOf(spec.platform, operation.action) === undefined) return false
    if (operation.action !== 'CreateNetworkInterface') return true
    const { clusterID } = this.#shared
    const tags = tagsFor({ clusterID, instanceID: spec.instanceID, node: name }, {}).map(({ Value }) => Value)
    const values = Object.entries(operation.parameters).filter(([key]) => /^Tag\.\d+\.Value$/.test(key))
    return (
      tags.every(tag => values.some(([, value]) => value === tag)) && operation.parameters.SourceDestCheck === 'false'
    )
  }

  /** Takes in what the node and others wrote meanwhile. */
  async #refresh(): Promise<void> {
    const object = await this.#shared.api.get<ENINodeObject>(ENI_NODES, this.name)
    const { node } = object === undefined ? { node: undefined } : decodeENINode(object)
    if (object === undefined) {
      this.#gone = true
      return
    }
    this.#resourceVersion = object.metadata.resourceVersion ?? ''
    this.#stale = false
    if (node === undefined) return
    if (this.#node !== undefined && node.uid !== this.#node.uid) {
      this.#node = undefined // deleted and made anew
      this.#term = undefined
      this.wake()
      throw new Error('the ENINode was made anew')
    }
    if (this.#attempted !== undefined && isAs(node, this.#attempted)) this.#written = this.#attempted // its answer was lost
    if (!this.#isAsWritten(node)) {
      this.#written = undefined
      this.#shared.log.warn(
        { node: this.name },
        'somebody wrote into an ENINode what only the controller writes: it is put right',
      )
      this.#shared.event(
        this.name,
        'Warning',
        'ForeignWrite',
        `status of the ENINode was changed outside of status.node: it is put right; only the controller writes it`,
      )
    }
    const specChanged = this.#node !== undefined && !Bun.deepEquals(node.spec, this.#node.spec)
    if (specChanged) this.#mustRead = true
    this.#node = node
  }

  #isAsWritten(node: ENINode): boolean {
    return this.#written !== undefined && isAs(node, this.#written)
  }

  /** One round. Whether another is to follow at once. */
  async #round(): Promise<boolean> {
    const { clock } = this.#shared
    const pause = this.#pauseUntil - clock.monotonic()
    if (pause > 0) {
      this.#later(pause)
      return false
    }
    if (this.#mustRead && !(await this.#readCloud())) {
      await this.#write(this.#recorded)
      return false
    }
    const unresolved = this.#recorded.operations
    const plan = unresolved.length > 0 ? undefined : await this.#decide()
    if (this.#stale) {
      await this.#refresh()
      return true
    }
    const calls =
      plan === undefined ? this.#permitted(unresolved) : this.#permitted(plan.calls.map(call => this.#operation(call)))
    if (plan?.done === true) return this.#remove()
    const interfaces = plan?.interfaces ?? this.#recorded.interfaces
    const proposal: Recorded = { interfaces, operations: plan === undefined ? unresolved : calls }
    if (!(await this.#write(proposal))) return true // something changed: decide anew
    this.#recorded = proposal
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
    const urgent = (this.#node?.status.node?.waiting ?? 0) > 0
    return operations.filter(operation => {
      const now = clock.monotonic()
      const action = cloudActionOf(this.#node?.spec.platform ?? 'ecs', operation.action) ?? operation.action
      if (blocks.get('action', action, now) !== undefined) return false
      const taken = buckets.take(operation.action, { name: this.name, urgent }, now)
      if (taken === 'taken') return true
      this.#later(taken)
      return false
    })
  }

  async #decide(): Promise<NodePlan> {
    const { reader, blocks, clock, degradation, clusterID } = this.#shared
    const node = this.#node
    if (node === undefined || this.#cloud === undefined) throw new Error('nothing is known of the node')
    const { config, wish } = this.#wish
    const { spec } = node
    await this.#vSwitches(spec)
    const now = clock.monotonic()
    const plan = planNode({
      spec: this.#effectiveSpec(spec),
      recorded: this.#recorded,
      report: node.status.node,
      cloud: this.#cloud,
      wish,
      blocked: (scope: Scope, id: string) => blocks.get(scope, id, now),
      vSwitches: reader.knownVSwitches(),
      selection: config?.selection ?? 'ordered',
      random: clock.random(),
      degradation,
      reclaimBatch: this.#reclaimBatch(node.status.node),
      warmedUp: this.#conditions.some(({ type }) => type === 'WarmedUp'),
      tags: tagsFor({ clusterID, instanceID: spec.instanceID, node: this.name }, config?.tags ?? {}),
      resourceGroupID: config?.resourceGroupID,
      stuck: new Set([...this.#stateSince].filter(([, { at }]) => now - at > STUCK_MILLISECONDS).map(([id]) => id)),
    })
    this.#plan = plan
    return plan
  }

  #capacity(): number {
    const spec = this.#node?.spec
    return spec === undefined ? 0 : capacityOf(this.#effectiveSpec(spec))
  }

  /** On ENS there are as many interfaces as were bought. */
  #effectiveSpec(spec: ENINodeSpec): ENINodeSpec {
    if (spec.platform === 'ecs') return spec
    const interfaces = Math.min(spec.limits.interfaces, this.#recorded.interfaces.length)
    return { ...spec, limits: { ...spec.limits, interfaces } }
  }

  async #vSwitches(spec: ENINodeSpec): Promise<void> {
    if (spec.platform === 'ens') return
    try {
      await this.#shared.reader.vSwitches(spec.regionID, spec.vSwitchIDs)
    } catch (error) {
      if (!(error instanceof CloudReadError)) throw error
      this.#refused(error.action, error.verdict)
    }
  }

  #reclaimBatch(report: ENINodeReport | undefined): number {
    const { clock } = this.#shared
    const reclaim = this.#wish.config?.reclaim
    const now = clock.monotonic()
    const text = JSON.stringify([report?.inUse, report?.waiting])
    if (text !== this.#activity.text) this.#activity = { text, at: now }
    if (reclaim === undefined || report === undefined) return 0
    const pause = reclaim.everyMilliseconds * (1 + reclaim.jitter * (2 * clock.random() - 1))
    if (now - this.#activity.at < reclaim.afterMilliseconds || now - this.#reclaimedAt < pause) return 0
    this.#reclaimedAt = now
    return reclaim.batch
  }

  /** Asks the cloud and brings the record in line. False: it does not say. */
  async #readCloud(): Promise<boolean> {
    const { reader, clock, clusterID } = this.#shared
    const node = this.#node
    if (node === undefined) return false
    const { spec } = node
    const ens = spec.platform === 'ens'
    try {
      const items = await reader.interfaces({
        platform: spec.platform,
        regionID: spec.regionID,
        instanceID: spec.instanceID,
        vSwitchIDs: [...new Set([...spec.vSwitchIDs, ...this.#recorded.interfaces.map(({ vSwitchID }) => vSwitchID)])],
        interfaceIDs: this.#recorded.interfaces.map(({ id }) => id),
        urgent: (node.status.node?.waiting ?? 0) > 0,
        name: this.name,
        claims: item => {
          const { instanceID, node: made } = madeFor(item)
          return isOurs(item, clusterID) && (instanceID === spec.instanceID || made === this.name)
        },
      })
      if (!ens)
        await reader.vSwitches(
          spec.regionID,
          [...new Set(items.filter(item => isOurs(item, clusterID)).map(item => item.vSwitchID))].filter(
            id => id !== '',
          ),
        )
      const before = this.#cloud ?? []
      this.#cloud = this.#missing.filled(items, {
        before,
        interfaces: this.#recorded.interfaces,
        now: clock.monotonic(),
      })
    } catch (error) {
      if (!(error instanceof CloudReadError)) throw error
      this.#refused(error.action, error.verdict)
      this.#later(backoffMilliseconds(UNCLEAR, this.#unclear++, clock.random()))
      return false
    }
    this.#access = undefined
    const mine = this.#cloud.filter(item =>
      ens ? item.type !== 'Primary' && item.state === 'InUse' : isOurs(item, clusterID),
    )
    const result = readBack(this.#recorded, { interfaces: mine, spec, vSwitches: reader.knownVSwitches() })
    this.#recorded = result.recorded
    this.#tellFound(result)
    this.#mustRead = false
    this.#readAt = clock.monotonic()
    this.#noteStates()
    if (this.#missing.any) this.#readLater(BELIEVE_MISSING_MILLISECONDS)
    return true
  }

  #noteStates(): void {
    const now = this.#shared.clock.monotonic()
    const present = new Set(this.#recorded.interfaces.map(({ id }) => id))
    for (const id of this.#stateSince.keys()) if (!present.has(id)) this.#stateSince.delete(id)
    for (const { id, state } of this.#recorded.interfaces) {
      if (this.#stateSince.get(id)?.state !== state) this.#stateSince.set(id, { state, at: now })
    }
  }

  #tellFound(found: ReturnType<typeof readBack>): void {
    const { log, event } = this.#shared
    const { adoptedInterfaces, adoptedAddresses, lostInterfaces, lostAddresses } = found
    for (const name of adoptedInterfaces)
      log.info({ node: this.name, name }, 'adopted an interface that no record explains')
    if (adoptedAddresses.length > 0)
      log.info({ node: this.name, count: adoptedAddresses.length }, 'adopted addresses that no record explains')
    for (const item of lostInterfaces.filter(({ state }) => state !== 'Deleting')) {
      log.warn({ node: this.name, name: item.id }, 'an interface is gone')
      event(
        this.name,
        'Warning',
        'InterfaceGone',
        `interface ${item.id} is gone: it was deleted outside of the cluster, with the addresses ${item.addresses.join(', ')}`,
      )
    }
    if (lostAddresses.length > 0)
      event(
        this.name,
        'Warning',
        'AddressesGone',
        `addresses were taken off outside of the cluster: ${lostAddresses.join(', ')}`,
      )
  }

  async #call(operation: ENIOperation): Promise<CloudAnswer> {
    const { cloud, onCall } = this.#shared
    const action = cloudActionOf(this.#node?.spec.platform ?? 'ecs', operation.action)
    if (action === undefined) return { kind: 'not-sent', reason: `no such action: ${operation.action}` }
    onCall(action)
    const regionID = this.#node?.spec.regionID ?? ''
    return await cloud.call({ action, regionID, parameters: operation.parameters, token: operation.token })
  }

  #outcome(operation: ENIOperation, answer: CloudAnswer): void {
    const { clock, reader, blocks } = this.#shared
    const spec = this.#node?.spec
    if (spec === undefined) return
    if (operation.action === 'CreateNetworkInterface') reader.forgetVSwitch(operation.parameters.VSwitchId ?? '')
    if (answer.kind === 'ok') {
      const applied = applyAnswer(this.#recorded, operation, answer.body, { spec, vSwitches: reader.knownVSwitches() })
      if (applied !== undefined) {
        this.#recorded = applied
        this.#unclear = 0
        const target = targetOf(operation)
        if (target !== undefined) blocks.clear('interface', target)
        this.#access = undefined
        this.#noteStates()
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
    this.#recorded = dropOperation(this.#recorded, operation)
    // what is not there any more needs no taking away
    const taking = /^(Detach|Delete|Unassign)/.test(action)
    // neither too many calls nor one that was not sent say anything about what there is
    if (verdict.kind !== 'throttled' && verdict.code !== '') this.#mustRead = true
    this.#refused(action, taking && verdict.kind === 'gone' ? { ...verdict, tell: false } : verdict, operation)
  }

  /** Leaves alone what was refused, and tells it once. */
  #refused(action: string, verdict: Verdict, operation?: ENIOperation): void {
    const { blocks, clock, event, log } = this.#shared
    const spec = this.#node?.spec
    const platform = spec?.platform ?? 'ecs'
    const ids: Readonly<Record<Scope, string>> = {
      action: operation === undefined ? action : (cloudActionOf(platform, operation.action) ?? action),
      interface: operation === undefined ? '' : (targetOf(operation) ?? newInterfaceOf(spec?.instanceID ?? '')),
      vswitch: this.#vSwitchOf(operation),
      instance: spec?.instanceID ?? '',
      account: '',
      nothing: '',
    }
    const news =
      operation === undefined
        ? this.#lastError !== verdictText(action, verdict)
        : blocks.add(ids[verdict.scope], verdict, clock.monotonic())
    const text = verdictText(
      operation === undefined ? action : `${action} (${describe(operation, this.#vSwitchOf(operation))})`,
      verdict,
    )
    if (verdict.kind === 'rights' || verdict.code === '') this.#access = { action, verdict }
    this.#lastError = operation === undefined ? verdictText(action, verdict) : text
    if (!news || !verdict.tell) return
    log.warn({ node: this.name, reason: verdict.code, detail: text }, 'the cloud refused a call')
    event(this.name, 'Warning', verdict.reason, text)
  }

  /** The vSwitch that a refusal is about: of the creation, or of the interface. */
  #vSwitchOf(operation: ENIOperation | undefined): string {
    if (operation === undefined) return ''
    const { VSwitchId } = operation.parameters
    if (VSwitchId !== undefined) return VSwitchId
    return this.#recorded.interfaces.find(({ id }) => id === targetOf(operation))?.vSwitchID ?? ''
  }

  /** Writes the controller's part of the status. False: somebody wrote meanwhile, decide anew. */
  async #write(proposal: Recorded): Promise<boolean> {
    const { api, clock } = this.#shared
    const node = this.#node
    if (node === undefined) return false
    const conditions = withTimes(this.#findings(), this.#conditions, timestamp(clock.now()))
    if (this.#written !== undefined && Bun.deepEquals(this.#written, { recorded: proposal, conditions })) {
      this.#conditions = conditions
      return true
    }
    const object = {
      apiVersion: `${ENI_NODES.group}/${ENI_NODES.version}`,
      kind: ENI_NODES.kind,
      metadata: { name: this.name, resourceVersion: this.#resourceVersion },
      status: withoutEmptyTexts({ interfaces: proposal.interfaces, operations: proposal.operations, conditions }),
    }
    this.#attempted = { recorded: proposal, conditions }
    try {
      const after = await api.apply<ENINodeObject & { status: unknown }>(ENI_NODES, object, {
        fieldManager: FIELD_MANAGER,
        force: true,
        subresource: 'status',
      })
      this.#resourceVersion = after.metadata.resourceVersion ?? ''
      const { node: seen } = decodeENINode(after)
      if (seen !== undefined) this.#node = seen
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) {
        this.#gone = true
        return false
      }
      if (!(error instanceof ApiError && error.status === 409)) throw error
      await this.#refresh()
      return false
    }
    this.#conditions = conditions
    this.#written = this.#attempted
    this.#shared.onChange()
    return true
  }

  #findings() {
    return findings({
      plan: this.#plan,
      capacity: this.#capacity(),
      waiting: this.#node?.status.node?.waiting ?? 0,
      misconfigured: this.#wish.misconfigured,
      access: this.#access,
      warmedUp: this.#plan?.warmedUp ?? this.#conditions.some(({ type }) => type === 'WarmedUp'),
      degradation: this.#shared.degradation,
    })
  }

  /** Everything is given back: the object goes too. */
  async #remove(): Promise<boolean> {
    if (!(await this.#write(this.#recorded))) return true
    const { api, log } = this.#shared
    const metadata = { name: this.name, uid: this.#node?.uid ?? '', resourceVersion: this.#resourceVersion }
    try {
      await api.deleteUnchanged(ENI_NODES, {
        apiVersion: `${ENI_NODES.group}/${ENI_NODES.version}`,
        kind: ENI_NODES.kind,
        metadata,
      })
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 409)) throw error
      await this.#refresh()
      return true
    }
    this.#gone = true
    log.info({ node: this.name }, 'deleted the ENINode of a node that left')
    return false
  }

  /** When to look again. */
  #schedule(): void {
    const { clock, blocks } = this.#shared
    const now = clock.monotonic()
    const moving = this.#recorded.interfaces.some(({ state }) => state !== 'InUse' && state !== 'Available')
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
    if (text !== this.#lastError)
      this.#shared.log.warn(
        { node: this.name, reason: text, milliseconds: Math.round(milliseconds) },
        'cannot take care of the interfaces of a node; trying again',
      )
    this.#lastError = text
  }
}

function describe({ parameters }: ENIOperation, vSwitchID: string): string {
  return [parameters.NetworkInterfaceId, vSwitchID].filter(text => text !== undefined && text !== '').join(', ')
}

function isAs({ status }: ENINode, written: Written): boolean {
  return (
    Bun.deepEquals(status.interfaces, written.recorded.interfaces) &&
    Bun.deepEquals(status.operations, written.recorded.operations) &&
    Bun.deepEquals(status.conditions.map(shape), written.conditions.map(shape))
  )
}

function shape({ type, status, reason, message }: Condition): string {
  return JSON.stringify([type, status, reason, message])
}

/** Pods that a node takes. */
export function capacityOf(spec: ENINodeSpec | undefined): number {
  return spec === undefined ? 0 : spec.limits.interfaces * spec.limits.addressesPerInterface
}

/**
 * Whether the API server wrote `a` before `b`; resourceVersions that are no numbers are taken for
 * newer.
 */
function isOlder(a: string | undefined, b: string): boolean {
  if (a === undefined || !/^\d+$/.test(a) || !/^\d+$/.test(b)) return false
  return BigInt(a) <= BigInt(b)
}
