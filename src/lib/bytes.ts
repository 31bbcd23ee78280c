/**
 * Bytes in network order (big-endian, as BGP and BFD have them): a bounded reader for untrusted
 * input and a growing writer. Host-order structures of the kernel are netlink's own business. Knows
 * no protocol. Pure.
 */

/**
 * Thrown by `Reader` when fewer bytes are left than asked for; decoders turn it into their
 * protocol's answer.
 */
export class Truncated extends Error {
  override readonly name = 'Truncated'
  constructor(wanted: number, left: number) {
    super(`${wanted} bytes wanted, ${left} left`)
  }
}

/** Reads a byte string from front to end and never past it. Slices share memory with the input. */
export class Reader {
  readonly bytes: Uint8Array
  readonly #view: DataView
  offset = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
  get left(): number {
    return this.bytes.length - this.offset
  }
  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2))
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4))
  }
  slice(length: number): Uint8Array {
    const start = this.#take(length)
    return this.bytes.subarray(start, start + length)
  }
  /** A reader of the next `length` bytes; this one continues behind them. */
  sub(length: number): Reader {
    return new Reader(this.slice(length))
  }
  rest(): Uint8Array {
    return this.slice(this.left)
  }
  #take(length: number): number {
    if (length > this.left) throw new Truncated(length, this.left)
    const start = this.offset
    this.offset += length
    return start
  }
}

/** Appends to a buffer that grows as needed. */
export class Writer {
  #bytes: Uint8Array
  length = 0

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity)
  }
  u8(value: number): this {
    const start = this.#grow(1) // first: it may replace the buffer
    this.#bytes[start] = value
    return this
  }
  u16(value: number): this {
    this.setU16(this.#grow(2), value)
    return this
  }
  u32(value: number): this {
    const start = this.#grow(4)
    this.setU16(start, value >>> 16)
    this.setU16(start + 2, value)
    return this
  }
  put(bytes: Uint8Array): this {
    const start = this.#grow(bytes.length) // first: it may replace the buffer
    this.#bytes.set(bytes, start)
    return this
  }
  /**
   * Leaves `length` bytes to be filled in later with `setU8`/`setU16`, and returns their offset.
   */
  reserve(length: number): number {
    return this.#grow(length)
  }
  setU8(offset: number, value: number): void {
    this.#bytes[offset] = value
  }
  setU16(offset: number, value: number): void {
    this.#bytes[offset] = value >>> 8
    this.#bytes[offset + 1] = value
  }
  /** Forgets what was written and keeps the memory. */
  clear(): void {
    this.length = 0
  }
  /** A copy of what was written. */
  bytes(): Uint8Array {
    return this.#bytes.slice(0, this.length)
  }
  /** What was written, sharing memory: valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }
  #grow(length: number): number {
    const start = this.length
    const end = start + length
    if (end > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(end, this.#bytes.length * 2))
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.length = end
    return start
  }
}

/** Lower-case hexadecimal, no separators. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** The bytes of a hexadecimal string of even length, else undefined. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined
  return new Uint8Array(Buffer.from(text, 'hex'))
}
