/**
 * One page of a list: consistent with the page before, because it is taken from the store as it was
 * then. A page of a list that the history no longer reaches is 410, and the client lists anew.
 * Pure, but for the store it reads.
 */
import { badRequest, expired, type Failure } from './failure.ts'
import type { JsonObject } from './json.ts'
import { decodeContinue, encodeContinue } from './request.ts'
import { type Resource, resourceKey } from './resource.ts'
import type { Matches } from './selectors.ts'
import { objectKey, type Store } from './store.ts'

export interface PageWish {
  readonly matches: Matches
  /** The `continue` of the page before; empty or null for the first. */
  readonly token: string | null
  /** The most objects wanted; 0 for all. */
  readonly limit: number
}

export interface ListPage {
  readonly objects: readonly JsonObject[]
  /** metav1.ListMeta. */
  readonly metadata: JsonObject
}

export function listPage(store: Store, resource: Resource, { matches, token, limit }: PageWish): ListPage | Failure {
  const first = token === null || token === ''
  const from = first ? undefined : decodeContinue(token)
  if (!first && from === undefined) return badRequest('continue key is not valid')
  const revision = from?.revision ?? store.revision
  const all = store.list(resourceKey(resource), revision)
  if (all === undefined) return expired()
  const rest = all.filter(object => matches(object) && (from === undefined || objectKey(object) > from.after))
  const objects = limit > 0 ? rest.slice(0, limit) : rest
  const last = objects.at(-1)
  const remaining = rest.length - objects.length
  const more: JsonObject =
    remaining > 0 && last !== undefined
      ? { continue: encodeContinue({ revision, after: objectKey(last) }), remainingItemCount: remaining }
      : {}
  return { objects, metadata: { resourceVersion: String(revision), ...more } }
}
