/**
 * What has changed from one snapshot to the next, for the page: fields whole, and of the long lists
 * only the rows that differ. Pure.
 *
 * A row that moves within its list is no change: the page orders rows itself.
 */
import type { Snapshot, SnapshotChanges } from '../model/snapshot.ts'

/** The lists of which only rows are sent, and what tells a row from others of its list. */
const KEYS = {
  nodes: ['name'],
  lans: ['bgpPeer'],
  sessions: ['bgpPeer', 'node', 'peerIP'],
  routes: ['destination'],
} as const satisfies SnapshotChanges['keys']

export function snapshotChanges(before: Snapshot, after: Snapshot): SnapshotChanges {
  const fields = new Map(Object.entries(after))
  const former = new Map(Object.entries(before))
  const set: Record<string, unknown> = {}
  for (const [field, value] of fields) {
    if (!(field in KEYS) && !Bun.deepEquals(value, former.get(field))) set[field] = value
  }
  return {
    keys: KEYS,
    set,
    dropped: [...former.keys()].filter(field => !fields.has(field)),
    rows: {
      nodes: changedRows(before.nodes, after.nodes, KEYS.nodes),
      lans: changedRows(before.lans, after.lans, KEYS.lans),
      sessions: changedRows(before.sessions, after.sessions, KEYS.sessions),
      routes: changedRows(before.routes, after.routes, KEYS.routes),
    },
  }
}

function changedRows<Row extends object>(
  before: readonly Row[],
  after: readonly Row[],
  fields: readonly (keyof Row)[],
): { readonly changed: readonly Row[]; readonly gone: readonly string[] } {
  const keyOf = (row: Row) => JSON.stringify(fields.map(field => row[field]))
  const former = new Map(before.map(row => [keyOf(row), row]))
  const changed: Row[] = []
  for (const row of after) {
    const key = keyOf(row)
    if (!Bun.deepEquals(row, former.get(key))) changed.push(row)
    former.delete(key)
  }
  return { changed, gone: [...former.keys()] }
}
