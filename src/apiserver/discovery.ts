/**
 * What the API server says of itself: groups, versions, resources, and as much OpenAPI v3 as
 * kubectl asks for: enough for server-side validation, explain, apply and edit. Pure.
 *
 * No OpenAPI v2 (kubectl before 1.27 wants it for apply) and no aggregated discovery (clients fall
 * back by themselves).
 */
import type { JsonObject } from './json.ts'
import { apiVersionOf, type Resource } from './resource.ts'

/** The version that clients see: that of the API whose rules are followed. */
export const SERVER_VERSION: JsonObject = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0-terway-edge-lab',
}

const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']

interface GroupVersion {
  readonly group: string
  readonly version: string
}

function groupVersions(resources: readonly Resource[]): readonly GroupVersion[] {
  const seen = new Map(resources.map(({ group, version }) => [`${group}/${version}`, { group, version }]))
  return [...seen.values()]
}

function apiGroup({ group, version }: GroupVersion): JsonObject {
  const named = { groupVersion: `${group}/${version}`, version }
  return { kind: 'APIGroup', apiVersion: 'v1', name: group, versions: [named], preferredVersion: named }
}

function resourceList(gv: GroupVersion, resources: readonly Resource[]): JsonObject {
  const own = resources.filter(({ group, version }) => group === gv.group && version === gv.version)
  const entries = own.flatMap(({ plural, singular, kind, namespaced, shortNames, hasStatus }) => {
    const main = { name: plural, singularName: singular, namespaced, kind, verbs: VERBS, shortNames }
    const status = { name: `${plural}/status`, singularName: '', namespaced, kind, verbs: ['get', 'patch', 'update'] }
    return hasStatus ? [main, status] : [main]
  })
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: apiVersionOf(gv), resources: entries }
}

/** The discovery document at `path`, or undefined when there is none. */
export function discovery(path: string, resources: readonly Resource[]): JsonObject | undefined {
  const versions = groupVersions(resources)
  const groups = versions.filter(({ group }) => group !== '')
  const [root, group, version, ...more] = path.split('/').filter(Boolean)
  if (root === 'api' && group === undefined) {
    return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] }
  }
  if (root === 'api' && group === 'v1' && version === undefined)
    return resourceList({ group: '', version: 'v1' }, resources)
  if (root !== 'apis' || more.length > 0) return undefined
  if (group === undefined) return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(apiGroup) }
  const found = groups.find(gv => gv.group === group && (version === undefined || gv.version === version))
  if (found === undefined) return undefined
  return version === undefined ? apiGroup(found) : resourceList(found, resources)
}

function groupPath(gv: GroupVersion): string {
  return gv.group === '' ? `api/${gv.version}` : `apis/${gv.group}/${gv.version}`
}

/** `/openapi/v3`, or the document of one group below it; undefined when there is none. */
export function openApi(path: string, resources: readonly Resource[]): JsonObject | undefined {
  const versions = groupVersions(resources)
  const wanted = path.split('/').filter(Boolean).slice(2).join('/')
  if (wanted === '') {
    const entries = versions.map(gv => [groupPath(gv), { serverRelativeURL: `/openapi/v3/${groupPath(gv)}` }])
    return { paths: Object.fromEntries(entries) }
  }
  const gv = versions.find(candidate => groupPath(candidate) === wanted)
  if (gv === undefined) return undefined
  const own = resources.filter(({ group, version }) => group === gv.group && version === gv.version)
  return {
    openapi: '3.0.0',
    info: { title: 'terway-edge lab', version: 'v1' },
    paths: Object.fromEntries(own.map(resource => [resourcePath(gv, resource), pathItem(resource)])),
    components: { schemas: Object.fromEntries(own.map(resource => [schemaName(resource), schema(resource)])) },
  }
}

function resourcePath(gv: GroupVersion, { plural, namespaced }: Resource): string {
  return `/${groupPath(gv)}/${namespaced ? 'namespaces/{namespace}/' : ''}${plural}/{name}`
}

function groupVersionKind({ group, version, kind }: Resource): JsonObject {
  return { group, version, kind }
}

function schemaName({ group, version, kind }: Resource): string {
  return `${group === '' ? 'core' : group.split('.').reverse().join('.')}.${version}.${kind}`
}

/**
 * kubectl looks here for whether the server validates fields, and (no strategic merge among the
 * types) patches by its own knowledge.
 */
function pathItem(resource: Resource): JsonObject {
  const parameter = (name: string) => ({ name, in: 'query', schema: { type: 'string' } })
  const content = { schema: { $ref: `#/components/schemas/${schemaName(resource)}` } }
  const kind = { 'x-kubernetes-group-version-kind': groupVersionKind(resource) }
  return {
    get: {
      'x-kubernetes-action': 'get',
      ...kind,
      responses: { 200: { description: 'OK', content: { 'application/json': content } } },
    },
    patch: {
      'x-kubernetes-action': 'patch',
      ...kind,
      parameters: ['dryRun', 'fieldManager', 'fieldValidation', 'force'].map(parameter),
      requestBody: { content: { 'application/merge-patch+json': { schema: { type: 'object' } } } },
      responses: { 200: { description: 'OK', content: { 'application/json': content } } },
    },
  }
}

function schema(resource: Resource): JsonObject {
  const kind = { 'x-kubernetes-group-version-kind': [groupVersionKind(resource)] }
  if (resource.schema !== undefined) return { ...resource.schema, ...kind }
  const anything = { type: 'object' }
  const text = { type: 'string' }
  return { type: 'object', properties: { apiVersion: text, kind: text, metadata: anything }, ...kind }
}
