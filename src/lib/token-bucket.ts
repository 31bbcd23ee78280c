/**
 * So many at once, and then one more each so many milliseconds: a token bucket, as a value. Pure:
 * time comes in.
 */

export interface Rate {
  /** The most that may have been saved up. */
  readonly burst: number
  /** How long one more takes. */
  readonly everyMilliseconds: number
}

export interface Bucket {
  readonly tokens: number
  /** When it held them: milliseconds that do not go back. */
  readonly at: number
}

/** The bucket at `now`. One that nobody has taken from yet (undefined) is full. */
export function filled(bucket: Bucket | undefined, { burst, everyMilliseconds }: Rate, now: number): Bucket {
  if (bucket === undefined) return { tokens: burst, at: now }
  const earned = Math.max(0, now - bucket.at) / everyMilliseconds
  return { tokens: Math.min(burst, bucket.tokens + earned), at: now }
}

/** The bucket after one was taken at `now`; undefined when it has none. */
export function take(bucket: Bucket | undefined, rate: Rate, now: number): Bucket | undefined {
  const { tokens } = filled(bucket, rate, now)
  return tokens < 1 ? undefined : { tokens: tokens - 1, at: now }
}
