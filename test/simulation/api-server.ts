/**
 * A simulated API server: objects, one revision for all of them, a bounded history, conflicts,
 * server-side apply, watches. Answers at once; when a request comes in and when its answer arrives
 * is the network's business (api-network.ts). No schemas and no admission. How it compares with a
 * real kube-apiserver: docs/simulation.md.
 */
import type { KubeObject } from '../../src/kube/resources.ts'
import { type Applied, applied, merged } from './api-merge.ts'

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
  readonly revision: number
  readonly collection: string
  readonly key: string
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: KubeObject
}

/** What a backup holds. */
export interface Backup {
  readonly revision: number
  readonly objects: ReadonlyMap<string, ReadonlyMap<string, KubeObject>>
  readonly managers: ReadonlyMap<string, Applied>
}

/**
 * Where a path leads: `/api/v1/namespaces/default/events/x` to collection `events`, key
 * `default/x`.
 */
export interface Place {
  readonly collection: string
  readonly namespace: string | undefined
  readonly name: string | undefined
  readonly subresource: string | undefined
}

/** Custom resources: the main resource and the status have writers of their own. */
const WITH_STATUS = new Set(['bgppeers', 'nodes'])
const HISTORY = 500

export class SimApiServer {
  #objects = new Map<string, Map<string, KubeObject>>()
  /** What field managers applied, by `collection key`. */
  #managers = new Map<string, Applied>()
  #history: ServerEvent[] = []
  #compacted = 0
  #revision = 1
  #serial = 1
  readonly #pages = new Map<string, { readonly rest: readonly KubeObject[]; readonly revision: number }>()
  readonly #listeners = new Set<(event: ServerEvent) => void>()
  /** Most objects of one page. */
  pageSize = 500
  /** RFC 3339. */
  readonly #now: () => string

