/**
 * What a peer was told: a route set as a whole or by blocks, and what has changed since prefix by
 * prefix. After a change has gone out the new set as a whole takes its place, so that a peer that
 * has everything costs no memory of its own. Pure.
 */
import { NO_ROUTES, type RouteBlock, type RouteSet } from './route-set.ts'

export class ToldRoutes {
  #base: RouteSet = NO_ROUTES
  /** Blocks of the base that the peer does not have. */
  #absent = new Set<RouteBlock>()
  /** Blocks of the base that it has, and is to be told again. */
  #due = new Set<RouteBlock>()
  /** Newer than the base; undefined: withdrawn. */
  readonly #changes = new Map<string, RouteBlock | undefined>()
  #size = 0

  /** Prefixes that the peer has. */
  get size(): number {
    return this.#size
  }

  /** The set that this builds on; changes since then are not of it. */
  get base(): RouteSet {
    return this.#base
  }

  /** The block that the prefix was told with. */
  get(prefix: string): RouteBlock | undefined {
    if (this.#changes.size > 0 && this.#changes.has(prefix)) return this.#changes.get(prefix)
    const block = this.#base.blockOf.get(prefix)
    return block === undefined || this.#absent.has(block) ? undefined : block
  }

  /** Whether the prefix is to be told again though the peer has it. */
  isDue(prefix: string): boolean {
    if (this.#due.size === 0 || this.#changes.has(prefix)) return false
    const block = this.#base.blockOf.get(prefix)
    return block !== undefined && this.#due.has(block)
  }

  *prefixes(): Generator<string> {
    for (const prefix of this.#base.blockOf.keys()) {
      if (!this.#changes.has(prefix) && this.get(prefix) !== undefined) yield prefix
    }
    for (const [prefix, block] of this.#changes) if (block !== undefined) yield prefix
  }

  /** From now on this is the base. The peer has all of it but the blocks `absent`. */
  rebase(base: RouteSet, absent: Iterable<RouteBlock>): void {
    this.#base = base
    this.#absent = new Set(absent)
    this.#due.clear()
    this.#changes.clear()
    this.#size = base.blockOf.size
    for (const block of this.#absent) this.#size -= block.nlri.count
  }

  /** These blocks of the base, which the peer has, are to be told again. */
  setDue(blocks: Iterable<RouteBlock>): void {
    this.#due = new Set(blocks)
  }

  /** A block of the base was told as a whole. */
  addBlock(block: RouteBlock): void {
    this.#due.delete(block)
    if (this.#absent.delete(block)) this.#size += block.nlri.count
  }

  /** A block of the base is not with the peer after all. */
  removeBlock(block: RouteBlock): void {
    this.#absent.add(block)
    this.#size -= block.nlri.count
  }

  set(prefix: string, block: RouteBlock): void {
    if (this.get(prefix) === undefined) this.#size++
    this.#changes.set(prefix, block)
  }

  delete(prefix: string): void {
    if (this.get(prefix) !== undefined) this.#size--
    this.#changes.set(prefix, undefined)
  }
}
