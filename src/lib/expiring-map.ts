/**
 * What is remembered for a while, each entry for its own; what nobody asks for again goes too.
 * Times are those of one clock, as the caller has it. Pure.
 */
export class ExpiringMap<V> {
  /** In the order in which they were set. */
  readonly #entries = new Map<string, { readonly value: V; readonly until: number }>()

  /** Those remembered, and some that are over: they go when one is set after them. */
  get size(): number {
    return this.#entries.size
  }
  get(key: string, now: number): V | undefined {
    const entry = this.#entries.get(key)
    return entry !== undefined && now < entry.until ? entry.value : undefined
  }
  set(key: string, value: V, { now, until }: { now: number; until: number }): void {
    this.#entries.delete(key)
    this.#entries.set(key, { value, until })
    // up to the first that is not over: each goes once, however many there are
    for (const [oldest, entry] of this.#entries) {
      if (now < entry.until) break
      this.#entries.delete(oldest)
    }
  }
}
