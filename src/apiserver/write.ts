/**
 * What a write makes of an object: the pure middle between a request and the store. Metadata is
 * stamped, status and the rest are kept apart, defaults filled in, the result validated, generation
 * counted, ownership recorded.
 */
import { conflict, type Failure, type FieldProblem, fail, invalid, isFailure } from './failure.ts'
import {
  at,
  equal,
  isList,
  isObject,
  type JsonObject,
  listAt,
  objectAt,
  textAt,
  withKey,
  withMetadata,
} from './json.ts'
import { serverSideApply, trackUpdate, type Writer } from './managed-fields.ts'
import { apiVersionOf, type Resource } from './resource.ts'
import { conform, unknownFields, validate } from './schema.ts'

/** What the shell knows: who writes, when, and a fresh uid. */
export interface WriteContext {
  readonly resource: Resource
  readonly namespace: string
  readonly subresource: '' | 'status'
  readonly manager: string
  /** RFC 3339. */
  readonly time: string
  readonly uid: string
  /** `Strict` refuses unknown fields of custom resources; anything else drops them. */
  readonly fieldValidation: string
}

function writer(context: WriteContext, operation: 'Apply' | 'Update'): Writer {
  const { manager, time, subresource, resource } = context
  return { manager, operation, apiVersion: apiVersionOf(resource), subresource, time }
}

/** Five lower-case characters out of a uid, for generateName. */
function suffix(uid: string): string {
  return uid.replaceAll('-', '').slice(0, 5)
}

/** A new object, ready to be stored. */
export function prepareCreate(body: JsonObject, context: WriteContext): JsonObject | Failure {
  const { resource } = context
  const named = nameObject(body, context)
  if (isFailure(named)) return named
  const started = resource.custom && resource.hasStatus ? withKey(named, 'status', undefined) : named
  const object = complete(started, undefined, context)
  return isFailure(object) ? object : trackUpdate(undefined, object, writer(context, 'Update'), resource.shape)
}

/**
 * `body` with kind, name, namespace, uid, time and generation set; a refusal when they contradict
 * the request.
 */
function nameObject(body: JsonObject, context: WriteContext): JsonObject | Failure {
  const { resource, namespace, time, uid } = context
  const wrong = kindProblem(body, resource)
  if (wrong !== undefined) return wrong
  const generateName = textAt(body, 'metadata', 'generateName')
  const name = textAt(body, 'metadata', 'name') || (generateName === '' ? '' : generateName + suffix(uid))
  if (!/^[a-z0-9]([a-z0-9.:-]*[a-z0-9])?$/.test(name) || name.length > 253) {
    const message =
      name === ''
        ? 'Required value: name or generateName is required'
        : `Invalid value: ${JSON.stringify(name)}: a lowercase RFC 1123 subdomain is required`
    return invalid(resource, name, [{ field: 'metadata.name', message }])
  }
  const itsNamespace = textAt(body, 'metadata', 'namespace')
  if (itsNamespace !== '' && itsNamespace !== namespace) {
    return fail(
      400,
      'BadRequest',
      `the namespace of the provided object does not match the namespace sent on the request (${itsNamespace}, ${namespace})`,
    )
  }
  return withMetadata(withKind(body, resource), {
    name,
    namespace: resource.namespaced ? namespace : undefined,
    uid,
    creationTimestamp: time,
    generation: resource.custom ? 1 : undefined,
    resourceVersion: undefined,
    managedFields: undefined,
    deletionTimestamp: undefined,
    selfLink: undefined,
  })
}

function withKind(body: JsonObject, resource: Resource): JsonObject {
  const { apiVersion: _version, kind: _kind, ...rest } = body
  return { apiVersion: apiVersionOf(resource), kind: resource.kind, ...rest }
}

function kindProblem(body: JsonObject, resource: Resource): Failure | undefined {
  const expected = apiVersionOf(resource)
  const version = textAt(body, 'apiVersion') || expected
  const kind = textAt(body, 'kind') || resource.kind
  if (version === expected && kind === resource.kind) return undefined
  return fail(400, 'BadRequest', `${version}, Kind=${kind} does not match ${expected}, Kind=${resource.kind}`)
}

