/** A replica of the controller: the product's own, on the simulated API server. */
import { type Controller, createController } from '../../src/controller/reconcile.ts'
import type { EventRecorder } from '../../src/kube/api.ts'
import { createKubeApiOver } from '../../src/kube/client.ts'
import { createEventRecorder } from '../../src/kube/event-recorder.ts'
import { parseNodeSelector } from '../../src/lib/node-selector.ts'
import type { ApiNetwork } from './api-network.ts'
import type { Bus } from './bus.ts'
import { Mortal } from './mortal.ts'
import { Process } from './process.ts'
import type { Levels, Shape } from './script.ts'

export interface ReplicaOptions {
  readonly bus: Bus
  readonly seed: number
  readonly name: string
  readonly shape: Shape
  readonly network: ApiNetwork
  readonly levels: () => Levels
  readonly onDeath: (replica: Replica) => void
}

export class Replica {
  readonly name: string
  readonly #options: ReplicaOptions
  #starts = 0
  #running: { process: Process; mortal: Mortal; controller: Controller; events: EventRecorder } | undefined

  constructor(options: ReplicaOptions) {
    this.#options = options
    this.name = options.name
  }

  get controller(): Controller | undefined {
    return this.#running?.controller
  }
  get process(): Process | undefined {
    return this.#running?.process
  }

  start(): void {
    if (this.#running !== undefined) return
    const { bus, seed, name, shape, network, levels, onDeath } = this.#options
    this.#starts++
    const { lateMilliseconds } = levels()
    const process = new Process(bus, name, seed + this.#starts * 7919, { offMilliseconds: 0, lateMilliseconds })
    const mortal = new Mortal(process, () => {
      this.#running = undefined
      onDeath(this)
    })
    const { clock, log } = process
    const api = createKubeApiOver(network.transport(process, mortal.gate), { clock, log })
    const events = createEventRecorder({ api, component: 'terway-edge-controller', host: name, clock, log })
    const parsed = parseNodeSelector('all()')
    const controller = createController({
      api,
      events,
      clock,
      log,
      identity: `${name}-${this.#starts}`,
      config: {
        foreignPodCIDRs: false,
        podCIDRs: [shape.pool],
        podsPerNode: shape.podsPerNode,
        serviceCIDRs: ['172.21.0.0/20'],
        vpcCIDRs: [],
        dataCenterCIDRs: ['172.16.0.0/16'],
        allocatePodCIDRs: true,
        rememberSeconds: shape.rememberSeconds,
        removal: shape.removal,
        leaseNamespace: 'kube-system',
        edgeNodes: 'selector' in parsed ? parsed.selector : undefined,
      },
    })
    this.#running = { process, mortal, controller, events }
  }

  dieAfter(effects: number): void {
    this.#running?.mortal.dieAfter(effects)
  }
  die(): void {
    this.#running?.mortal.die()
  }
}
