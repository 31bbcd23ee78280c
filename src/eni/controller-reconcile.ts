/**
 * The controller's half of pods on elastic network interfaces: finds the nodes of the cloud, keeps
 * an ENINode for each, and a worker that takes care of it. Runs in the process of the controller,
 * under its Lease, and is loaded when there is the first such node.
 *
 * Not ready is not empty: without the first lists nothing is decided; a Node that is away for a
 * while loses nothing.
 */
import type { CloudApi } from '../cloud/cloud-api.ts'
import type { Cache, EventRecorder, KubeApi } from '../kube/api.ts'
import { type ENINodeSpec, withoutEmptyTexts } from '../kube/eni-node.ts'
import { ENI_NODES, NODES, type Node } from '../kube/resources.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { Gate } from '../lib/gate.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { QuietTimer } from '../lib/quiet-timer.ts'
import { type CloudNode, cloudNode, reduceCloudNode } from './cloud-node.ts'
import { CloudReadError, CloudReader } from './cloud-reader.ts'
import { ConditionMirror } from './condition-mirror.ts'
import { Blocks } from './controller-blocks.ts'
import { verdictText } from './controller-conditions.ts'
import { NodeConfigs } from './controller-config.ts'
import { capacityOf, FIELD_MANAGER, type WorkerShared, type WorkerView } from './controller-shared.ts'
import { instanceTypeOf, missingIn, specOf } from './controller-spec.ts'
import { NodeWorker } from './controller-worker.ts'
import type { EniConfig } from './eni-config.ts'
import { isNodeName, Orphans, specOfOrphan } from './orphans.ts'
import type { Degradation } from './plan-cards.ts'
import { type SeenENINode, seenENINode } from './seen-eni-node.ts'
import { madeFor } from './tags.ts'
import { TokenBuckets } from './token-buckets.ts'

export interface EniControllerOptions {
  readonly api: KubeApi
  readonly events: EventRecorder
  readonly clock: Clock
  readonly log: Log
  readonly cloud: CloudApi
  /** Tells this cluster's interfaces from another's. */
  readonly clusterID: string
  readonly degradation: Degradation
  readonly leadership: () => { readonly isLeader: boolean; readonly term: number }
  /**
   * The controller's own cache of Nodes, whose `reduce` keeps labels, providerID and allocatable
   * pods; absent: one is made.
   */
  readonly nodes?: Cache<Node>
  /** Gives memory back that the runtime would keep for long; absent: nobody does. */
  readonly collectGarbage?: () => void
  /** A new ClientToken: at most 64 ASCII characters, never the same twice. */
  readonly newToken: () => string
}

export interface EniControllerView {
  readonly nodes: readonly WorkerView[]
  /** What is left alone now and why, a line each. */
  readonly blocked: readonly {
    readonly scope: string
    readonly id: string
    readonly code: string
    readonly seconds: number
  }[]
  /** Calls since the start, by action. */
  readonly calls: Readonly<Record<string, number>>
  readonly problems: readonly string[]
}

export interface EniController {
  view(): EniControllerView
  onChange(listener: () => void): () => void
  /** Leadership came or went. */
  wake(): void
  /** Stops; resolves when calls under way have ended. Nothing is given back. */
  close(): Promise<void>
}

export function createEniController(options: EniControllerOptions): EniController {
  return new Reconciler(options)
}

const FULL_PASS_MILLISECONDS = 60_000
const SETTLE_MILLISECONDS = 100
/** Of so many nodes what a term begins with is let go of when nothing has happened for so long. */
const [MANY_NODES, QUIET_MILLISECONDS] = [100, 5_000]
const REQUESTS_AT_ONCE = 16

class Reconciler implements EniController {
  readonly #options: EniControllerOptions
  readonly #nodes: Cache<Node>
  readonly #eniNodes: Cache<SeenENINode>
  readonly #configs: NodeConfigs
  readonly #workers = new Map<string, NodeWorker>()
  readonly #shared: WorkerShared
  readonly #unwatch: () => void
  readonly #loop: Loop
  readonly #listeners = new Listeners()
  readonly #calls = new Map<string, number>()
  readonly #orphans: Orphans
  readonly #quiet: QuietTimer
  readonly #told = new Map<string, string>()
  readonly #mirror: ConditionMirror
  #rateLimit: Readonly<Record<string, number>> = {}
  #problems: readonly string[] = []

