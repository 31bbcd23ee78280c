/**
 * Counts the prefixes that a peer announces to us. Nothing is imported (RFC 8212 section 3: without
 * an import policy, no routes): the texts are kept only to count each prefix once, and not beyond a
 * limit, so that a full table costs no memory. Pure.
 */
import type { Family } from '../../lib/ip.ts'
import type { Update } from '../codec/message-types.ts'
import { endOfRibFamily } from '../codec/message-update.ts'
import { prefixTexts } from '../codec/nlri.ts'
import type { Nlri } from '../codec/nlri-types.ts'

/** From here on the count stands still: "at least". */
const COUNTED_AT_MOST = 20_000

export class ReceivedPrefixes {
  readonly #prefixes = new Set<string>()
  readonly #ended = new Set<Family>()

  get count(): number {
    return this.#prefixes.size
  }

  /** The families whose End-of-RIB came (RFC 4724 section 2). */
  get endOfRib(): ReadonlySet<Family> {
    return this.#ended
  }

  clear(): void {
    this.#prefixes.clear()
    this.#ended.clear()
  }

  /** Takes what an UPDATE announces and withdraws. */
  apply(update: Update): void {
    const { withdrawn, nlri, attributes } = update
    const ended = endOfRibFamily({ outcome: 'ok', message: update })
    if (ended !== undefined) this.#ended.add(ended)
    for (const block of [withdrawn, attributes.MP_UNREACH_NLRI]) this.#remove(block)
    for (const block of [nlri, attributes.MP_REACH_NLRI?.nlri]) this.#add(block)
  }

  #add(block: Nlri | undefined): void {
    if (block === undefined || block.count === 0 || this.#prefixes.size >= COUNTED_AT_MOST) return
    for (const prefix of prefixTexts(block)) this.#prefixes.add(prefix)
  }

  #remove(block: Nlri | undefined): void {
    if (block === undefined || block.count === 0 || this.#prefixes.size === 0) return
    for (const prefix of prefixTexts(block)) this.#prefixes.delete(prefix)
  }
}
