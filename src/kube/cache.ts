/**
 * A collection kept current: list in pages, then watch from there, for ever. Whatever goes wrong
 * (the server restarts, its history is gone (410), a line is not JSON, the connection is half dead
 * and silent) ends in another try with back-off, and until one succeeds the objects stay as they
 * were: an error never looks like an empty collection.
 *
 * Does not interpret objects. Listeners learn that something changed, not what: they look at the
 * whole (level-triggered).
 */
import { type Backoff, backoffMilliseconds } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { sleep } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { ApiError, type Cache, type CacheOptions } from './api.ts'
import type { UnreadFields } from './lean-json.ts'
import { readPages, selectorQuery } from './pages.ts'
import { apiVersionOf, resourcePath } from './paths.ts'
import type { KubeObject, ResourceType } from './resources.ts'
import type { ApiTransport } from './transport.ts'
import { decodeWatchLine, LineSplitter, type WatchEvent } from './watch-lines.ts'

export interface CacheTimes {
  readonly backoff: Backoff
  /**
   * How long one watch is asked to last (plus up to half of it, so that nodes do not come back
   * together).
   */
  readonly watchSeconds: number
  /** A watch that has not begun to answer by then never will. */
  readonly answerMilliseconds: number
  /**
   * A watch on which nothing came for this long (bookmarks come each minute) is taken for dead and
   * begun anew.
   */
  readonly idleMilliseconds: number
  /**
   * A watch that held this long was a good one: the next failure starts with a short pause again.
   */
  readonly settledMilliseconds: number
}

const USUAL_TIMES: CacheTimes = {
  backoff: { initialMilliseconds: 500, maximumMilliseconds: 30_000 },
  watchSeconds: 300,
  answerMilliseconds: 30_000,
  idleMilliseconds: 90_000,
  settledMilliseconds: 10_000,
}

export interface WatchCacheOptions<T extends KubeObject> {
  readonly transport: ApiTransport
  readonly type: ResourceType
  readonly options: CacheOptions<T>
  readonly clock: Clock
  readonly log: Log
  readonly times?: Partial<CacheTimes>
  readonly onClose?: () => void
}

/** Why a watch ended without an error: what to do next. */
type WatchEnd = 'again' | 'relist'

export class WatchCache<T extends KubeObject> implements Cache<T> {
  readonly #options: WatchCacheOptions<T>
  readonly #times: CacheTimes
  readonly #unread: UnreadFields
  readonly #closed = new AbortController()
  readonly #listeners = new Listeners()
  #objects = new Map<string, T>()
  #synced = false
  #lastContact: number | undefined
  #problem: string | undefined
  #kindUnknown = false
  #listedAt: number | undefined
  #resourceVersion: string | undefined
  #failures = 0
  /** Who waits for a list that begins from now on. */
  #waiting: (() => void)[] = []
  /** Who waits for the list that is under way; undefined while none is. */
  #awaiting: (() => void)[] | undefined
  /** When the last list began that came in or is under way, in Clock.monotonic() milliseconds. */
  #listBegan = Number.NEGATIVE_INFINITY
  #interruptWatch: () => void = () => {}
  /** The last watch was answered, and then nothing whole came on it. */
  #isDoubtful = false

