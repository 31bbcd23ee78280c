/**
 * The stream of a watch: one JSON object a line (`{"type": "ADDED", "object": {…}}`), decoded as
 * bytes arrive. Whatever is not such a line throws: a watch that has lost an event may not go on as
 * if nothing had happened.
 */
import { hasName } from './pages.ts'
import type { KubeObject } from './resources.ts'

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  /** `code` is that of the metav1.Status; 410 means that the resource version is too old. */
  | { readonly type: 'ERROR'; readonly code: number; readonly message: string }

/** Longer lines than any object of etcd can be (1.5 MB) mean that this is no watch. */
const MAXIMUM_LINE = 8 * 1024 * 1024

/** Splits chunks into lines; keeps the last, unfinished one. */
export class LineSplitter {
  readonly #decoder = new TextDecoder()
  #rest = ''

  /** The whole lines that `chunk` completes. */
  push(chunk: Uint8Array): string[] {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split('\n')
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > MAXIMUM_LINE) throw new Error('a watch sent a line that is too long')
    return lines.filter(line => line.trim() !== '')
  }
}

/** Throws when `line` is not a watch event. */
export function decodeWatchLine(line: string): WatchEvent {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (error) {
    throw new Error('a watch sent a line that is not JSON', { cause: error })
  }
  if (typeof value !== 'object' || value === null || !('type' in value) || !('object' in value)) {
    throw new Error('a watch sent a line that is not an event')
  }
  const { type, object } = value
  if (type === 'ERROR') return statusOf(object)
  if (type === 'BOOKMARK') return { type, resourceVersion: resourceVersionOf(object) }
  if ((type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') && hasName(object)) return { type, object }
  throw new Error(`a watch sent an event of type ${JSON.stringify(type)} that cannot be understood`)
}

function statusOf(object: unknown): WatchEvent {
  const { code, message } = typeof object === 'object' && object !== null ? (object as Record<string, unknown>) : {}
  return {
    type: 'ERROR',
    code: typeof code === 'number' ? code : 0,
    message: typeof message === 'string' ? message : 'the watch ended with an error',
  }
}

function resourceVersionOf(object: unknown): string {
  if (typeof object === 'object' && object !== null && 'metadata' in object) {
    const { metadata } = object
    if (typeof metadata === 'object' && metadata !== null && 'resourceVersion' in metadata)
      return String(metadata.resourceVersion)
  }
  throw new Error('a watch sent a bookmark without a resource version')
}
