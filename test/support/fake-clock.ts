/** A clock that stands still until it is told to go on; timers run in the order of their times. */
import type { Clock } from '../../src/lib/clock.ts'

export class FakeClock implements Clock {
  #time: number
  #timers: { at: number; action: () => void }[] = []
  randomValue = 0

  constructor(start = 1_000_000_000_000) {
    this.#time = start
  }
  now(): number {
    return this.#time
  }
  monotonic(): number {
    return this.#time
  }
  random(): number {
    return this.randomValue
  }
  after(milliseconds: number, action: () => void): () => void {
    const timer = { at: this.#time + milliseconds, action }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer)
    }
  }
  /** Timers that are set. */
  get pending(): number {
    return this.#timers.length
  }
  /** Lets time pass, running what comes due and the promises it resolves. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#time + milliseconds
    for (;;) {
      await settle()
      const next = this.#timers.filter(timer => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter(timer => timer !== next)
      this.#time = Math.max(this.#time, next.at)
      next.action()
    }
    this.#time = end
    await settle()
  }
}

/** Lets promises that are already resolved run their continuations. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve()
}
