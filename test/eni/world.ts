/**
 * A cluster with nodes of the cloud, whole, in virtual time: the controller's half as it is, the
 * lab's API server, the simulated cloud, and nodes that keep to their part of the contract (an
 * address leaves in three steps, a report at most once a second). The controller can be killed
 * before and after each of its calls and writes; a new one starts from what is stored.
 */
import { LabApi } from '../../src/apiserver/lab-api.ts'
import { actionFacts } from '../../src/cloud/actions.ts'
import type { CloudAnswer, CloudApi, CloudCall } from '../../src/cloud/cloud-api.ts'
import { Invariants } from '../../src/cloudsim/invariants.ts'
import type { CloudSimulator } from '../../src/cloudsim/simulator.ts'
import type { SimOptions } from '../../src/cloudsim/types.ts'
import { createEniController, type EniController } from '../../src/eni/controller-reconcile.ts'
import type { Degradation } from '../../src/eni/plan-cards.ts'
import type { KubeEvent } from '../../src/kube/api.ts'
import { decodeENINode } from '../../src/kube/decode-eni-node.ts'
import { type ENINode, type ENINodeReport, reportFieldManager, reportPatch } from '../../src/kube/eni-node.ts'
import { ENI_NODES, NODES } from '../../src/kube/resources.ts'
import { type Log, silentLog } from '../../src/lib/log.ts'
import { DirectCloud, REGION, simulator, ZONE } from '../cloud/world.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { MemoryKube } from '../support/memory-kube.ts'

export const CLUSTER = 'cluster-1'

/** Where a killed controller stood; nothing of it goes on from here. */
class Killed extends Error {}

export interface WorldOptions {
  readonly eniConf?: Record<string, unknown>
  readonly sim?: Partial<SimOptions>
  readonly log?: Log
  readonly degradation?: Degradation
  readonly clusterID?: string
  readonly collectGarbage?: () => void
}

export class World {
  readonly clock = new FakeClock()
  readonly sim: CloudSimulator
  readonly lab: LabApi
  readonly kube: MemoryKube
  readonly invariants: Invariants
  readonly nodes = new Map<string, ModelNode>()
  readonly events: KubeEvent[] = []
  readonly #options: WorldOptions
  #controller: EniController | undefined
  #tokens = 0
  /** Effects of the controller so far: each call and each write, before and after. */
  effects = 0
  /** The controller is killed when it comes to this effect. */
  killAt = Number.POSITIVE_INFINITY
  #dead = { yes: false }

  private constructor(options: WorldOptions) {
    this.#options = options
    this.sim = simulator(this.clock, options.sim ?? {})
    this.lab = new LabApi({ clock: this.clock })
    this.kube = new MemoryKube(this.lab)
    this.invariants = new Invariants(this.sim, {
      pods: () =>
        [...this.nodes.values()].flatMap(node =>
          [...node.pods].map(([pod, address]) => [`${node.name}/${pod}`, address] as const),
        ),
      eniNodes: () => this.eniNodes(),
      isOurs: item => item.tags.creator === 'terway-edge' && item.tags['terway-edge/cluster'] === CLUSTER,
    })
  }

  static async make(options: WorldOptions = {}): Promise<World> {
    const world = new World(options)
    for (const kind of ['eninodes']) {
      const crd = Bun.YAML.parse(await Bun.file(`config/crd-${kind}.yaml`).text()) as never
      await world.kube.create(
        {
          group: 'apiextensions.k8s.io',
          version: 'v1',
          kind: 'CustomResourceDefinition',
          plural: 'customresourcedefinitions',
          namespaced: false,
        },
        crd,
      )
    }
    await world.configure(options.eniConf ?? {})
    return world
  }

