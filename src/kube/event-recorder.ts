/**
 * Writes core/v1 Events, so that `kubectl describe` tells what happened. The same message about the
 * same object is one Event whose count grows; a token bucket per object bounds what a flapping
 * session can write; nothing here ever disturbs who records.
 *
 * Events of cluster-scoped objects lie in the namespace `default`, as the API server demands.
 */
import type { Clock } from '../lib/clock.ts'
import { sleep } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { timestamp } from '../lib/timestamp.ts'
import { type Bucket, type Rate, take } from '../lib/token-bucket.ts'
import { ApiError, type EventRecorder, type KubeApi, type KubeEvent } from './api.ts'
import { EVENTS, type KubeObject } from './resources.ts'

export interface EventRecorderOptions {
  readonly api: Pick<KubeApi, 'create' | 'mergePatch'>
  /** `terway-edge-controller`, `terway-edge-speaker`, …: source.component. */
  readonly component: string
  /** source.host: the node or pod this runs on. */
  readonly host: string
  readonly clock: Clock
  readonly log: Log
}

/** Equal Events within this time are one; the API server forgets Events after an hour. */
const SAME_MILLISECONDS = 30 * 60_000
/** An object may cause this many writes at once, and one more each 30 s after that. */
const WRITES: Rate = { burst: 25, everyMilliseconds: 30_000 }
/** After so long a bucket is full again. */
const FULL_MILLISECONDS = WRITES.burst * WRITES.everyMilliseconds
/** More than this many waiting Events (API server out of reach): the oldest go. */
const MAXIMUM_PENDING = 200
const RETRY_MILLISECONDS = 5_000
const CLOSE_MILLISECONDS = 3_000

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options)
}

/** What is known of one Event: as written, and what is to be written. */
interface Series {
  readonly key: string
  readonly event: KubeEvent
  readonly first: number
  last: number
  count: number
  /** The object in the API, once written. */
  name: string | undefined
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions
  readonly #series = new Map<string, Series>()
  readonly #buckets = new Map<string, Bucket>()
  readonly #pending = new Set<Series>()
  readonly #closing = new AbortController()
  #writing: Promise<void> | undefined
  #serial = 0
  #failing = false

  constructor(options: EventRecorderOptions) {
    this.#options = options
  }

  record(event: KubeEvent): void {
    if (this.#closing.signal.aborted || !this.#admitted(event)) return
    const now = this.#options.clock.now()
    this.#forgetOld(now)
    const key = seriesKey(event)
    const known = this.#series.get(key)
    const series = known ?? { key, event, first: now, last: now, count: 0, name: undefined }
    series.count++
    series.last = now
    this.#series.set(key, series)
    this.#pending.add(series)
    if (this.#pending.size > MAXIMUM_PENDING) {
      const [oldest] = this.#pending
      if (oldest !== undefined) this.#pending.delete(oldest)
    }
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined
    })
  }

  async close(): Promise<void> {
    this.#closing.abort()
    if (this.#writing === undefined) return
    const enough = new AbortController()
    await Promise.race([this.#writing, sleep(this.#options.clock, CLOSE_MILLISECONDS, enough.signal)])
    enough.abort()
    this.#pending.clear()
  }

  /** Whether the object's bucket has a token left. */
  #admitted({ regarding }: KubeEvent): boolean {
    const key = `${regarding.kind}/${regarding.namespace ?? ''}/${regarding.name}/${regarding.uid ?? ''}`
    const bucket = take(this.#buckets.get(key), WRITES, this.#options.clock.now())
    if (bucket !== undefined) this.#buckets.set(key, bucket)
    return bucket !== undefined
  }

  #forgetOld(now: number): void {
    for (const [key, series] of this.#series) {
      if (now - series.last > SAME_MILLISECONDS && !this.#pending.has(series)) this.#series.delete(key)
    }
    for (const [key, bucket] of this.#buckets) {
      if (now - bucket.at > FULL_MILLISECONDS) this.#buckets.delete(key)
    }
  }

  /** One write after another until nothing waits. */
  async #write(): Promise<void> {
    for (;;) {
      const [series] = this.#pending
      if (series === undefined) return
      this.#pending.delete(series)
      try {
        await this.#writeOne(series)
        this.#failing = false
      } catch (error) {
        if (!this.#failing) this.#options.log.warn({ reason: errorText(error) }, 'cannot write an Event')
        this.#failing = true
        if (isLasting(error)) continue // it will not be taken later either
        this.#pending.add(series)
        if (this.#closing.signal.aborted) return
        await sleep(this.#options.clock, RETRY_MILLISECONDS, this.#closing.signal)
      }
    }
  }

  async #writeOne(series: Series): Promise<void> {
    const { api } = this.#options
    const namespace = series.event.regarding.namespace ?? 'default'
    if (series.name !== undefined) {
      const patch = { count: series.count, lastTimestamp: timestamp(series.last) }
      try {
        await api.mergePatch(EVENTS, series.name, patch, { namespace })
        return
      } catch (error) {
        if (!(error instanceof ApiError && error.status === 404)) throw error
        series.name = undefined // it has expired
      }
    }
    const object = this.#object(series, namespace)
    await api.create(EVENTS, object)
    series.name = object.metadata.name
  }

  #object({ event, first, last, count }: Series, namespace: string): KubeObject {
    const { component, host, clock } = this.#options
    const unique = `${clock.now().toString(16)}${Math.floor(clock.random() * 0x10000).toString(16)}${(this.#serial++).toString(16)}`
    const body = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: {
        name: `${event.regarding.name.slice(0, 200)}.${unique}`,
        namespace,
        ...(event.annotations !== undefined && { annotations: event.annotations }),
      },
      involvedObject: event.regarding,
      type: event.type,
      reason: event.reason,
      message: event.message.slice(0, 1024), // the API server takes no more
      source: { component, host },
      firstTimestamp: timestamp(first),
      lastTimestamp: timestamp(last),
      count,
    }
    return body
  }
}

/**
 * A refusal of the Event itself: neither credentials that are renewed meanwhile (401) nor a busy
 * server (429).
 */
function isLasting(error: unknown): boolean {
  if (!(error instanceof ApiError) || error.status === 401 || error.status === 429) return false
  return error.status >= 400 && error.status < 500
}

function seriesKey({ regarding, type, reason, message }: KubeEvent): string {
  return JSON.stringify([regarding.kind, regarding.namespace, regarding.name, regarding.uid, type, reason, message])
}