  constructor(options: WatchCacheOptions<T>) {
    this.#options = options
    this.#times = { ...USUAL_TIMES, ...options.times }
    const { unread } = options.options
    this.#unread = { ...unread, metadata: { ...below(unread?.metadata), managedFields: true } }
    void this.#run().finally(() => this.#answerWaiting(this.#waiting.splice(0)))
  }
  get synced(): boolean {
    return this.#synced
  }
  get objects(): ReadonlyMap<string, T> {
    return this.#objects
  }
  get lastContact(): number | undefined {
    return this.#lastContact
  }
  get problem(): string | undefined {
    return this.#problem
  }
  get kindUnknown(): boolean {
    return this.#kindUnknown
  }
  get listedAt(): number | undefined {
    return this.#listedAt
  }
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }
  refresh(since = Number.POSITIVE_INFINITY): Promise<void> {
    if (this.#closed.signal.aborted) return Promise.resolve()
    const isNewer = this.#listBegan > since
    if (isNewer && this.#awaiting === undefined) return Promise.resolve()
    const { promise, resolve } = Promise.withResolvers<void>()
    if (isNewer) {
      this.#awaiting?.push(resolve)
      return promise
    }
    this.#waiting.push(resolve)
    this.#interruptWatch()
    return promise
  }
  close(): void {
    this.#listeners.clear()
    this.#closed.abort()
    this.#options.onClose?.()
  }

  async #run(): Promise<void> {
    const { clock } = this.#options
    await this.#options.options.begin
    while (!this.#closed.signal.aborted) {
      const startedAt = clock.monotonic()
      try {
        if (this.#isDoubtful) await this.#prove()
        if (this.#resourceVersion === undefined || this.#waiting.length > 0) await this.#list()
        else if ((await this.#watch(this.#resourceVersion)) === 'relist') this.#resourceVersion = undefined
        if (clock.monotonic() - startedAt >= this.#times.settledMilliseconds) this.#failures = 0
        else if (this.#watchedBriefly && this.#waiting.length === 0) await this.#pause()
      } catch (error) {
        if (this.#closed.signal.aborted) return
        if (clock.monotonic() - startedAt >= this.#times.settledMilliseconds) this.#failures = 0
        this.#failed(error)
        await this.#pause()
      }
    }
  }

  /**
   * Set when the last step was a watch that ended soon: a server that hangs up at once must not be
   * asked in a tight loop.
   */
  #watchedBriefly = false

  async #pause(): Promise<void> {
    const { clock } = this.#options
    const pause = backoffMilliseconds(this.#times.backoff, this.#failures++, clock.random())
    await sleep(clock, pause, this.#closed.signal)
  }

  /**
   * Asks for one object: bytes that trickle in on a watch are no contact, a whole answer is. A
   * server that is behind what was listed had a backup restored: it keeps a watch from ahead of
   * itself open and tells it nothing, so all is listed anew.
   */
  async #prove(): Promise<void> {
    const { transport, type, options } = this.#options
    const query = { ...selectorQuery(options), limit: '1' }
    const path = resourcePath(type, options.namespace)
    const timeoutMilliseconds = this.#times.answerMilliseconds
    const request = { method: 'GET', path, query, timeoutMilliseconds, signal: this.#closed.signal } as const
    const answer = await transport.request(request)
    if (isBehind(answer, this.#resourceVersion)) this.#resourceVersion = undefined
    this.#isDoubtful = false
    this.#reached()
  }

  async #list(): Promise<void> {
    const awaiting = this.#waiting.splice(0)
    const before = this.#listBegan
    this.#awaiting = awaiting
    this.#listBegan = this.#options.clock.monotonic()
    try {
      await this.#listOnce()
      this.#awaiting = undefined
      this.#answerWaiting(awaiting)
    } catch (error) {
      this.#awaiting = undefined
      this.#listBegan = before
      this.#waiting.unshift(...awaiting)
      throw error
    }
  }

  #answerWaiting(waiting: readonly (() => void)[]): void {
    for (const resolve of waiting) resolve()
  }

  async #listOnce(): Promise<void> {
    const { transport, type, options } = this.#options
    this.#watchedBriefly = false
    const { items, resourceVersion } = await readPages<T, readonly [string, T]>(transport, type, options, {
      // the key first: reducing may drop the namespace
      keep: object => [keyOf(object), this.#keep(object)],
      unread: this.#unread,
      signal: this.#closed.signal,
      onPage: () => this.#contact(),
    })
    if (this.#closed.signal.aborted) return
    const objects = new Map(items)
    const first = !this.#synced
    const changed = first || !sameObjects(this.#objects, objects)
    this.#objects = objects
    this.#synced = true
    this.#listedAt = this.#options.clock.monotonic()
    this.#resourceVersion = resourceVersion
    this.#reached()
    if (changed) this.#notify()
  }

  async #watch(resourceVersion: string): Promise<WatchEnd> {
    const { transport, type, options, clock } = this.#options
    const idle = new AbortController()
    const seconds = Math.round(this.#times.watchSeconds * (1 + clock.random() / 2))
    const startedAt = clock.monotonic()
    const signal = AbortSignal.any([idle.signal, this.#closed.signal])
    this.#interruptWatch = () => idle.abort()
    let answered = false
    let heard = false
    let cancel = clock.after(this.#times.answerMilliseconds, () => idle.abort())
    const alive = () => {
      heard = answered
      answered = true
      cancel()
      cancel = clock.after(this.#times.idleMilliseconds, () => idle.abort())
      this.#contact()
    }
    try {
      const query = {
        ...selectorQuery(options),
        watch: 'true',
        allowWatchBookmarks: 'true',
        resourceVersion,
        timeoutSeconds: String(seconds),
      }
      const body = await transport.stream({ method: 'GET', path: resourcePath(type, options.namespace), query }, signal)
      alive()
      this.#reached()
      return await this.#read(body, alive)
    } catch (error) {
      // silence after an answer is no failure; after nothing but an answer a small list tells
      // whether the server is there
      this.#isDoubtful = idle.signal.aborted && !heard && this.#waiting.length === 0
      if (idle.signal.aborted && (answered || this.#waiting.length > 0)) return 'again'
      if (idle.signal.aborted)
        throw new ApiError(`the API server ${transport.server} does not answer: timed out`, { status: 0 })
      if (error instanceof ApiError && error.status === 410) return 'relist'
      // A refusal may be about the resource version itself (a server restored from a backup knows
      // only older ones)
      if (error instanceof ApiError && error.status !== 0) this.#resourceVersion = undefined
      throw error
    } finally {
      cancel()
      this.#watchedBriefly = clock.monotonic() - startedAt < this.#times.settledMilliseconds
    }
  }

  async #read(body: AsyncIterable<Uint8Array>, alive: () => void): Promise<WatchEnd> {
    const splitter = new LineSplitter()
    for await (const chunk of body) {
      if (this.#closed.signal.aborted) return 'again'
      const lines = splitter.push(chunk)
      if (lines.length > 0) alive() // a byte now and then is none
      let changed = false
      for (const line of lines) {
        const event = this.#decode(line)
        if (event.type === 'ERROR') {
          if (changed) this.#notify()
          if (event.code === 410) return 'relist'
          this.#resourceVersion = undefined
          throw new ApiError(event.message, { status: event.code })
        }
        if (this.#accept(event)) changed = true
      }
      if (changed) this.#notify()
    }
    return 'again'
  }

  /** A line that cannot be read may have been a change: only a new list tells. */
  #decode(line: Uint8Array): WatchEvent {
    try {
      return decodeWatchLine(line, this.#unread)
    } catch (error) {
      this.#resourceVersion = undefined
      throw error
    }
  }

  /** Takes an event in; whether it changed anything that is kept. */
  #accept(event: Exclude<WatchEvent, { type: 'ERROR' }>): boolean {
    if (event.type === 'BOOKMARK') {
      this.#resourceVersion = event.resourceVersion
      return false
    }
    this.#resourceVersion = event.object.metadata.resourceVersion ?? this.#resourceVersion
    const key = keyOf(event.object)
    if (event.type === 'DELETED') return this.#objects.delete(key)
    const object = this.#keep(event.object as T)
    if (Bun.deepEquals(this.#objects.get(key), object, true)) return false
    this.#objects.set(key, object)
    return true
  }

  #keep(object: T): T {
    const { managedFields: _, ...metadata } = object.metadata as T['metadata'] & { managedFields?: unknown }
    const lean = { ...object, metadata }
    return this.#options.options.reduce?.(lean) ?? lean
  }

  #contact(): void {
    this.#lastContact = this.#options.clock.now()
  }

  #reached(): void {
    this.#contact()
    if (this.#problem === undefined) return
    this.#problem = undefined
    this.#kindUnknown = false
    this.#options.log.info({ name: this.#name() }, 'the API server answers again')
    this.#notify()
  }

  #failed(error: unknown): void {
    const before = this.#problem
    this.#problem = errorText(error)
    this.#kindUnknown = error instanceof ApiError && error.status === 404
    if (before === undefined) {
      const fields = { name: this.#name(), reason: this.#problem }
      this.#options.log.warn(fields, 'cannot read from the API server; keeping what is known')
    }
    if (before !== this.#problem) this.#notify()
  }

  #name(): string {
    return `${apiVersionOf(this.#options.type)} ${this.#options.type.plural}`
  }

  #notify(): void {
    this.#listeners.tell()
  }
}

/**
 * Whether the version of a list is older than one that was seen: both are numbers that grow
 * (Kubernetes API concepts, "resource versions"), or nothing is said.
 */
function isBehind(list: unknown, seen: string | undefined): boolean {
  const metadata = typeof list === 'object' && list !== null && 'metadata' in list ? list.metadata : undefined
  const version =
    typeof metadata === 'object' && metadata !== null && 'resourceVersion' in metadata ? metadata.resourceVersion : ''
  const isNumber = (text: unknown): text is string => typeof text === 'string' && /^\d+$/.test(text)
  return isNumber(version) && isNumber(seen) && BigInt(version) < BigInt(seen)
}

function keyOf(object: KubeObject): string {
  const { name, namespace } = object.metadata
  return namespace === undefined ? name : `${namespace}/${name}`
}

function below(fields: UnreadFields[string] | undefined): UnreadFields {
  return fields === true ? {} : (fields ?? {})
}

function sameObjects(a: ReadonlyMap<string, KubeObject>, b: ReadonlyMap<string, KubeObject>): boolean {
  if (a.size !== b.size) return false
  for (const [key, object] of b) if (!Bun.deepEquals(a.get(key), object, true)) return false
  return true
}
