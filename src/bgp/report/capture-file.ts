/**
 * Packets out of a capture as it arrives: classic pcap (draft-ietf-opsawg-pcap; micro- and
 * nanoseconds, both byte orders) and pcapng (draft-ietf-opsawg-pcapng: section header, interface,
 * enhanced, simple and obsolete packet blocks). A capture that was cut gives the packets before the
 * cut. Holds one incomplete packet at most. Pure.
 */

export interface CapturedPacket {
  /** Milliseconds since the epoch, with a fraction; absent when the file has none. */
  readonly time?: number
  /** LINKTYPE_… of tcpdump.org. */
  readonly linkType: number
  readonly bytes: Uint8Array
}

const PCAPNG_SECTION = 0x0a0d0d0a
const PCAPNG_ORDER = 0x1a2b3c4d
/** Magic number: [little-endian, time units in a millisecond]. */
const PCAP_MAGIC: ReadonlyMap<number, readonly [boolean, number]> = new Map([
  [0xa1b2c3d4, [false, 1e3]],
  [0xd4c3b2a1, [true, 1e3]],
  [0xa1b23c4d, [false, 1e6]],
  [0x4d3cb2a1, [true, 1e6]],
])
const PCAP_HEADER = 24
const PCAP_RECORD = 16
/** No packet is so long: where a length says that one is, the file is damaged. */
const MAX_LENGTH = 1 << 24

/**
 * What begins at the start of `bytes`: something of `length` octets, perhaps a packet; more octets
 * are needed; or no such thing.
 */
type Step = { readonly length: number; readonly packet?: CapturedPacket } | 'incomplete' | 'damaged'

interface Format {
  /** At `offset` of all octets so far. */
  next(bytes: Uint8Array): Step
}

export class CaptureFile {
  #format: Format | undefined
  #rest: Uint8Array = new Uint8Array(0)
  #problem: string | undefined