  async configure(eniConf: Record<string, unknown>): Promise<void> {
    const conf = { version: '1', vswitches: { [ZONE]: ['vsw-1'] }, security_group: 'sg-1', ...eniConf }
    const type = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true }
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'eni-config', namespace: 'kube-system' },
      data: { eni_conf: JSON.stringify(conf) },
    }
    await this.kube.apply(type, object, { fieldManager: 'test', force: true })
  }

  /** A Node of ECS with its instance. */
  async addNode(
    name: string,
    type: string,
    more: { labels?: Record<string, string>; instanceID?: string } = {},
  ): Promise<ModelNode> {
    const instanceID = more.instanceID ?? `i-${name.replaceAll('-', '')}`
    if (!this.sim.world.instances.has(instanceID))
      this.sim.world.addInstance({ id: instanceID, product: 'ecs', type, vpcID: 'vpc-1', zoneID: ZONE }, 'vsw-node')
    const labels = {
      'node.kubernetes.io/instance-type': type,
      'topology.kubernetes.io/zone': ZONE,
      'topology.kubernetes.io/region': REGION,
      ...more.labels,
    }
    await this.kube.create(NODES, {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, labels },
      spec: { providerID: `${REGION}.${instanceID}` },
    } as never)
    return this.#model(name)
  }

  /** A Node of ENS whose instance has so many interfaces beside its primary one. */
  async addEnsNode(name: string, interfaces: number): Promise<ModelNode> {
    const instanceID = `i-${name.replaceAll('-', '')}`
    this.sim.world.addInstance(
      { id: instanceID, product: 'ens', type: 'ens.x', vpcID: 'n-ens', zoneID: 'cn-ens-1' },
      'vsw-ens',
    )
    for (let count = 0; count < interfaces; count++) {
      const made = this.sim.world.makeInterface({ product: 'ens', type: 'Secondary', vSwitchID: 'vsw-ens' })
      Object.assign(made, { state: 'InUse', instanceID })
    }
    const labels = { 'alibabacloud.com/ens-instance-id': instanceID }
    await this.kube.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } } as never)
    return this.#model(name)
  }

  #model(name: string): ModelNode {
    const node = this.nodes.get(name) ?? new ModelNode(name, this)
    this.nodes.set(name, node)
    return node
  }

  /** Starts a controller that leads. */
  start(): void {
    const dead = { yes: false }
    this.#dead = dead
    const effect = (what: string) => {
      if (dead.yes) throw new Killed(what)
      this.effects++
      if (this.effects !== this.killAt) return
      dead.yes = true
      throw new Killed(what)
    }
    const kube = new MemoryKube(this.lab, { before: effect, after: effect })
    this.#controller = createEniController({
      api: kube,
      events: { record: event => void this.events.push(event), close: async () => {} },
      clock: this.clock,
      log: this.#options.log ?? silentLog,
      cloud: new MortalCloud(new DirectCloud(this.sim), effect),
      clusterID: this.#options.clusterID ?? CLUSTER,
      degradation: this.#options.degradation ?? 'none',
      collectGarbage: this.#options.collectGarbage ?? (() => {}),
      leadership: () => ({ isLeader: !dead.yes, term: 1 }),
      newToken: () => `token-${++this.#tokens}`,
    })
  }

  get isDead(): boolean {
    return this.#dead.yes
  }

  /** Ends the controller as kill -9 would: nothing of it goes on. */
  kill(): void {
    this.#dead.yes = true
    void this.#controller?.close()
  }

  get controller(): EniController {
    if (this.#controller === undefined) throw new Error('no controller was started')
    return this.#controller
  }

  /**
   * Lets time pass; nodes look at their ENINodes each second. A killed controller is followed by a
   * new one.
   */
  async run(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      for (let step = 0; step < 4; step++) {
        await this.clock.advance(250)
        await Bun.sleep(0)
        if (this.isDead) {
          this.kill()
          this.killAt = Number.POSITIVE_INFINITY
          this.start()
        }
      }
      for (const node of this.nodes.values()) await node.sync()
    }
  }

  /** Runs until `condition` holds; throws after `seconds`. */
  async until(what: string, condition: () => boolean, seconds = 600): Promise<number> {
    for (let second = 0; second < seconds; second++) {
      if (condition()) return second
      await this.run(1)
    }
    if (condition()) return seconds
    throw new Error(
      `not within ${seconds} s: ${what}\n${JSON.stringify(this.eniNodes(), null, 1)}\n${JSON.stringify(this.controller.view(), null, 1)}`,
    )
  }

  eniNodes(): readonly ENINode[] {
    return (this.lab.store.list('eninodes.network.openyurt.io') ?? [])
      .map(object => decodeENINode(object).node)
      .filter(node => node !== undefined)
  }
  eniNode(name: string): ENINode | undefined {
    return this.eniNodes().find(node => node.name === name)
  }
  changing(): readonly string[] {
    return this.invariants.changingCalls().map(({ action }) => action)
  }
}

