/**
 * What the API server serves of one kind, built in or out of a CustomResourceDefinition: names,
 * scope, status subresource, how its fields merge, its columns and its schema. Types and names
 * only. Pure.
 */
import type { Json, JsonObject } from './json.ts'
import type { Shape } from './shape.ts'

/** One column of the table that kubectl prints. */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly format?: string
  /** 0 is always shown, more only with `-o wide`. */
  readonly priority: number
  readonly description: string
  /** `now` in milliseconds since the epoch. */
  readonly cell: (object: JsonObject, now: number) => Json
}

export interface Resource {
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly shortNames: readonly string[]
  readonly namespaced: boolean
  /** Whether `status` is a subresource, written apart from the rest. */
  readonly hasStatus: boolean
  /** Out of a CustomResourceDefinition: generation counts changes of the spec. */
  readonly custom: boolean
  /** Whether an update must say which version it is of. */
  readonly updatesNeedVersion: boolean
  /** Whether an update of an object that is not there makes it. */
  readonly createsOnUpdate?: boolean
  readonly shape: Shape
  readonly columns: readonly Column[]
  /** OpenAPI v3 schema, of custom resources. */
  readonly schema?: JsonObject
}

/** The key of a resource in the store: `nodes`, `leases.coordination.k8s.io`. */
export function resourceKey({ group, plural }: { readonly group: string; readonly plural: string }): string {
  return group === '' ? plural : `${plural}.${group}`
}

export function apiVersionOf({ group, version }: { readonly group: string; readonly version: string }): string {
  return group === '' ? version : `${group}/${version}`
}
