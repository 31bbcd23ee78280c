/**
 * Reads a collection in pages, and a page object by object as it arrives, so that neither side
 * holds thousands of objects as one text. A list whose continue token has expired (410) begins
 * again.
 */
import { ApiError, type ListOptions } from './api.ts'
import { ListSplitter, type UnreadFields, withoutUnread } from './lean-json.ts'
import { apiVersionOf, resourcePath } from './paths.ts'
import { hasName, type KubeObject, type ResourceType } from './resources.ts'
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
  /** Fields of each object that need not be parsed: `keep` finds null there. */
  readonly unread?: UnreadFields
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
  { keep, unread = {}, signal, onPage }: ReadOptions<T, Kept>,
): Promise<Pages<Kept>> {
  const items: Kept[] = []
  // items of a typed list carry neither apiVersion nor kind; a reader of one object expects both
  const typed = { apiVersion: apiVersionOf(type), kind: type.kind }
  let next: string | undefined
  for (;;) {
    const query = { ...selectorQuery(options), limit: String(PAGE_SIZE), continue: next }
    const path = resourcePath(type, options.namespace)
    const body = await transport.body({ method: 'GET', path, query, ...(signal !== undefined && { signal }) })
    const splitter = new ListSplitter()
    for await (const chunk of body)
      for (const item of itemsIn(splitter, chunk)) items.push(keep({ ...objectOf(item, unread), ...typed } as T))
    const page = frameOf(parsed(splitter.frame()))
    onPage?.()
    if (page.next === '') return { items, resourceVersion: page.resourceVersion }
    next = page.next
  }
}

export function selectorQuery(options: ListOptions): Record<string, string | undefined> {
  return { labelSelector: options.labelSelector, fieldSelector: options.fieldSelector }
}

/**
 * The parts of a list in use, beside its items. Throws `ApiError` when it is none: an empty answer
 * must never pass for an empty collection.
 */
function frameOf(value: unknown): { resourceVersion: string; next: string } {
  if (typeof value === 'object' && value !== null && 'items' in value && 'metadata' in value) {
    const { items, metadata } = value
    const isList = items === null || Array.isArray(items) // null: an empty list of old servers
    if (isList && typeof metadata === 'object' && metadata !== null) {
      const text = (name: string) => {
        const field: unknown = (metadata as Record<string, unknown>)[name]
        return typeof field === 'string' ? field : ''
      }
      return { resourceVersion: text('resourceVersion'), next: text('continue') }
    }
  }
  throw noList()
}

function itemsIn(splitter: ListSplitter, chunk: Uint8Array): readonly Uint8Array[] {
  try {
    return splitter.push(chunk)
  } catch (error) {
    throw noList(error)
  }
}

function objectOf(item: Uint8Array, unread: UnreadFields): KubeObject {
  const value = parsed(withoutUnread(item, unread))
  if (!hasName(value)) throw noList()
  return value
}

const decoder = new TextDecoder()

function parsed(json: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(json))
  } catch (error) {
    throw noList(error)
  }
}

function noList(cause?: unknown): ApiError {
  return new ApiError('the API server answered a list with something that is not one', { status: 0, cause })
}
