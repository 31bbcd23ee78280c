/**
 * The condition SufficientIP of a Node, as terway has it: schedulers and people look there. It
 * mirrors SufficientAddresses of the ENINode, and is written when that has changed.
 */
import type { KubeApi } from '../kube/api.ts'
import { type Condition, NODES } from '../kube/resources.ts'
import type { Clock } from '../lib/clock.ts'
import { timestamp } from '../lib/timestamp.ts'
import { FIELD_MANAGER } from './controller-shared.ts'

export class ConditionMirror {
  readonly #api: KubeApi
  readonly #clock: Clock
  /** What was written last, by node. */
  readonly #written = new Map<string, string>()

  constructor(api: KubeApi, clock: Clock) {
    this.#api = api
    this.#clock = clock
  }

  async mirror(node: { readonly name: string; readonly uid: string }, conditions: readonly Condition[]): Promise<void> {
    const condition = conditions.find(({ type }) => type === 'SufficientAddresses')
    if (condition === undefined || condition.status === 'Unknown') return
    const text = JSON.stringify([node.uid, condition.status, condition.message])
    if (this.#written.get(node.name) === text) return
    const mirrored = {
      type: 'SufficientIP',
      status: condition.status,
      reason: condition.status === 'True' ? 'SufficientIP' : 'InsufficientIP',
      message: condition.message,
      lastHeartbeatTime: timestamp(this.#clock.now()),
      lastTransitionTime: condition.lastTransitionTime,
    }
    const object = { apiVersion: 'v1', kind: 'Node', metadata: { name: node.name }, status: { conditions: [mirrored] } }
    await this.#api.apply(NODES, object, { fieldManager: FIELD_MANAGER, force: true, subresource: 'status' })
    this.#written.set(node.name, text)
  }

  forget(name: string): void {
    this.#written.delete(name)
  }
}
