/**
 * Mass removals among route entries (mass-removal.ts): entries that vanish, and nodes that leave
 * all LANs. What is held stays as it was published, and the rest follows. Shared by the controller,
 * which compares with what it published, and by the nodes, which compare with what they believed.
 * Pure.
 */
import { memoByObject } from '../lib/memo.ts'
import type { Standing } from './mass-removal.ts'
import type { RouteEntry } from './route-slice.ts'

export interface EntryRemovals {
  readonly standing: Standing
  readonly gone: ReadonlySet<string>
}

const ENTRY = 'entry/'
const MEMBER = 'member/'

/** What stands of `before`, and what of it is not in `after`. */
export function entryRemovals(
  before: ReadonlyMap<string, RouteEntry>,
  after: ReadonlyMap<string, RouteEntry>,
): EntryRemovals {
  const standing = new Map<string, readonly string[]>()
  const gone = new Set<string>()
  for (const [node, entry] of before) {
    const next = after.get(node)
    const { whole, member } = groupsOf(entry)
    standing.set(ENTRY + node, whole)
    if (next === undefined) gone.add(ENTRY + node)
    if (member === undefined) continue
    standing.set(MEMBER + node, member)
    if (next !== undefined && next.peers.length === 0) gone.add(MEMBER + node)
  }
  return { standing, gone }
}

/** What an entry is counted in, and its membership of LANs where it has one. */
const groupsOf = memoByObject(({ peers }: RouteEntry) => ({
  whole: ['entries', ...peers.map(peer => `entries of ${peer}`)],
  member: peers.length === 0 ? undefined : ['members', ...peers.map(peer => `members of ${peer}`)],
}))

/** `after`, with what is kept of `before`. */
export function withKept(
  before: ReadonlyMap<string, RouteEntry>,
  after: ReadonlyMap<string, RouteEntry>,
  kept: ReadonlySet<string>,
): ReadonlyMap<string, RouteEntry> {
  if (kept.size === 0) return after
  const entries = new Map(after)
  for (const [node, entry] of before) {
    const next = after.get(node)
    if (next === undefined && kept.has(ENTRY + node)) entries.set(node, entry)
    else if (next !== undefined && kept.has(MEMBER + node)) entries.set(node, { ...next, peers: entry.peers })
  }
  return entries
}

/** The nodes whose entries, and those whose membership of a LAN, are kept. */
export function keptNodes(kept: Iterable<string>): {
  readonly entries: readonly string[]
  readonly members: readonly string[]
} {
  const of = (prefix: string) =>
    [...kept].flatMap(key => (key.startsWith(prefix) ? [key.slice(prefix.length)] : [])).sort()
  return { entries: of(ENTRY), members: of(MEMBER) }
}

/** The keys of a node's entry, for who explains its removal. */
export function entryKeys(node: string): readonly string[] {
  return [ENTRY + node, MEMBER + node]
}
