/**
 * A loop that reconciles: level-triggered, one run at a time. Any number of wake-ups while it runs
 * make one more run, a failed run is tried again with exponential back-off and jitter, and a full
 * pass happens every so often even if nothing woke it.
 */
import { type Backoff, backoffMilliseconds } from './backoff.ts'
import type { Cancel, Clock } from './clock.ts'

export interface LoopOptions {
  readonly clock: Clock
  /** One pass. Throwing means: try again later. */
  readonly run: () => Promise<void> | void
  readonly onError: (error: unknown, retryMilliseconds: number) => void
  readonly backoff?: Backoff
  /** A pass at least this often; none when absent. */
  readonly everyMilliseconds?: number
  /**
   * Wake-ups within this time after the first are one (default 0: the next turn of the event loop).
   */
  readonly settleMilliseconds?: number
}

const DEFAULT_BACKOFF: Backoff = { initialMilliseconds: 200, maximumMilliseconds: 30_000 }

export class Loop {
  readonly #options: LoopOptions
  #running: Promise<void> | undefined
  /** The settle time of the run that was asked for while one is under way. */
  #again: number | undefined
  #closed = false
  #failures = 0
  #cancel: Cancel | undefined
  #dueAt = Number.POSITIVE_INFINITY

  constructor(options: LoopOptions) {
    this.#options = options
  }

  /** Asks for a pass soon: within `settleMilliseconds`, by default those of the options. */
  wake(settleMilliseconds = this.#options.settleMilliseconds ?? 0): void {
    if (this.#closed) return
    if (this.#running === undefined) this.#schedule(settleMilliseconds)
    else this.#again = Math.min(this.#again ?? settleMilliseconds, settleMilliseconds)
  }

  /** Stops; resolves when a pass under way has ended. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancel?.()
    await this.#running
  }

  #schedule(milliseconds: number): void {
    const dueAt = this.#options.clock.monotonic() + milliseconds
    if (dueAt >= this.#dueAt) return
    this.#cancel?.()
    this.#dueAt = dueAt
    this.#cancel = this.#options.clock.after(milliseconds, () => {
      this.#running = this.#pass().finally(() => {
        this.#running = undefined
        this.#next()
      })
    })
  }

  async #pass(): Promise<void> {
    this.#dueAt = Number.POSITIVE_INFINITY
    this.#again = undefined
    try {
      await this.#options.run()
      this.#failures = 0
    } catch (error) {
      const { clock, onError, backoff } = this.#options
      const pause = backoffMilliseconds(backoff ?? DEFAULT_BACKOFF, this.#failures, clock.random())
      this.#failures++
      onError(error, pause)
      if (!this.#closed) this.#schedule(pause)
    }
  }

  #next(): void {
    if (this.#closed) return
    if (this.#again !== undefined) this.#schedule(this.#again)
    else if (this.#options.everyMilliseconds !== undefined) this.#schedule(this.#options.everyMilliseconds)
  }
}
