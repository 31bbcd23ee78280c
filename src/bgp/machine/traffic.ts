/**
 * Counts the messages of a peer by type and direction, and remembers when the last one went and
 * came. Pure: time comes in.
 */
import type { MessageCounts } from '../../model/session.ts'
import { MessageTypeCode } from '../codec/registry.ts'

const FIELD_OF_TYPE: ReadonlyMap<number, keyof MessageCounts> = new Map([
  [MessageTypeCode.OPEN, 'open'],
  [MessageTypeCode.UPDATE, 'update'],
  [MessageTypeCode.NOTIFICATION, 'notification'],
  [MessageTypeCode.KEEPALIVE, 'keepalive'],
  [MessageTypeCode['ROUTE-REFRESH'], 'routeRefresh'],
])

interface Counted {
  readonly counts: { -readonly [Field in keyof MessageCounts]: number }
  /** Clock.now() milliseconds. */
  last: number | undefined
}

export class Traffic {
  readonly #sent = nothing()
  readonly #received = nothing()

  count(what: 'sent' | 'received', type: number, now: number): void {
    const counted = what === 'sent' ? this.#sent : this.#received
    const field = FIELD_OF_TYPE.get(type)
    if (field !== undefined) counted.counts[field]++
    counted.last = now
  }

  get sent(): MessageCounts {
    return { ...this.#sent.counts }
  }
  get received(): MessageCounts {
    return { ...this.#received.counts }
  }
  get lastWrite(): number | undefined {
    return this.#sent.last
  }
  get lastRead(): number | undefined {
    return this.#received.last
  }
}

function nothing(): Counted {
  return { counts: { open: 0, update: 0, notification: 0, keepalive: 0, routeRefresh: 0 }, last: undefined }
}
