/**
 * `KubeApi` over the transport: paths, verbs, pages. One generic builder serves every kind in
 * `resources.ts`, so a new kind is a line there and nothing here.
 *
 * Does not validate what comes back beyond its being an object with a name: decoders of this room
 * do.
 */
import type { Clock } from '../lib/clock.ts'
import { errorCode } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import {
  type ApiCounts,
  ApiError,
  type ApplyOptions,
  type Cache,
  type CacheOptions,
  type KubeApi,
  type ListOptions,
} from './api.ts'
import { type CacheTimes, WatchCache } from './cache.ts'
import type { Kubeconfig } from './kubeconfig.ts'
import { readPages } from './pages.ts'
import { resourcePath } from './paths.ts'
import type { KubeObject, ResourceType } from './resources.ts'
import { type ApiTransport, Transport } from './transport.ts'

export interface KubeApiOptions {
  readonly kubeconfig: Kubeconfig
  readonly clock: Clock
  readonly log: Log
  /** Other times for caches than the usual ones: for tests. */
  readonly cacheTimes?: Partial<CacheTimes>
}

export function createKubeApi({ kubeconfig, ...options }: KubeApiOptions): KubeApi {
  return createKubeApiOver(new Transport(kubeconfig), options)
}

/** The same over a transport of the caller's, which is closed with it. */
export function createKubeApiOver(transport: ApiTransport, options: Omit<KubeApiOptions, 'kubeconfig'>): KubeApi {
  return new Client(transport, options)
}

class Client implements KubeApi {
  readonly #options: Omit<KubeApiOptions, 'kubeconfig'>
  readonly #transport: ApiTransport
  readonly #caches = new Set<{ close(): void }>()

  constructor(transport: ApiTransport, options: Omit<KubeApiOptions, 'kubeconfig'>) {
    this.#options = options
    this.#transport = transport
  }
  get server(): string {
    return this.#transport.server
  }
  get counts(): ApiCounts | undefined {
    return this.#transport.counts
  }

  async get<T extends KubeObject>(type: ResourceType, name: string, namespace?: string): Promise<T | undefined> {
    try {
      return asObject<T>(await this.#transport.request({ method: 'GET', path: resourcePath(type, namespace, name) }))
    } catch (error) {
      if (isMissingObject(error)) return undefined
      throw error
    }
  }

  async list<T extends KubeObject>(type: ResourceType, options: ListOptions = {}): Promise<readonly T[]> {
    const { items } = await readPages<T, T>(this.#transport, type, options, { keep: object => object })
    return items
  }

  async create<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    const path = resourcePath(type, object.metadata.namespace)
    return asObject<T>(await this.#transport.request({ method: 'POST', path, body: object }))
  }

  async replace<T extends KubeObject>(type: ResourceType, object: T): Promise<T> {
    const path = resourcePath(type, object.metadata.namespace, object.metadata.name)
    return asObject<T>(await this.#transport.request({ method: 'PUT', path, body: object }))
  }

  async mergePatch<T extends KubeObject>(
    type: ResourceType,
    name: string,
    patch: object,
    options: { namespace?: string; subresource?: 'status' } = {},
  ): Promise<T> {
    const path = resourcePath(type, options.namespace, name, options.subresource)
    const contentType = 'application/merge-patch+json'
    return asObject<T>(await this.#transport.request({ method: 'PATCH', path, body: patch, contentType }))
  }

  async apply<T extends KubeObject>(type: ResourceType, object: T, options: ApplyOptions): Promise<T> {
    const { name, namespace } = object.metadata
    const answer = await this.#transport.request({
      method: 'PATCH',
      path: resourcePath(type, namespace, name, options.subresource),
      query: { fieldManager: options.fieldManager, force: options.force === true ? 'true' : undefined },
      body: object, // JSON is YAML, which is what the media type asks for
      contentType: 'application/apply-patch+yaml',
    })
    return asObject<T>(answer)
  }

  delete(type: ResourceType, name: string, namespace?: string): Promise<boolean> {
    return this.#delete(resourcePath(type, namespace, name), {})
  }

  deleteUnchanged(type: ResourceType, { metadata }: KubeObject): Promise<boolean> {
    const { name, namespace, uid, resourceVersion } = metadata
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } }
    return this.#delete(resourcePath(type, namespace, name), { body })
  }

  async #delete(path: string, options: { readonly body?: object }): Promise<boolean> {
    try {
      await this.#transport.request({ method: 'DELETE', path, ...options })
      return true
    } catch (error) {
      if (isMissingObject(error)) return false
      throw error
    }
  }

  async reach(timeoutMilliseconds: number): Promise<void> {
    try {
      await this.#transport.request({ method: 'GET', path: '/version', timeoutMilliseconds })
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      // who refuses a connection was reached
      const refused = ['ECONNREFUSED', 'ConnectionRefused'].includes(errorCode(error.cause) ?? '')
      if (error.status === 0 && !refused) throw error
    }
  }

  cache<T extends KubeObject>(type: ResourceType, options: CacheOptions<T> = {}): Cache<T> {
    const cache = new WatchCache<T>({
      transport: this.#transport,
      type,
      options,
      clock: this.#options.clock,
      log: this.#options.log,
      ...(this.#options.cacheTimes === undefined ? {} : { times: this.#options.cacheTimes }),
      onClose: () => this.#caches.delete(cache),
    })
    this.#caches.add(cache)
    return cache
  }

  close(): void {
    for (const cache of [...this.#caches]) cache.close()
    this.#transport.close()
  }
}

/**
 * A 404: no such object, or not even its kind (a CRD that is not installed), which has none either.
 */
function isMissingObject(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404
}

function asObject<T extends KubeObject>(value: unknown): T {
  if (typeof value === 'object' && value !== null && 'kind' in value) return value as T
  throw new ApiError('the API server answered with something that is not an object', { status: 0 })
}
