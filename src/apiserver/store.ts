/**
 * The objects of the lab's API server in memory, with one revision counter for all (as etcd has)
 * and a bounded history, from which watches go on and paged lists stay consistent. Knows no kinds
 * and no HTTP. Pure.
 */
import { Listeners } from '../lib/listeners.ts'
import { type Json, type JsonObject, textAt, withMetadata } from './json.ts'

export interface StoreEvent {
  readonly revision: number
  /** The resource's key, such as `nodes` or `bgppeers.network.openyurt.io`. */
  readonly resource: string
  /** `name` or `namespace/name`. */
  readonly key: string
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: JsonObject
  readonly previous: JsonObject | undefined
}

/** A store in one value: what the state file holds. */
export interface StoreImage {
  readonly revision: number
  readonly objects: { readonly [resource: string]: readonly JsonObject[] }
}

export function objectKey(object: JsonObject): string {
  const namespace = textAt(object, 'metadata', 'namespace')
  const name = textAt(object, 'metadata', 'name')
  return namespace === '' ? name : `${namespace}/${name}`
}

export class Store {
  readonly #objects = new Map<string, Map<string, JsonObject>>()
  readonly #listeners = new Listeners<[event: StoreEvent]>()
  readonly #historyLength: number
  #history: StoreEvent[] = []
  #revision = 1
  /** The newest revision that the history no longer holds. */
  #compacted = 1

  constructor(options: { historyLength?: number } = {}) {
    this.#historyLength = options.historyLength ?? 10_000
  }

  get revision(): number {
    return this.#revision
  }

  get(resource: string, key: string): JsonObject | undefined {
    return this.#objects.get(resource)?.get(key)
  }

  /**
   * All objects of a resource in the order of their keys; `revision` asks for them as they were
   * then. Undefined: no longer known.
   */
  list(resource: string, revision = this.#revision): readonly JsonObject[] | undefined {
    if (revision < this.#compacted || revision > this.#revision) return undefined
    const objects = new Map(this.#objects.get(resource))
    const since = revision === this.#revision ? [] : this.#history
    for (const event of since.filter(past => past.resource === resource && past.revision > revision).reverse()) {
      if (event.previous === undefined) objects.delete(event.key)
      else objects.set(event.key, event.previous)
    }
    return [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object)
  }

  /**
   * Stores an object, new or changed, with the next revision as its resourceVersion; returns it.
   */
  put(resource: string, object: JsonObject): JsonObject {
    const key = objectKey(object)
    const previous = this.get(resource, key)
    const stamped = withMetadata(object, { resourceVersion: String(this.#revision + 1) })
    const objects = this.#objects.get(resource) ?? new Map<string, JsonObject>()
    this.#objects.set(resource, objects.set(key, stamped))
    this.#record({ resource, key, type: previous === undefined ? 'ADDED' : 'MODIFIED', object: stamped, previous })
    return stamped
  }

  /**
   * Removes an object that is there; returns it as it was last, with the revision of its removal.
   */
  remove(resource: string, key: string): JsonObject | undefined {
    const previous = this.get(resource, key)
    if (previous === undefined) return undefined
    this.#objects.get(resource)?.delete(key)
    const object = withMetadata(previous, { resourceVersion: String(this.#revision + 1) })
    this.#record({ resource, key, type: 'DELETED', object, previous })
    return object
  }

  /**
   * What happened after `revision`; undefined when the history does not reach back so far, or
   * `revision` is of a life that was lost.
   */
  since(revision: number): readonly StoreEvent[] | undefined {
    if (revision < this.#compacted || revision > this.#revision) return undefined
    return this.#history.filter(event => event.revision > revision)
  }

  /** Calls `listener` with each event from now on. Returns how to stop that. */
  subscribe(listener: (event: StoreEvent) => void): () => void {
    return this.#listeners.add(listener)
  }

  image(): StoreImage {
    return {
      revision: this.#revision,
      objects: Object.fromEntries([...this.#objects].map(([resource, objects]) => [resource, [...objects.values()]])),
    }
  }

  /** Puts an image in the place of an empty store. Watches of a former life start over (410). */
  load(image: StoreImage): void {
    this.#revision = image.revision
    this.#compacted = image.revision
    for (const [resource, objects] of Object.entries(image.objects))
      this.#objects.set(resource, new Map(objects.map(object => [objectKey(object), object])))
  }

  #record(event: Omit<StoreEvent, 'revision'>): void {
    const full: StoreEvent = { ...event, revision: ++this.#revision }
    this.#history.push(full)
    if (this.#history.length > this.#historyLength * 1.25) {
      const gone = this.#history.splice(0, this.#history.length - this.#historyLength)
      this.#compacted = gone.at(-1)?.revision ?? this.#compacted
    }
    this.#listeners.tell(full)
  }
}

/** An image out of a state file, or undefined when the text is not one. */
export function decodeImage(text: string): StoreImage | undefined {
  const value: Json = JSON.parse(text)
  if (typeof value !== 'object' || value === null || !('revision' in value) || !('objects' in value)) return undefined
  const { revision, objects } = value
  if (typeof revision !== 'number' || typeof objects !== 'object' || objects === null || Array.isArray(objects))
    return undefined
  return { revision, objects: Object.fromEntries(Object.entries(objects).map(([key, list]) => [key, asObjects(list)])) }
}

function asObjects(list: Json): readonly JsonObject[] {
  return Array.isArray(list)
    ? list.filter(item => typeof item === 'object' && item !== null && !Array.isArray(item))
    : []
}
