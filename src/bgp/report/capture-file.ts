/**
 * Packets out of a capture file: classic pcap (draft-ietf-opsawg-pcap; micro- and nanoseconds, both byte orders) and pcapng
 * (draft-ietf-opsawg-pcapng: section header, interface, enhanced and simple packet blocks). A file that was cut gives the packets
 * before the cut. Pure.
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

/** The packets of a capture, sharing memory with it; undefined when it is neither pcap nor pcapng. */
export function readCapture(file: Uint8Array): Iterable<CapturedPacket> | undefined {
  if (file.length < 24) return undefined
  const magic = viewOf(file).getUint32(0)
  if (magic === PCAPNG_SECTION) return pcapngPackets(file)
  const format = PCAP_MAGIC.get(magic)
  return format && pcapPackets(file, ...format)
}

function* pcapPackets(file: Uint8Array, little: boolean, unitsPerMillisecond: number): Generator<CapturedPacket> {
  const view = viewOf(file)
  const linkType = view.getUint32(20, little) & 0xffff // the upper bits tell of frame check sequences
  for (let offset = 24; offset + 16 <= file.length; ) {
    const seconds = view.getUint32(offset, little)
    const fraction = view.getUint32(offset + 4, little)
    const length = view.getUint32(offset + 8, little)
    const start = offset + 16
    if (start + length > file.length) return
    yield {
      time: seconds * 1e3 + fraction / unitsPerMillisecond,
      linkType,
      bytes: file.subarray(start, start + length),
    }
    offset = start + length
  }
}

interface Interface {
  readonly linkType: number
  /** Time units in a millisecond. */
  readonly resolution: number
}

const Block = { interface: 1, simplePacket: 3, enhancedPacket: 6 } as const

function* pcapngPackets(file: Uint8Array): Generator<CapturedPacket> {
  const view = viewOf(file)
  let little = false
  let interfaces: Interface[] = []
  for (let offset = 0; offset + 12 <= file.length; ) {
    if (view.getUint32(offset) === PCAPNG_SECTION) {
      // A new section has its own byte order and its own interfaces.
      little = view.getUint32(offset + 8) !== PCAPNG_ORDER
      interfaces = []
    }
    const length = view.getUint32(offset + 4, little)
    if (length < 12 || length % 4 !== 0 || offset + length > file.length) return
    const body = file.subarray(offset + 8, offset + length - 4)
    const type = view.getUint32(offset, little)
    if (type === Block.interface) interfaces.push(interfaceOf(body, little))
    const packet = packetOf(type, body, { little, interfaces })
    if (packet !== undefined) yield packet
    offset += length
  }
}

function interfaceOf(body: Uint8Array, little: boolean): Interface {
  if (body.length < 8) return { linkType: -1, resolution: 1e3 }
  const view = viewOf(body)
  const linkType = view.getUint16(0, little)
  for (let offset = 8; offset + 4 <= body.length; ) {
    const code = view.getUint16(offset, little)
    const length = view.getUint16(offset + 2, little)
    // if_tsresol: a power of ten, or of two when the first bit is set
    const power = body[offset + 4] ?? 6
    if (code === 9 && length === 1) {
      return { linkType, resolution: (power & 0x80 ? 2 ** (power & 0x7f) : 10 ** power) / 1e3 }
    }
    if (code === 0) break
    offset += 4 + ((length + 3) & ~3)
  }
  return { linkType, resolution: 1e3 }
}

function packetOf(
  type: number,
  body: Uint8Array,
  { little, interfaces }: { little: boolean; interfaces: readonly Interface[] },
): CapturedPacket | undefined {
  const view = viewOf(body)
  if (type === Block.enhancedPacket && body.length >= 20) {
    const from = interfaces[view.getUint32(0, little)]
    if (from === undefined) return undefined
    const units = view.getUint32(4, little) * 2 ** 32 + view.getUint32(8, little)
    const length = view.getUint32(12, little)
    return { time: units / from.resolution, linkType: from.linkType, bytes: body.subarray(20, 20 + length) }
  }
  if (type === Block.simplePacket && body.length >= 4 && interfaces[0] !== undefined) {
    return { linkType: interfaces[0].linkType, bytes: body.subarray(4, 4 + view.getUint32(0, little)) }
  }
  return undefined
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
