/**
 * Objects of all kinds that are served, and what may be done to them: get, list, create, update,
 * patch, apply, delete, each answered at once. The middle of the lab's API server, and of the
 * simulated one: here what decides is put together (`write.ts` what a write makes of an
 * object, `managed-fields.ts` server-side apply, `patch.ts`, `selectors.ts`, `render.ts`) and what
 * they come to is stored. Knows no HTTP and no time of its own.
 */
import { timestamp } from '../lib/timestamp.ts'
import { patchedObject } from './body.ts'
import { BUILT_IN, CRD_RESOURCE } from './built-in.ts'
import { established, resourceOf } from './crd.ts'
import {
  alreadyExists,
  badRequest,
  conflict,
  type Failure,
  fail,
  isFailure,
  notFound,
  requireObject,
} from './failure.ts'
import { isObject, type Json, type JsonObject, objectAt, textAt } from './json.ts'
import { listPage } from './list-page.ts'
import { renderList, renderObject } from './render.ts'
import { decodePatchType, fieldManager, type Rendering, type Target } from './request.ts'
import { type Resource, resourceKey } from './resource.ts'
import { fieldSelector, labelSelector, type Matches } from './selectors.ts'
import { objectKey, Store, type StoreImage } from './store.ts'
import { inNamespace } from './watch.ts'
import { prepareApply, prepareCreate, prepareDelete, prepareUpdate, type WriteContext } from './write.ts'

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

export interface ObjectApiOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** A uid that no object had before. */
  readonly newUid: () => string
  /** What it held in a former life. */
  readonly image?: StoreImage
  /** Events kept for watches to go on from. */
  readonly historyLength?: number
}

/** One request, taken apart. */
export interface ObjectRequest {
  readonly method: string
  readonly target: Target
  readonly query: URLSearchParams
  readonly rendering: Rendering
  readonly contentType: string | null
  /** Names the field manager where the query does not. */
  readonly userAgent: string | null
  /** Undefined: empty; a failure: it cannot be read. */
  readonly body: Json | Failure | undefined
}

export type ObjectAnswer = { readonly code: number; readonly body: JsonObject } | Failure

interface Asked extends ObjectRequest {
  readonly resource: Resource
}

/** What a list or a watch selects. */
export interface Selected {
  readonly resource: Resource
  readonly matches: Matches
}

export class ObjectApi {
  readonly store: Store
  readonly #now: () => number
  readonly #newUid: () => string
  readonly #resources = new Map<string, Resource>(BUILT_IN.map(resource => [resourceKey(resource), resource]))

  constructor({ now, newUid, image, historyLength }: ObjectApiOptions) {
    this.#now = now
    this.#newUid = newUid
    this.store = new Store(historyLength === undefined ? {} : { historyLength })
    if (image !== undefined) this.store.load(image)
    for (const name of NAMESPACES) {
      if (this.store.get('namespaces', name) === undefined) this.#createNamespace(name)
    }
    for (const crd of this.store.list(resourceKey(CRD_RESOURCE)) ?? []) this.#serve(crd)
  }

  /** Every kind that is served. */
  get resources(): readonly Resource[] {
    return [...this.#resources.values()]
  }

  /** Answers one request for objects; a watch is not one (`selected`). */
  answer(request: ObjectRequest): ObjectAnswer {
    const resource = this.#resourceOf(request.target)
    return isFailure(resource) ? resource : this.#dispatch({ ...request, resource })
  }

  /** What a list or a watch of `target` selects. */
  selected(target: Target, query: URLSearchParams): Selected | Failure {
    const resource = this.#resourceOf(target)
    if (isFailure(resource)) return resource
    const labels = labelSelector(query.get('labelSelector'))
    if (isFailure(labels)) return labels
    const fields = fieldSelector(resource.kind, query.get('fieldSelector'))
    if (isFailure(fields)) return fields
    const namespace = inNamespace(target.namespace)
    const name: Matches = target.name === '' ? () => true : object => textAt(object, 'metadata', 'name') === target.name
    return { resource, matches: object => namespace(object) && name(object) && labels(object) && fields(object) }
  }

  #resourceOf(target: Target): Resource | Failure {
    const resource = this.#resources.get(resourceKey(target))
    const isServed =
      resource?.version === target.version &&
      (target.subresource === '' || (target.subresource === 'status' && resource.hasStatus))
    return isServed ? resource : fail(404, 'NotFound', 'the server could not find the requested resource')
  }

