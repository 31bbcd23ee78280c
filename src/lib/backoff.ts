/** How long to wait between tries. Pure: chance comes in as a number. */

export interface Backoff {
  readonly initialMilliseconds: number
  readonly maximumMilliseconds: number
}

/**
 * The pause before try number `attempt` (0 is the first repeat): doubling, capped, minus up to 25%
 * of jitter.
 */
export function backoffMilliseconds(backoff: Backoff, attempt: number, random: number): number {
  const pause = Math.min(backoff.maximumMilliseconds, backoff.initialMilliseconds * 2 ** Math.min(attempt, 30))
  return pause * (1 - random / 4)
}
