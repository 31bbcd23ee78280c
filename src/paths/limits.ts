/**
 * How many answers a node gives: so many a second to each asker and to all together, whatever is
 * asked. A bucket of tokens that fills with time. Pure.
 */

export interface Bucket {
  readonly tokens: number
  /** Milliseconds that never go back. */
  readonly at: number
}

export interface Rate {
  readonly perSecond: number
  /** The most that may have been saved up. */
  readonly burst: number
}

/** The bucket after taking one token at `now`; undefined when it has none. */
export function take(bucket: Bucket | undefined, rate: Rate, now: number): Bucket | undefined {
  const saved =
    bucket === undefined
      ? rate.burst
      : Math.min(rate.burst, bucket.tokens + ((now - bucket.at) / 1000) * rate.perSecond)
  return saved < 1 ? undefined : { tokens: saved - 1, at: now }
}
