/**
 * `KubeApi` on the lab's API server in the same process, for tests with a clock of their own: reads
 * and writes go through its real rules (server-side apply, schemas, conflicts), caches are told at
 * once. Each write may be watched, and broken off before or after it took effect.
 */
import type { LabApi } from '../../src/apiserver/lab-api.ts'
import {
  ApiError,
  type ApplyOptions,
  type Cache,
  type CacheOptions,
  type KubeApi,
  type ListOptions,
} from '../../src/kube/api.ts'
import { resourcePath } from '../../src/kube/paths.ts'
import type { KubeObject, ResourceType } from '../../src/kube/resources.ts'
import { settle } from './fake-clock.ts'

/** Called around each write; throwing breaks it off. */
export interface Around {
  before(what: string): void
  after(what: string): void
}

export class MemoryKube implements KubeApi {
  readonly server = 'memory'
  readonly #lab: LabApi
  readonly #around: Around
  readonly #closers = new Set<() => void>()

  constructor(lab: LabApi, around: Around = { before() {}, after() {} }) {
    this.#lab = lab
    this.#around = around
  }

  async get<T extends KubeObject>(type: ResourceType, name: string, namespace?: string): Promise<T | undefined> {
    return await this.#request<T>('GET', resourcePath(type, namespace, name)).catch(undefinedWhenMissing)
  }
  async list<T extends KubeObject>(type: ResourceType, options: ListOptions = {}): Promise<readonly T[]> {
    const query =
      options.fieldSelector === undefined ? '' : `?fieldSelector=${encodeURIComponent(options.fieldSelector)}`
    const answer = await this.#request<{ items: T[] }>('GET', `${resourcePath(type, options.namespace)}${query}`)
    return answer.items.map(item => ({
      ...item,
      apiVersion: type.group === '' ? type.version : `${type.group}/${type.version}`,
      kind: type.kind,
    }))
  }
  create<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    return this.#request<T>('POST', resourcePath(type, object.metadata.namespace), object)
  }
  replace<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    return this.#request<T>('PUT', resourcePath(type, object.metadata.namespace, object.metadata.name), object)
  }
  mergePatch<T extends KubeObject>(
    type: ResourceType,
    name: string,
    patch: object,
    options: { namespace?: string; subresource?: 'status' } = {},
  ): Promise<T> {
    const path = resourcePath(type, options.namespace, name, options.subresource)
    return this.#request<T>('PATCH', path, patch, 'application/merge-patch+json')
  }
  apply<T extends KubeObject>(type: ResourceType, object: T, options: ApplyOptions): Promise<T> {
    const { name, namespace } = object.metadata
    const path = resourcePath(type, namespace, name, options.subresource)
    const query = `fieldManager=${options.fieldManager}&force=${options.force === true}`
    return this.#request<T>('PATCH', `${path}?${query}`, object, 'application/apply-patch+yaml')
  }
  async delete(type: ResourceType, name: string, namespace?: string): Promise<boolean> {
    const gone = await this.#request('DELETE', resourcePath(type, namespace, name)).catch(undefinedWhenMissing)
    return gone !== undefined
  }
  async deleteUnchanged(type: ResourceType, { metadata }: KubeObject): Promise<boolean> {
    const { name, namespace, uid, resourceVersion } = metadata
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } }
    const gone = await this.#request('DELETE', resourcePath(type, namespace, name), body).catch(undefinedWhenMissing)
    return gone !== undefined
  }
  cache<T extends KubeObject>(type: ResourceType, options: CacheOptions<T> = {}): Cache<T> {
    const key = type.group === '' ? type.plural : `${type.plural}.${type.group}`
    const listeners = new Set<() => void>()
    const named = /^metadata\.name=(.+)$/.exec(options.fieldSelector ?? '')?.[1]
    const store = this.#lab.store
    const stop = store.subscribe(event => {
      if (event.resource === key)
        queueMicrotask(() => {
          for (const listener of listeners) listener()
        })
    })
    this.#closers.add(stop)
    return {
      synced: true,
      get objects() {
        const all = (store.list(key) ?? []) as unknown as T[]
        const mine = all.filter(
          ({ metadata }) =>
            (named === undefined || metadata.name === named) &&
            (options.namespace === undefined || metadata.namespace === options.namespace),
        )
        return new Map(
          mine.map(object => [
            object.metadata.namespace === undefined
              ? object.metadata.name
              : `${object.metadata.namespace}/${object.metadata.name}`,
            options.reduce?.(object) ?? object,
          ]),
        )
      },
      lastContact: 0,
      problem: undefined,
      kindUnknown: false,
      listedAt: 0,
      onChange(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      refresh: () => settle(),
      close: () => {
        listeners.clear()
        stop()
      },
    }
  }
  async reach(): Promise<void> {}
  close(): void {
    for (const stop of this.#closers) stop()
  }

  async #request<T>(method: string, path: string, body?: object, contentType = 'application/json'): Promise<T> {
    const what = `${method} ${path}`
    if (method !== 'GET') this.#around.before(what)
    const request = new Request(`http://memory${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': contentType } }),
    })
    const answer = await this.#lab.fetch(request)
    const value = (await answer.json()) as T & { message?: string; reason?: string }
    if (!answer.ok)
      throw new ApiError(value.message ?? '', {
        status: answer.status,
        ...(value.reason === undefined ? {} : { reason: value.reason }),
      })
    if (method !== 'GET') this.#around.after(what)
    return value
  }
}

function undefinedWhenMissing(error: unknown): undefined {
  if (error instanceof ApiError && error.status === 404) return undefined
  throw error
}
