/**
 * Sets of fields as trees, written the way `metadata.managedFields[].fieldsV1` writes them
 * (KEP-555): `f:name` a field, `k:{…}` an item of a list by its keys, `v:…` an item of a set, `.`
 * the parent itself. Pure set arithmetic, and the three walks that need a shape: which fields a
 * value has, merging, removing.
 */
import { equal, isList, isObject, type Json, type JsonObject } from './json.ts'
import { fieldShape, type Shape } from './shape.ts'

export interface FieldTree {
  /** Whether the place itself is in the set. */
  readonly member: boolean
  readonly children: ReadonlyMap<string, FieldTree>
}

export const NO_FIELDS: FieldTree = { member: false, children: new Map() }
const LEAF: FieldTree = { member: true, children: new Map() }

export function isEmpty(tree: FieldTree): boolean {
  return !tree.member && tree.children.size === 0
}

function combine(a: FieldTree, b: FieldTree, how: { member: boolean; child(key: string): FieldTree }): FieldTree {
  const children = new Map<string, FieldTree>()
  for (const key of new Set([...a.children.keys(), ...b.children.keys()])) {
    const child = how.child(key)
    if (!isEmpty(child)) children.set(key, child)
  }
  return { member: how.member, children }
}

function childOf(tree: FieldTree, key: string): FieldTree {
  return tree.children.get(key) ?? NO_FIELDS
}

export function union(a: FieldTree, b: FieldTree): FieldTree {
  return combine(a, b, { member: a.member || b.member, child: key => union(childOf(a, key), childOf(b, key)) })
}

/** What is in `a` and not in `b`. */
export function difference(a: FieldTree, b: FieldTree): FieldTree {
  return combine(a, b, { member: a.member && !b.member, child: key => difference(childOf(a, key), childOf(b, key)) })
}

/**
 * `tree` without the places that something of `others` is in: a field cannot go while what it holds
 * stays.
 */
export function withoutHolders(tree: FieldTree, others: FieldTree): FieldTree {
  const child = (key: string) => withoutHolders(childOf(tree, key), childOf(others, key))
  return combine(tree, NO_FIELDS, { member: tree.member && isEmpty(others), child })
}

export function intersection(a: FieldTree, b: FieldTree): FieldTree {
  return combine(a, b, { member: a.member && b.member, child: key => intersection(childOf(a, key), childOf(b, key)) })
}

export function encodeFields(tree: FieldTree): JsonObject {
  const fields = Object.fromEntries([...tree.children].map(([key, child]) => [key, encodeFields(child)]))
  return tree.member && tree.children.size > 0 ? { '.': {}, ...fields } : fields
}

export function decodeFields(fields: Json | undefined): FieldTree {
  if (!isObject(fields)) return NO_FIELDS
  const entries = Object.entries(fields).filter(([key]) => key !== '.')
  if (entries.length === 0) return LEAF
  return { member: '.' in fields, children: new Map(entries.map(([key, child]) => [key, decodeFields(child)])) }
}

/** The paths of a tree in the words of Kubernetes' messages: `.spec.speakers[node="a"].state`. */
export function fieldPaths(tree: FieldTree, prefix = ''): string[] {
  const own = tree.member && prefix !== '' && tree.children.size === 0 ? [prefix] : []
  return [...own, ...[...tree.children].flatMap(([key, child]) => fieldPaths(child, prefix + pathElement(key)))]
}

function pathElement(key: string): string {
  const text = key.slice(2)
  if (key.startsWith('f:')) return `.${text}`
  if (!key.startsWith('k:')) return `[=${text}]`
  const keys: Record<string, Json> = JSON.parse(text)
  return `[${Object.entries(keys)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',')}]`
}

/** The key of an item in a list that is a map: `k:{"node":"a"}`. */
function itemKey(item: Json, keys: readonly string[]): string {
  const values = [...keys].sort().map(key => [key, isObject(item) ? (item[key] ?? null) : null])
  return `k:${JSON.stringify(Object.fromEntries(values))}`
}

/**
 * The children of a value by their path elements, each with its shape; undefined when the value is
 * owned as a whole.
 */
