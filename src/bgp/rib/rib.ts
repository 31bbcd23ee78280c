/**
 * Adj-RIB-Out of one peer (RFC 4271 section 3.2): takes the whole desired set, remembers what the
 * peer was told, and gives the difference as encoded UPDATEs, grouped by attributes. Also
 * End-of-RIB (RFC 4724 section 2) and the answers to ROUTE-REFRESH (RFC 2918, 7313).
 *
 * Gives messages only as fast as they are taken: what waits is a set of prefixes, not of messages,
 * so a slow peer costs no memory and a change of what still waits replaces it. A first set and a
 * refresh go out in the blocks of the route set, as encoded; only what changes is looked at prefix
 * by prefix. No socket, no clock. Imports nothing. Pure.
 *
 * Deviation: neither MinRouteAdvertisementInterval nor MinASOriginationInterval (RFC 4271 section
 * 9.2.1), as changes come from Kubernetes and are merged there.
 */
import { type Family, familyOf } from '../../lib/ip.ts'
import type { AdvertisedRoute } from '../../model/session.ts'
import { encodeMessage } from '../codec/message.ts'
import { endOfRib, packUpdates, packWithdrawals } from '../codec/message-pack.ts'
import type { CodecContext, PathAttributes } from '../codec/message-types.ts'
import { addressFamilyOf, nlriOf } from '../codec/nlri.ts'
import type { Nlri } from '../codec/nlri-types.ts'
import { RefreshSubtype } from '../codec/registry.ts'
import type { Negotiated } from '../machine/negotiation.ts'
import type { Announcement, NotAnnounced, NotAnnouncedReason } from '../speaker-types.ts'
import { countNotAnnounced } from './not-announced.ts'
import { advertisedRoute, routeAttributes, sameAttributes, usableNextHop } from './route-attributes.ts'
import { NO_ROUTES, type RouteBlock, type RouteSet, routeSetOf } from './route-set.ts'
import { ToldRoutes } from './told-routes.ts'

/**
 * Prefixes taken at a time: a few full messages, so that a change or a refresh never waits for a
 * million.
 */
const BATCH = 4096

/** What goes out when no prefix waits any more, in this order. */
type Marker = { readonly kind: 'end-of-rib' | 'begin-refresh' | 'end-refresh'; readonly family: Family }

export class AdjRibOut {
  /**
   * The desired set; undefined until it is first told: then nothing is sent, not even End-of-RIB.
   */
  #desired: RouteSet | undefined
  #session: Negotiated | undefined
  #localAs = 0
  /** What the peer was told in this session. */
  readonly #told = new ToldRoutes()
  /** Blocks of the desired set that wait as a whole, the next one last. */
  #blocks: RouteBlock[] = []
  #withdraw = new Set<string>()
  #announce = new Map<RouteBlock, Set<string>>()
  /**
   * The attributes last sent: blocks in a row mostly differ in their next hop alone, and an object
   * of attributes is encoded once.
   */
  #recent: { readonly announcement: Announcement; readonly attributes: PathAttributes } | undefined
  /** Attributes that leave no room for a prefix. */
  readonly #oversized = new Set<string>()
  #markers: Marker[] = []
  #ended = false
  /** Undefined when it is to be counted again. */
  #notAnnounced: readonly NotAnnounced[] | undefined
  #stream: Generator<Uint8Array> | undefined

