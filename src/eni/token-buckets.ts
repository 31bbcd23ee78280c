/**
 * How often the cloud is called: a bucket for each action for the whole cluster, as large as a
 * minute's calls. Nodes with pods that wait go first: while one of them has to wait for a bucket,
 * no other gets anything of it. Pure but for what it holds.
 */
import { type Bucket, filled } from '../lib/token-bucket.ts'

/** Calls a minute, below what the cloud allows an account. Source: the defaults of terway. */
const CALLS_PER_MINUTE: Readonly<Record<string, number>> = {
  CreateNetworkInterface: 500,
  AttachNetworkInterface: 500,
  DetachNetworkInterface: 400,
  DeleteNetworkInterface: 500,
  DescribeNetworkInterfaces: 800,
  AssignPrivateIpAddresses: 400,
  UnassignPrivateIpAddresses: 400,
  AssignIpv6Addresses: 400,
  UnassignIpv6Addresses: 400,
  DescribeInstanceTypes: 400,
  DescribeVSwitches: 300,
}
const DEFAULT_PER_MINUTE = 500

/** How long a node that waits is waited for: it may have gone, or want something else by now. */
const CLAIM_MILLISECONDS = 30_000

export class TokenBuckets {
  readonly #perMinute: (action: string) => number
  readonly #buckets = new Map<string, Bucket>()
  /** By action: who waits with pods waiting, since when. */
  readonly #claims = new Map<string, Map<string, number>>()

  /** `overrides`: calls a minute by action, read at each call. */
  constructor(overrides: () => Readonly<Record<string, number>>) {
    this.#perMinute = action => Math.max(1, overrides()[action] ?? CALLS_PER_MINUTE[action] ?? DEFAULT_PER_MINUTE)
  }

  /**
   * Takes a token, or says in how many milliseconds to try again. `now`: monotonic milliseconds.
   */
  take(action: string, who: { name: string; urgent: boolean }, now: number): 'taken' | number {
    const perMinute = this.#perMinute(action)
    const rate = { burst: perMinute, everyMilliseconds: 60_000 / perMinute }
    const { tokens } = filled(this.#buckets.get(action), rate, now)
    const claims = this.#claimsOf(action, now)
    const first = who.urgent || claims.size === 0
    if (tokens >= 1 && first) {
      this.#buckets.set(action, { tokens: tokens - 1, at: now })
      claims.delete(who.name)
      return 'taken'
    }
    this.#buckets.set(action, { tokens, at: now })
    if (who.urgent) claims.set(who.name, now)
    const missing = Math.max(0, 1 - tokens) + (first ? 0 : claims.size)
    return Math.max(10, Math.ceil(missing * rate.everyMilliseconds))
  }

  #claimsOf(action: string, now: number): Map<string, number> {
    const claims = this.#claims.get(action) ?? new Map<string, number>()
    for (const [name, since] of claims) if (now - since > CLAIM_MILLISECONDS) claims.delete(name)
    this.#claims.set(action, claims)
    return claims
  }
}
