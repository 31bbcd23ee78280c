/**
 * The last Events of a process, for its status interface: hands each on to the cluster's recorder
 * and keeps what was recorded last. What the cluster was told before is not known here.
 */
import type { EventRecorder, KubeEvent } from '../kube/api.ts'
import type { Clock } from '../lib/clock.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { EventRow } from '../model/snapshot.ts'

const EVENTS_KEPT = 50

/** Hands events on to the cluster's recorder and keeps the last ones for the page. */
export class EventLog implements EventRecorder {
  readonly #clock: Clock
  readonly #next: EventRecorder | undefined
  #rows: readonly EventRow[] = []

  constructor(clock: Clock, next: EventRecorder | undefined) {
    this.#clock = clock
    this.#next = next
  }
  /** Newest first. */
  get rows(): readonly EventRow[] {
    return this.#rows
  }
  record(event: KubeEvent): void {
    this.#next?.record(event)
    const row: EventRow = {
      time: timestamp(this.#clock.now()),
      type: event.type,
      reason: event.reason,
      object: `${event.regarding.kind}/${event.regarding.name}`,
      message: event.message,
    }
    this.#rows = [row, ...this.#rows].slice(0, EVENTS_KEPT)
  }
  async close(): Promise<void> {
    await this.#next?.close()
  }
}
