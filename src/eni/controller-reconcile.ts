/**
 * The controller's half of pods on elastic network interfaces: finds the nodes of the cloud, keeps
 * an ENINode for each, and a worker that takes care of it. Runs in the process of the controller,
 * under its Lease, and is loaded when there is the first such node.
 *
 * Not ready is not empty: without the first lists nothing is decided; a Node that is away for a
 * while loses nothing.
 */
import type { CloudInterface } from '../cloud/answers.ts'
import type { CloudApi } from '../cloud/cloud-api.ts'
import type { Cache, EventRecorder, KubeApi } from '../kube/api.ts'
import { decodeENINode } from '../kube/decode-eni-node.ts'
import { type ENINodeObject, type ENINodeSpec, withoutEmptyTexts } from '../kube/eni-node.ts'
import { ENI_NODES, type KubeObject, NODES, type Node, type ResourceType } from '../kube/resources.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { timestamp } from '../lib/timestamp.ts'
import { CloudReadError, CloudReader } from './cloud-reader.ts'
import { Blocks } from './controller-blocks.ts'
import { verdictText } from './controller-conditions.ts'
import { type CloudNode, instanceTypeOf, specOf } from './controller-spec.ts'
import {
  capacityOf,
  FIELD_MANAGER,
  NodeWorker,
  type WorkerShared,
  type WorkerView,
  type WorkerWish,
} from './controller-worker.ts'
import { decodeEniConfig, type EniConfig } from './eni-config.ts'
import { modeOfNode } from './mode.ts'
import type { Degradation } from './plan-cards.ts'
import { isOurs, madeFor } from './tags.ts'
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

const CONFIG_MAPS: ResourceType = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
}
const ENI_CONFIG = 'eni-config'
/** Names the ConfigMap with a node's overrides. */
const OVERRIDE_LABEL = 'terway-config'
const NAMESPACE = 'kube-system'
const FULL_PASS_MILLISECONDS = 60_000
/** Interfaces that nobody names are taken care of when they have been so for this long. */
const ORPHAN_MILLISECONDS = 10 * 60_000

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>
}

class Reconciler implements EniController {
  readonly #options: EniControllerOptions
  readonly #nodes: Cache<Node>
  readonly #eniNodes: Cache<ENINodeObject>
  readonly #configs = new Map<string, Cache<ConfigMap>>()
  readonly #workers = new Map<string, NodeWorker>()
  readonly #shared: WorkerShared
  readonly #unwatch: () => void
  readonly #loop: Loop
  readonly #listeners = new Set<() => void>()
  readonly #calls = new Map<string, number>()
  readonly #orphans = new Map<string, { readonly item: CloudInterface; readonly since: number }>()
  readonly #told = new Map<string, string>()
  readonly #sufficient = new Map<string, string>()
  #rateLimit: Readonly<Record<string, number>> = {}
  #problems: readonly string[] = []
  #configText = ''

