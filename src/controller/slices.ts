/**
 * Decides how route entries are spread over RouteSlices with the fewest writes: a node keeps its
 * slice, a slice with room takes the next node, an empty slice is deleted, an unchanged one is not
 * written. Pure.
 */
import { BGP_PEERS, type ObjectMeta } from '../kube/resources.ts'
import {
  CONTROLLERS,
  compareSliceNames,
  ENTRIES_PER_SLICE,
  REMOVALS_RELEASED,
  type RouteEntry,
  type RouteSlice,
} from '../kube/route-slice.ts'

export interface SliceChanges {
  readonly create: readonly RouteSlice[]
  /** With the resourceVersion of what they replace. */
  readonly replace: readonly RouteSlice[]
  /** With the resourceVersion of what is deleted: one that took a node in meanwhile stays. */
  readonly remove: readonly RouteSlice[]
}

/** What nodes are told beside the entries. */
export interface SliceWords {
  /** RFC 3339: what goes was held before; on one slice at least. */
  readonly released?: string | undefined
  /** Where the controller answers probes: on the first slice alone. */
  readonly controllers?: readonly string[]
}

/** The least changes that make the slices carry exactly `wanted` (a node each) and the words. */
export function planSlices(
  wanted: readonly RouteEntry[],
  existing: readonly RouteSlice[],
  { released, controllers = [] }: SliceWords = {},
): SliceChanges {
  const left = new Map(wanted.map(entry => [entry.node, entry]))
  const slices = [...existing].sort(byName).map(slice => ({ slice, entries: keep(slice, left) }))
  const homeless = [...left.values()].sort((a, b) => (a.node < b.node ? -1 : 1))
  for (const place of slices) {
    // an empty slice goes away rather than take new nodes, unless they need one anyway
    if (place.entries.length > 0) fill(place.entries, homeless)
  }
  for (const place of slices) if (place.entries.length === 0) fill(place.entries, homeless)
  const names = new Set(existing.map(slice => slice.metadata.name))
  const create: RouteSlice[] = []
  while (homeless.length > 0) {
    const name = freeName(names)
    names.add(name)
    create.push(sliceOf(name, homeless.splice(0, ENTRIES_PER_SLICE)))
  }
  const standing = slices
    .filter(({ entries }) => entries.length > 0)
    .map(({ slice, entries }, index) => ({ slice, entries, answering: index === 0 ? controllers.join(',') : '' }))
  const changed = standing.filter(
    ({ slice, entries, answering }) =>
      !Bun.deepEquals(slice.entries, entries) || (slice.metadata.annotations?.[CONTROLLERS] ?? '') !== answering,
  )
  const told = released !== undefined && changed.length === 0 ? standing.slice(0, 1) : changed
  return {
    create: create.map((slice, index) => {
      const answering = standing.length === 0 && index === 0 ? controllers.join(',') : ''
      return { ...slice, metadata: marked(slice.metadata, { released: undefined, answering }) }
    }),
    replace: told.map(({ slice, entries, answering }) => ({
      ...slice,
      metadata: marked(slice.metadata, { released, answering }),
      entries,
    })),
    remove: slices.filter(({ entries }) => entries.length === 0).map(({ slice }) => slice),
  }
}

/**
 * The changes where nodes in `refused` did not get what their entries say: what was said of them
 * before stays, and of others all is said.
 */
export function withoutPromises(
  changes: SliceChanges,
  refused: ReadonlySet<string>,
  existing: readonly RouteSlice[],
): SliceChanges {
  if (refused.size === 0) return changes
  const promises = ({ entries }: RouteSlice) => entries.some(({ node }) => refused.has(node))
  const before = new Map(existing.map(slice => [slice.metadata.name, slice]))
  const kept = (slice: RouteSlice): RouteSlice => {
    const entries = slice.entries.flatMap(entry => {
      if (!refused.has(entry.node)) return [entry]
      const old = before.get(slice.metadata.name)?.entries
      return Array.isArray(old) ? old.filter(({ node }) => node === entry.node) : []
    })
    return { ...slice, entries }
  }
  const isChanged = (slice: RouteSlice) =>
    !Bun.deepEquals(before.get(slice.metadata.name)?.entries, slice.entries) && slice.entries.length > 0
  const still = (slices: readonly RouteSlice[]) =>
    slices.flatMap(slice => (promises(slice) ? [kept(slice)].filter(isChanged) : [slice]))
  return { ...changes, create: still(changes.create), replace: still(changes.replace) }
}

function marked(
  metadata: ObjectMeta,
  { released, answering }: { readonly released: string | undefined; readonly answering: string },
): ObjectMeta {
  const { [CONTROLLERS]: before, ...others } = metadata.annotations ?? {}
  if (released === undefined && (before ?? '') === answering) return metadata
  const words = {
    ...(released !== undefined && { [REMOVALS_RELEASED]: released }),
    ...(answering !== '' && { [CONTROLLERS]: answering }),
  }
  return { ...metadata, annotations: { ...others, ...words } }
}

/**
 * The wanted entries of the nodes that a slice has, in its order; they leave `left`. Who stands in
 * two slices stays in the first.
 */
function keep(slice: RouteSlice, left: Map<string, RouteEntry>): RouteEntry[] {
  const kept: RouteEntry[] = []
  for (const node of nodesIn(slice)) {
    const entry = left.get(node)
    if (entry === undefined || kept.length === ENTRIES_PER_SLICE) continue
    kept.push(entry)
    left.delete(node)
  }
  return kept
}

/**
 * The names in a slice. Whether the rest of an entry can be read does not matter: it is written
 * anew, in its place.
 */
function nodesIn(slice: RouteSlice): readonly string[] {
  const entries: unknown = slice.entries
  if (!Array.isArray(entries)) return []
  return entries.flatMap((entry: unknown) => {
    const named = typeof entry === 'object' && entry !== null && 'node' in entry && typeof entry.node === 'string'
    return named ? [String(entry.node)] : []
  })
}

function fill(entries: RouteEntry[], homeless: RouteEntry[]): void {
  entries.push(...homeless.splice(0, Math.max(0, ENTRIES_PER_SLICE - entries.length)))
}

function sliceOf(name: string, entries: readonly RouteEntry[]): RouteSlice {
  return {
    apiVersion: `${BGP_PEERS.group}/${BGP_PEERS.version}`,
    kind: 'RouteSlice',
    metadata: { name, labels: { 'app.kubernetes.io/managed-by': 'terway-edge' } },
    entries,
  }
}

function freeName(names: ReadonlySet<string>): string {
  let serial = 1
  while (names.has(`routes-${serial}`)) serial++
  return `routes-${serial}`
}

function byName(a: RouteSlice, b: RouteSlice): number {
  return compareSliceNames(a.metadata.name, b.metadata.name)
}