  constructor(now: () => string) {
    this.#now = now
  }
  get revision(): number {
    return this.#revision
  }
  collection(name: string): readonly KubeObject[] {
    return [...(this.#objects.get(name)?.entries() ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
  }
  object(collection: string, key: string): KubeObject | undefined {
    return this.#objects.get(collection)?.get(key)
  }
  subscribe(listener: (event: ServerEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  backup(): Backup {
    const objects = new Map([...this.#objects].map(([name, all]) => [name, new Map(all)]))
    return { revision: this.#revision, objects, managers: new Map(this.#managers) }
  }

  /** A former state comes back; with `bump` its revisions go on above all that were seen. */
  restore(backup: Backup, options: { readonly bump: boolean }): void {
    this.#objects = new Map([...backup.objects].map(([name, all]) => [name, new Map(all)]))
    this.#managers = new Map(backup.managers)
    this.#revision = options.bump ? this.#revision + 1000 : backup.revision
    this.#history = []
    this.#compacted = this.#revision
    this.#pages.clear()
  }

  /** The history is cut: watches and pages that stand further back start over (410). */
  compact(): void {
    this.#history = []
    this.#compacted = this.#revision
    this.#pages.clear()
  }

  /** What people and other controllers do: put an object, or take it away. */
  put(collection: string, object: KubeObject): KubeObject {
    return this.#store(collection, object)
  }
  take(collection: string, key: string): boolean {
    return this.#remove(collection, key) !== undefined
  }

  /** Events after a revision; undefined where the history does not reach so far back. */
  since(collection: string, revision: number): readonly ServerEvent[] | 'gone' | 'future' {
    if (revision < this.#compacted) return 'gone'
    if (revision > this.#revision) return 'future'
    return this.#history.filter(event => event.collection === collection && event.revision > revision)
  }

  handle(request: ApiRequest): ApiAnswer {
    if (request.path === '/version') return { code: 200, body: { major: '1', minor: '33' } }
    const place = placeOf(request.path)
    switch (request.method) {
      case 'GET':
        return place.name === undefined ? this.#list(place, request) : this.#get(place)
      case 'POST':
        return this.#create(place, request.body as KubeObject)
      case 'PUT':
        return this.#update(place, request.body as KubeObject)
      case 'PATCH':
        return request.contentType === 'application/apply-patch+yaml'
          ? this.#apply(place, request)
          : this.#mergePatch(place, request.body as KubeObject)
      case 'DELETE':
        return this.#delete(place, request.body as { preconditions?: Preconditions } | undefined)
    }
  }

  #get(place: Place): ApiAnswer {
    const found = this.object(place.collection, keyIn(place))
    return found === undefined ? missing(place) : { code: 200, body: found }
  }

  #list(place: Place, { query }: ApiRequest): ApiAnswer {
    const token = query?.continue
    const page = token === undefined ? undefined : this.#pages.get(token)
    if (token !== undefined && page === undefined) return refusal(410, 'Expired', 'the continue token is too old')
    const all = page?.rest ?? this.collection(place.collection).filter(matching(place, query))
    const revision = page?.revision ?? this.#revision
    const size = Math.min(this.pageSize, Number(query?.limit ?? this.pageSize) || this.pageSize)
    const rest = all.slice(size)
    const next = rest.length === 0 ? '' : `page-${this.#serial++}`
    if (next !== '') this.#pages.set(next, { rest, revision })
    return {
      code: 200,
      body: {
        kind: 'List',
        metadata: { resourceVersion: String(revision), continue: next },
        items: all.slice(0, size),
      },
    }
  }

  #create(place: Place, object: KubeObject): ApiAnswer {
    const named = place.namespace === undefined ? object.metadata : { ...object.metadata, namespace: place.namespace }
    const key = keyOf({ ...object, metadata: named })
    if (this.object(place.collection, key) !== undefined)
      return refusal(409, 'AlreadyExists', `${place.collection} "${object.metadata.name}" already exists`)
    const { resourceVersion: _, uid: __, ...metadata } = named
    return { code: 201, body: this.#store(place.collection, { ...object, metadata }) }
  }

  #update(place: Place, object: KubeObject): ApiAnswer {
    const live = this.object(place.collection, keyIn(place))
    // a uid is a precondition: that of an object that is gone is a conflict
    if (live === undefined && object.metadata.uid !== undefined)
      return refusal(409, 'Conflict', `${place.collection} "${place.name}": it is not that object any more`)
    if (live === undefined) return missing(place)
    const refused = mismatch(place, live, object.metadata)
    if (refused !== undefined) return refused
    return { code: 200, body: this.#store(place.collection, keptParts(place, live, object)) }
  }

  #mergePatch(place: Place, patch: KubeObject): ApiAnswer {
    const live = this.object(place.collection, keyIn(place))
    if (live === undefined) return missing(place)
    const refused = mismatch(place, live, patch.metadata ?? {})
    if (refused !== undefined) return refused
    const next = merged(live, patch) as KubeObject
    const taken = podCIDRTaken(place, live, next)
    if (taken !== undefined) return taken
    return { code: 200, body: this.#store(place.collection, keptParts(place, live, next)) }
  }

  #apply(place: Place, { body, query }: ApiRequest): ApiAnswer {
    const wanted = body as KubeObject
    if (place.collection === 'customresourcedefinitions') {
      const status = { conditions: [{ type: 'Established', status: 'True' }] }
      return { code: 200, body: { ...wanted, status } }
    }
    const key = keyIn(place)
    const live = this.object(place.collection, key)
    if (live === undefined && place.subresource !== undefined) return missing(place)
    const refused = live && mismatch(place, live, wanted.metadata)
    if (refused !== undefined) return refused
    const owner = `${query?.fieldManager ?? ''} ${place.subresource ?? ''}`
    const managed = `${place.collection} ${key}`
    const outcome = applied(live, wanted, { owner, managers: this.#managers.get(managed) ?? new Map() })
    const stored = this.#store(
      place.collection,
      live === undefined ? outcome.object : keptParts(place, live, outcome.object),
    )
    this.#managers.set(managed, outcome.managers)
    return { code: live === undefined ? 201 : 200, body: stored }
  }

  #delete(place: Place, body: { preconditions?: Preconditions } | undefined): ApiAnswer {
    const key = keyIn(place)
    const live = this.object(place.collection, key)
    if (live === undefined) return missing(place)
    const refused = mismatch(place, live, body?.preconditions ?? {})
    if (refused !== undefined) return refused
    this.#remove(place.collection, key)
    return { code: 200, body: { kind: 'Status', status: 'Success', metadata: {} } }
  }

  #store(collection: string, object: KubeObject): KubeObject {
    const key = keyOf(object)
    const before = this.object(collection, key)
    const { resourceVersion: _, ...metadata } = object.metadata
    const uid = before?.metadata.uid ?? metadata.uid ?? `uid-${this.#serial++}`
    const creationTimestamp = before?.metadata.creationTimestamp ?? metadata.creationTimestamp ?? this.#now()
    const generation = generationOf(before, object)
    const lean = { ...object, metadata: { ...metadata, uid, creationTimestamp, generation } }
    if (before !== undefined) {
      const { resourceVersion, ...same } = before.metadata
      // a write that changes nothing is none
      if (Bun.deepEquals({ ...before, metadata: same }, lean)) return before
    }
    const stored = { ...lean, metadata: { ...lean.metadata, resourceVersion: String(this.#revision + 1) } }
    const objects = this.#objects.get(collection) ?? new Map<string, KubeObject>()
    this.#objects.set(collection, objects.set(key, stored))
    this.#tell({ collection, key, type: before === undefined ? 'ADDED' : 'MODIFIED', object: stored })
    return stored
  }

  #remove(collection: string, key: string): KubeObject | undefined {
    const before = this.object(collection, key)
    if (before === undefined) return undefined
    this.#objects.get(collection)?.delete(key)
    this.#managers.delete(`${collection} ${key}`)
    const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(this.#revision + 1) } }
    this.#tell({ collection, key, type: 'DELETED', object })
    return object
  }

  #tell(event: Omit<ServerEvent, 'revision'>): void {
    const full = { ...event, revision: ++this.#revision }
    this.#history.push(full)
    if (this.#history.length > HISTORY * 1.5) {
      const gone = this.#history.splice(0, this.#history.length - HISTORY)
      this.#compacted = gone.at(-1)?.revision ?? this.#compacted
    }
    for (const listener of [...this.#listeners]) listener(full)
  }
}

interface Preconditions {
  readonly uid?: string
  readonly resourceVersion?: string
}

export function refusal(code: number, reason: string, message: string): Refusal {
  return { code, reason, message }
}

export function isRefusal(answer: ApiAnswer): answer is Refusal {
  return 'reason' in answer
}

export function keyOf({ metadata: { name, namespace } }: KubeObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`
}

const places = new Map<string, Place>()

export function placeOf(path: string): Place {
  const known = places.get(path)
  if (known !== undefined) return known
  const parts = path.split('/').slice(1).map(decodeURIComponent)
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3)
  const namespace = rest[0] === 'namespaces' && rest.length > 2 ? rest[1] : undefined
  const [collection = '', name, subresource] = namespace === undefined ? rest : rest.slice(2)
  const place = { collection, namespace, name, subresource }
  places.set(path, place)
  return place
}

/** The selection of a list or watch: by namespace and by one name. */
export function matching(place: Place, query: ApiRequest['query']): (object: KubeObject) => boolean {
  const named = /^metadata\.name=(.+)$/.exec(query?.fieldSelector ?? '')?.[1]
  return ({ metadata }) =>
    (place.namespace === undefined || metadata.namespace === place.namespace) &&
    (named === undefined || metadata.name === named)
}

function keyIn(place: Place): string {
  return place.namespace === undefined ? (place.name ?? '') : `${place.namespace}/${place.name}`
}

function missing(place: Place): Refusal {
  return refusal(404, 'NotFound', `${place.collection} "${place.name}" not found`)
}

function mismatch(place: Place, live: KubeObject, wanted: Preconditions): Refusal | undefined {
  const { uid, resourceVersion } = live.metadata
  const isOther =
    (wanted.uid !== undefined && wanted.uid !== uid) ||
    (wanted.resourceVersion !== undefined && wanted.resourceVersion !== resourceVersion)
  return isOther
    ? refusal(409, 'Conflict', `${place.collection} "${live.metadata.name}": the object has been modified`)
    : undefined
}

/** A write of the main resource leaves the status alone, one of the status all else. */
function keptParts(place: Place, live: KubeObject, next: KubeObject): KubeObject {
  if (!WITH_STATUS.has(place.collection)) return next
  const status = 'status' in live ? { status: live.status } : {}
  if (place.subresource === 'status')
    return { ...live, ...('status' in next ? { status: next.status } : status) } as KubeObject
  const { status: _, ...main } = next as KubeObject & { status?: unknown }
  return { ...main, ...status }
}

/** A podCIDR that is set cannot be changed (ValidateNodeUpdate). */
function podCIDRTaken(place: Place, live: KubeObject, next: KubeObject): Refusal | undefined {
  if (place.collection !== 'nodes') return undefined
  const podCIDRs = (object: KubeObject) => (object as { spec?: { podCIDRs?: unknown } }).spec?.podCIDRs
  if (podCIDRs(live) === undefined || Bun.deepEquals(podCIDRs(live), podCIDRs(next))) return undefined
  return refusal(422, 'Invalid', `Node "${live.metadata.name}" is invalid: spec.podCIDRs may not be changed`)
}

function generationOf(before: KubeObject | undefined, object: KubeObject): number {
  const generation = before?.metadata.generation ?? 0
  if (before === undefined) return 1
  const spec = (one: KubeObject) => ('spec' in one ? one.spec : undefined)
  return Bun.deepEquals(spec(before), spec(object)) ? generation : generation + 1
}
