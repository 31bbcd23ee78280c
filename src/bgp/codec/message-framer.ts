/**
 * The receive buffer: chunks of a TCP stream in, whole messages out (RFC 4271 section 4.1). Holds
 * at most one incomplete message, so a peer cannot make it grow. A header is judged as soon as it
 * is there; after an error nothing more comes out. Pure.
 */
import { decodeHeader, HEADER_LENGTH, MAX_LENGTH } from './message.ts'
import type { Framed } from './message-types.ts'

export class MessageFramer {
  readonly #extendedMessages: boolean
  #partial = new Uint8Array(MAX_LENGTH)
  #held = 0
  #failed = false

  /**
   * `extendedMessages`: our OPEN offers the capability, whatever the peer's says (RFC 8654 section
   * 4).
   */
  constructor({ extendedMessages }: { readonly extendedMessages: boolean } = { extendedMessages: false }) {
    this.#extendedMessages = extendedMessages
  }

  /** The octets of an incomplete message that wait for the rest. */
  get buffered(): number {
    return this.#held
  }

  /**
   * The messages that `chunk` completes, sharing memory with it. Nothing of `chunk` is kept by
   * reference.
   */
  push(chunk: Uint8Array): Framed {
    const messages: Uint8Array[] = []
    if (this.#failed) return { messages }
    let offset = 0
    while (offset < chunk.length) {
      if (this.#held > 0) {
        offset += this.#fill(chunk, offset)
        if (this.#held < HEADER_LENGTH) break
      }
      const bytes = this.#held > 0 ? this.#partial.subarray(0, this.#held) : chunk.subarray(offset)
      if (bytes.length < HEADER_LENGTH) {
        this.#hold(bytes)
        break
      }
      const header = decodeHeader(bytes, this.#extendedMessages)
      if ('notification' in header) {
        this.#failed = true
        this.#held = 0
        return { messages, error: header }
      }
      if (this.#held > 0) {
        offset += this.#fillTo(header.length, chunk, offset)
        if (this.#held < header.length) break
        // A copy: the rest of the chunk may become the next partial message.
        messages.push(this.#partial.slice(0, header.length))
        this.#held = 0
      } else if (bytes.length >= header.length) {
        messages.push(bytes.subarray(0, header.length))
        offset += header.length
      } else {
        this.#hold(bytes)
        break
      }
    }
    return { messages }
  }

  /** Completes the header of the partial message; returns the octets taken. */
  #fill(chunk: Uint8Array, offset: number): number {
    return this.#held < HEADER_LENGTH ? this.#fillTo(HEADER_LENGTH, chunk, offset) : 0
  }

  #fillTo(length: number, chunk: Uint8Array, offset: number): number {
    const taken = Math.min(length - this.#held, chunk.length - offset)
    this.#reserve(this.#held + taken)
    this.#partial.set(chunk.subarray(offset, offset + taken), this.#held)
    this.#held += taken
    return taken
  }

  #hold(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#partial.set(bytes)
    this.#held = bytes.length
  }

  /** Only what has arrived takes memory, whatever the header announces. */
  #reserve(length: number): void {
    if (length <= this.#partial.length) return
    const larger = new Uint8Array(Math.max(length, this.#partial.length * 2))
    larger.set(this.#partial.subarray(0, this.#held))
    this.#partial = larger
  }
}
