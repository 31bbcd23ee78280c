/**
 * What the snapshots of both roles have in common: the last Events as this process recorded them,
 * and how the API server answers. What one role alone shows is put together in
 * commands/node-snapshot.ts and commands/controller.ts.
 */
import type { EventRecorder, KubeEvent } from '../kube/api.ts'
import type { Clock } from '../lib/clock.ts'
import { present } from '../lib/fields.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { ApiContact, EventRow } from '../model/snapshot.ts'

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

/** How the API server answers, for the page. */
export function apiContact(
  contact: {
    readonly server: string
    readonly connected: boolean
    readonly lastContact: number | undefined
    readonly problem: string | undefined
  },
  counts: Pick<ApiContact, 'clockAheadSeconds' | 'requests' | 'failures'> = {},
): ApiContact {
  return present<ApiContact>({
    clockAheadSeconds: counts.clockAheadSeconds,
    requests: counts.requests,
    failures: counts.failures,
    server: contact.server,
    connected: contact.connected,
    lastContact: contact.lastContact === undefined ? undefined : timestamp(contact.lastContact),
    problem: contact.problem,
  })
}
