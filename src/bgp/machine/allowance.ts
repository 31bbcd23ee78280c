/** So many at once and so many a second, not more: a token bucket. Pure: time comes in. */
export class Allowance {
  readonly #burst: number
  readonly #perSecond: number
  #left: number
  #at = 0

  constructor({ burst, perSecond }: { readonly burst: number; readonly perSecond: number }) {
    this.#burst = burst
    this.#perSecond = perSecond
    this.#left = burst
  }

  /** Whether one more is allowed at `monotonic` (milliseconds), which then counts. */
  take(monotonic: number): boolean {
    const earned = Math.max(0, ((monotonic - this.#at) / 1000) * this.#perSecond)
    this.#left = Math.min(this.#burst, this.#left + earned)
    this.#at = monotonic
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
