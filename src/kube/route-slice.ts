/**
 * RouteSlice (network.openyurt.io/v1alpha1): which node owns which podCIDRs at which addresses, and
 * which BGPPeers select it. Written only by the controller, read by every node in place of Nodes,
 * which are larger and change with every heartbeat. Pure.
 */
import type { Problem } from '../lib/errors.ts'
import { canonicalAddress, networkOf } from '../lib/ip.ts'
import { memoByObject } from '../lib/memo.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { KubeObject } from './resources.ts'
import { isFields } from './spec-reader.ts'

/**
 * On RouteSlices, a time each (RFC 3339). `confirmed`: the operator lets removals go that
 * controller and nodes hold (`terway-edge confirm`). `released`: the controller let go what it
 * held, or had it explained, so nodes need not hold it once more.
 */
export const REMOVALS_CONFIRMED = 'network.openyurt.io/removals-confirmed'
export const REMOVALS_RELEASED = 'network.openyurt.io/removals-released'

/** On one RouteSlice: addresses at which the leading controller asks and answers probes. */
export const CONTROLLERS = 'network.openyurt.io/controllers'

/** These addresses, canonical and sorted. */
export function controllersIn(slices: Iterable<KubeObject>): readonly string[] {
  const texts = [...slices].flatMap(({ metadata }) => (metadata.annotations?.[CONTROLLERS] ?? '').split(','))
  return [...new Set(texts.flatMap(text => canonicalAddress(text.trim()) ?? []))].sort()
}

/** The newest time that an annotation of the slices says; empty for none. */
export function newestWord(slices: Iterable<KubeObject>, annotations: readonly string[]): string {
  const words = [...slices].flatMap(({ metadata }) => annotations.map(name => metadata.annotations?.[name] ?? ''))
  return (
    words
      .filter(word => /^\d{4}-\d\d-\d\dT/.test(word))
      .sort()
      .at(-1) ?? ''
  )
}

/**
 * A word that counts: words only grow, so after one of a clock that was ahead it is a second later
 * than that. `now`: RFC 3339.
 */
export function nextWord(slices: Iterable<KubeObject>, now: string): string {
  const newest = newestWord(slices, [REMOVALS_CONFIRMED, REMOVALS_RELEASED])
  const time = Date.parse(newest)
  return newest < now || Number.isNaN(time) ? now : timestamp(time + 1000)
}

/** The most entries of one slice. */
export const ENTRIES_PER_SLICE = 100

/**
 * One node's place in the network. Addresses and podCIDRs are canonical texts, at most one of a
 * family is usual but not required.
 */
export interface RouteEntry {
  readonly node: string
  /** Node addresses, InternalIP of the Node, the preferred one of each family first. */
  readonly addresses: readonly string[]
  readonly podCIDRs: readonly string[]
  /** Names of the BGPPeers that select the node, sorted. */
  readonly peers: readonly string[]
  /** Since when there is the Node, RFC 3339: of two that want one thing the older has it. */
  readonly createdAt?: string
}

export interface RouteSlice extends KubeObject {
  readonly entries: readonly RouteEntry[]
}

export interface DecodedRouteSlice {
  readonly entries: readonly RouteEntry[]
  /** Entries that cannot be used: why, with `node` where the entry has a readable name. */
  readonly problems: readonly (Problem & { readonly node?: string })[]
}

/**
 * Orders the names of slices, `routes-2` before `routes-10`, others last. A node that stands in two
 * slices counts where it stands first.
 */
export function compareSliceNames(a: string, b: string): number {
  const serial = (name: string) => Number(/^routes-(\d+)$/.exec(name)?.[1] ?? Number.MAX_SAFE_INTEGER)
  return serial(a) - serial(b) || (a < b ? -1 : a > b ? 1 : 0)
}

/** The entry of each node in `slices`: of one that stands in two, that of the first slice. */
export function entriesByNode(
  slices: Iterable<readonly [name: string, entries: readonly RouteEntry[]]>,
): ReadonlyMap<string, RouteEntry> {
  const byNode = new Map<string, RouteEntry>()
  for (const [, entries] of [...slices].sort(([a], [b]) => compareSliceNames(a, b))) {
    for (const entry of entries) if (!byNode.has(entry.node)) byNode.set(entry.node, entry)
  }
  return byNode
}

/**
 * The usable entries of what the API server sent, canonical. Never throws; one bad entry does not
 * spoil the others.
 */
export function decodeRouteSlice(object: unknown): DecodedRouteSlice {
  return typeof object === 'object' && object !== null ? decodeOnce(object) : { entries: [], problems: [] }
}

/** Of a cluster of many slices one changes at a time. */
const decodeOnce = memoByObject((object: object): DecodedRouteSlice => {
  const list = isFields(object) ? object.entries : undefined
  if (list === undefined || list === null) return { entries: [], problems: [] }
  if (!Array.isArray(list)) return { entries: [], problems: [{ path: 'entries', message: 'is not a list' }] }
  const entries: RouteEntry[] = []
  const problems: (Problem & { node?: string })[] = []
  for (const [index, item] of list.entries()) {
    const node = isFields(item) && typeof item.node === 'string' && item.node !== '' ? item.node : undefined
    const entry = isFields(item) && node !== undefined ? decodeEntry(node, item) : 'has no node'
    if (typeof entry !== 'string') entries.push(entry)
    else problems.push({ path: `entries[${index}]`, message: entry, ...(node === undefined ? {} : { node }) })
  }
  return { entries, problems }
})

function decodeEntry(node: string, item: Readonly<Record<string, unknown>>): RouteEntry | string {
  const addresses = mapTexts(item.addresses, canonicalAddress)
  if (addresses === undefined) return 'addresses is not a list of IP addresses'
  const podCIDRs = mapTexts(item.podCIDRs, networkOf)
  if (podCIDRs === undefined) return 'podCIDRs is not a list of prefixes'
  const peers = mapTexts(item.peers, name => name)
  if (peers === undefined) return 'peers is not a list of names'
  const { createdAt } = item
  const dated = typeof createdAt === 'string' && /^\d{4}-\d\d-\d\dT/.test(createdAt)
  return { node, addresses, podCIDRs, peers, ...(dated && { createdAt }) }
}

/**
 * Each text of a list through `map`; undefined when it is not a list of such texts. An absent list
 * is an empty one.
 */
function mapTexts(value: unknown, map: (text: string) => string | undefined): readonly string[] | undefined {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return undefined
  const mapped = value.map(item => (typeof item === 'string' ? map(item) : undefined))
  return mapped.every(item => item !== undefined) ? mapped : undefined
}
