/**
 * What a router says, by BMP, that it has from this speaker: the routes that it received and the
 * ones that its import policy left, each with the next hop. Fed with messages about one neighbour
 * of the router, which is this speaker. Pure.
 */
import { formatAddress } from '../../lib/ip.ts'
import type { Update } from '../codec/message-types.ts'
import { endOfRibFamily } from '../codec/message-update.ts'
import { prefixTexts } from '../codec/nlri.ts'
import type { BmpMessage } from './bmp-types.ts'

/** Next hops by prefix. */
export type Routes = ReadonlyMap<string, string>

/** From here on routes are not taken: no router has so many from a speaker of pod CIDRs. */
const ROUTES_AT_MOST = 200_000

class Table {
  readonly routes = new Map<string, string>()
  /** A first route, or the End-of-RIB, has come. */
  monitored = false

  take(update: Update): void {
    this.monitored = true
    if (endOfRibFamily({ outcome: 'ok', message: update }) !== undefined) return
    const { withdrawn, nlri, attributes } = update
    for (const block of [withdrawn, attributes.MP_UNREACH_NLRI]) {
      if (block !== undefined) for (const prefix of prefixTexts(block)) this.routes.delete(prefix)
    }
    const { NEXT_HOP: nextHop, MP_REACH_NLRI: reach } = attributes
    if (nextHop !== undefined) this.#add(prefixTexts(nlri), nextHop)
    if (reach !== undefined) this.#add(prefixTexts(reach.nlri), firstAddress(reach.nextHop))
  }

  clear(): void {
    this.routes.clear()
    this.monitored = false
  }

  #add(prefixes: readonly string[], nextHop: string): void {
    for (const prefix of prefixes) if (this.routes.size < ROUTES_AT_MOST) this.routes.set(prefix, nextHop)
  }
}

/** RFC 2545 section 3: behind a global address there may be a link-local one. */
function firstAddress(nextHop: Uint8Array): string {
  return formatAddress(nextHop.length === 32 ? nextHop.subarray(0, 16) : nextHop)
}

export class SwitchTable {
  readonly #received = new Table()
  readonly #kept = new Table()
  #up = false
  #changedAt = Number.NEGATIVE_INFINITY

  /** The router has a session with this speaker, it says. */
  get up(): boolean {
    return this.#up
  }

  /** Before its policy; undefined: it does not tell. */
  get received(): Routes | undefined {
    return this.#received.monitored ? this.#received.routes : undefined
  }

  /** After its policy; undefined: it does not tell. */
  get kept(): Routes | undefined {
    return this.#kept.monitored ? this.#kept.routes : undefined
  }

  /** When it last told something new, as `take` was told the time. */
  get changedAt(): number {
    return this.#changedAt
  }

  /** Takes a message about this speaker. `now`: Clock.monotonic() milliseconds. */
  take(message: BmpMessage, now: number): void {
    switch (message.type) {
      case 'peer-up':
        if (this.#up) break // once for each table
        this.#forget()
        this.#up = true
        break
      case 'peer-down':
        this.#forget()
        break
      case 'route-monitoring':
        if (message.update === undefined) return
        if (message.peer.table === 'pre-policy') this.#received.take(message.update)
        if (message.peer.table === 'post-policy') this.#kept.take(message.update)
        break
      default:
        return
    }
    this.#changedAt = now
  }

  #forget(): void {
    this.#up = false
    this.#received.clear()
    this.#kept.clear()
  }
}
