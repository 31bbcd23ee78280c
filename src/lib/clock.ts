/**
 * Time, timers and jitter, as they are handed to shells: deciding code never reads a clock, and
 * tests put one of their own in place. Tokens and identifiers, which nobody may guess, are not made
 * here.
 */

/** Cancels a timer; calling it twice, or after the timer ran, does nothing. */
export type Cancel = () => void

export interface Clock {
  /** Wall-clock time in milliseconds since the epoch: for what people and other machines read. */
  now(): number
  /** Milliseconds that never go back: for measuring and for deadlines. */
  monotonic(): number
  /** Calls `action` once, `milliseconds` from now (not before). */
  after(milliseconds: number, action: () => void): Cancel
  /** A number in [0, 1), for jitter. */
  random(): number
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(milliseconds, action) {
    const timer = setTimeout(action, milliseconds)
    return () => clearTimeout(timer)
  },
  random: () => Math.random(),
}

/** Resolves `milliseconds` from now, or at once when `signal` aborts. */
export function sleep(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal?.aborted) return resolve()
    const done = () => {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(milliseconds, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}