  constructor(options: EniControllerOptions) {
    this.#options = options
    const { api, clock, log, cloud, clusterID, degradation, leadership, newToken } = options
    const wake = () => this.#loop.wake()
    this.#orphans = new Orphans(clusterID)
    this.#mirror = new ConditionMirror(api, clock)
    const { collectGarbage: action = () => {} } = options
    this.#quiet = new QuietTimer({ clock, milliseconds: QUIET_MILLISECONDS, action })
    this.#configs = new NodeConfigs({ api, log, wake, onNewConfig: config => this.#newConfig(config) })
    const onCall = (action: string) => this.#calls.set(action, (this.#calls.get(action) ?? 0) + 1)
    const buckets = new TokenBuckets(() => this.#rateLimit)
    const reader = new CloudReader({
      cloud,
      clock,
      buckets,
      onCall,
      onListing: (items, at) => this.#orphans.note(items, this.#namedInterfaces(), at),
    })
    const shared = { api, cloud, clock, log, clusterID, degradation, leadership, newToken, reader, buckets, onCall }
    this.#shared = {
      ...shared,
      gate: new Gate(REQUESTS_AT_ONCE),
      blocks: new Blocks(),
      hasENINode: name => this.#eniNodes.objects.has(name),
      event: (node, type, reason, message) => this.#event(node, type, reason, message),
      onChange: () => this.#workerChanged(),
    }
    this.#loop = new Loop({
      clock,
      run: () => this.#pass(),
      onError: (error, milliseconds) => this.#failed(error, milliseconds),
      everyMilliseconds: FULL_PASS_MILLISECONDS,
      settleMilliseconds: SETTLE_MILLISECONDS,
    })
    this.#nodes = options.nodes ?? api.cache<Node>(NODES, { reduce: reduceCloudNode })
    this.#unwatch = this.#nodes.onChange(wake)
    this.#eniNodes = api.cache<SeenENINode>(ENI_NODES, { reduce: seenENINode })
    this.#eniNodes.onChange(() => {
      const { objects } = this.#eniNodes
      for (const [name, worker] of this.#workers) worker.observe(objects.get(name))
      this.#wakeSoon()
    })
    wake()
  }

  view(): EniControllerView {
    const now = this.#options.clock.monotonic()
    return {
      nodes: [...this.#workers.values()].map(worker => worker.view()).sort((a, b) => (a.name < b.name ? -1 : 1)),
      blocked: this.#shared.blocks.current(now).map(({ scope, id, verdict, until }) => ({
        scope,
        id,
        code: verdict.code,
        seconds: Math.ceil((until - now) / 1000),
      })),
      calls: Object.fromEntries(this.#calls),
      problems: this.#problems,
    }
  }
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }
  wake(): void {
    this.#loop.wake()
    for (const worker of this.#workers.values()) worker.wake()
  }
  async close(): Promise<void> {
    this.#listeners.clear()
    await this.#loop.close()
    this.#shared.gate.close()
    await Promise.all([...this.#workers.values()].map(worker => worker.close()))
    this.#unwatch()
    this.#quiet.close()
    if (this.#options.nodes === undefined) this.#nodes.close()
    this.#eniNodes.close()
    this.#configs.close()
  }

  async #pass(): Promise<void> {
    if (!this.#nodes.synced || !this.#eniNodes.synced || !this.#options.leadership().isLeader) return
    const nodes = [...this.#nodes.objects.values()].map(cloudNode)
    if (!this.#configs.synced(nodes)) return
    const problems: string[] = []
    const byName = new Map(nodes.map(node => [node.name, node]))
    const failures: unknown[] = []
    for (const node of nodes) {
      try {
        await this.#keep(node, problems)
      } catch (error) {
        failures.push(error)
      }
    }
    for (const name of this.#eniNodes.objects.keys())
      if (!byName.has(name)) this.#worker(name).set({ wish: 'leave', config: undefined, misconfigured: undefined })
    await this.#forgetOthers()
    await this.#adoptOrphans(byName)
    this.#problems = problems
    this.#listeners.tell()
    if (failures.length > 0) throw failures[0]
  }

  /** Makes the ENINode of a node what it is to be, and tells its worker. */
  async #keep(node: CloudNode, problems: string[]): Promise<void> {
    const object = this.#eniNodes.objects.get(node.name)
    if (node.mode.mode === 'route' && object === undefined) return
    const { config, problem } = this.#configs.of(node, problems)
    if (node.mode.mode === 'route') {
      this.#leaveMode(node, object)
      return
    }
    const { spec, misconfigured } =
      config === undefined ? { spec: undefined, misconfigured: problem } : await this.#spec(node, config)
    const wanted = spec ?? object?.spec
    if (wanted === undefined) {
      problems.push(`Node ${node.name}: ${misconfigured ?? 'its limits are not known'}`)
      return
    }
    const isNew = object?.spec === undefined
    if (isNew || !Bun.deepEquals(object.spec, wanted)) await this.#apply(node, wanted, isNew)
    this.#worker(node.name).set({ wish: 'stay', config, misconfigured })
    this.#warnOfMaxPods(node, wanted)
    if (misconfigured !== undefined) {
      problems.push(`Node ${node.name}: ${misconfigured}`)
      this.#tellOnce(node.name, 'WrongConfiguration', misconfigured)
    }
    await this.#mirror.mirror(node, this.#worker(node.name).view().conditions)
  }

  /** A node that is to work in route mode from now on keeps its interfaces while pods use them. */
  #leaveMode(node: CloudNode, object: SeenENINode | undefined): void {
    const pods = object?.status.node?.inUse
    if (pods === 0) {
      this.#worker(node.name).set({ wish: 'leave', config: undefined, misconfigured: undefined })
      return
    }
    const message = `the node stays on elastic network interfaces and does not become route (${node.mode.why}) while ${pods ?? 'an unknown number of'} pods have their addresses: drain it`
    this.#tellOnce(node.name, 'ModeChangeRefused', message)
    this.#worker(node.name).set({ wish: 'stay', config: undefined, misconfigured: message })
  }

  async #spec(
    node: CloudNode,
    config: EniConfig,
  ): Promise<{ spec: ENINodeSpec | undefined; misconfigured: string | undefined }> {
    const { mode } = node
    if (mode.mode === 'eni-ens') return { spec: specOf(node, config, undefined), misconfigured: undefined }
    if (mode.mode === 'route') return { spec: undefined, misconfigured: undefined }
    const name = instanceTypeOf(node)
    if (name === '') return { spec: undefined, misconfigured: 'the Node has no label node.kubernetes.io/instance-type' }
    try {
      const type = await this.#shared.reader.instanceType(mode.regionID, name)
      if (type === undefined) return { spec: undefined, misconfigured: `the cloud knows no instance type ${name}` }
      const spec = specOf(node, config, type)
      return { spec, misconfigured: spec && missingIn(spec) }
    } catch (error) {
      if (!(error instanceof CloudReadError)) throw error
      const text = verdictText(error.action, error.verdict)
      this.#tellOnce(node.name, error.verdict.reason, text)
      this.#options.clock.after(error.verdict.waitSeconds * 1000, () => this.#loop.wake())
      return { spec: undefined, misconfigured: text }
    }
  }

  async #apply(node: CloudNode, spec: ENINodeSpec, isNew: boolean): Promise<void> {
    const { api, log } = this.#options
    const object = {
      apiVersion: `${ENI_NODES.group}/${ENI_NODES.version}`,
      kind: ENI_NODES.kind,
      metadata: { name: node.name },
      spec: withoutEmptyTexts(spec),
    }
    await api.apply(ENI_NODES, object, { fieldManager: FIELD_MANAGER, force: true })
    if (!isNew) return
    log.info(
      { node: node.name, state: node.mode.mode, reason: node.mode.why },
      'pods of the node get addresses of elastic network interfaces',
    )
    this.#event(node.name, 'Normal', 'ModeDecided', `mode ${node.mode.mode}: ${node.mode.why}`)
  }

  #worker(name: string): NodeWorker {
    const known = this.#workers.get(name)
    if (known !== undefined) return known
    const made = new NodeWorker(name, this.#shared)
    this.#workers.set(name, made)
    return made
  }

  /** Workers of ENINodes that are no more. */
  async #forgetOthers(): Promise<void> {
    for (const [name, worker] of this.#workers) {
      if (this.#eniNodes.objects.has(name) || !worker.isOver) continue
      this.#workers.delete(name)
      this.#mirror.forget(name)
      await worker.close()
    }
  }

  /** Interfaces that a worker knows, or, while that has not read it, an ENINode names. */
  #namedInterfaces(): ReadonlySet<string> {
    const named = new Set<string>()
    for (const worker of this.#workers.values()) for (const { id } of worker.view().interfaces) named.add(id)
    for (const [name, object] of this.#eniNodes.objects) {
      if (this.#workers.get(name)?.isOver === false) continue
      for (const id of object.status.interfaceIDs) named.add(id)
    }
    return named
  }

  /**
   * An ENINode for the node that an interface was made for: by that it is known again, and given
   * back like any other. Where the name is no node's, or that of one in route mode, which must not
   * find an ENINode of its name, it is named after the interface.
   */
  async #adoptOrphans(nodes: ReadonlyMap<string, CloudNode>): Promise<void> {
    for (const item of this.#orphans.due(this.#options.clock.monotonic())) {
      const { node, instanceID } = madeFor(item)
      const mode = nodes.get(node)?.mode.mode
      if (this.#eniNodes.objects.has(node) || (mode !== undefined && mode !== 'route')) {
        this.#workers.get(node)?.readAgain()
        continue
      }
      const name = mode === undefined && isNodeName(node) ? node : item.id
      if (!isNodeName(name) || nodes.has(name)) continue
      this.#options.log.info({ name: item.id, node }, 'an interface of ours belongs to no node: it is given back')
      const regions = [...this.#workers.values()].map(worker => worker.view().spec?.regionID)
      const spec = specOfOrphan(item, regions.find(region => region !== undefined) ?? 'unknown')
      const why = `interface ${item.id} bears its name`
      const decided = { mode: 'eni-ecs', why, instanceID, regionID: spec.regionID } as const
      await this.#apply({ name, uid: '', labels: {}, maxPods: undefined, mode: decided }, spec, true)
    }
  }

  #newConfig({ rateLimit }: EniConfig): void {
    this.#rateLimit = rateLimit
    this.#shared.blocks.forgetConfiguration()
    for (const worker of this.#workers.values()) worker.wake()
  }

  #warnOfMaxPods({ name, maxPods }: CloudNode, spec: ENINodeSpec): void {
    const capacity = spec.platform === 'ens' ? this.#ensCapacity(name, spec) : capacityOf(spec)
    if (maxPods === undefined || capacity === undefined || maxPods <= capacity) return
    this.#tellOnce(
      name,
      'MaxPodsExceedsCapacity',
      `the kubelet takes ${maxPods} pods, but there are addresses for ${capacity} only (${spec.limits.addressesPerInterface} on each interface): set max-pods to ${capacity}`,
    )
  }

  #ensCapacity(name: string, spec: ENINodeSpec): number | undefined {
    const count = this.#workers.get(name)?.view().interfaces.length ?? 0
    return count === 0 ? undefined : Math.min(count, spec.limits.interfaces) * spec.limits.addressesPerInterface
  }

  #tellOnce(node: string, reason: string, message: string): void {
    const key = `${node}/${reason}`
    if (this.#told.get(key) === message) return
    this.#told.set(key, message)
    this.#event(node, 'Warning', reason, message)
  }

  #event(name: string, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const uid = this.#nodes.objects.get(name)?.metadata.uid
    const regarding =
      uid === undefined
        ? {
            apiVersion: `${ENI_NODES.group}/${ENI_NODES.version}`,
            kind: ENI_NODES.kind,
            name,
            uid: this.#eniNodes.objects.get(name)?.metadata.uid ?? '',
          }
        : { apiVersion: 'v1', kind: 'Node', name, uid }
    this.#options.events.record({ regarding, type, reason, message })
  }

  /** A pass looks at all nodes: of what happens to many of them one after the other, once. */
  #wakeSoon(): void {
    this.#loop.wake(SETTLE_MILLISECONDS + this.#workers.size)
  }

  #workerChanged(): void {
    if (this.#workers.size >= MANY_NODES) this.#quiet.touch(this.#options.leadership().term)
    this.#wakeSoon()
    this.#listeners.tell()
  }

  #failed(error: unknown, milliseconds: number): void {
    this.#options.log.warn(
      { reason: errorText(error), milliseconds: Math.round(milliseconds) },
      'cannot keep the ENINodes; trying again',
    )
  }
}
