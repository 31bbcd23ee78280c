/**
 * CustomResourceDefinitions (apiextensions.k8s.io/v1): from the object to what is served, and the
 * status that says so. Pure.
 *
 * One version of a kind is served, the first that says it is; there is no conversion and no scale
 * subresource.
 */

import { CRD_RESOURCE } from './built-in.ts'
import { printerColumns } from './columns.ts'
import { type Failure, type FieldProblem, invalid } from './failure.ts'
import { at, isObject, type Json, type JsonObject, listAt, objectAt, textAt } from './json.ts'
import type { Resource } from './resource.ts'
import { shapeOfSchema } from './shape.ts'

/**
 * The resource that a definition makes appear, or what is wrong with it. The first served version
 * is the one there is.
 */
export function resourceOf(crd: JsonObject): Resource | Failure {
  const spec = objectAt(crd, 'spec')
  const name = textAt(crd, 'metadata', 'name')
  const group = textAt(spec, 'group')
  const plural = textAt(spec, 'names', 'plural')
  const kind = textAt(spec, 'names', 'kind')
  const scope = textAt(spec, 'scope')
  const version = listAt(spec, 'versions').find(entry => at(entry, 'served') === true)
  const problems: FieldProblem[] = []
  const require = (good: boolean, field: string, message: string) => {
    if (!good) problems.push({ field, message })
  }
  require(group !== '', 'spec.group', 'Required value')
  require(plural !== '', 'spec.names.plural', 'Required value')
  require(kind !== '', 'spec.names.kind', 'Required value')
  require(scope === 'Cluster' || scope === 'Namespaced', 'spec.scope', 'must be Cluster or Namespaced')
  require(version !== undefined, 'spec.versions', 'must have a served version')
  require(name === `${plural}.${group}`, 'metadata.name', `must be spec.names.plural+"."+spec.group`)
  require(isObject(
    at(version, 'schema', 'openAPIV3Schema'),
  ), 'spec.versions[0].schema.openAPIV3Schema', 'Required value')
  if (problems.length > 0 || version === undefined) return invalid(CRD_RESOURCE, name, problems)
  const schema = withObjectFields(objectAt(version, 'schema', 'openAPIV3Schema'))
  return {
    group,
    version: textAt(version, 'name'),
    kind,
    plural,
    singular: textAt(spec, 'names', 'singular') || kind.toLowerCase(),
    shortNames: listAt(spec, 'names', 'shortNames').filter(entry => typeof entry === 'string'),
    namespaced: scope === 'Namespaced',
    hasStatus: isObject(at(version, 'subresources', 'status')),
    custom: true,
    updatesNeedVersion: true,
    shape: shapeOfSchema(schema),
    columns: printerColumns(listAt(version, 'additionalPrinterColumns')),
    schema,
  }
}

/** Every object has these fields, whether its schema says so or not. */
function withObjectFields(schema: JsonObject): JsonObject {
  const metadata: JsonObject = {
    type: 'object',
    'x-kubernetes-preserve-unknown-fields': true,
    properties: {
      finalizers: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
      ownerReferences: {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['uid'],
        items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    },
  }
  const text = { type: 'string' }
  return { ...schema, properties: { ...objectAt(schema, 'properties'), apiVersion: text, kind: text, metadata } }
}

/** The definition with the status of one that is served. */
export function established(crd: JsonObject, time: string): JsonObject {
  const condition = (type: string, reason: string, message: string): JsonObject => ({
    type,
    status: 'True',
    reason,
    message,
    lastTransitionTime: time,
  })
  const old = listAt(crd, 'status', 'conditions')
  const names: Record<string, Json> = { ...objectAt(crd, 'spec', 'names') }
  names.singular ??= textAt(names, 'kind').toLowerCase()
  names.listKind ??= `${textAt(names, 'kind')}List`
  const status: JsonObject = {
    acceptedNames: names,
    conditions:
      old.length > 0
        ? old
        : [
            condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
            condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
          ],
    storedVersions: listAt(crd, 'spec', 'versions')
      .filter(version => at(version, 'storage') === true)
      .map(version => textAt(version, 'name')),
  }
  return { ...crd, spec: { ...objectAt(crd, 'spec'), names }, status }
}