function parts(value: Json | undefined, shape: Shape): ReadonlyMap<string, readonly [Json, Shape]> | undefined {
  if (isObject(value) && shape.kind === 'granular')
    return new Map(Object.entries(value).map(([key, child]) => [`f:${key}`, [child, fieldShape(shape, key)]]))
  if (!isList(value)) return undefined
  if (shape.kind === 'list-map') return new Map(value.map(item => [itemKey(item, shape.keys), [item, shape.item]]))
  if (shape.kind === 'set') return new Map(value.map(item => [`v:${JSON.stringify(item)}`, [item, shape]]))
  return undefined
}

/**
 * Every field of a value. Items of a list are members themselves, as Kubernetes has it; objects are
 * only through their fields.
 */
export function fieldsOf(value: Json | undefined, shape: Shape): FieldTree {
  if (value === undefined) return NO_FIELDS
  const children = parts(value, shape)
  if (children === undefined || children.size === 0) return LEAF
  const trees = [...children].map(([key, [child, itsShape]]): [string, FieldTree] => {
    const tree = fieldsOf(child, itsShape)
    return [key, key.startsWith('f:') ? tree : { ...tree, member: true }]
  })
  return { member: false, children: new Map(trees) }
}

/**
 * The fields whose values differ: those that `b` has with another value or anew, and those that
 * only `a` has.
 */
export function compare(
  a: Json | undefined,
  b: Json | undefined,
  shape: Shape,
): { readonly changed: FieldTree; readonly removed: FieldTree } {
  if (equal(a, b)) return { changed: NO_FIELDS, removed: NO_FIELDS }
  const before = parts(a, shape)
  const after = parts(b, shape)
  if (before === undefined || after === undefined) {
    const changed = fieldsOf(b, shape)
    return { changed, removed: difference(fieldsOf(a, shape), changed) }
  }
  const changed = new Map<string, FieldTree>()
  const removed = new Map<string, FieldTree>()
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [old, oldShape] = before.get(key) ?? [undefined, undefined]
    const [now, nowShape] = after.get(key) ?? [undefined, undefined]
    const childShape = nowShape ?? oldShape
    if (childShape === undefined) continue
    const child = compare(old, now, childShape)
    const item = !key.startsWith('f:')
    const added = item && old === undefined ? { ...child.changed, member: true } : child.changed
    const gone = item && now === undefined ? { ...child.removed, member: true } : child.removed
    if (!isEmpty(added)) changed.set(key, added)
    if (!isEmpty(gone)) removed.set(key, gone)
  }
  return { changed: { member: false, children: changed }, removed: { member: false, children: removed } }
}

/** `live` with everything that `applied` says put over it. */
export function mergeApplied(live: Json | undefined, applied: Json, shape: Shape): Json {
  if (isObject(live) && isObject(applied) && shape.kind === 'granular') {
    const result: Record<string, Json> = { ...live }
    for (const [key, value] of Object.entries(applied))
      result[key] = mergeApplied(live[key], value, fieldShape(shape, key))
    return result
  }
  if (!isList(live) || !isList(applied)) return applied
  if (shape.kind === 'set') return [...live, ...applied.filter(item => !live.some(other => equal(other, item)))]
  if (shape.kind !== 'list-map') return applied
  const items = new Map(live.map(item => [itemKey(item, shape.keys), item]))
  for (const item of applied) {
    const key = itemKey(item, shape.keys)
    items.set(key, mergeApplied(items.get(key), item, shape.item))
  }
  return [...items.values()]
}

/** `value` without the members of `tree`; undefined when nothing is left. */
export function removeFields(value: Json | undefined, tree: FieldTree, shape: Shape): Json | undefined {
  if (value === undefined || isEmpty(tree)) return value
  const children = parts(value, shape)
  if (children === undefined || tree.children.size === 0) return tree.member ? undefined : value
  const kept = [...children].flatMap(([key, [child, childShape]]): [string, Json][] => {
    const gone = childOf(tree, key)
    if (gone.member && !key.startsWith('f:')) return []
    const rest = removeFields(child, gone, childShape)
    return rest === undefined ? [] : [[key, rest]]
  })
  if (kept.length === 0) return undefined
  return isObject(value)
    ? Object.fromEntries(kept.map(([key, child]) => [key.slice(2), child]))
    : kept.map(([, child]) => child)
}
