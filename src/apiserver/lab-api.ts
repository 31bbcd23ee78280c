/**
 * The lab's API server: requests in, answers out (`fetch`), as a Kubernetes API server of one
 * version answers them. For the lab and for tests, never for production: no TLS, no authentication,
 * no authorisation, no admission but what `write.ts` says, state in memory.
 *
 * The work is done elsewhere by functions of values: `write.ts` what a write makes of an object,
 * `managed-fields.ts` server-side apply, `patch.ts`, `selectors.ts`, `render.ts`, `discovery.ts`.
 * Here they are only put together.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { timestamp } from '../lib/timestamp.ts'
import { decodeBody, decodeJson, decodeOptions, patchedObject } from './body.ts'
import { BUILT_IN, CRD_RESOURCE } from './built-in.ts'
import { established, resourceOf } from './crd.ts'
import { discovery, openApi, SERVER_VERSION } from './discovery.ts'
import {
  alreadyExists,
  badRequest,
  conflict,
  type Failure,
  fail,
  isFailure,
  notFound,
  requireObject,
  statusOf,
} from './failure.ts'
import { type Json, type JsonObject, objectAt, textAt } from './json.ts'
import { listPage } from './list-page.ts'
import { renderList, renderObject } from './render.ts'
import { decodeAccept, decodePatchType, decodePath, fieldManager, type Rendering, type Target } from './request.ts'
import { type Resource, resourceKey } from './resource.ts'
import { fieldSelector, labelSelector, type Matches } from './selectors.ts'
import { objectKey, Store, type StoreImage } from './store.ts'
import { inNamespace, watch } from './watch.ts'
import { prepareApply, prepareCreate, prepareDelete, prepareUpdate, type WriteContext } from './write.ts'

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease']
const DEFAULT_WATCH_SECONDS = 1800

export interface LabApiOptions {
  readonly clock: Clock
  /** What it held in a former life. */
  readonly image?: StoreImage
  readonly bookmarkMilliseconds?: number
  /** Events kept for watches to go on from. */
  readonly historyLength?: number
}

/** One request, decoded. */
interface Asked {
  readonly target: Target
  readonly resource: Resource
  readonly query: URLSearchParams
  readonly rendering: Rendering
  readonly request: Request
}

type Answer = { readonly code: number; readonly body: JsonObject } | Failure | Response

export class LabApi {
  readonly store: Store
  readonly #clock: Clock
  readonly #bookmarkMilliseconds: number
  readonly #resources = new Map<string, Resource>(BUILT_IN.map(resource => [resourceKey(resource), resource]))

  constructor({ clock, image, bookmarkMilliseconds, historyLength }: LabApiOptions) {
    this.#clock = clock
    this.#bookmarkMilliseconds = bookmarkMilliseconds ?? 30_000
    this.store = new Store(historyLength === undefined ? {} : { historyLength })
    if (image !== undefined) this.store.load(image)
    for (const name of NAMESPACES) {
      if (this.store.get('namespaces', name) === undefined) this.#createNamespace(name)
    }
    for (const crd of this.store.list(resourceKey(CRD_RESOURCE)) ?? []) this.#serve(crd)
  }

  /** Answers one request. */
  async fetch(request: Request): Promise<Response> {
    try {
      const answer = await this.#answer(request)
      if (answer instanceof Response) return answer
      return isFailure(answer) ? json(answer.code, statusOf(answer)) : json(answer.code, answer.body)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      return json(500, statusOf(fail(500, 'InternalError', message)))
    }
  }

