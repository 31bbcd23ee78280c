/**
 * When idle addresses below the most are given back, where eni-config asks for it: once nothing has
 * happened on a node for a while, so many at a time.
 */
import type { ENINodeReport } from '../kube/eni-node.ts'
import type { Clock } from '../lib/clock.ts'
import type { EniConfig } from './eni-config.ts'

export class IdleReclaim {
  readonly #clock: Clock
  #activity: { readonly text: string; readonly at: number }
  #reclaimedAt = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#activity = { text: '', at: clock.monotonic() }
  }

  /** How many may go now; with a number, the next turn is a pause away. */
  batch(reclaim: EniConfig['reclaim'], report: ENINodeReport | undefined): number {
    const now = this.#clock.monotonic()
    const text = JSON.stringify([report?.inUse, report?.waiting])
    if (text !== this.#activity.text) this.#activity = { text, at: now }
    if (reclaim === undefined || report === undefined) return 0
    const pause = reclaim.everyMilliseconds * (1 + reclaim.jitter * (2 * this.#clock.random() - 1))
    if (now - this.#activity.at < reclaim.afterMilliseconds || now - this.#reclaimedAt < pause) return 0
    this.#reclaimedAt = now
    return reclaim.batch
  }
}
