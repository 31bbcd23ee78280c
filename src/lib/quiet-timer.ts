/**
 * Something to do when it has become quiet: some time after the last of many things that happen one
 * after the other, and once.
 */
import type { Cancel, Clock } from './clock.ts'

export interface QuietTimerOptions {
  readonly clock: Clock
  /** For how long nothing is to happen. */
  readonly milliseconds: number
  readonly action: () => void
}

export class QuietTimer {
  readonly #options: QuietTimerOptions
  #lastAt = 0
  #cancel: Cancel | undefined

  constructor(options: QuietTimerOptions) {
    this.#options = options
  }

  /** Something happens. */
  touch(): void {
    this.#lastAt = this.#options.clock.monotonic()
    if (this.#cancel === undefined) this.#wait(this.#options.milliseconds)
  }
  close(): void {
    this.#cancel?.()
  }

  #wait(milliseconds: number): void {
    const { clock, action } = this.#options
    this.#cancel = clock.after(milliseconds, () => {
      this.#cancel = undefined
      const rest = this.#lastAt + this.#options.milliseconds - clock.monotonic()
      if (rest > 0) this.#wait(rest)
      else action()
    })
  }
}
