/**
 * Where kinds live in the API: request paths and apiVersions, from the rows of `resources.ts`.
 * Pure.
 */
import type { ResourceType } from './resources.ts'

/** The path of a collection, of an object in it, or of its subresource. */
export function resourcePath(type: ResourceType, namespace?: string, name?: string, subresource?: 'status'): string {
  const parts = [type.group === '' ? '/api' : `/apis/${type.group}`, type.version]
  if (type.namespaced && namespace !== undefined) parts.push('namespaces', encodeURIComponent(namespace))
  parts.push(type.plural)
  if (name !== undefined) parts.push(encodeURIComponent(name))
  if (subresource !== undefined) parts.push(subresource)
  return parts.join('/')
}

/** `v1`, `network.openyurt.io/v1alpha1`. */
export function apiVersionOf(type: ResourceType): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`
}
