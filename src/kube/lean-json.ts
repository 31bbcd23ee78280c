/**
 * JSON of the API server before it is parsed, as bytes: the values of fields that nobody reads are
 * cut out, and a list comes apart into its items while it arrives. A Node of 10 KB becomes 2 KB of
 * text, and a list is never in memory as a whole. Pure.
 *
 * Does not validate: what is no JSON stays none, and `JSON.parse` says so.
 */

/** Names of fields, by the way to them: `true` is one whose value is left out. */
export interface UnreadFields {
  readonly [name: string]: true | UnreadFields
}

/** An item of a list, or an event, beyond this length is none of an API server (etcd: 1.5 MB). */
const MAXIMUM_LENGTH = 8 * 1024 * 1024

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a]
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d]
const NULL = new TextEncoder().encode('null')

/** `json` with `null` in place of the values of `unread`; as it is where it cannot be followed. */
export function withoutUnread(json: Uint8Array, unread: UnreadFields): Uint8Array {
  const cutter = new Cutter(json)
  return cutter.value(unread) ? cutter.lean() : json
}

/** Walks over one JSON text. Its methods return false where the text is not as it should be. */
class Cutter {
  readonly #bytes: Uint8Array
  readonly #cuts: [from: number, to: number][] = []
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  lean(): Uint8Array {
    if (this.#cuts.length === 0) return this.#bytes
    // a value may be shorter than `null`: then it stays
    const lean = new Uint8Array(this.#bytes.length)
    let [length, from] = [0, 0]
    for (const [begin, end] of this.#cuts) {
      lean.set(this.#bytes.subarray(from, begin), length)
      length += begin - from
      lean.set(NULL, length)
      length += NULL.length
      from = end
    }
    lean.set(this.#bytes.subarray(from), length)
    return lean.subarray(0, length + this.#bytes.length - from)
  }

  value(unread: UnreadFields | undefined): boolean {
    this.#space()
    const byte = this.#bytes[this.#at]
    if (byte === OPEN_OBJECT && unread !== undefined) return this.#object(unread)
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) return this.#nested()
    if (byte === QUOTE) return this.#string()
    return this.#plain()
  }

  #object(unread: UnreadFields): boolean {
    this.#at++
    for (let first = true; ; first = false) {
      this.#space()
      if (first && this.#bytes[this.#at] === CLOSE_OBJECT) break
      const begin = this.#at
      if (this.#bytes[begin] !== QUOTE || !this.#string()) return false
      const name = String.fromCharCode(...this.#bytes.subarray(begin + 1, this.#at - 1))
      this.#space()
      if (this.#bytes[this.#at++] !== COLON) return false
      this.#space()
      const from = this.#at
      const below = Object.hasOwn(unread, name) ? unread[name] : undefined
      if (!this.value(below === true ? undefined : below)) return false
      if (below === true && this.#at - from > NULL.length) this.#cuts.push([from, this.#at])
      this.#space()
      if (this.#bytes[this.#at] === COMMA) this.#at++
      else break
    }
    return this.#bytes[this.#at++] === CLOSE_OBJECT
  }

  /** Over an object or a list, whatever is in it. */
  #nested(): boolean {
    const bytes = this.#bytes
    const end = bytes.length
    let depth = 0
    for (let at = this.#at; at < end; at++) {
      const byte = bytes[at]
      if (byte === QUOTE) {
        for (at++; at < end && bytes[at] !== QUOTE; at++) if (bytes[at] === BACKSLASH) at++
      } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++
      else if ((byte === CLOSE_OBJECT || byte === CLOSE_LIST) && --depth === 0) {
        this.#at = at + 1
        return true
      }
    }
    return false
  }

  #string(): boolean {
    const bytes = this.#bytes
    for (let at = this.#at + 1; at < bytes.length; at++) {
      if (bytes[at] === BACKSLASH) at++
      else if (bytes[at] === QUOTE) {
        this.#at = at + 1
        return true
      }
    }
    return false
  }

  /** A number, true, false or null. */
  #plain(): boolean {
    const from = this.#at
    while (this.#at < this.#bytes.length && isPlain(this.#bytes[this.#at] ?? 0)) this.#at++
    return this.#at > from
  }

  #space(): void {
    while (isSpace(this.#bytes[this.#at] ?? 0)) this.#at++
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** Of what numbers and words are made: `-+.`, digits, letters. */
function isPlain(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a) || byte === 0x45 || (byte >= 0x2b && byte <= 0x2e)
  )
}

/** Bytes that come in pieces and are wanted whole. */
export class Pieces {
  #pieces: Uint8Array[] = []
  #length = 0

  /** Keeps `piece` for later, as a copy: a chunk is the stream's. */
  add(piece: Uint8Array): void {
    if (piece.length === 0) return
    this.#pieces.push(new Uint8Array(piece))
    this.#length += piece.length
    if (this.#length > MAXIMUM_LENGTH) throw new Error('the API server sent an object that is too long')
  }

  /** What was added, with `last` behind it; begins anew. */
  take(last: Uint8Array): Uint8Array {
    if (this.#length === 0) return last
    const whole = Buffer.concat([...this.#pieces, last])
    this.#pieces = []
    this.#length = 0
    return whole
  }
}

/**
 * Takes a list apart (`{"items": [{…}, …], "metadata": {…}}`) chunk by chunk. Throws where an item
 * is no object.
 */
export class ListSplitter {
  readonly #rest = new Pieces()
  /** All but the items. */
  readonly #frame = new Pieces()
  #depth = 0
  #inString = false
  #escaped = false
  /** The last string of the outermost object: a name, if a colon follows. */
  #name: string | undefined
  #inItems = false

  /** The items that end in `chunk`. Each is valid until the next call. */
  push(chunk: Uint8Array): Uint8Array[] {
    const items: Uint8Array[] = []
    let from = 0 // of what is not kept yet: of an item, or of the frame
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false
        else if (byte === BACKSLASH) this.#escaped = true
        else if (byte === QUOTE) this.#inString = false
        if (this.#depth === 1 && this.#inString) this.#name += String.fromCharCode(byte)
      } else if (byte === QUOTE) {
        if (this.#inItems && this.#depth === 2) throw noObject()
        this.#inString = true
        if (this.#depth === 1) this.#name = ''
      } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
        if (this.#depth === 1 && byte === OPEN_LIST && this.#name === 'items') {
          this.#frame.add(chunk.subarray(from, at + 1))
          this.#inItems = true
        } else if (this.#inItems && this.#depth === 2) from = at
        this.#depth++
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        this.#depth--
        if (this.#inItems && this.#depth === 2) items.push(this.#rest.take(chunk.subarray(from, at + 1)))
        if (this.#inItems && this.#depth === 1) {
          this.#inItems = false
          this.#name = undefined
          from = at
        }
      } else if (this.#inItems && this.#depth === 2 && byte !== COMMA && !isSpace(byte)) {
        throw noObject()
      }
    }
    if (!this.#inItems) this.#frame.add(chunk.subarray(from))
    else if (this.#depth > 2) this.#rest.add(chunk.subarray(from))
    return items
  }

  /** The list as it was, without its items. */
  frame(): Uint8Array {
    return this.#frame.take(new Uint8Array(0))
  }
}

function noObject(): Error {
  return new Error('the API server sent a list with something that is no object')
}
