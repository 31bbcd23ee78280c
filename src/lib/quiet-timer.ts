/**
 * Something to do when it has become quiet: some time after the last of many things that happen one
 * after the other, and once for each occasion.
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
  #occasion: number | undefined
  #doneFor: number | undefined
  #closed = false

  constructor(options: QuietTimerOptions) {
    this.#options = options
  }

  /** Something happens; once the action was done for an occasion, more of that counts no more. */
  touch(occasion: number): void {
    if (this.#closed || occasion === this.#doneFor) return
    this.#occasion = occasion
    this.#lastAt = this.#options.clock.monotonic()
    if (this.#cancel === undefined) this.#wait(this.#options.milliseconds)
  }
  /** What happens afterwards leads to nothing. */
  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  #wait(milliseconds: number): void {
    const { clock, action } = this.#options
    this.#cancel = clock.after(milliseconds, () => {
      this.#cancel = undefined
      const rest = this.#lastAt + this.#options.milliseconds - clock.monotonic()
      if (rest > 0) this.#wait(rest)
      else {
        this.#doneFor = this.#occasion
        action()
      }
    })
  }
}
