/**
 * Objects and lists as the client asked for them: as they are, as the table that kubectl prints, or
 * their metadata alone. Pure.
 *
 * No protobuf and no CBOR: clients that accept JSON besides get JSON.
 */

import { DEFAULT_COLUMNS } from './columns.ts'
import { type Json, type JsonObject, objectAt } from './json.ts'
import type { Rendering } from './request.ts'
import { apiVersionOf, type Column, type Resource } from './resource.ts'

function metadataOnly(object: JsonObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: objectAt(object, 'metadata') }
}

function table(resource: Resource, objects: readonly JsonObject[], metadata: JsonObject, now: number): JsonObject {
  const columns = resource.columns.length === 0 ? DEFAULT_COLUMNS : resource.columns
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    columnDefinitions: columns.map(columnDefinition),
    rows: objects.map(object => ({
      cells: columns.map(({ cell }): Json => cell(object, now)),
      object: metadataOnly(object),
    })),
  }
}

function columnDefinition({ name, type, format, priority, description }: Column): JsonObject {
  return { name, type, format: format ?? '', description, priority }
}

export interface RenderContext {
  readonly resource: Resource
  readonly rendering: Rendering
  /** Milliseconds since the epoch, for ages. */
  readonly now: number
}

/** One object. */
export function renderObject(object: JsonObject, { resource, rendering, now }: RenderContext): JsonObject {
  if (rendering === 'object') return object
  if (rendering === 'metadata') return metadataOnly(object)
  const { resourceVersion = '' } = objectAt(object, 'metadata')
  return table(resource, [object], { resourceVersion }, now)
}

/** A list; `metadata` is that of the list. */
export function renderList(objects: readonly JsonObject[], metadata: JsonObject, context: RenderContext): JsonObject {
  const { resource, rendering, now } = context
  if (rendering === 'table') return table(resource, objects, metadata, now)
  if (rendering === 'metadata') {
    const items = objects.map(metadataOnly)
    return { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items }
  }
  return { kind: `${resource.kind}List`, apiVersion: apiVersionOf(resource), metadata, items: objects }
}
