/**
 * The controller's part for nodes of the cloud: nothing of it is loaded before there is such a
 * Node, or an ENINode that one has left behind. From then on it runs beside the controller and
 * under its Lease.
 */
import { randomUUID } from 'node:crypto'
import type { Config } from '../config/schema.ts'
import type { Controller } from '../controller/reconcile.ts'
import type { EniController, EniControllerView } from '../eni/controller-reconcile.ts'
import { modeOfNode } from '../eni/mode.ts'
import type { EventRecorder, KubeApi } from '../kube/api.ts'
import { ENI_NODES } from '../kube/resources.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { present } from '../lib/fields.ts'
import { familyOf } from '../lib/ip.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import type { CloudNodeView, CloudView, NodeView } from '../model/snapshot.ts'

export interface CloudPartOptions {
  readonly api: KubeApi
  readonly controller: Controller
  readonly config: Config['cloud']
  readonly clock: Clock
  readonly log: Log
  readonly events: EventRecorder
  readonly onChange: () => void
}

export class CloudPart {
  readonly #options: CloudPartOptions
  readonly #loop: Loop
  readonly #stop: () => void
  #running: EniController | undefined
  #closed = false
  /** The term in which was looked for ENINodes that are left over. */
  #lookedIn: number | undefined
  /** Whether Nodes have changed since they were looked at. */
  #isNew = true

  constructor(options: CloudPartOptions) {
    this.#options = options
    this.#loop = new Loop({
      clock: options.clock,
      run: () => this.#pass(),
      onError: error =>
        options.log.warn({ reason: errorText(error) }, 'cannot take care of nodes of the cloud yet; trying again'),
    })
    const stops = [
      options.controller.onChange(() => this.#loop.wake()),
      options.controller.nodes.onChange(() => {
        this.#isNew = true
      }),
    ]
    this.#stop = () => {
      for (const stop of stops) stop()
    }
  }

  async #pass(): Promise<void> {
    const { api, controller, clock, log, events, config, onChange } = this.#options
    if (this.#running !== undefined) return this.#running.wake()
    if (!controller.leadership().isLeader || !controller.nodes.synced) return
    if (!(await this.#isNeeded()) || this.#closed) return
    const { startEniController } = await import('../eni/controller-start.ts')
    const running = await startEniController({
      api,
      events,
      clock,
      log,
      config,
      nodes: controller.nodes,
      leadership: () => controller.leadership(),
      newToken: randomUUID,
    })
    this.#running = running
    running.onChange(onChange)
    if (this.#closed) await running.close()
  }

  async #isNeeded(): Promise<boolean> {
    const { api, controller } = this.#options
    const { term } = controller.leadership()
    if (!this.#isNew && this.#lookedIn === term) return false
    const ofCloud = [...controller.nodes.objects.values()].some(
      ({ metadata, spec }) =>
        modeOfNode({ labels: metadata.labels ?? {}, providerID: spec?.providerID ?? '' }).mode !== 'route',
    )
    this.#isNew = ofCloud // until it runs
    if (ofCloud || this.#lookedIn === term) return ofCloud
    const left = await api.list(ENI_NODES)
    this.#lookedIn = term
    return left.length > 0
  }

  /** Undefined: there are no nodes of the cloud. */
  view(): EniControllerView | undefined {
    return this.#running?.view()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stop()
    await this.#loop.close()
    await this.#running?.close()
  }
}

/** The nodes with what is known of their interfaces. */
export function withCloudNodes(nodes: readonly NodeView[], view: EniControllerView | undefined): readonly NodeView[] {
  if (view === undefined) return nodes
  const rows = new Map(view.nodes.map(node => [node.name, node]))
  return nodes.map(node => {
    const row = rows.get(node.name)
    if (row?.spec === undefined) return node
    const { spec, interfaces, operations, report, idle, capacity, conditions, lastError } = row
    const problem = conditions.find(({ type, status }) => type === 'SufficientAddresses' && status === 'False')
    const cloud = present<CloudNodeView>({
      mode: spec.platform === 'ecs' ? 'eni-ecs' : 'eni-ens',
      instanceID: spec.instanceID,
      instanceType: spec.instanceType,
      vSwitchIDs: spec.vSwitchIDs,
      interfaces: interfaces.map(({ id, vSwitchID, state, addresses, releasing }) => ({
        id,
        vSwitchID,
        state,
        addresses: addresses.filter(address => familyOf(address) === 'ipv4').length,
        releasing: releasing.length,
      })),
      capacity,
      inUse: report?.inUse ?? 0,
      idle: Math.max(0, idle),
      waiting: report?.waiting ?? 0,
      operations: operations.map(({ action }) => action),
      lastError,
    })
    const sentence = problem === undefined ? undefined : `${problem.reason}: ${problem.message}`
    const problems = [node.problem, sentence].filter(text => text !== undefined).join('; ')
    return { ...node, cloud, ...(problems === '' ? {} : { problem: problems }) }
  })
}

/** What the whole cluster has to do with the cloud. */
export function cloudView(view: EniControllerView | undefined): CloudView | undefined {
  return view && { calls: view.calls, blocked: view.blocked }
}