  async #answer(request: Request): Promise<Answer> {
    const url = new URL(request.url)
    const fixed = this.#fixedAnswer(url.pathname)
    if (fixed !== undefined) return fixed
    const target = decodePath(url.pathname)
    const resource = target && this.#resources.get(resourceKey(target))
    if (target === undefined || resource === undefined || resource.version !== target.version) {
      return fail(404, 'NotFound', 'the server could not find the requested resource')
    }
    const allowed = target.subresource === '' || (target.subresource === 'status' && resource.hasStatus)
    if (!allowed) return fail(404, 'NotFound', 'the server could not find the requested resource')
    const rendering = decodeAccept(request.headers.get('accept'))
    if (rendering === undefined) return fail(406, 'NotAcceptable', 'only application/json is served')
    return this.#dispatch({ target, resource, query: url.searchParams, rendering, request })
  }

  #fixedAnswer(path: string): Answer | undefined {
    if (['/readyz', '/healthz', '/livez'].includes(path)) return new Response('ok')
    if (path === '/version')
      return {
        code: 200,
        body: { ...SERVER_VERSION, platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}` },
      }
    const resources = [...this.#resources.values()]
    const body = path.startsWith('/openapi/v3') ? openApi(path, resources) : discovery(path, resources)
    return body && { code: 200, body }
  }

  async #dispatch(asked: Asked): Promise<Answer> {
    const { target, query, request } = asked
    const single = target.name !== ''
    switch (request.method) {
      case 'GET':
        if (query.get('watch') === 'true' || query.get('watch') === '1') return this.#watch(asked)
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

  #get(asked: Asked): Answer {
    const live = this.#live(asked)
    return isFailure(live) ? live : this.#rendered(asked, 200, live)
  }

  #list(asked: Asked): Answer {
    const { resource, query, rendering } = asked
    const matches = this.#matches(asked)
    if (isFailure(matches)) return matches
    const page = listPage(this.store, resource, {
      matches,
      token: query.get('continue'),
      limit: Number(query.get('limit') ?? 0),
    })
    if (isFailure(page)) return page
    const context = { resource, rendering, now: this.#clock.now() }
    return { code: 200, body: renderList(page.objects, page.metadata, context) }
  }

  #watch(asked: Asked): Answer {
    const { resource, query, rendering } = asked
    const matches = this.#matches(asked)
    if (isFailure(matches)) return matches
    const revision = query.get('resourceVersion') ?? ''
    if (!/^\d*$/.test(revision)) return badRequest(`invalid resource version: ${JSON.stringify(revision)}`)
    const stream = watch(
      {
        resource,
        matches,
        revision: revision === '' ? undefined : Number(revision),
        bookmarks: query.get('allowWatchBookmarks') === 'true',
        initialEvents: query.get('sendInitialEvents') === 'true',
        timeoutSeconds: Number(query.get('timeoutSeconds') ?? 0) || DEFAULT_WATCH_SECONDS,
        render: { resource, rendering },
      },
      { store: this.store, clock: this.#clock, bookmarkMilliseconds: this.#bookmarkMilliseconds },
    )
    return new Response(stream, { headers: { 'content-type': 'application/json' } })
  }

  async #create(asked: Asked): Promise<Answer> {
    const { target, resource } = asked
    const body = await decodeBody(asked.request)
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

  async #update(asked: Asked): Promise<Answer> {
    const body = await decodeBody(asked.request)
    if (isFailure(body)) return body
    const { resource, target } = asked
    const named = textAt(body, 'metadata', 'name')
    if (named !== target.name) {
      return badRequest(`the name of the object (${named}) does not match the name on the URL (${target.name})`)
    }
    const live = this.#live(asked)
    if (isFailure(live)) return live
    if (resource.custom && textAt(body, 'metadata', 'resourceVersion') === '') {
      return fail(
        422,
        'Invalid',
        `${resource.plural}.${resource.group} "${named}" is invalid: metadata.resourceVersion: Invalid value: 0x0: must be specified for an update`,
      )
    }
    const next = prepareUpdate(live, body, this.#context(asked))
    return isFailure(next) ? next : this.#write(asked, 200, live, next)
  }

  async #patch(asked: Asked): Promise<Answer> {
    const type = decodePatchType(asked.request.headers.get('content-type'))
    if (type === undefined) return fail(415, 'UnsupportedMediaType', 'the body of the request was in an unknown format')
    const patch = await decodeJson(asked.request)
    if (isFailure(patch)) return patch
    if (type === 'apply') return this.#apply(asked, patch)
    const live = this.#live(asked)
    if (isFailure(live)) return live
    const patched = patchedObject(type, live, patch)
    if (isFailure(patched)) return patched
    const next = prepareUpdate(live, patched, this.#context(asked))
    return isFailure(next) ? next : this.#write(asked, 200, live, next)
  }

  #apply(asked: Asked, patch: Json): Answer {
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

  async #delete(asked: Asked): Promise<Answer> {
    const { resource, target } = asked
    const live = this.#live(asked)
    if (isFailure(live)) return live
    const options = await decodeOptions(asked.request)
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

  #deleteCollection(asked: Asked): Answer {
    const { resource } = asked
    const matches = this.#matches(asked)
    if (isFailure(matches)) return matches
    const gone = (this.store.list(resourceKey(resource)) ?? []).filter(matches)
    for (const object of gone) this.#remove(resource, object)
    return { code: 200, body: renderList(gone, {}, { resource, rendering: 'object', now: this.#clock.now() }) }
  }

  /**
   * Removes an object, or marks it when finalizers hold it (then it is returned). What belonged to
   * it goes with it.
   */
  #remove(resource: Resource, live: JsonObject): JsonObject | undefined {
    const marked = prepareDelete(live, this.#now())
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
  #write(asked: Asked, code: number, live: JsonObject | undefined, next: JsonObject): Answer {
    const { resource } = asked
    const definition = resource === CRD_RESOURCE
    const served = definition ? resourceOf(next) : undefined
    if (isFailure(served)) return served
    const object = definition ? established(next, this.#now()) : next
    if (isDryRun(asked)) return this.#rendered(asked, code, object)
    const stored = next === live ? live : this.store.put(resourceKey(resource), object)
    if (served !== undefined) this.#resources.set(resourceKey(served), served)
    const held =
      textAt(stored, 'metadata', 'deletionTimestamp') === '' || prepareDelete(stored, this.#now()) !== undefined
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
        uid: randomUUID(),
        creationTimestamp: this.#now(),
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

  #matches({ resource, target, query }: Asked): Matches | Failure {
    const labels = labelSelector(query.get('labelSelector'))
    if (isFailure(labels)) return labels
    const fields = fieldSelector(resource.kind, query.get('fieldSelector'))
    if (isFailure(fields)) return fields
    const namespace = inNamespace(target.namespace)
    const name: Matches = target.name === '' ? () => true : object => textAt(object, 'metadata', 'name') === target.name
    return object => namespace(object) && name(object) && labels(object) && fields(object)
  }

  #context({ resource, target, query, request }: Asked): WriteContext {
    return {
      resource,
      namespace: target.namespace,
      subresource: target.subresource === 'status' ? 'status' : '',
      manager: fieldManager(query, request.headers.get('user-agent')),
      time: this.#now(),
      uid: randomUUID(),
      fieldValidation: query.get('fieldValidation') ?? 'Warn',
    }
  }

  #rendered({ resource, rendering }: Asked, code: number, object: JsonObject): Answer {
    return { code, body: renderObject(object, { resource, rendering, now: this.#clock.now() }) }
  }

  #now(): string {
    return timestamp(this.#clock.now())
  }
}

function json(code: number, body: JsonObject): Response {
  return Response.json(body, { status: code })
}

function methodNotAllowed(): Failure {
  return fail(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource')
}

function isDryRun({ query }: Asked, options: JsonObject = {}): boolean {
  return query.getAll('dryRun').includes('All') || JSON.stringify(options.dryRun ?? []).includes('All')
}