  /** The packets that `chunk` completes, sharing memory with it. */
  push(chunk: Uint8Array): CapturedPacket[] {
    const packets: CapturedPacket[] = []
    if (this.#problem !== undefined) return packets
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    if (this.#format === undefined && bytes.length >= PCAP_HEADER) {
      const start = formatOf(bytes)
      if (start === undefined) return this.#fail('it is neither pcap nor pcapng')
      this.#format = start.format
      bytes = bytes.subarray(start.length)
    }
    for (;;) {
      const step = this.#format?.next(bytes) ?? 'incomplete'
      if (step === 'damaged') return [...packets, ...this.#fail('it is damaged; what comes behind is not read')]
      if (step === 'incomplete') break
      if (step.packet !== undefined) packets.push(step.packet)
      bytes = bytes.subarray(step.length)
    }
    this.#rest = new Uint8Array(bytes)
    return packets
  }

  /** Whether it began as a capture does. */
  get isCapture(): boolean {
    return this.#format !== undefined
  }

  /** What is wrong with the whole, after the last chunk. */
  end(): string | undefined {
    if (this.#problem === undefined && this.#format === undefined) return 'it is neither pcap nor pcapng'
    return this.#problem ?? (this.#rest.length > 0 ? 'it ends within a packet' : undefined)
  }

  #fail(problem: string): [] {
    this.#problem = problem
    this.#rest = new Uint8Array(0)
    return []
  }
}

function formatOf(bytes: Uint8Array): { readonly format: Format; readonly length: number } | undefined {
  const magic = viewOf(bytes).getUint32(0)
  if (magic === PCAPNG_SECTION) return { format: new Pcapng(), length: 0 }
  const [little, unitsPerMillisecond] = PCAP_MAGIC.get(magic) ?? []
  if (little === undefined || unitsPerMillisecond === undefined) return undefined
  // the upper bits tell of frame check sequences
  const linkType = viewOf(bytes).getUint32(20, little) & 0xffff
  return { format: { next: rest => pcapRecord(rest, { little, unitsPerMillisecond, linkType }) }, length: PCAP_HEADER }
}

function pcapRecord(
  bytes: Uint8Array,
  { little, unitsPerMillisecond, linkType }: { little: boolean; unitsPerMillisecond: number; linkType: number },
): Step {
  if (bytes.length < PCAP_RECORD) return 'incomplete'
  const view = viewOf(bytes)
  const end = PCAP_RECORD + view.getUint32(8, little)
  if (end > MAX_LENGTH) return 'damaged'
  if (bytes.length < end) return 'incomplete'
  const time = view.getUint32(0, little) * 1e3 + view.getUint32(4, little) / unitsPerMillisecond
  return { length: end, packet: { time, linkType, bytes: bytes.subarray(PCAP_RECORD, end) } }
}

interface Interface {
  readonly linkType: number
  /** Time units in a millisecond. */
  readonly resolution: number
  /** Milliseconds to add to times. */
  readonly offset: number
}

const Block = { interface: 1, packet: 2, simplePacket: 3, enhancedPacket: 6 } as const
const InterfaceOption = { end: 0, resolution: 9, offset: 14 } as const

class Pcapng implements Format {
  #little = false
  #interfaces: Interface[] = []

  next(bytes: Uint8Array): Step {
    if (bytes.length < 12) return 'incomplete'
    const view = viewOf(bytes)
    if (view.getUint32(0) === PCAPNG_SECTION) {
      // A new section has its own byte order and its own interfaces.
      this.#little = view.getUint32(8) !== PCAPNG_ORDER
      this.#interfaces = []
    }
    const length = view.getUint32(4, this.#little)
    if (length < 12 || length % 4 !== 0 || length > MAX_LENGTH) return 'damaged'
    if (length > bytes.length) return 'incomplete'
    const body = bytes.subarray(8, length - 4)
    const type = view.getUint32(0, this.#little)
    if (type === Block.interface) this.#interfaces.push(interfaceOf(body, this.#little))
    const packet = this.#packet(type, body)
    return packet === undefined ? { length } : { length, packet }
  }

  #packet(type: number, body: Uint8Array): CapturedPacket | undefined {
    const view = viewOf(body)
    const little = this.#little
    if ((type === Block.enhancedPacket || type === Block.packet) && body.length >= 20) {
      // the obsolete block has a count of lost packets behind a shorter number of the interface
      const number = type === Block.packet ? view.getUint16(0, little) : view.getUint32(0, little)
      const from = this.#interfaces[number]
      if (from === undefined) return undefined
      const units = view.getUint32(4, little) * 2 ** 32 + view.getUint32(8, little)
      const time = units / from.resolution + from.offset
      return { time, linkType: from.linkType, bytes: body.subarray(20, 20 + view.getUint32(12, little)) }
    }
    const first = this.#interfaces[0]
    if (type !== Block.simplePacket || body.length < 4 || first === undefined) return undefined
    return { linkType: first.linkType, bytes: body.subarray(4, 4 + view.getUint32(0, little)) }
  }
}

function interfaceOf(body: Uint8Array, little: boolean): Interface {
  if (body.length < 8) return { linkType: -1, resolution: 1e3, offset: 0 }
  const view = viewOf(body)
  let resolution = 1e3
  let seconds = 0n
  for (let at = 8; at + 4 <= body.length; ) {
    const code = view.getUint16(at, little)
    const length = view.getUint16(at + 2, little)
    if (code === InterfaceOption.end || at + 4 + length > body.length) break
    if (code === InterfaceOption.resolution && length === 1) resolution = resolutionOf(body[at + 4] ?? 6)
    if (code === InterfaceOption.offset && length === 8) seconds = view.getBigInt64(at + 4, little)
    at += 4 + ((length + 3) & ~3)
  }
  return { linkType: view.getUint16(0, little), resolution, offset: Number(seconds) * 1e3 }
}

/** if_tsresol: a power of ten, or of two when the first bit is set. */
function resolutionOf(power: number): number {
  return (power & 0x80 ? 2 ** (power & 0x7f) : 10 ** power) / 1e3
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