class MortalCloud implements CloudApi {
  readonly #inner: CloudApi
  readonly #effect: (what: string) => void
  constructor(inner: CloudApi, effect: (what: string) => void) {
    this.#inner = inner
    this.#effect = effect
  }
  async call(call: CloudCall): Promise<CloudAnswer> {
    const { changes } = actionFacts(call.action)
    if (changes) this.#effect(call.action)
    const answer = await this.#inner.call(call)
    if (changes) this.#effect(call.action)
    return answer
  }
  close(): void {}
}

/**
 * A node's half, as the contract says it: which pod has which address stands here and nowhere else.
 */
export class ModelNode {
  readonly name: string
  readonly #world: World
  /** Pod and address. */
  readonly pods = new Map<string, string>()
  readonly #waiting: string[] = []
  readonly #idleSince = new Map<string, number>()
  #said = ''
  #serial = 0
  left = false
  /** Interfaces that are not among the links of the machine. */
  elsewhere: ReadonlySet<string> = new Set()
  /** Does not look and does not write. */
  silent = false
  /** What it last saw of its ENINode: goes on with that while it is silent. */
  #seen: ENINode | undefined

  constructor(name: string, world: World) {
    this.name = name
    this.#world = world
  }

  get waiting(): number {
    return this.#waiting.length
  }
  /** Starts pods; those without an address wait. */
  startPods(count: number): void {
    for (let more = 0; more < count; more++) {
      const pod = `pod-${++this.#serial}`
      const [address] = this.#free()
      if (address === undefined) this.#waiting.push(pod)
      else this.pods.set(pod, address)
    }
  }
  stopPods(count: number): void {
    for (const [pod, address] of [...this.pods].slice(0, count)) {
      this.pods.delete(pod)
      this.#idleSince.set(address, this.#world.clock.now())
    }
  }
  stopWaiting(): void {
    this.#waiting.length = 0
  }

  #usable(): readonly string[] {
    if (!this.silent) this.#seen = this.#world.eniNode(this.name)
    return (this.#seen?.status.interfaces ?? [])
      .filter(({ id, state }) => state === 'InUse' && !this.elsewhere.has(id))
      .flatMap(({ addresses }) => addresses.filter(address => !address.includes(':')))
  }
  #free(): readonly string[] {
    const taken = new Set(this.pods.values())
    return this.#usable().filter(address => !taken.has(address))
  }

  /**
   * One look: pods that wait get addresses, the report is written when there is something to say.
   */
  async sync(): Promise<void> {
    if (this.silent) return
    const free = [...this.#free()]
    while (this.#waiting.length > 0 && free.length > 0) this.pods.set(this.#waiting.shift() ?? '', free.shift() ?? '')
    const node = this.#seen
    if (node === undefined) return
    const taken = new Set(this.pods.values())
    const since = (address: string) => this.#idleSince.get(address) ?? 0
    const all = node.status.interfaces.flatMap(({ addresses }) => addresses)
    const idle = all.filter(address => !taken.has(address)).sort((a, b) => since(a) - since(b))
    const releasing = node.status.interfaces.flatMap(item => item.releasing)
    const report: ENINodeReport = {
      inUse: this.pods.size,
      waiting: this.#waiting.length,
      released: releasing.filter(address => !taken.has(address)).sort(),
      idle,
      left: this.left,
    }
    const count = this.#free().length
    const { minIdle, maxIdle } = node.spec.pool
    const touched = count < minIdle || count > maxIdle
    // what does not touch a bound is not worth a write
    const saying = JSON.stringify([
      report.waiting,
      report.released,
      report.left,
      touched ? [report.inUse, report.idle] : 'in bounds',
    ])
    if (saying === this.#said) return
    await this.#world.kube.apply(ENI_NODES, reportPatch(this.name, report), {
      fieldManager: reportFieldManager(this.name),
      force: true,
      subresource: 'status',
    })
    this.#said = saying
  }
}
