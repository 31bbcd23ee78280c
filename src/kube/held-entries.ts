/**
 * Mass removals among route entries (mass-removal.ts): entries that vanish, nodes that leave their
 * LANs, nodes that lose all podCIDRs of a family. What is held stays as it was published, and the
 * rest follows. Shared by the controller, which compares with what it published, and by the nodes,
 * which compare with what they believed. Pure.
 */
import { FAMILIES, FAMILY_NAMES, type Family, familyOf } from '../lib/ip.ts'
import { memoByObject } from '../lib/memo.ts'
import { isQuiet, type RemovalState, type Standing } from './mass-removal.ts'
import type { RouteEntry } from './route-slice.ts'

export interface EntryRemovals {
  readonly standing: Standing
  readonly gone: ReadonlySet<string>
}

type Entries = ReadonlyMap<string, RouteEntry>

/** What a key names; a space and the rest of it follow the node. */
const KINDS = ['entry', 'member', ...FAMILIES] as const
type Kind = (typeof KINDS)[number]

/**
 * What stands of `before`, and what of it is not in `after`. A node that moves to other LANs leaves
 * its own, unless its addresses moved too, or those LANs are gone: `peers` are the BGPPeers that
 * there are. Where nothing is gone, and nothing of `state` is to be judged anew, nobody asks what
 * stands: then it is left out.
 */
export function entryRemovals(
  before: Entries,
  after: Entries,
  { peers, state }: { readonly peers: ReadonlySet<string>; readonly state: RemovalState },
): EntryRemovals {
  const gone = new Set<string>()
  for (const [node, entry] of before) {
    const next = after.get(node)
    if (next === entry) continue
    for (const { kind, key } of partsOf(entry)) if (isGone(kind, { entry, next, peers })) gone.add(key)
  }
  return { standing: gone.size === 0 && isQuiet(state) ? new Map() : standingOf(before), gone }
}

function standingOf(entries: Entries): Standing {
  return new Map([...entries.values()].flatMap(entry => partsOf(entry).map(({ key, groups }) => [key, groups])))
}

/** Whether a key stands for what `entries` have. */
export function standsIn(entries: Entries, key: string): boolean {
  const entry = entries.get(nodeOf(key))
  return entry !== undefined && partsOf(entry).some(part => part.key === key)
}

interface Part {
  readonly kind: Kind
  readonly key: string
  /** What it is counted in. */
  readonly groups: readonly string[]
}

/** The entry itself, its membership of LANs where it has one, each family of podCIDRs. */
const partsOf = memoByObject((entry: RouteEntry): readonly Part[] => {
  const { node, peers } = entry
  const counted = (name: string) => [name, ...peers.map(peer => `${name} of ${peer}`)]
  const member: Part = { kind: 'member', key: `member/${node} ${peers.join()}`, groups: counted('members') }
  return [
    { kind: 'entry', key: `entry/${node} `, groups: counted('entries') },
    ...(peers.length === 0 ? [] : [member]),
    ...FAMILIES.filter(family => ofFamily(family, entry.podCIDRs).length > 0).map(
      (family): Part => ({ kind: family, key: `${family}/${node} `, groups: counted(family) }),
    ),
  ]
})

function isGone(
  kind: Kind,
  { entry, next, peers }: { entry: RouteEntry; next: RouteEntry | undefined; peers: ReadonlySet<string> },
): boolean {
  if (kind === 'entry') return next === undefined
  if (next === undefined) return false
  if (kind !== 'member') return ofFamily(kind, next.podCIDRs).length === 0
  if (next.peers.length === 0) return true
  if (next.peers.some(peer => entry.peers.includes(peer))) return false
  const isElsewhere = !next.addresses.some(address => entry.addresses.includes(address))
  return !isElsewhere && entry.peers.some(peer => peers.has(peer))
}

/** `after`, with what is kept of `before`. */
export function withKept(before: Entries, after: Entries, kept: ReadonlySet<string>): Entries {
  if (kept.size === 0) return after
  const entries = new Map(after)
  for (const [node, entry] of before) {
    for (const { kind, key } of partsOf(entry)) {
      if (!kept.has(key)) continue
      const next = entries.get(node)
      if (kind === 'entry' && next === undefined) entries.set(node, entry)
      else if (kind === 'member' && next !== undefined) entries.set(node, { ...next, peers: entry.peers })
      else if (kind !== 'entry' && kind !== 'member' && next !== undefined)
        entries.set(node, withFamily(kind, next, entry))
    }
  }
  return entries
}

function withFamily(family: Family, entry: RouteEntry, before: RouteEntry): RouteEntry {
  const known = ofFamily(family, entry.addresses).length > 0
  return {
    ...entry,
    podCIDRs: [...entry.podCIDRs, ...ofFamily(family, before.podCIDRs)],
    addresses: known ? entry.addresses : [...entry.addresses, ...ofFamily(family, before.addresses)],
  }
}

function ofFamily(family: Family, texts: readonly string[]): readonly string[] {
  return texts.filter(text => familyOf(text) === family)
}

/** What is kept of which node. */
export interface KeptPart {
  readonly kind: Kind
  readonly node: string
}

/** The parts of entries among keys that are kept, in order. */
export function keptParts(kept: Iterable<string>): readonly KeptPart[] {
  return KINDS.flatMap(kind =>
    [...kept].flatMap(key => (key.startsWith(`${kind}/`) ? [{ kind, node: nodeOf(key) }] : [])).sort(byNode),
  )
}

/** For people: `node edge-1`, `node edge-1 from its LAN`, `IPv6 of node edge-1`. */
export function keptText({ kind, node }: KeptPart): string {
  if (kind === 'entry') return `node ${node}`
  return kind === 'member' ? `node ${node} from its LAN` : `${FAMILY_NAMES[kind]} of node ${node}`
}

/** Those of `keys` that are of one of the nodes, for who explains their removal. */
export function keysOf(keys: Iterable<string>, nodes: ReadonlySet<string>): readonly string[] {
  return [...keys].filter(key => nodes.has(nodeOf(key)))
}

function nodeOf(key: string): string {
  return key.slice(key.indexOf('/') + 1, key.indexOf(' '))
}

function byNode(a: KeptPart, b: KeptPart): number {
  return a.node < b.node ? -1 : 1
}
