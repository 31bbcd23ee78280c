/**
 * Reads a collection in pages, so that neither side holds thousands of objects as one text. A list
 * whose continue token has expired (410) begins again.
 */
import { ApiError, type ListOptions } from './api.ts'
import { apiVersionOf, resourcePath } from './paths.ts'
import type { KubeObject, ResourceType } from './resources.ts'
import type { ApiTransport } from './transport.ts'

const PAGE_SIZE = 500
const MAXIMUM_RESTARTS = 3

export interface Pages<T> {
  readonly items: readonly T[]
  /** Where a watch goes on. */
  readonly resourceVersion: string
}

export interface ReadOptions<T, Kept> {
  /** Reduces each object as it comes in. */
  readonly keep: (object: T) => Kept
  readonly signal?: AbortSignal
  readonly onPage?: () => void
}

/** All objects of a collection, as `keep` leaves them. Throws `ApiError`. */
export async function readPages<T extends KubeObject, Kept>(
  transport: ApiTransport,
  type: ResourceType,
  options: ListOptions,
  read: ReadOptions<T, Kept>,
): Promise<Pages<Kept>> {
  for (let restarts = 0; ; restarts++) {
    try {
      return await readOnce(transport, type, options, read)
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 410) || restarts === MAXIMUM_RESTARTS) throw error
    }
  }
}

async function readOnce<T extends KubeObject, Kept>(
  transport: ApiTransport,
  type: ResourceType,
  options: ListOptions,
  { keep, signal, onPage }: ReadOptions<T, Kept>,
): Promise<Pages<Kept>> {
  const items: Kept[] = []
  let next: string | undefined
  for (;;) {
    const page = listOf(
      await transport.request({
        method: 'GET',
        path: resourcePath(type, options.namespace),
        query: { ...selectorQuery(options), limit: String(PAGE_SIZE), continue: next },
        ...(signal === undefined ? {} : { signal }),
      }),
    )
    onPage?.()
    // items of a typed list carry neither apiVersion nor kind; a reader of one object expects both
    for (const item of page.items) items.push(keep({ ...item, apiVersion: apiVersionOf(type), kind: type.kind } as T))
    if (page.next === '') return { items, resourceVersion: page.resourceVersion }
    next = page.next
  }
}

export function selectorQuery(options: ListOptions): Record<string, string | undefined> {
  return { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector }
}

/**
 * The parts of a list in use. Throws `ApiError` when it is none: an empty answer must never pass
 * for an empty collection.
 */
function listOf(value: unknown): { items: readonly KubeObject[]; resourceVersion: string; next: string } {
  if (typeof value === 'object' && value !== null && 'items' in value && 'metadata' in value) {
    const { items, metadata } = value
    const list = items === null ? [] : items // an empty list of old servers
    if (Array.isArray(list) && list.every(hasName) && typeof metadata === 'object' && metadata !== null) {
      const text = (name: string) => {
        const field: unknown = (metadata as Record<string, unknown>)[name]
        return typeof field === 'string' ? field : ''
      }
      return { items: list, resourceVersion: text('resourceVersion'), next: text('continue') }
    }
  }
  throw new ApiError('the API server answered a list with something that is not one', { status: 0 })
}

export function hasName(value: unknown): value is KubeObject {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return false
  const { metadata } = value
  return typeof metadata === 'object' && metadata !== null && 'name' in metadata && typeof metadata.name === 'string'
}
