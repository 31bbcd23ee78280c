/**
 * A watch: what the store does, reduced to what one client selected, as a stream of JSON lines. An
 * object that stops matching is DELETED for that client, one that begins to match is ADDED. A
 * client that does not read is cut off rather than buffered for ever.
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import { expired, statusOf } from './failure.ts'
import { type JsonObject, textAt, withMetadata } from './json.ts'
import { type RenderContext, renderObject } from './render.ts'
import { apiVersionOf, type Resource, resourceKey } from './resource.ts'
import type { Matches } from './selectors.ts'
import type { Store, StoreEvent } from './store.ts'

/** Lines that may wait for a client before it is cut off. */
const MOST_PENDING = 10_000

export interface WatchRequest {
  readonly resource: Resource
  readonly matches: Matches
  /** Undefined or 0: begin with all there is. */
  readonly revision: number | undefined
  readonly bookmarks: boolean
  /** `sendInitialEvents`: all there is first, then a bookmark that says so (KEP-3157). */
  readonly initialEvents: boolean
  readonly timeoutSeconds: number
  readonly render: Omit<RenderContext, 'now'>
}

interface WatchPorts {
  readonly store: Store
  readonly clock: Clock
  readonly bookmarkMilliseconds: number
}

/**
 * What one store event is to a client that selects with `matches`; undefined when it is nothing.
 */
export function watchEvent(event: StoreEvent, matches: Matches): { type: string; object: JsonObject } | undefined {
  const was = event.previous !== undefined && matches(event.previous)
  const is = event.type !== 'DELETED' && matches(event.object)
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', object: event.object }
  return was ? { type: 'DELETED', object: event.object } : undefined
}

export function watch(request: WatchRequest, ports: WatchPorts): ReadableStream<Uint8Array> {
  const stops: Cancel[] = []
  const stop = () => {
    for (const cancel of stops.splice(0)) cancel()
  }
  return new ReadableStream<Uint8Array>({
    start(controller) {
      const encoder = new TextEncoder()
      const end = () => {
        stop()
        controller.close()
      }
      const send = (type: string, object: JsonObject) => {
        controller.enqueue(encoder.encode(`${JSON.stringify({ type, object })}\n`))
      }
      // Bun sends the head of an answer with the first bytes of its body
      controller.enqueue(encoder.encode('\n'))
      if (begin(request, ports, send))
        run({ request, ports, stops, send, end, pending: () => -(controller.desiredSize ?? 0) })
      else end()
    },
    cancel: stop,
  })
}

type Send = (type: string, object: JsonObject) => void

/** Sends what the client has not seen yet; false when that is no longer known. */
function begin(request: WatchRequest, { store, clock }: WatchPorts, send: Send): boolean {
  const { resource, revision, matches, initialEvents, render } = request
  const rendered = (object: JsonObject) => renderObject(object, { ...render, now: clock.now() })
  if (revision === undefined || revision === 0 || initialEvents) {
    for (const object of store.list(resourceKey(resource)) ?? []) if (matches(object)) send('ADDED', rendered(object))
    if (initialEvents) send('BOOKMARK', bookmark(resource, store.revision, true))
    return true
  }
  const missed = store.since(revision)
  if (missed === undefined) {
    send('ERROR', statusOf(expired()))
    return false
  }
  for (const event of missed.filter(past => past.resource === resourceKey(resource))) {
    const seen = watchEvent(event, matches)
    if (seen !== undefined) send(seen.type, rendered(seen.object))
  }
  return true
}

interface Running {
  readonly request: WatchRequest
  readonly ports: WatchPorts
  readonly stops: Cancel[]
  readonly send: Send
  readonly end: () => void
  readonly pending: () => number
}

function run({ request, ports, stops, send, end, pending }: Running): void {
  const { store, clock, bookmarkMilliseconds } = ports
  const { resource, matches, render } = request
  const unsubscribe = store.subscribe(event => {
    if (event.resource !== resourceKey(resource)) return
    const seen = watchEvent(event, matches)
    if (seen === undefined) return
    send(seen.type, renderObject(seen.object, { ...render, now: clock.now() }))
    if (pending() > MOST_PENDING) end()
  })
  stops.push(unsubscribe, clock.after(request.timeoutSeconds * 1000, end))
  if (!request.bookmarks) return
  let cancel: Cancel = () => {}
  const again = () => {
    cancel = clock.after(bookmarkMilliseconds, () => {
      send('BOOKMARK', bookmark(resource, store.revision, false))
      again()
    })
  }
  again()
  stops.push(() => cancel())
}

function bookmark(resource: Resource, revision: number, initialEventsEnd: boolean): JsonObject {
  const object: JsonObject = {
    kind: resource.kind,
    apiVersion: apiVersionOf(resource),
    metadata: { resourceVersion: String(revision), creationTimestamp: null },
  }
  return initialEventsEnd ? withMetadata(object, { annotations: { 'k8s.io/initial-events-end': 'true' } }) : object
}

/** Whether an object lies in `namespace` (empty: all of them). */
export function inNamespace(namespace: string): Matches {
  return namespace === '' ? () => true : object => textAt(object, 'metadata', 'namespace') === namespace
}
