/**
 * The stream of a watch: one JSON object a line (`{"type": "ADDED", "object": {…}}`), decoded as
 * bytes arrive. Whatever is not such a line throws: a watch that has lost an event may not go on as
 * if nothing had happened. Pure.
 */
import { Pieces, type UnreadFields, withoutUnread } from './lean-json.ts'
import { hasName, type KubeObject } from './resources.ts'

export type WatchEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  /** `code` is that of the metav1.Status; 410 means that the resource version is too old. */
  | { readonly type: 'ERROR'; readonly code: number; readonly message: string }

const LINE_END = 0x0a

/** Splits chunks into lines; keeps the last, unfinished one. */
export class LineSplitter {
  readonly #rest = new Pieces()

  /** The whole lines that `chunk` completes. Each is valid until the next call. */
  push(chunk: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = []
    let from = 0
    for (let end = chunk.indexOf(LINE_END); end >= 0; end = chunk.indexOf(LINE_END, from)) {
      const line = this.#rest.take(chunk.subarray(from, end))
      // an empty one, also with a carriage return, says nothing
      if (line.length > 1) lines.push(line)
      from = end + 1
    }
    this.#rest.add(chunk.subarray(from))
    return lines
  }
}

const decoder = new TextDecoder()

/** Throws when `line` is not a watch event. Of its object the fields of `unread` are null. */
export function decodeWatchLine(line: Uint8Array, unread: UnreadFields = {}): WatchEvent {
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(withoutUnread(line, { object: unread })))
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