  #dispatch(asked: Asked): ObjectAnswer {
    const single = asked.target.name !== ''
    switch (asked.method) {
      case 'GET':
        return single ? this.#get(asked) : this.#list(asked)
      case 'POST':
        return single ? methodNotAllowed() : this.#create(asked)
      case 'PUT':
        return single ? this.#update(asked) : methodNotAllowed()
      case 'PATCH':
        return single ? this.#patch(asked) : methodNotAllowed()
      case 'DELETE':
        return single ? this.#delete(asked) : this.#deleteCollection(asked)
      default:
        return methodNotAllowed()
    }
  }

  #get(asked: Asked): ObjectAnswer {
    const live = this.#live(asked)
    return isFailure(live) ? live : this.#rendered(asked, 200, live)
  }

  #list(asked: Asked): ObjectAnswer {
    const { target, query, rendering } = asked
    const selected = this.selected(target, query)
    if (isFailure(selected)) return selected
    const { resource, matches } = selected
    const page = listPage(this.store, resource, {
      matches,
      token: query.get('continue'),
      limit: Number(query.get('limit') ?? 0),
    })
    if (isFailure(page)) return page
    const context = { resource, rendering, now: this.#now() }
    return { code: 200, body: renderList(page.objects, page.metadata, context) }
  }

  #create(asked: Asked): ObjectAnswer {
    const { target, resource } = asked
    const body = requireBody(asked)
    if (isFailure(body)) return body
    const namespace = target.namespace || textAt(body, 'metadata', 'namespace')
    if (resource.namespaced && this.store.get('namespaces', namespace) === undefined) {
      return notFound({ group: '', plural: 'namespaces' }, namespace)
    }
    const object = prepareCreate(body, { ...this.#context(asked), namespace })
    if (isFailure(object)) return object
    if (this.store.get(resourceKey(resource), objectKey(object)) !== undefined) {
      return alreadyExists(resource, textAt(object, 'metadata', 'name'))
    }
    return this.#write(asked, 201, undefined, object)
  }

  #update(asked: Asked): ObjectAnswer {
    const body = requireBody(asked)
    if (isFailure(body)) return body
    const { resource, target } = asked
    const named = textAt(body, 'metadata', 'name')
    if (named !== target.name) {
      return badRequest(`the name of the object (${named}) does not match the name on the URL (${target.name})`)
    }
    const live = this.#live(asked)
    if (isFailure(live)) return this.#updateMissing(asked, body, live)
    // a uid is looked at first
    const uid = textAt(body, 'metadata', 'uid') || textAt(live, 'metadata', 'uid')
    const isOther = uid !== textAt(live, 'metadata', 'uid')
    if (resource.updatesNeedVersion && !isOther && textAt(body, 'metadata', 'resourceVersion') === '') {
      return fail(
        422,
        'Invalid',
        `${resource.plural}.${resource.group} "${named}" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update`,
      )
    }
    const next = prepareUpdate(live, body, this.#context(asked))
    return isFailure(next) ? next : this.#write(asked, 200, live, next)
  }

  /** An object that is not there: a uid is a precondition, which nothing meets. */
  #updateMissing(asked: Asked, body: JsonObject, missing: Failure): ObjectAnswer {
    const { resource, target } = asked
    const uid = textAt(body, 'metadata', 'uid')
    if (uid !== '')
      return conflict(resource, target.name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: `)
    return resource.createsOnUpdate === true ? this.#create(asked) : missing
  }

  #patch(asked: Asked): ObjectAnswer {
    const type = decodePatchType(asked.contentType)
    if (type === undefined) return fail(415, 'UnsupportedMediaType', 'the body of the request was in an unknown format')
    const patch = asked.body ?? {}
    if (isFailure(patch)) return patch
    if (type === 'apply') return this.#apply(asked, patch)
    const live = this.#live(asked)
    if (isFailure(live)) return live
    const patched = patchedObject(type, live, patch)
    if (isFailure(patched)) return patched
    const next = prepareUpdate(live, patched, this.#context(asked))
    return isFailure(next) ? next : this.#write(asked, 200, live, next)
  }

  #apply(asked: Asked, patch: Json): ObjectAnswer {
    const { query, target, resource } = asked
    const body = requireObject(patch, 'what is applied')
    if (isFailure(body)) return body
    if ((query.get('fieldManager') ?? '') === '') return badRequest('fieldManager is required for apply patch')
    if ((textAt(body, 'metadata', 'name') || target.name) !== target.name) {
      return badRequest('the name of the object does not match the name on the URL')
    }
    const found = this.#live(asked)
    const live = isFailure(found) ? undefined : found
    if (live === undefined && target.subresource !== '') return notFound(resource, target.name)
    const context = { ...this.#context(asked), force: query.get('force') === 'true' }
    const next = prepareApply(
      live,
      { ...body, metadata: { ...objectAt(body, 'metadata'), name: target.name } },
      context,
    )
    return isFailure(next) ? next : this.#write(asked, live === undefined ? 201 : 200, live, next)
  }

  #delete(asked: Asked): ObjectAnswer {
    const { resource, target } = asked
    const live = this.#live(asked)
    if (isFailure(live)) return live
    const { body = {} } = asked
    if (isFailure(body)) return body
    const options = isObject(body) ? body : {}
    for (const field of ['uid', 'resourceVersion']) {
      const wanted = textAt(options, 'preconditions', field)
      const actual = textAt(live, 'metadata', field)
      if (wanted !== '' && wanted !== actual) {
        return conflict(
          resource,
          target.name,
          `Precondition failed: ${field} in precondition: ${wanted}, ${field} in object meta: ${actual}`,
        )
      }
    }
    if (!isDryRun(asked, options)) {
      const marked = this.#remove(resource, live)
      if (marked !== undefined) return this.#rendered(asked, 200, marked)
    }
    const details = {
      name: target.name,
      group: resource.group,
      kind: resource.plural,
      uid: textAt(live, 'metadata', 'uid'),
    }
    return { code: 200, body: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details } }
  }

  #deleteCollection(asked: Asked): ObjectAnswer {
    const selected = this.selected(asked.target, asked.query)
    if (isFailure(selected)) return selected
    const { resource, matches } = selected
    const gone = (this.store.list(resourceKey(resource)) ?? []).filter(matches)
    for (const object of gone) this.#remove(resource, object)
    return { code: 200, body: renderList(gone, {}, { resource, rendering: 'object', now: this.#now() }) }
  }

  /**
   * Removes an object, or marks it when finalizers hold it (then it is returned). What belonged to
   * it goes with it.
   */
  #remove(resource: Resource, live: JsonObject): JsonObject | undefined {
    const marked = prepareDelete(live, this.#time())
    const key = resourceKey(resource)
    if (marked !== undefined) return marked === live ? live : this.store.put(key, marked)
    this.store.remove(key, objectKey(live))
    const name = textAt(live, 'metadata', 'name')
    if (key === resourceKey(CRD_RESOURCE)) {
      for (const object of this.store.list(name) ?? []) this.store.remove(name, objectKey(object))
      this.#resources.delete(name)
    }
    if (key === 'namespaces') {
      for (const inside of this.#resources.keys())
        for (const object of (this.store.list(inside) ?? []).filter(inNamespace(name)))
          this.store.remove(inside, objectKey(object))
    }
    return undefined
  }

  /** Stores what a write came to, unless it changed nothing or was a dry run. */
  #write(asked: Asked, code: number, live: JsonObject | undefined, next: JsonObject): ObjectAnswer {
    const { resource } = asked
    const definition = resource === CRD_RESOURCE
    const served = definition ? resourceOf(next) : undefined
    if (isFailure(served)) return served
    const object = definition ? established(next, this.#time()) : next
    if (isDryRun(asked)) return this.#rendered(asked, code, object)
    const stored = next === live ? live : this.store.put(resourceKey(resource), object)
    if (served !== undefined) this.#resources.set(resourceKey(served), served)
    const held =
      textAt(stored, 'metadata', 'deletionTimestamp') === '' || prepareDelete(stored, this.#time()) !== undefined
    if (!held) this.#remove(resource, stored)
    return this.#rendered(asked, code, stored)
  }

  #serve(crd: JsonObject): void {
    const resource = resourceOf(crd)
    if (!isFailure(resource)) this.#resources.set(resourceKey(resource), resource)
  }

  #createNamespace(name: string): void {
    this.store.put('namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name,
        uid: this.#newUid(),
        creationTimestamp: this.#time(),
        labels: { 'kubernetes.io/metadata.name': name },
      },
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    })
  }

  #live({ resource, target }: Asked): JsonObject | Failure {
    const key = resource.namespaced ? `${target.namespace}/${target.name}` : target.name
    return this.store.get(resourceKey(resource), key) ?? notFound(resource, target.name)
  }

  #context({ resource, target, query, userAgent }: Asked): WriteContext {
    return {
      resource,
      namespace: target.namespace,
      subresource: target.subresource === 'status' ? 'status' : '',
      manager: fieldManager(query, userAgent),
      time: this.#time(),
      uid: this.#newUid(),
      fieldValidation: query.get('fieldValidation') ?? 'Warn',
    }
  }

  #rendered({ resource, rendering }: Asked, code: number, object: JsonObject): ObjectAnswer {
    return { code, body: renderObject(object, { resource, rendering, now: this.#now() }) }
  }

  #time(): string {
    return timestamp(this.#now())
  }
}

function requireBody({ body }: ObjectRequest): JsonObject | Failure {
  return isFailure(body) ? body : requireObject(body, 'the body')
}

function methodNotAllowed(): Failure {
  return fail(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource')
}

function isDryRun({ query }: Asked, options: JsonObject = {}): boolean {
  return query.getAll('dryRun').includes('All') || JSON.stringify(options.dryRun ?? []).includes('All')
}
