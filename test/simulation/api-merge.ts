/**
 * What a patch makes of an object: JSON merge patch (RFC 7396), and server-side apply as far as the
 * product uses it: lists of `speakers`, `conditions` and `selectedNodes` by key, everything else as
 * a tree of fields, each owned by who applied it. Values in, values out.
 */
import type { KubeObject } from '../../src/kube/resources.ts'

/** What each field manager applied last: paths of its fields. */
export type Applied = ReadonlyMap<string, ReadonlySet<string>>

type Fields = { readonly [name: string]: unknown }

/** Lists whose elements are told apart by a field. */
const KEYED: Readonly<Record<string, string>> = { speakers: 'node', conditions: 'type' }

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** RFC 7396. */
export function merged(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch
  const result: Record<string, unknown> = isFields(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else if (value !== undefined) result[name] = merged(result[name], value)
  }
  return result
}

/**
 * Server-side apply, forced: what `owner` applied before and does not now goes, if nobody else has
 * it.
 */
export function applied(
  live: KubeObject | undefined,
  wanted: KubeObject,
  by: { readonly owner: string; readonly managers: Applied },
): { readonly object: KubeObject; readonly managers: Applied } {
  const { name, namespace } = wanted.metadata
  const { uid: _, resourceVersion: __, ...metadata } = wanted.metadata
  const tree = flatten({ ...wanted, metadata })
  for (const fixed of ['apiVersion', 'kind', `metadata${STEP}name`, `metadata${STEP}namespace`]) tree.delete(fixed)
  const paths = new Set(tree.keys())
  const former = by.managers.get(by.owner) ?? new Set()
  const others = new Set([...by.managers].flatMap(([owner, owned]) => (owner === by.owner ? [] : [...owned])))
  const values = live === undefined ? new Map<string, unknown>() : flatten(live)
  for (const path of former) if (!paths.has(path) && !others.has(path)) values.delete(path)
  for (const [path, value] of tree) values.set(path, value)
  const base = {
    apiVersion: wanted.apiVersion,
    kind: wanted.kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
  }
  const before = live === undefined ? new Map<string, unknown>() : flatten(live)
  // who is forced out of a field with another value loses it; with the same value both keep it
  const lost = new Set([...paths].filter(path => !Bun.deepEquals(before.get(path), tree.get(path))))
  const managers = new Map([...by.managers].map(([owner, owned]) => [owner, owned.difference(lost)]))
  managers.set(by.owner, paths)
  return { object: merged(base, unflatten(values)) as KubeObject, managers }
}

const STEP = '\u0000'

/** The leaves of an object by path; `{}` and `[]` are leaves, lists without a key too. */
function flatten(value: object, prefix = ''): Map<string, unknown> {
  const leaves = new Map<string, unknown>()
  for (const [name, one] of Object.entries(value)) {
    if (one === undefined) continue
    const path = prefix === '' ? name : `${prefix}${STEP}${name}`
    const key = KEYED[name]
    if (Array.isArray(one) && key !== undefined) {
      for (const element of one as Fields[]) {
        const at = `${path}${STEP}[${String(element[key])}]`
        for (const [leaf, content] of flatten(element, at)) leaves.set(leaf, content)
      }
    } else if (isFields(one) && Object.keys(one).length > 0) {
      for (const [leaf, content] of flatten(one, path)) leaves.set(leaf, content)
    } else leaves.set(path, one)
  }
  return leaves
}

function unflatten(leaves: ReadonlyMap<string, unknown>): Fields {
  const root: Record<string, unknown> = {}
  for (const [path, value] of leaves) {
    const steps = path.split(STEP)
    let place: Record<string, unknown> = root
    steps.forEach((step, index) => {
      const isLast = index === steps.length - 1
      if (isLast) place[step] = value
      else {
        place[step] ??= {}
        place = place[step] as Record<string, unknown>
      }
    })
  }
  return listed(root) as Fields
}

/** Maps of `[key]` back to lists. */
function listed(value: unknown): unknown {
  if (!isFields(value)) return value
  const names = Object.keys(value)
  if (names.length > 0 && names.every(name => name.startsWith('['))) return names.map(name => listed(value[name]))
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, listed(one)]))
}
