/**
 * How a value merges and how its fields are owned: the part of an OpenAPI schema that server-side
 * apply needs (`x-kubernetes-list-type`, `x-kubernetes-list-map-keys`, `x-kubernetes-map-type`).
 * Where nothing is said: objects field by field, lists as a whole. Pure.
 */
import { at, isObject, type Json, type JsonObject, listAt, objectAt } from './json.ts'

export type Shape =
  | { readonly kind: 'atomic' }
  | { readonly kind: 'set' }
  | { readonly kind: 'list-map'; readonly keys: readonly string[]; readonly item: Shape }
  | { readonly kind: 'granular'; readonly fields: Readonly<Record<string, Shape>>; readonly rest?: Shape }

/** Of a value about which nothing is said. */
export const UNKNOWN_SHAPE: Shape = { kind: 'granular', fields: {} }

/** The shape of `field` in an object of shape `shape`. */
export function fieldShape(shape: Shape, field: string): Shape {
  if (shape.kind !== 'granular') return UNKNOWN_SHAPE
  return (Object.hasOwn(shape.fields, field) ? shape.fields[field] : shape.rest) ?? UNKNOWN_SHAPE
}

/** Every object's metadata. */
const METADATA_SHAPE: Shape = {
  kind: 'granular',
  fields: { finalizers: { kind: 'set' }, ownerReferences: { kind: 'list-map', keys: ['uid'], item: UNKNOWN_SHAPE } },
}

/** The shape of objects whose spec and status have `fields`. */
export function objectShape(fields: Readonly<Record<string, Shape>>): Shape {
  return { kind: 'granular', fields: { ...fields, metadata: METADATA_SHAPE } }
}

/** The shape that an OpenAPI v3 schema of a CustomResourceDefinition describes. */
export function shapeOfSchema(schema: Json | undefined): Shape {
  if (!isObject(schema)) return UNKNOWN_SHAPE
  const listType = schema['x-kubernetes-list-type']
  if (listType === 'set') return { kind: 'set' }
  if (listType === 'map') {
    const keys = listAt(schema, 'x-kubernetes-list-map-keys').filter(key => typeof key === 'string')
    return { kind: 'list-map', keys, item: shapeOfSchema(schema.items) }
  }
  if (listType === 'atomic' || schema['x-kubernetes-map-type'] === 'atomic') return { kind: 'atomic' }
  return granular(schema)
}

function granular(schema: JsonObject): Shape {
  const properties = Object.entries(objectAt(schema, 'properties'))
  const rest = at(schema, 'additionalProperties')
  return {
    kind: 'granular',
    fields: Object.fromEntries(properties.map(([name, property]) => [name, shapeOfSchema(property)])),
    ...(isObject(rest) ? { rest: shapeOfSchema(rest) } : {}),
  }
}