  constructor(options: EniControllerOptions) {
    this.#options = options
    const { api, clock, log, cloud, clusterID, degradation, leadership, newToken } = options
    const wake = () => this.#loop.wake()
    const onCall = (action: string) => this.#calls.set(action, (this.#calls.get(action) ?? 0) + 1)
    const buckets = new TokenBuckets(() => this.#rateLimit)
    const reader = new CloudReader({
      cloud,
      clock,
      buckets,
      onCall,
      onListing: (items, at) => this.#noteOrphans(items, at),
    })
    const shared = { api, cloud, clock, log, clusterID, degradation, leadership, newToken, reader, buckets, onCall }
    this.#shared = {
      ...shared,
      blocks: new Blocks(),
      event: (node, type, reason, message) => this.#event(node, type, reason, message),
      onChange: () => this.#workerChanged(),
    }
    this.#loop = new Loop({
      clock,
      run: () => this.#pass(),
      onError: (error, milliseconds) => this.#failed(error, milliseconds),
      everyMilliseconds: FULL_PASS_MILLISECONDS,
      settleMilliseconds: 100,
    })
    this.#nodes = options.nodes ?? api.cache<Node>(NODES, { reduce: reduceCloudNode })
    this.#unwatch = this.#nodes.onChange(wake)
    this.#eniNodes = api.cache<ENINodeObject>(ENI_NODES)
    this.#eniNodes.onChange(() => {
      for (const [name, worker] of this.#workers) {
        const object = this.#eniNodes.objects.get(name)
        if (object !== undefined) worker.observe(object)
      }
      wake()
    })
    this.#config(ENI_CONFIG)
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
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
  wake(): void {
    this.#loop.wake()
    for (const worker of this.#workers.values()) worker.wake()
  }
  async close(): Promise<void> {
    this.#listeners.clear()
    await this.#loop.close()
    await Promise.all([...this.#workers.values()].map(worker => worker.close()))
    this.#unwatch()
    if (this.#options.nodes === undefined) this.#nodes.close()
    for (const cache of [this.#eniNodes, ...this.#configs.values()]) cache.close()
  }

  async #pass(): Promise<void> {
    if (!this.#nodes.synced || !this.#eniNodes.synced || !this.#options.leadership().isLeader) return
    const nodes = [...this.#nodes.objects.values()].map(cloudNode)
    if (!this.#configsSynced(nodes)) return
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
    this.#tell()
    const [first] = failures
    if (first !== undefined) throw first
  }

  /** Makes the ENINode of a node what it is to be, and tells its worker. */
  async #keep(node: CloudNode, problems: string[]): Promise<void> {
    const object = this.#eniNodes.objects.get(node.name)
    if (node.mode.mode === 'route' && object === undefined) return
    const { config, problem } = this.#configFor(node, problems)
    if (node.mode.mode === 'route') {
      this.#leaveMode(node, object)
      return
    }
    const known = object === undefined ? undefined : decodeENINode(object).node
    const { spec, misconfigured } =
      config === undefined ? { spec: undefined, misconfigured: problem } : await this.#spec(node, config)
    const wanted = spec ?? known?.spec
    if (wanted === undefined) {
      problems.push(`Node ${node.name}: ${misconfigured ?? 'its limits are not known'}`)
      return
    }
    if (known === undefined || !Bun.deepEquals(known.spec, wanted)) await this.#apply(node, wanted, known === undefined)
    const wish: WorkerWish = { wish: 'stay', config, misconfigured }
    this.#worker(node.name).set(wish)
    this.#warnOfMaxPods(node, wanted)
    if (misconfigured !== undefined) {
      problems.push(`Node ${node.name}: ${misconfigured}`)
      this.#tellOnce(node.name, 'WrongConfiguration', misconfigured)
    }
    await this.#mirrorCondition(node)
  }

  /** A node that is to work in route mode from now on keeps its interfaces while pods use them. */
  #leaveMode(node: CloudNode, object: ENINodeObject | undefined): void {
    const known = object === undefined ? undefined : decodeENINode(object).node
    const report = known?.status.node
    const pods = report === undefined ? undefined : report.inUse
    if (pods === 0) {
      this.#worker(node.name).set({ wish: 'leave', config: undefined, misconfigured: undefined })
      return
    }
    const why = node.mode.why
    const message = `the node stays on elastic network interfaces and does not become route (${why}) while ${pods ?? 'an unknown number of'} pods have their addresses: drain it`
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
      if (spec === undefined) return { spec, misconfigured: undefined }
      if (spec.vSwitchIDs.length === 0)
        return {
          spec,
          misconfigured: `eni-config names no vSwitch of zone ${spec.zoneID === '' ? '(the Node has no label topology.kubernetes.io/zone)' : spec.zoneID}`,
        }
      if (spec.securityGroupIDs.length === 0) return { spec, misconfigured: 'eni-config names no security group' }
      if (spec.limits.interfaces === 0)
        return { spec, misconfigured: `instance type ${name} has no interface for pods` }
      return { spec, misconfigured: undefined }
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
      this.#sufficient.delete(name)
      await worker.close()
    }
  }

  #configFor(node: CloudNode, problems: string[]): { config: EniConfig | undefined; problem: string | undefined } {
    const data = this.#configs.get(ENI_CONFIG)?.objects.get(`${NAMESPACE}/${ENI_CONFIG}`)?.data
    const name = node.labels[OVERRIDE_LABEL] ?? ''
    const override = name === '' ? undefined : this.#configs.get(name)?.objects.get(`${NAMESPACE}/${name}`)?.data
    if (data === undefined && node.mode.mode === 'eni-ecs')
      return { config: undefined, problem: `there is no ConfigMap ${NAMESPACE}/${ENI_CONFIG}` }
    if (name !== '' && override === undefined)
      return {
        config: undefined,
        problem: `there is no ConfigMap ${NAMESPACE}/${name}, which the label ${OVERRIDE_LABEL} of the Node names`,
      }
    const decoded = decodeEniConfig(data ?? {}, override === undefined ? undefined : { name, data: override })
    for (const { path, message } of decoded.warnings) {
      const text = `${name === '' ? ENI_CONFIG : name}: ${path} ${message}`
      if (!problems.includes(text)) problems.push(text)
      if (this.#told.get(text) === undefined)
        this.#options.log.warn({ name: path, reason: message }, 'a key of eni-config has no effect')
      this.#told.set(text, text)
    }
    if (name === '') this.#newConfig(decoded.config)
    const [first] = decoded.problems
    return {
      config: decoded.config,
      problem:
        first === undefined ? undefined : decoded.problems.map(({ path, message }) => `${path} ${message}`).join('; '),
    }
  }

  #newConfig(config: EniConfig | undefined): void {
    const text = JSON.stringify(config)
    if (config === undefined || text === this.#configText) return
    this.#configText = text
    this.#rateLimit = config.rateLimit
    this.#shared.blocks.forgetConfiguration()
    for (const worker of this.#workers.values()) worker.wake()
  }

  #config(name: string): Cache<ConfigMap> {
    const known = this.#configs.get(name)
    if (known !== undefined) return known
    const cache = this.#options.api.cache<ConfigMap>(CONFIG_MAPS, {
      namespace: NAMESPACE,
      fieldSelector: `metadata.name=${name}`,
    })
    cache.onChange(() => this.#loop.wake())
    this.#configs.set(name, cache)
    return cache
  }

  #configsSynced(nodes: readonly CloudNode[]): boolean {
    const names = new Set([
      ENI_CONFIG,
      ...nodes.filter(({ mode }) => mode.mode !== 'route').map(({ labels }) => labels[OVERRIDE_LABEL] ?? ''),
    ])
    names.delete('')
    for (const [name, cache] of this.#configs) {
      if (names.has(name)) continue
      cache.close()
      this.#configs.delete(name)
    }
    return [...names].map(name => this.#config(name)).every(({ synced }) => synced)
  }

  /** Interfaces of ours that no ENINode names. */
  #noteOrphans(items: readonly CloudInterface[], at: number): void {
    const named = new Set(
      [...this.#eniNodes.objects.values()].flatMap(
        object => decodeENINode(object).node?.status.interfaces.map(({ id }) => id) ?? [],
      ),
    )
    for (const view of this.#workers.values()) for (const { id } of view.view().interfaces) named.add(id)
    const alone = items.filter(
      item => isOurs(item, this.#options.clusterID) && item.state === 'Available' && !named.has(item.id),
    )
    const seen = new Set(items.map(({ id }) => id))
    for (const id of this.#orphans.keys())
      if (seen.has(id) && !alone.some(item => item.id === id)) this.#orphans.delete(id)
    for (const item of alone) if (!this.#orphans.has(item.id)) this.#orphans.set(item.id, { item, since: at })
  }

  /**
   * An ENINode for the node that it was made for: by that it is known again, and given back like
   * any other.
   */
  async #adoptOrphans(nodes: ReadonlyMap<string, CloudNode>): Promise<void> {
    const now = this.#options.clock.monotonic()
    for (const [id, { item, since }] of this.#orphans) {
      if (now - since < ORPHAN_MILLISECONDS) continue
      const { node, instanceID } = madeFor(item)
      this.#orphans.delete(id)
      if (nodes.has(node) || this.#eniNodes.objects.has(node)) {
        this.#workers.get(node)?.readAgain()
        continue
      }
      if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(node)) continue
      this.#options.log.info({ name: id, node }, 'an interface of ours belongs to no node: it is given back')
      const spec: ENINodeSpec = {
        platform: 'ecs',
        instanceID: instanceID === '' ? 'gone' : instanceID,
        instanceType: '',
        regionID:
          regionOf(item) ??
          [...this.#workers.values()]
            .map(worker => worker.view().spec?.regionID)
            .find(region => region !== undefined) ??
          'unknown',
        zoneID: item.zoneID,
        vSwitchIDs: [item.vSwitchID],
        securityGroupIDs: [],
        ipFamilies: ['IPv4'],
        limits: { interfaces: 0, addressesPerInterface: 0 },
        pool: { minIdle: 0, maxIdle: 0, warmUp: 0 },
      }
      await this.#apply(
        {
          name: node,
          uid: '',
          labels: {},
          maxPods: undefined,
          mode: { mode: 'eni-ecs', why: `interface ${id} bears its name`, instanceID, regionID: spec.regionID },
        },
        spec,
        true,
      )
    }
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

  /** The condition SufficientIP of the Node, as terway has it: schedulers and people look there. */
  async #mirrorCondition(node: CloudNode): Promise<void> {
    const condition = this.#workers
      .get(node.name)
      ?.view()
      .conditions.find(({ type }) => type === 'SufficientAddresses')
    if (condition === undefined || condition.status === 'Unknown') return
    const text = JSON.stringify([node.uid, condition.status, condition.message])
    if (this.#sufficient.get(node.name) === text) return
    const time = timestamp(this.#options.clock.now())
    const mirrored = {
      type: 'SufficientIP',
      status: condition.status,
      reason: condition.status === 'True' ? 'SufficientIP' : 'InsufficientIP',
      message: condition.message,
      lastHeartbeatTime: time,
      lastTransitionTime: condition.lastTransitionTime,
    }
    const object = { apiVersion: 'v1', kind: 'Node', metadata: { name: node.name }, status: { conditions: [mirrored] } }
    await this.#options.api.apply(NODES, object, { fieldManager: FIELD_MANAGER, force: true, subresource: 'status' })
    this.#sufficient.set(node.name, text)
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

  #workerChanged(): void {
    this.#loop.wake()
    this.#tell()
  }

  #tell(): void {
    for (const listener of this.#listeners) listener()
  }

  #failed(error: unknown, milliseconds: number): void {
    this.#options.log.warn(
      { reason: errorText(error), milliseconds: Math.round(milliseconds) },
      'cannot keep the ENINodes; trying again',
    )
  }
}

/** What of a Node is used here, for the cache. */
export function reduceCloudNode(node: Node): Node {
  const { name, uid, labels } = node.metadata
  const { providerID } = node.spec ?? {}
  const pods = node.status?.allocatable?.pods
  return {
    apiVersion: node.apiVersion,
    kind: node.kind,
    metadata: { name, ...(uid === undefined ? {} : { uid }), ...(labels === undefined ? {} : { labels }) },
    ...(providerID === undefined ? {} : { spec: { providerID } }),
    ...(pods === undefined ? {} : { status: { allocatable: { pods } } }),
  }
}

function cloudNode(node: Node): CloudNode {
  const labels = node.metadata.labels ?? {}
  const pods = Number(node.status?.allocatable?.pods)
  return {
    name: node.metadata.name,
    uid: node.metadata.uid ?? '',
    labels,
    mode: modeOfNode({ labels, providerID: node.spec?.providerID ?? '' }),
    maxPods: Number.isInteger(pods) ? pods : undefined,
  }
}

/** The region of a zone: `cn-hangzhou-k` lies in `cn-hangzhou`. */
function regionOf({ zoneID }: CloudInterface): string | undefined {
  return /^(.+)-[a-z0-9]$/.exec(zoneID)?.[1]
}