/** The object that takes the place of `live`: an update, or the outcome of a patch. */
export function prepareUpdate(live: JsonObject, body: JsonObject, context: WriteContext): JsonObject | Failure {
  const { resource } = context
  const wrong = kindProblem(body, resource) ?? versionProblem(live, body, resource)
  if (wrong !== undefined) return wrong
  const next = complete(scoped(live, body, context), live, context)
  if (isFailure(next)) return next
  return settled(live, trackUpdate(live, next, writer(context, 'Update'), resource.shape), resource)
}

/** 409 when the writer saw another version of the object than the one there is. */
function versionProblem(live: JsonObject, body: JsonObject, resource: Resource): Failure | undefined {
  const name = textAt(live, 'metadata', 'name')
  const uid = textAt(body, 'metadata', 'uid')
  if (uid !== '' && uid !== textAt(live, 'metadata', 'uid')) {
    return conflict(
      resource,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${textAt(live, 'metadata', 'uid')}`,
    )
  }
  const seen = textAt(body, 'metadata', 'resourceVersion')
  if (seen === '' || seen === '0' || seen === textAt(live, 'metadata', 'resourceVersion')) return undefined
  return conflict(
    resource,
    name,
    'the object has been modified; please apply your changes to the latest version and try again',
  )
}

/** `body` reduced to what the request may change: the status, or everything but it. */
function scoped(live: JsonObject, body: JsonObject, { resource, subresource }: WriteContext): JsonObject {
  if (subresource === 'status') return withKey(live, 'status', body.status)
  const kept = resource.hasStatus ? withKey(withKind(body, resource), 'status', live.status) : withKind(body, resource)
  const metadata = objectAt(live, 'metadata')
  return withMetadata(kept, {
    name: metadata.name,
    namespace: metadata.namespace,
    uid: metadata.uid,
    creationTimestamp: metadata.creationTimestamp,
    deletionTimestamp: metadata.deletionTimestamp,
    generation: metadata.generation,
    resourceVersion: metadata.resourceVersion,
    managedFields: metadata.managedFields,
    selfLink: undefined,
  })
}

/** Server-side apply on `live`, or of a new object when there is none. */
export function prepareApply(
  live: JsonObject | undefined,
  body: JsonObject,
  context: WriteContext & { readonly force: boolean },
): JsonObject | Failure {
  const { resource, subresource, force } = context
  const wrong = kindProblem(body, resource) ?? (live && versionProblem(live, body, resource))
  if (wrong !== undefined) return wrong
  if (listAt(body, 'metadata', 'managedFields').length > 0) {
    return fail(400, 'BadRequest', 'metadata.managedFields must be nil')
  }
  const wish = resource.hasStatus ? appliedPart(body, subresource) : body
  const fresh = live === undefined ? nameObject(wish, context) : undefined
  if (isFailure(fresh)) return fresh
  const merged = serverSideApply({
    live,
    applied: fresh ?? wish,
    writer: writer(context, 'Apply'),
    force,
    shape: resource.shape,
  })
  if (isFailure(merged)) return merged
  const object = complete(merged, live, context)
  return isFailure(object) || live === undefined ? object : settled(live, object, resource)
}

function appliedPart(body: JsonObject, subresource: '' | 'status'): JsonObject {
  if (subresource === '') return withKey(body, 'status', undefined)
  const { apiVersion, kind, metadata, status } = body
  const named = { name: textAt(metadata, 'name') }
  return {
    apiVersion: apiVersion ?? '',
    kind: kind ?? '',
    metadata: named,
    ...(status === undefined ? {} : { status }),
  }
}

/** Defaults, pruning and validation. */
function complete(object: JsonObject, live: JsonObject | undefined, context: WriteContext): JsonObject | Failure {
  const { resource, fieldValidation } = context
  const name = textAt(object, 'metadata', 'name')
  const unknown = fieldValidation === 'Strict' ? unknownFields(object, resource.schema) : []
  if (unknown.length > 0) {
    const list = unknown.map(path => `unknown field ${JSON.stringify(path)}`).join(', ')
    return fail(400, 'BadRequest', `strict decoding error: ${list}`)
  }
  const conformed = conform(object, resource.schema)
  const completed = builtInDefaults(isObject(conformed) ? conformed : object, resource)
  const problems = [...validate(completed, resource.schema), ...builtInProblems(completed, live, resource)]
  return problems.length > 0 ? invalid(resource, name, problems) : completed
}

function builtInDefaults(object: JsonObject, { kind, custom }: Resource): JsonObject {
  if (custom) return object
  if (kind === 'Secret') {
    const { stringData, ...rest } = object
    const texts = Object.entries(isObject(stringData) ? stringData : {})
    const data = {
      ...objectAt(object, 'data'),
      ...Object.fromEntries(texts.map(([key, text]) => [key, btoa(String(text))])),
    }
    return { ...rest, ...(Object.keys(data).length > 0 ? { data } : {}), type: textAt(object, 'type') || 'Opaque' }
  }
  if (kind === 'Namespace') {
    return {
      ...object,
      spec: { finalizers: ['kubernetes'] },
      status: { ...objectAt(object, 'status'), phase: 'Active' },
    }
  }
  return kind === 'Node' ? { ...object, spec: podCIDRDefaults(objectAt(object, 'spec')) } : object
}

/** core/v1: podCIDR is the first of podCIDRs; where both are set and differ it counts alone. */
function podCIDRDefaults(spec: JsonObject): JsonObject {
  const [first] = listAt(spec, 'podCIDRs')
  const podCIDR = textAt(spec, 'podCIDR')
  if (podCIDR !== '' && podCIDR !== first) return { ...spec, podCIDRs: [podCIDR] }
  return first === undefined ? spec : { ...spec, podCIDR: first }
}

/** What the real server refuses of built-in kinds and this project could run into. */
function builtInProblems(object: JsonObject, live: JsonObject | undefined, { kind, custom }: Resource): FieldProblem[] {
  if (custom) return []
  if (kind === 'Node') {
    const before = listAt(live, 'spec', 'podCIDRs')
    if (before.length > 0 && !equal(before, at(object, 'spec', 'podCIDRs')))
      return [
        { field: 'spec.podCIDRs', message: 'Forbidden: node updates may not change podCIDR except from "" to valid' },
      ]
  }
  if (kind === 'Secret') {
    return Object.entries(objectAt(object, 'data'))
      .filter(([, value]) => typeof value !== 'string' || !/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(value))
      .map(([key]) => ({ field: `data.${key}`, message: 'Invalid value: must be base64' }))
  }
  return []
}

/**
 * The next version of `live` with its generation; `live` itself when nothing changed, so that no
 * event is made of it.
 */
function settled(live: JsonObject, next: JsonObject, resource: Resource): JsonObject {
  if (equal(withoutTimes(live), withoutTimes(next))) return live
  if (!resource.custom || equal(counted(live), counted(next))) return next
  const generation = at(live, 'metadata', 'generation')
  return withMetadata(next, { generation: (typeof generation === 'number' ? generation : 0) + 1 })
}

/** What generation counts: everything but metadata and status. */
function counted(object: JsonObject): JsonObject {
  const { metadata: _metadata, status: _status, ...rest } = object
  return rest
}

function withoutTimes(object: JsonObject): JsonObject {
  const managed = at(object, 'metadata', 'managedFields')
  if (!isList(managed)) return object
  return withMetadata(object, {
    managedFields: managed.filter(isObject).map(entry => withKey(entry, 'time', undefined)),
  })
}

/** The object marked for deletion while finalizers hold it, or undefined when it may go. */
export function prepareDelete(live: JsonObject, time: string): JsonObject | undefined {
  if (listAt(live, 'metadata', 'finalizers').length === 0) return undefined
  if (textAt(live, 'metadata', 'deletionTimestamp') !== '') return live
  return withMetadata(live, { deletionTimestamp: time, deletionGracePeriodSeconds: 0 })
}
