/**
 * What the server sends after the first snapshot, put into the snapshot that is there. No
 * document.
 */
import type { Snapshot, SnapshotChanges } from '../src/model/snapshot.ts'

export function withChanges(snapshot: Snapshot, { keys, set, dropped, rows }: SnapshotChanges): Snapshot {
  const next: Record<string, unknown> = { ...snapshot, ...set }
  for (const field of dropped) delete next[field]
  return {
    ...(next as unknown as Snapshot),
    nodes: merged(snapshot.nodes, rows.nodes, keys.nodes),
    lans: merged(snapshot.lans, rows.lans, keys.lans),
    sessions: merged(snapshot.sessions, rows.sessions, keys.sessions),
    routes: merged(snapshot.routes, rows.routes, keys.routes),
  }
}

function merged<Row extends object>(
  before: readonly Row[],
  { changed, gone }: { readonly changed: readonly Row[]; readonly gone: readonly string[] },
  fields: readonly string[],
): readonly Row[] {
  if (changed.length === 0 && gone.length === 0) return before
  const keyOf = (row: Row) => JSON.stringify(fields.map(field => Reflect.get(row, field)))
  const byKey = new Map(before.map(row => [keyOf(row), row]))
  for (const key of gone) byKey.delete(key)
  for (const row of changed) byKey.set(keyOf(row), row)
  return [...byKey.values()]
}
