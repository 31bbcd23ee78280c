/**
 * What was there a moment ago and is missing in a listing: it is believed to be gone only when it
 * stays so, for listings may lag behind what was done. Until then it is shown as it was. Pure but
 * for what it holds.
 */
import type { CloudInterface } from '../cloud/answers.ts'
import type { ENIInterface } from '../kube/eni-node.ts'

export const BELIEVE_MISSING_MILLISECONDS = 10_000

export class MissingThings {
  /** By interface, or interface and address: since when, monotonic milliseconds. */
  readonly #since = new Map<string, number>()

  /** Whether something is missing that is not believed to be gone yet. */
  get any(): boolean {
    return this.#since.size > 0
  }

  /** The listing with what is recorded and missing in it, as it was `before`. */
  filled(
    items: readonly CloudInterface[],
    from: { before: readonly CloudInterface[]; interfaces: readonly ENIInterface[]; now: number },
  ): readonly CloudInterface[] {
    const there = new Map(items.map(item => [item.id, item]))
    const before = new Map(from.before.map(item => [item.id, item]))
    const missing = new Set<string>()
    const believed = (key: string) => {
      missing.add(key)
      const since = this.#since.get(key) ?? from.now
      this.#since.set(key, since)
      return from.now - since >= BELIEVE_MISSING_MILLISECONDS
    }
    for (const item of from.interfaces) {
      const seen = there.get(item.id)
      const last = before.get(item.id)
      if (seen === undefined) {
        if (item.state === 'Deleting' || last === undefined || believed(item.id)) continue
        there.set(item.id, last)
        continue
      }
      const lost = item.addresses.filter(address => !seen.ipv4.includes(address) && !seen.ipv6.includes(address))
      const kept = lost.filter(address => !believed(`${item.id}/${address}`))
      if (kept.length === 0) continue
      const ipv4 = [...seen.ipv4, ...kept.filter(address => !address.includes(':'))]
      const ipv6 = [...seen.ipv6, ...kept.filter(address => address.includes(':'))]
      there.set(item.id, { ...seen, ipv4, ipv6 })
    }
    for (const key of this.#since.keys()) if (!missing.has(key) || believed(key)) this.#since.delete(key)
    return [...there.values()]
  }
}
