/**
 * The lab's API server: requests in, answers out (`fetch`), as a Kubernetes API server of one
 * version answers them. For the lab and for tests, never for production: no TLS, no authentication,
 * no authorisation, no admission but what `write.ts` says, state in memory.
 *
 * The HTTP around `object-api.ts`, which answers for objects: here are bodies, watches that go on,
 * and what a server says of itself.
 */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { decodeJson } from './body.ts'
import { discovery, openApi, SERVER_VERSION } from './discovery.ts'
import { badRequest, type Failure, fail, isFailure, statusOf } from './failure.ts'
import type { JsonObject } from './json.ts'
import { type ObjectAnswer, ObjectApi } from './object-api.ts'
import { decodeAccept, decodePath, type Rendering, type Target } from './request.ts'
import type { Store, StoreImage } from './store.ts'
import { watch } from './watch.ts'

const DEFAULT_WATCH_SECONDS = 1800

export interface LabApiOptions {
  readonly clock: Clock
  /** What it held in a former life. */
  readonly image?: StoreImage
  readonly bookmarkMilliseconds?: number
  /** Events kept for watches to go on from. */
  readonly historyLength?: number
}

interface WatchAsked {
  readonly target: Target
  readonly query: URLSearchParams
  readonly rendering: Rendering
}

export class LabApi {
  readonly #objects: ObjectApi
  readonly #clock: Clock
  readonly #bookmarkMilliseconds: number

  constructor({ clock, bookmarkMilliseconds, ...kept }: LabApiOptions) {
    this.#clock = clock
    this.#bookmarkMilliseconds = bookmarkMilliseconds ?? 30_000
    this.#objects = new ObjectApi({ ...kept, now: () => clock.now(), newUid: () => randomUUID() })
  }

  get store(): Store {
    return this.#objects.store
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

  async #answer(request: Request): Promise<ObjectAnswer | Response> {
    const url = new URL(request.url)
    const { searchParams: query } = url
    const fixed = this.#fixedAnswer(url.pathname)
    if (fixed !== undefined) return fixed
    const target = decodePath(url.pathname)
    if (target === undefined) return fail(404, 'NotFound', 'the server could not find the requested resource')
    const rendering = decodeAccept(request.headers.get('accept'))
    if (rendering === undefined) return fail(406, 'NotAcceptable', 'only application/json is served')
    const { method, headers } = request
    if (method === 'GET' && ['true', '1'].includes(query.get('watch') ?? ''))
      return this.#watch({ target, query, rendering })
    const body = method === 'GET' ? undefined : await decodeJson(request)
    const from = { contentType: headers.get('content-type'), userAgent: headers.get('user-agent') }
    return this.#objects.answer({ method, target, query, rendering, body, ...from })
  }

  #fixedAnswer(path: string): ObjectAnswer | Response | undefined {
    if (['/readyz', '/healthz', '/livez'].includes(path)) return new Response('ok')
    if (path === '/version')
      return {
        code: 200,
        body: { ...SERVER_VERSION, platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}` },
      }
    const { resources } = this.#objects
    const body = path.startsWith('/openapi/v3') ? openApi(path, resources) : discovery(path, resources)
    return body && { code: 200, body }
  }

  #watch({ target, query, rendering }: WatchAsked): Failure | Response {
    const selected = this.#objects.selected(target, query)
    if (isFailure(selected)) return selected
    const { resource, matches } = selected
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
}

function json(code: number, body: JsonObject): Response {
  return Response.json(body, { status: code })
}
