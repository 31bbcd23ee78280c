/**
 * Who owns which field: `metadata.managedFields`, server-side apply and the tracking of other
 * writes (KEP-555). Pure: an object and a wish in, the new object or the conflict out.
 *
 * Not here: conversion between versions of a kind (the lab serves one version of each).
 */
import { type Failure, fail } from './failure.ts'
import {
  compare,
  decodeFields,
  difference,
  encodeFields,
  type FieldTree,
  fieldPaths,
  fieldsOf,
  intersection,
  isEmpty,
  mergeApplied,
  NO_FIELDS,
  removeFields,
  union,
  withoutHolders,
} from './field-tree.ts'
import { equal, isObject, type Json, type JsonObject, listAt, objectAt, textAt, withMetadata } from './json.ts'
import type { Shape } from './shape.ts'

export interface Writer {
  readonly manager: string
  readonly operation: 'Apply' | 'Update'
  readonly apiVersion: string
  readonly subresource: '' | 'status'
  /** RFC 3339. */
  readonly time: string
}

interface Owner extends Writer {
  readonly fields: FieldTree
}

/** Fields of metadata that the server alone writes, or that name the object: nobody owns them. */
const UNOWNED = [
  'name',
  'namespace',
  'generateName',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'selfLink',
]

function ownable(object: JsonObject): JsonObject {
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...rest } = object
  const metadata = Object.fromEntries(
    Object.entries(objectAt(object, 'metadata')).filter(([key]) => !UNOWNED.includes(key)),
  )
  return Object.keys(metadata).length === 0 ? rest : { metadata, ...rest }
}

function owners(object: JsonObject): readonly Owner[] {
  return listAt(object, 'metadata', 'managedFields')
    .filter(isObject)
    .map(entry => ({
      manager: textAt(entry, 'manager'),
      operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
      apiVersion: textAt(entry, 'apiVersion'),
      subresource: entry.subresource === 'status' ? 'status' : '',
      time: textAt(entry, 'time'),
      fields: decodeFields(entry.fieldsV1),
    }))
}

function withOwners(object: JsonObject, list: readonly Owner[]): JsonObject {
  const managedFields = list
    .filter(owner => !isEmpty(owner.fields))
    .map(owner => ({
      manager: owner.manager,
      operation: owner.operation,
      apiVersion: owner.apiVersion,
      time: owner.time,
      fieldsType: 'FieldsV1',
      fieldsV1: encodeFields(owner.fields),
      ...(owner.subresource === '' ? {} : { subresource: owner.subresource }),
    }))
  return withMetadata(object, { managedFields: managedFields.length === 0 ? undefined : managedFields })
}

function same(a: Writer, b: Writer): boolean {
  return a.manager === b.manager && a.operation === b.operation && a.subresource === b.subresource
}

/**
 * The owners with `writer` holding `fields` and losing nobody else's; its time moves only when
 * something of it changed.
 */
function replaceOwner(list: readonly Owner[], writer: Writer, fields: FieldTree, touched: boolean): readonly Owner[] {
  const old = list.find(owner => same(owner, writer))
  const unchanged = old !== undefined && !touched && equal(encodeFields(old.fields), encodeFields(fields))
  const entry: Owner = unchanged ? old : { ...writer, fields }
  return old === undefined ? [...list, entry] : list.map(owner => (same(owner, writer) ? entry : owner))
}

/**
 * `next` with the ownership of what `writer` changed in `live` (undefined: it is new), by an update
 * or a patch.
 */
export function trackUpdate(live: JsonObject | undefined, next: JsonObject, writer: Writer, shape: Shape): JsonObject {
  const list = live === undefined ? [] : owners(live)
  const { changed, removed } = compare(live && ownable(live), ownable(next), shape)
  const lost = union(changed, removed)
  const others = list.map(owner => (same(owner, writer) ? owner : { ...owner, fields: difference(owner.fields, lost) }))
  const mine = list.find(owner => same(owner, writer))?.fields ?? NO_FIELDS
  const fields = union(difference(mine, removed), changed)
  return withOwners(next, replaceOwner(others, writer, fields, !isEmpty(lost)))
}

export interface ApplyWish {
  readonly live: JsonObject | undefined
  /** The fields the writer wants to own, and nothing else. */
  readonly applied: JsonObject
  readonly writer: Writer
  readonly force: boolean
  readonly shape: Shape
}

/** Server-side apply: the new object, or 409 with a cause per field that another manager owns. */
export function serverSideApply({ live, applied, writer, force, shape }: ApplyWish): JsonObject | Failure {
  const config = ownable(dropNulls(applied))
  const wanted = fieldsOf(config, shape)
  const list = live === undefined ? [] : owners(live)
  const mine = list.find(owner => same(owner, writer))?.fields ?? NO_FIELDS
  const others = list.filter(owner => !same(owner, writer))
  const ownedByOthers = others.reduce((sum, owner) => union(sum, owner.fields), NO_FIELDS)
  const abandoned = withoutHolders(difference(mine, wanted), union(wanted, ownedByOthers))

  const base: JsonObject = live ?? {
    apiVersion: applied.apiVersion ?? '',
    kind: applied.kind ?? '',
    metadata: applied.metadata ?? {},
  }
  const merged = mergeApplied(base, live === undefined ? dropNulls(applied) : config, shape)
  const kept = removeFields(merged, abandoned, shape)
  const result: JsonObject = isObject(kept) ? kept : base
  const { changed, removed } = compare(ownable(base), ownable(result), shape)

  const taken = intersection(changed, wanted)
  const conflicts = others.flatMap(owner => {
    const both = intersection(owner.fields, taken)
    return isEmpty(both) ? [] : [{ owner, paths: fieldPaths(both) }]
  })
  if (conflicts.length > 0 && !force) return conflictFailure(conflicts)
  const remaining = list.map(owner =>
    same(owner, writer) ? owner : { ...owner, fields: difference(owner.fields, taken) },
  )
  return withOwners(result, replaceOwner(remaining, writer, wanted, !isEmpty(union(changed, removed))))
}

function conflictFailure(conflicts: readonly { owner: Owner; paths: readonly string[] }[]): Failure {
  const causes = conflicts.flatMap(({ owner, paths }) =>
    paths.map(field => ({
      reason: 'FieldManagerConflict',
      message: `conflict with "${owner.manager}"${owner.subresource === '' ? '' : ' with subresource "status"'} using ${owner.apiVersion}`,
      field,
    })),
  )
  const count = causes.length === 1 ? '1 conflict' : `${causes.length} conflicts`
  const text = causes.map(({ message, field }) => `${message}: ${field}`).join('\n')
  return fail(409, 'Conflict', `Apply failed with ${count}: ${text}`, { causes })
}

/** A field that is null in what is applied is not applied. */
function dropNulls(value: JsonObject): JsonObject {
  const entries = Object.entries(value).filter(([, child]) => child !== null)
  return Object.fromEntries(
    entries.map(([key, child]): [string, Json] => [key, isObject(child) ? dropNulls(child) : child]),
  )
}
