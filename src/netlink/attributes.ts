/**
 * Netlink attributes (struct nlattr: length, type, value, padding to four bytes), typed: an encoder
 * whose nesting mirrors the wire and a decoder that keeps the first error, so that decoding is a
 * flat list of fields. <linux/netlink.h>.
 *
 * Integers are in host order; every machine that Bun runs on is little-endian. Knows no message and
 * no family. Pure.
 */
import { NLA_F_NESTED, NLA_TYPE_MASK } from './constants.ts'

const HEADER_LENGTH = 4

/** Offset of the next four-byte boundary. */
export function align(offset: number): number {
  return (offset + 3) & ~3
}

const text = new TextEncoder()
const decoder = new TextDecoder()

/** Appends host-order integers and attributes to a buffer that grows as needed. */
export class Encoder {
  #bytes: Uint8Array
  #view: DataView
  length = 0

  constructor(capacity = 512) {
    this.#bytes = new Uint8Array(capacity)
    this.#view = new DataView(this.#bytes.buffer)
  }
  u8(...values: readonly number[]): this {
    for (const value of values) {
      const start = this.#grow(1)
      this.#view.setUint8(start, value)
    }
    return this
  }
  u16(value: number): this {
    const start = this.#grow(2) // first: it may replace the view
    this.#view.setUint16(start, value, true)
    return this
  }
  u32(value: number): this {
    const start = this.#grow(4) // first: it may replace the view
    this.#view.setUint32(start, value, true)
    return this
  }
  i32(value: number): this {
    const start = this.#grow(4) // first: it may replace the view
    this.#view.setInt32(start, value, true)
    return this
  }
  put(bytes: Uint8Array): this {
    const start = this.#grow(bytes.length)
    this.#bytes.set(bytes, start)
    return this
  }
  bytesAttribute(type: number, value: Uint8Array): this {
    return this.#header(type, value.length).put(value).#pad()
  }
  u8Attribute(type: number, value: number): this {
    return this.#header(type, 1).u8(value).#pad()
  }
  u32Attribute(type: number, value: number): this {
    return this.#header(type, 4).u32(value)
  }
  /** A zero-terminated string. */
  textAttribute(type: number, value: string): this {
    return this.bytesAttribute(type, text.encode(`${value}\0`))
  }
  /**
   * An attribute that holds what `fill` writes: other attributes, behind a structure where there is
   * one.
   */
  nested(type: number, fill: () => void): this {
    const start = this.length
    this.#header(type | NLA_F_NESTED, 0)
    fill()
    return this.#close(start)
  }
  /** As `nested`, without the flag, for places older than it. */
  group(type: number, fill: () => void): this {
    const start = this.length
    this.#header(type, 0)
    fill()
    return this.#close(start)
  }
  /** Sets the 16 bits at `offset` afterwards. */
  setU16(offset: number, value: number): void {
    this.#view.setUint16(offset, value, true)
  }
  /** A copy of what was written. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.length)
  }
  #close(start: number): this {
    this.setU16(start, this.length - start)
    return this.#pad()
  }
  #header(type: number, valueLength: number): this {
    return this.u16(HEADER_LENGTH + valueLength).u16(type)
  }
  #pad(): this {
    const end = align(this.length)
    while (this.length < end) this.u8(0)
    return this
  }
  #grow(length: number): number {
    const start = this.length
    const end = start + length
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2))
      larger.set(this.#bytes)
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    this.length = end
    return start
  }
}

/** Where decoders of one message leave what was wrong first. */
interface ErrorSink {
  first: string | undefined
}

/**
 * The attributes of a byte string, by type (the last of a type counts). Absent ones are undefined;
 * malformed ones too, and are noted.
 */
export class Attributes {
  readonly #values = new Map<number, Uint8Array>()
  readonly #sink: ErrorSink

  constructor(bytes: Uint8Array, sink: ErrorSink = { first: undefined }) {
    this.#sink = sink
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let offset = 0
    while (offset + HEADER_LENGTH <= bytes.length) {
      const length = view.getUint16(offset, true)
      const type = view.getUint16(offset + 2, true) & NLA_TYPE_MASK
      if (length < HEADER_LENGTH || offset + length > bytes.length) {
        this.#note(`attribute ${type} has length ${length}, ${bytes.length - offset} bytes left`)
        return
      }
      this.#values.set(type, bytes.subarray(offset + HEADER_LENGTH, offset + length))
      offset = align(offset + length)
    }
  }
  /** What was wrong first, here or in nested attributes. */
  get error(): string | undefined {
    return this.#sink.first
  }
  bytes(type: number): Uint8Array | undefined {
    return this.#values.get(type)
  }
  /** A value that must have one of `lengths`. */
  bytesOf(type: number, lengths: readonly number[]): Uint8Array | undefined {
    const value = this.#values.get(type)
    if (value === undefined || lengths.includes(value.length)) return value
    this.#note(`attribute ${type} has a value of ${value.length} bytes, ${lengths.join(' or ')} expected`)
    return undefined
  }
  u8(type: number): number | undefined {
    return this.bytesOf(type, [1])?.[0]
  }
  u32(type: number): number | undefined {
    const value = this.bytesOf(type, [4])
    return value && new DataView(value.buffer, value.byteOffset, 4).getUint32(0, true)
  }
  i32(type: number): number | undefined {
    const value = this.u32(type)
    return value === undefined ? undefined : value | 0
  }
  /** A string up to its terminating zero. */
  text(type: number): string | undefined {
    const value = this.#values.get(type)
    if (value === undefined) return undefined
    const end = value.indexOf(0)
    return decoder.decode(end < 0 ? value : value.subarray(0, end))
  }
  nested(type: number): Attributes | undefined {
    const value = this.#values.get(type)
    return value && new Attributes(value, this.#sink)
  }
  #note(problem: string): void {
    this.#sink.first ??= problem
  }
}
