/**
 * A simulated API server: the objects and rules of the lab's (src/apiserver/object-api.ts), and
 * what happens to one in life: history compacted, a backup restored, pages as small as it likes.
 * Answers at once; when a request comes in and when its answer arrives is the network's business
 * (api-network.ts). api-conformity.test.ts compares it with a real kube-apiserver.
 */
import { isFailure } from '../../src/apiserver/failure.ts'
import type { Json } from '../../src/apiserver/json.ts'
import { ObjectApi, type Selected } from '../../src/apiserver/object-api.ts'
import { decodePath, type Target } from '../../src/apiserver/request.ts'
import { resourceKey } from '../../src/apiserver/resource.ts'
import type { StoreEvent, StoreImage } from '../../src/apiserver/store.ts'
import { watchEvent } from '../../src/apiserver/watch.ts'
import { resourcePath } from '../../src/kube/paths.ts'
import {
  BGP_PEERS,
  CUSTOM_RESOURCE_DEFINITIONS,
  type KubeObject,
  NODES,
  type ResourceType,
  ROUTE_SLICES,
} from '../../src/kube/resources.ts'

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: object
  readonly contentType?: string
}

export type ApiAnswer = { readonly code: number; readonly body: object } | Refusal

export interface Refusal {
  readonly code: number
  readonly reason: string
  readonly message: string
}

export interface ServerEvent {
  /** `nodes`, `routeslices`. */
  readonly collection: string
  readonly key: string
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: KubeObject
}

/** What a backup holds. */
export type Backup = StoreImage

/** What one watch is told. */
export type Tell = (type: string, object: KubeObject) => void

const HISTORY = 500
/** How far above all revisions that were seen those of a restored backup go on, where they do. */
const BUMP = 1000
/** As whom people and kubelets write. */
const PEOPLE = 'kubectl'
const TYPES: readonly ResourceType[] = [NODES, BGP_PEERS, ROUTE_SLICES, CUSTOM_RESOURCE_DEFINITIONS]

export class SimApiServer {
  readonly #now: () => number
  readonly #listeners = new Set<(event: ServerEvent) => void>()
  #api: ObjectApi
  #uids = 0
  /** Most objects of one page. */
  pageSize = 500

  /** `now` is in milliseconds since the epoch. */
  constructor(now: () => number) {
    this.#now = now
    this.#api = this.#begin()
  }

  get revision(): number {
    return this.#api.store.revision
  }
  collection(name: string): readonly KubeObject[] {
    return (this.#api.store.list(keyOf(name)) ?? []) as unknown as readonly KubeObject[]
  }
  object(collection: string, key: string): KubeObject | undefined {
    return this.#api.store.get(keyOf(collection), key) as KubeObject | undefined
  }

  /** Calls `listener` with every change, whatever becomes of the server. */
  subscribe(listener: (event: ServerEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  backup(): Backup {
    return this.#api.store.image()
  }

  /** A former state comes back; with `bump` its revisions go on above all that were seen. */
  restore(backup: Backup, options: { readonly bump: boolean }): void {
    this.#api = this.#begin({ ...backup, ...(options.bump && { revision: this.revision + BUMP }) })
  }

  /** The history is cut: watches and pages that stand further back start over (410). */
  compact(): void {
    this.#api = this.#begin(this.#api.store.image())
  }

  /** What people and kubelets do: put an object as it is to be, its status too. */
  put(collection: string, object: KubeObject): void {
    const { resourceVersion: _, ...metadata } = object.metadata
    const path = pathOf(collection)
    const live = this.object(collection, object.metadata.name)
    const write = (method: 'POST' | 'PUT', to: string, body: KubeObject) => {
      const answer = this.#answer({ method, path: to, body }, PEOPLE)
      if (isRefusal(answer)) throw new Error(`${method} ${to}: ${answer.message}`)
    }
    if (live === undefined) write('POST', path, { ...object, metadata })
    const seen = () => this.object(collection, object.metadata.name)?.metadata.resourceVersion
    for (const part of live === undefined ? [] : ['', '/status']) {
      const current = { ...metadata, resourceVersion: seen() ?? '' }
      write('PUT', `${path}/${object.metadata.name}${part}`, { ...object, metadata: current })
    }
  }
  take(collection: string, name: string): boolean {
    return !isRefusal(this.#answer({ method: 'DELETE', path: `${pathOf(collection)}/${name}` }, PEOPLE))
  }

  handle(request: ApiRequest): ApiAnswer {
    if (request.path === '/version') return { code: 200, body: { major: '1', minor: '33' } }
    return this.#answer(request, 'terway-edge')
  }

  /**
   * Tells what happened after the revision that the request names, and what happens from now on.
   * Returns how to stop that, or why it cannot be.
   */
  watch({ path, query }: Pick<ApiRequest, 'path' | 'query'>, tell: Tell): (() => void) | Refusal {
    const target = targetOf(path)
    const selected = this.#api.selected(target, searchOf(query))
    if (isFailure(selected)) return selected
    const { store } = this.#api
    const missed = store.since(Number(query?.resourceVersion ?? 0))
    if (missed === undefined) return { code: 410, reason: 'Expired', message: 'too old resource version' }
    for (const event of missed) tellSelected(event, selected, tell)
    return store.subscribe(event => tellSelected(event, selected, tell))
  }

  #begin(image?: StoreImage): ObjectApi {
    const api = new ObjectApi({
      now: this.#now,
      newUid: () => `uid-${this.#uids++}`,
      historyLength: HISTORY,
      ...(image !== undefined && { image }),
    })
    api.store.subscribe(({ resource, key, type, object }) => {
      const event = { collection: resource.split('.')[0] ?? '', key, type, object: object as unknown as KubeObject }
      for (const listener of [...this.#listeners]) listener(event)
    })
    return api
  }

  #answer({ method, path, query, body, contentType }: ApiRequest, userAgent: string): ApiAnswer {
    const target = targetOf(path)
    const limit = Math.min(this.pageSize, Number(query?.limit ?? this.pageSize) || this.pageSize)
    const isList = method === 'GET' && target.name === ''
    return this.#api.answer({
      method,
      target,
      query: searchOf(isList ? { ...query, limit: String(limit) } : query),
      rendering: 'object',
      contentType: contentType ?? 'application/json',
      userAgent,
      // as it is after it went over the wire
      body: body === undefined ? undefined : (JSON.parse(JSON.stringify(body)) as Json),
    })
  }
}

function tellSelected(event: StoreEvent, { resource, matches }: Selected, tell: Tell): void {
  const seen = event.resource === resourceKey(resource) ? watchEvent(event, matches) : undefined
  if (seen !== undefined) tell(seen.type, seen.object as unknown as KubeObject)
}

export function isRefusal(answer: ApiAnswer): answer is Refusal {
  return 'reason' in answer
}

function typeOf(collection: string): ResourceType {
  const type = TYPES.find(({ plural }) => plural === collection)
  if (type === undefined) throw new Error(`the simulation knows no ${collection}`)
  return type
}

function keyOf(collection: string): string {
  return resourceKey(typeOf(collection))
}

function pathOf(collection: string): string {
  return resourcePath(typeOf(collection))
}

/** Paths are few: each is taken apart once. */
const targets = new Map<string, Target>()

function targetOf(path: string): Target {
  const known = targets.get(path)
  if (known !== undefined) return known
  const target = decodePath(path)
  if (target === undefined) throw new Error(`nothing is at ${path}`)
  targets.set(path, target)
  return target
}

function searchOf(query: ApiRequest['query'] = {}): URLSearchParams {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, value)
  return search
}
