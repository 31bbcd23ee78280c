/**
 * One timer for many wishes: whoever wants to be woken says when, and the earliest of these times
 * counts.
 */
import type { Cancel, Clock } from './clock.ts'

const LEAST_MILLISECONDS = 10

/** A timer that may be set again and again and runs at the earliest of the times asked for. */
export class EarliestTimer {
  readonly #clock: Clock
  readonly #action: () => void
  #cancel: Cancel | undefined
  #at = Number.POSITIVE_INFINITY

  constructor(clock: Clock, action: () => void) {
    this.#clock = clock
    this.#action = action
  }
  set(milliseconds: number): void {
    const at = this.#clock.monotonic() + Math.max(LEAST_MILLISECONDS, milliseconds)
    if (at >= this.#at) return
    this.#cancel?.()
    this.#at = at
    this.#cancel = this.#clock.after(Math.max(LEAST_MILLISECONDS, milliseconds), () => {
      this.#at = Number.POSITIVE_INFINITY
      this.#action()
    })
  }
  close(): void {
    this.#cancel?.()
  }
}
