/**
 * The controller's part for nodes of the cloud, started when it is needed: nothing of it is loaded
 * before there is such a Node, or an ENINode that one has left behind. From then on it runs beside
 * the controller and under its Lease.
 */
import type { Cache } from '../kube/api.ts'
import { ENI_NODES, type Node } from '../kube/resources.ts'
import { errorText } from '../lib/errors.ts'
import { Loop } from '../lib/loop.ts'
import type { EniController, EniControllerOptions, EniControllerView } from './controller-reconcile.ts'
import type { CloudConfig } from './controller-start.ts'
import { isOfCloud } from './mode.ts'

/** What of the controller it stands on. */
export interface LeadingController {
  readonly nodes: Cache<Node>
  leadership(): { readonly isLeader: boolean; readonly term: number }
  /** Calls `listener` after each pass. Returns how to stop that. */
  onChange(listener: () => void): () => void
}

export interface CloudPartOptions extends Pick<EniControllerOptions, 'api' | 'clock' | 'log' | 'events' | 'newToken'> {
  readonly controller: LeadingController
  /** `cloud` of the configuration. */
  readonly config: CloudConfig
  readonly onChange: () => void
}

export class CloudPart {
  readonly #options: CloudPartOptions
  readonly #loop: Loop
  readonly #stop: () => void
  #running: EniController | undefined
  #closed = false
  /** Under which leadership it was woken last. */
  #led = ''
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
    const { api, controller, clock, log, events, config, newToken, onChange } = this.#options
    if (this.#running !== undefined) return this.#tellOfLeadership(this.#running)
    if (!controller.leadership().isLeader || !controller.nodes.synced) return
    if (!(await this.#isNeeded()) || this.#closed) return
    const { startEniController } = await import('./controller-start.ts')
    const running = await startEniController({
      api,
      events,
      clock,
      log,
      config,
      nodes: controller.nodes,
      leadership: () => controller.leadership(),
      newToken,
    })
    this.#running = running
    this.#led = leadershipText(controller)
    running.onChange(onChange)
    if (this.#closed) await running.close()
  }

  /** It sees Nodes by itself: a wake-up makes every node's worker look at everything. */
  #tellOfLeadership(running: EniController): void {
    const led = leadershipText(this.#options.controller)
    if (led === this.#led) return
    this.#led = led
    running.wake()
  }

  async #isNeeded(): Promise<boolean> {
    const { api, controller } = this.#options
    const { term } = controller.leadership()
    if (!this.#isNew && this.#lookedIn === term) return false
    const ofCloud = [...controller.nodes.objects.values()].some(isOfCloud)
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

function leadershipText(controller: LeadingController): string {
  const { isLeader, term } = controller.leadership()
  return `${isLeader} ${term}`
}
