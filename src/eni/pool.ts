/**
 * How many addresses a node is to have: what to add, what to give back, where. Counted are pods'
 * worths: an address, or one of each family where there are both. Pure.
 */

export interface PoolSize {
  readonly minIdle: number
  readonly maxIdle: number
}

/** How many to add so that no pod waits and `minIdle` are ready; never more than `room`. */
export function addressesToAdd(
  { minIdle }: Pick<PoolSize, 'minIdle'>,
  now: { idle: number; waiting: number; room: number; warmUpLeft?: number },
): number {
  const add = Math.max(0, now.waiting + minIdle - now.idle, now.warmUpLeft ?? 0)
  return Math.min(add, Math.max(0, now.room))
}

/**
 * How many to give back: what is idle above `maxIdle`, or, where reclaiming is due, a batch above
 * `minIdle`.
 */
export function addressesToRelease(
  { minIdle, maxIdle }: PoolSize,
  now: { idle: number; waiting: number; reclaimBatch?: number },
): number {
  if (now.waiting > 0) return 0
  const most = Math.max(minIdle, maxIdle)
  const surplus = now.idle - most
  const reclaim = Math.min(now.reclaimBatch ?? 0, now.idle - minIdle)
  return Math.max(0, surplus, reclaim)
}

/** An interface as filling sees it. */
export interface Fillable {
  readonly id: string
  /** How many it could take more; 0 when it is full, leaving, or its vSwitch is. */
  readonly room: number
}

export interface Filling {
  readonly assign: readonly { readonly id: string; readonly count: number }[]
  /** Addresses of each interface to create, its primary one counted. */
  readonly create: readonly number[]
  /** What no interface can take. */
  readonly left: number
}

/**
 * The most secondary addresses that one call creates an interface with (API page of
 * CreateNetworkInterface).
 */
const MOST_SECONDARY_AT_CREATION = 49

/**
 * Interfaces that have room first, the fullest first, so that the emptiest can be given back; then
 * new ones.
 */
export function fill(
  want: number,
  from: { interfaces: readonly Fillable[]; freeSlots: number; perInterface: number },
): Filling {
  let left = want
  const take = (room: number) => {
    const count = Math.max(0, Math.min(left, room))
    left -= count
    return count
  }
  const assign = from.interfaces
    .filter(({ room }) => room > 0)
    .toSorted((a, b) => a.room - b.room || (a.id < b.id ? -1 : 1))
    .map(({ id, room }) => ({ id, count: take(room) }))
    .filter(({ count }) => count > 0)
  const each = Math.min(from.perInterface, MOST_SECONDARY_AT_CREATION + 1)
  const create: number[] = []
  while (left > 0 && each > 0 && create.length < from.freeSlots) create.push(take(each))
  return { assign, create, left }
}

/** An interface as giving back sees it. */
export interface Releasable {
  readonly id: string
  /** Idle addresses that can be taken off, the longest idle first. */
  readonly idle: readonly string[]
  /** All of its pods' worths, the primary address among them. */
  readonly total: number
  /** Pods on it. */
  readonly pods: number
  /** Whether it can be given back as a whole. */
  readonly detachable: boolean
}

export interface Release {
  readonly id: string
  /** `all`: the interface goes back as a whole. */
  readonly addresses: 'all' | readonly string[]
}

/**
 * Which to give back: from the interface with the fewest pods, whole where it is empty, else its
 * longest idle.
 */
export function chooseReleases(count: number, interfaces: readonly Releasable[]): readonly Release[] {
  let left = count
  const releases: Release[] = []
  for (const item of interfaces.toSorted((a, b) => a.pods - b.pods || a.total - b.total || (a.id < b.id ? 1 : -1))) {
    if (left <= 0) break
    if (item.pods === 0 && item.detachable && item.total > 0 && item.total <= left) {
      releases.push({ id: item.id, addresses: 'all' })
      left -= item.total
      continue
    }
    const addresses = item.idle.slice(0, left)
    if (addresses.length > 0) releases.push({ id: item.id, addresses })
    left -= addresses.length
  }
  return releases
}