  /** Prefixes that the peer has from us. */
  get advertised(): number {
    return this.#told.size
  }
  /** What of the desired set cannot be announced in this session. */
  get notAnnounced(): readonly NotAnnounced[] {
    this.#notAnnounced ??= this.#countNotAnnounced()
    return this.#notAnnounced
  }
  /** What the peer has from us in this session. */
  get advertisedRoutes(): readonly AdvertisedRoute[] {
    const session = this.#session
    if (session === undefined) return []
    const to = { localAs: this.#localAs, ibgp: session.context.ibgp, onlyToCustomer: session.onlyToCustomer === true }
    return [...this.#told.prefixes()].flatMap(prefix => {
      const block = this.#told.get(prefix)
      return block === undefined ? [] : [advertisedRoute(prefix, block, to)]
    })
  }
  /** Prefixes that wait to be announced or withdrawn. */
  get waiting(): number {
    const announced = [...this.#announce.values()].reduce((sum, prefixes) => sum + prefixes.size, 0)
    return this.#withdraw.size + announced + this.#blocks.reduce((sum, { nlri }) => sum + nlri.count, 0)
  }
  /** Whether End-of-RIB of the family was sent in this session. */
  endOfRibSent(family: Family): boolean {
    const due = this.#markers.some(marker => marker.kind === 'end-of-rib' && marker.family === family)
    return this.#session?.families.includes(family) === true && this.#desired !== undefined && !due
  }
  /** Whether the peer has the whole first set and End-of-RIB. */
  get complete(): boolean {
    return this.#ended
  }

  /** The whole set wanted. Of several announcements of one prefix the last counts. */
  setDesired(announcements: readonly Announcement[]): void {
    const first = this.#desired === undefined
    this.#desired = routeSetOf(announcements)
    this.#difference()
    if (first) this.#markInitial()
  }

  /** A session is established: the peer knows nothing yet. */
  established(negotiated: Negotiated, localAs: number): void {
    this.lost()
    this.#session = negotiated
    this.#localAs = localAs
    this.#difference()
    this.#markInitial()
  }

  /** The session is gone. */
  lost(): void {
    this.#session = undefined
    this.#told.rebase(NO_ROUTES, [])
    this.#blocks = []
    this.#withdraw = new Set()
    this.#announce = new Map()
    this.#recent = undefined
    this.#oversized.clear()
    this.#markers = []
    this.#ended = false
    this.#notAnnounced = undefined
    this.#stream = undefined
  }

  /**
   * Everything of `family` once more (RFC 2918 section 4); between the markers of RFC 7313 section
   * 4 when both sides know them.
   */
  refresh(family: Family): void {
    if (this.#desired === undefined || this.#session?.families.includes(family) !== true) return
    if (this.#markers.some(marker => marker.kind === 'begin-refresh' && marker.family === family)) return
    this.#markers.push({ kind: 'begin-refresh', family })
  }

  /** The next message to send, or undefined when nothing waits. The peer counts as told. */
  next(): Uint8Array | undefined {
    this.#stream ??= this.#messages()
    const { value, done } = this.#stream.next()
    if (done !== true) return value
    this.#stream = undefined
    return undefined
  }

  *#messages(): Generator<Uint8Array> {
    while (this.#session !== undefined && this.#desired !== undefined) {
      const { context } = this.#session
      if (this.#withdraw.size > 0) yield* this.#takeWithdrawals(context)
      else if (this.#announce.size > 0) yield* this.#takeAnnouncements(context)
      else if (this.#blocks.length > 0) yield* this.#takeBlocks(context)
      else {
        this.#settle(this.#desired, this.#session)
        const marker = this.#markers.shift()
        if (marker === undefined) return
        yield* this.#mark(marker, this.#session)
      }
    }
  }

  /** Every prefix that the peer was told, withdrawn: for an end for good. */
  withdrawAll(): void {
    this.#desired = NO_ROUTES
    this.#markers = []
    this.#difference()
  }

  #markInitial(): void {
    if (this.#desired === undefined || this.#session === undefined) return
    for (const family of this.#session.families) this.#markers.push({ kind: 'end-of-rib', family })
  }

  /** Makes what waits the difference between what is desired and what the peer was told. */
  #difference(): void {
    this.#notAnnounced = undefined
    const desired = this.#desired
    const session = this.#session
    if (desired === undefined || session === undefined) return
    this.#announce = new Map()
    this.#withdraw = new Set()
    this.#blocks = []
    if (this.#told.size === 0) {
      this.#told.rebase(desired, desired.blocks)
      this.#blocks = desired.blocks.filter(block => this.#sendable(block, session)).reverse()
      return
    }
    for (const [prefix, block] of desired.blockOf) {
      if (this.#told.get(prefix)?.key === block.key && !this.#told.isDue(prefix)) continue
      if (this.#sendable(block, session)) this.#queue(prefix, block)
    }
    for (const prefix of this.#told.prefixes()) {
      const block = desired.blockOf.get(prefix)
      if (block === undefined || !this.#sendable(block, session)) this.#withdraw.add(prefix)
    }
  }

  /** The peer has everything: what it was told is the desired set. */
  #settle(desired: RouteSet, session: Negotiated): void {
    if (this.#told.base === desired) return
    this.#told.rebase(
      desired,
      desired.blocks.filter(block => !this.#sendable(block, session)),
    )
  }

  #sendable(block: RouteBlock, session: Negotiated): boolean {
    return this.#whyNot(block, session) === undefined
  }

  #whyNot(
    { key, family, announcement }: RouteBlock,
    { families, context }: Negotiated,
  ): NotAnnouncedReason | undefined {
    if (!families.includes(family)) return 'family-not-negotiated'
    if (!usableNextHop(family, announcement.nextHop, context.extendedNextHop)) {
      return usableNextHop(family, announcement.nextHop, true) ? 'extended-next-hop-not-negotiated' : 'no-next-hop'
    }
    return this.#oversized.has(key) ? 'attributes-too-long' : undefined
  }

  #countNotAnnounced(): readonly NotAnnounced[] {
    const session = this.#session
    if (session === undefined) return []
    const blocks = this.#desired?.blocks ?? []
    return countNotAnnounced(
      blocks.flatMap(block => {
        const reason = this.#whyNot(block, session)
        return reason === undefined ? [] : [{ family: block.family, reason, prefixes: block.nlri.count }]
      }),
    )
  }

  #queue(prefix: string, block: RouteBlock): void {
    const waiting = this.#announce.get(block)
    if (waiting === undefined) this.#announce.set(block, new Set([prefix]))
    else waiting.add(prefix)
  }

  *#takeWithdrawals(context: CodecContext): Generator<Uint8Array> {
    for (const [family, prefixes] of takeBatch(this.#withdraw)) {
      for (const prefix of prefixes) this.#told.delete(prefix)
      yield* packWithdrawals(nlriOf(family, prefixes), context)
    }
  }

  *#takeAnnouncements(context: CodecContext): Generator<Uint8Array> {
    const [next] = this.#announce
    if (next === undefined) return
    const [block, waiting] = next
    const batch = takeBatch(waiting)
    if (waiting.size === 0) this.#announce.delete(block)
    for (const [family, prefixes] of batch) {
      for (const prefix of prefixes) this.#told.set(prefix, block)
      yield* this.#pack(block, nlriOf(family, prefixes), context)
      if (!this.#oversized.has(block.key)) continue
      for (const prefix of prefixes) this.#told.delete(prefix)
    }
  }

  *#takeBlocks(context: CodecContext): Generator<Uint8Array> {
    const block = this.#blocks.pop()
    if (block === undefined) return
    this.#told.addBlock(block)
    yield* this.#pack(block, block.nlri, context)
    if (this.#oversized.has(block.key)) this.#told.removeBlock(block)
  }

  *#pack(block: RouteBlock, nlri: Nlri, context: CodecContext): Generator<Uint8Array> {
    const group = { attributes: this.#attributesOf(block, context), nextHop: block.nextHop, nlri }
    try {
      yield* packUpdates(group, context)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.#oversized.add(block.key)
      this.#notAnnounced = undefined
    }
  }

  #attributesOf(block: RouteBlock, { ibgp }: CodecContext): PathAttributes {
    if (this.#recent === undefined || !sameAttributes(this.#recent.announcement, block.announcement)) {
      const onlyToCustomer = this.#session?.onlyToCustomer === true
      const { attributes } = routeAttributes(block, { localAs: this.#localAs, ibgp, onlyToCustomer })
      this.#recent = { announcement: block.announcement, attributes }
    }
    return this.#recent.attributes
  }

  *#mark(marker: Marker, session: Negotiated): Generator<Uint8Array> {
    const { family } = marker
    switch (marker.kind) {
      case 'end-of-rib':
        if (!this.#markers.some(({ kind }) => kind === 'end-of-rib')) this.#ended = true
        yield endOfRib(family)
        return
      case 'begin-refresh':
        this.#refresh(family, session)
        if (!session.enhancedRouteRefresh) return
        this.#markers.unshift({ kind: 'end-refresh', family })
        yield refreshMarker(family, RefreshSubtype.BoRR, session.context)
        return
      case 'end-refresh':
        yield refreshMarker(family, RefreshSubtype.EoRR, session.context)
    }
  }

  /** Nothing waits, so the peer has all of the desired set that it can have. */
  #refresh(family: Family, session: Negotiated): void {
    const blocks =
      this.#desired?.blocks.filter(block => block.family === family && this.#sendable(block, session)) ?? []
    this.#told.setDue(blocks)
    this.#blocks = blocks.reverse()
  }
}

/** Takes up to `BATCH` prefixes out of a set, by family. */
function takeBatch(waiting: Set<string>): Map<Family, string[]> {
  const batch = new Map<Family, string[]>()
  let count = 0
  for (const prefix of waiting) {
    if (count++ === BATCH) break
    waiting.delete(prefix)
    const family = familyOf(prefix)
    const prefixes = batch.get(family)
    if (prefixes === undefined) batch.set(family, [prefix])
    else prefixes.push(prefix)
  }
  return batch
}

function refreshMarker(family: Family, subtype: number, context: CodecContext): Uint8Array {
  return encodeMessage({ type: 'ROUTE-REFRESH', ...addressFamilyOf(family), subtype }, context)
}
