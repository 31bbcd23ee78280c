/**
 * Carrying out many writes: a few at a time, each failure by itself; and waiting, never for longer
 * than is useful.
 */
import { type Clock, sleep } from '../lib/clock.ts'

const AT_ONCE = 8

/** Runs `jobs`, at most 8 at a time, while `mayGoOn`. The failures, in order. */
export async function inParallel(
  jobs: readonly (() => Promise<void>)[],
  mayGoOn: () => boolean,
): Promise<readonly unknown[]> {
  const failures: unknown[] = []
  let next = 0
  const worker = async () => {
    for (;;) {
      const job = jobs[next++]
      if (job === undefined || !mayGoOn()) return
      try {
        await job()
      } catch (error) {
        failures.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, jobs.length) }, worker))
  return failures
}

/**
 * Resolves when `condition` holds, looked at now and whenever `subscribe` calls back, or after
 * `milliseconds`.
 */
export function until(
  clock: Clock,
  options: { condition: () => boolean; milliseconds: number; subscribe: (listener: () => void) => () => void },
): Promise<void> {
  const { condition, milliseconds, subscribe } = options
  if (condition()) return Promise.resolve()
  return new Promise(resolve => {
    const done = () => {
      cancel()
      unsubscribe()
      resolve()
    }
    const cancel = clock.after(milliseconds, done)
    const unsubscribe = subscribe(() => {
      if (condition()) done()
    })
  })
}

/**
 * Resolves with `work`, or after `milliseconds` without it: a server that does not answer must not
 * hold up a stop.
 */
export async function within(clock: Clock, milliseconds: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController()
  await Promise.race([work, sleep(clock, milliseconds, done.signal)])
  done.abort()
}
