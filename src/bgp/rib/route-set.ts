/**
 * A set of routes to announce, made once and never changed: by prefix, and as blocks of prefixes
 * with equal attributes that are encoded already, so that a whole set goes out by copying octets.
 * Pure.
 */
import { addressBytes, type Family, familyOf } from '../../lib/ip.ts'
import { nlriOf, noNlri } from '../codec/nlri.ts'
import type { Nlri } from '../codec/nlri-types.ts'
import type { Announcement } from '../speaker-types.ts'
import { type AttributeSet, attributeKey, sameAttributes } from './route-attributes.ts'

/** Some prefixes of one family with equal attributes. */
export interface RouteBlock extends AttributeSet {
  readonly family: Family
  /** Octets. */
  readonly nextHop: Uint8Array
  readonly nlri: Nlri
}

export interface RouteSet {
  readonly blockOf: ReadonlyMap<string, RouteBlock>
  readonly blocks: readonly RouteBlock[]
}

/** Prefixes of a block at most: a few full messages, so that a change never waits for a million. */
const BLOCK_PREFIXES = 4096

export const NO_ROUTES: RouteSet = { blockOf: new Map(), blocks: [] }

/** Of several announcements of one prefix the last counts. Throws when one is not a prefix. */
export function routeSetOf(announcements: readonly Announcement[]): RouteSet {
  const blockOf = new Map<string, RouteBlock>()
  const growing = new GrowingBlocks()
  for (const announcement of announcements) {
    const { block, prefixes } = growing.of(announcement)
    prefixes.push(announcement.prefix)
    blockOf.set(announcement.prefix, block)
  }
  if (blockOf.size < announcements.length) return routeSetOf(lastOfEach(announcements))
  return { blockOf, blocks: growing.done() }
}

interface GrowingBlock {
  readonly block: RouteBlock & { nlri: Nlri }
  readonly prefixes: string[]
}

/**
 * Finds the block that a prefix goes into without making a text of its attributes: these are the
 * same for many in a row or in turn.
 */
class GrowingBlocks {
  readonly #all: GrowingBlock[] = []
  /** The block of each set of attributes that has room, by next hop. */
  readonly #open = new Map<string, GrowingBlock[]>()

  of(announcement: Announcement): GrowingBlock {
    const family = familyOf(announcement.prefix)
    let sameNextHop = this.#open.get(announcement.nextHop)
    if (sameNextHop === undefined) {
      sameNextHop = []
      this.#open.set(announcement.nextHop, sameNextHop)
    }
    const index = sameNextHop.findIndex(
      ({ block }) => block.family === family && sameAttributes(block.announcement, announcement),
    )
    const like = sameNextHop[index]
    if (like !== undefined && like.prefixes.length < BLOCK_PREFIXES) return like
    const key = like?.block.key ?? attributeKey(announcement)
    const nextHop = like?.block.nextHop ?? addressBytes(announcement.nextHop)
    const next: GrowingBlock = { block: { key, announcement, nextHop, family, nlri: noNlri(family) }, prefixes: [] }
    this.#all.push(next)
    sameNextHop[index < 0 ? sameNextHop.length : index] = next
    return next
  }

  /** Encodes them. */
  done(): RouteBlock[] {
    return this.#all.map(({ block, prefixes }) => {
      block.nlri = nlriOf(block.family, prefixes)
      return block
    })
  }
}

function lastOfEach(announcements: readonly Announcement[]): Announcement[] {
  return [...new Map(announcements.map(announcement => [announcement.prefix, announcement])).values()]
}
