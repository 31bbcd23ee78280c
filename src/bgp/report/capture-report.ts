/**
 * The BGP messages of a capture file as reports, in the order of the packets that complete them. What the OPENs of a connection agree
 * on decides how its UPDATEs are read; without them (capture started later) the caller's defaults do.
 * Pure.
 */
import { FAMILIES } from '../../lib/ip.ts'
import { findCapability } from '../codec/capabilities.ts'
import { decodeMessage } from '../codec/message.ts'
import { MessageFramer } from '../codec/message-framer.ts'
import type { CodecContext, Decoded, Open } from '../codec/message-types.ts'
import { familyOfAfi } from '../codec/nlri.ts'
import { MessageTypeCode } from '../codec/registry.ts'
import { type CapturedPacket, readCapture } from './capture-file.ts'
import {
  addSegment,
  endStream,
  newStream,
  type StreamPiece,
  segmentOf,
  type TcpSegment,
  type TcpStream,
} from './capture-tcp.ts'
import { type Report, reportDecoded } from './decode-report.ts'

const BGP_PORT = 179
const MARKER = new Uint8Array(16).fill(0xff)
const TYPE_OFFSET = 18

/** One direction of a connection: its octets, and whether a message starts at the next one. */
interface Direction {
  readonly from: string
  readonly to: string
  readonly stream: TcpStream
  framer: MessageFramer
  /** Octets in which the next marker is looked for; undefined while messages follow each other. */
  searching: Uint8Array | undefined
  open: Open | undefined
}

/** Undefined when `file` is neither pcap nor pcapng. */
export function reportCapture(file: Uint8Array, defaults: CodecContext): Iterable<Report> | undefined {
  const packets = readCapture(file)
  return packets && reportPackets(packets, defaults)
}

function* reportPackets(packets: Iterable<CapturedPacket>, defaults: CodecContext): Generator<Report> {
  const directions = new Map<string, Direction>()
  let last: number | undefined
  for (const packet of packets) {
    const segment = segmentOf(packet)
    if (segment === undefined) continue
    const direction = directionOf(directions, segment)
    if (direction === undefined) continue
    last = packet.time
    if (segment.syn) restart(direction)
    yield* reportPieces(addSegment(direction.stream, segment), { direction, directions, defaults, time: packet.time })
  }
  for (const direction of directions.values()) {
    yield* reportPieces(endStream(direction.stream), { direction, directions, defaults, time: last })
  }
}

/** A stream is BGP by its port, or by the marker that it starts with. */
function directionOf(directions: Map<string, Direction>, segment: TcpSegment): Direction | undefined {
  const key = `${segment.from} ${segment.to}`
  const known = directions.get(key)
  if (known !== undefined) return known
  const bgp = segment.ports.includes(BGP_PORT) || Buffer.from(segment.payload.subarray(0, 16)).equals(MARKER)
  if (!bgp) return undefined
  const { from, to } = segment
  const direction: Direction = {
    from,
    to,
    stream: newStream(),
    framer: new MessageFramer(),
    // Without the SYN we may be in the middle of a message.
    searching: segment.syn ? undefined : new Uint8Array(0),
    open: undefined,
  }
  directions.set(key, direction)
  return direction
}

function restart(direction: Direction): void {
  direction.framer = new MessageFramer()
  direction.searching = undefined
  direction.open = undefined
}

interface Position {
  readonly direction: Direction
  readonly directions: ReadonlyMap<string, Direction>
  readonly defaults: CodecContext
  readonly time: number | undefined
}

function* reportPieces(pieces: readonly StreamPiece[], position: Position): Generator<Report> {
  for (const piece of pieces) {
    if (piece.kind === 'octets') {
      yield* reportOctets(piece.octets, position)
    } else {
      lose(position.direction)
      yield { ...place(position), type: null, reason: 'octets of this connection are not in the capture' }
    }
  }
}

function lose(direction: Direction): void {
  direction.framer = new MessageFramer()
  direction.searching = new Uint8Array(0)
}

function* reportOctets(octets: Uint8Array, position: Position): Generator<Report> {
  const { direction } = position
  const chunk = fromMarker(direction, octets)
  if (chunk === undefined) return
  direction.framer.extendedMessages = contextOf(position).extendedMessages
  const { messages, error } = direction.framer.push(chunk)
  for (const message of messages) {
    const decoded = decodeMessage(message, contextOf(position))
    if (decoded.message?.type === 'OPEN') direction.open = decoded.message
    yield { ...place(position), ...reportDecoded(message, decoded) }
  }
  if (error !== undefined) {
    const decoded: Decoded = { outcome: 'session-reset', ...error }
    yield { ...place(position), ...reportDecoded(new Uint8Array(0), decoded) }
    lose(direction)
  }
}

/** `octets` from the next marker on when one is looked for. */
function fromMarker(direction: Direction, octets: Uint8Array): Uint8Array | undefined {
  if (direction.searching === undefined) return octets
  const waiting = Buffer.concat([direction.searching, octets])
  const start = waiting.indexOf(MARKER)
  // Octets of ones before the marker belong to a value: the length field behind it starts with something else.
  const known = start < 0 ? -1 : skipOnes(waiting, start)
  if (known < 0) {
    direction.searching = waiting.subarray(Math.max(0, waiting.length - TYPE_OFFSET))
    return undefined
  }
  direction.searching = undefined
  return waiting.subarray(known)
}

function skipOnes(bytes: Uint8Array, start: number): number {
  let end = start
  while (bytes[end] === 0xff) end++
  const type = bytes[end - MARKER.length + TYPE_OFFSET]
  const known: readonly (number | undefined)[] = Object.values(MessageTypeCode)
  return known.includes(type) ? end - MARKER.length : -1
}

function place({ direction, time }: Position): Report {
  const date = new Date(time ?? Number.NaN)
  // A capture can hold any number as its time.
  const known = Number.isNaN(date.getTime()) ? {} : { time: date.toISOString() }
  return { ...known, from: direction.from, to: direction.to }
}

/** What the OPENs of both directions agree on. */
function contextOf({ direction, directions, defaults }: Position): CodecContext {
  const other = directions.get(`${direction.to} ${direction.from}`)?.open
  const open = direction.open
  if (open === undefined || other === undefined) return defaults
  const both = (kind: 'four-octet-as' | 'extended-message') =>
    [open, other].every(one => findCapability(one.capabilities, kind))
  return {
    ...defaults,
    fourOctetAs: both('four-octet-as'),
    extendedMessages: both('extended-message'),
    ibgp: open.asNumber === other.asNumber,
    families: FAMILIES.filter(family => [open, other].every(one => offers(one, family))),
  }
}

/** RFC 4760 section 8: a speaker without any multiprotocol capability speaks of IPv4 unicast. */
function offers({ capabilities }: Open, family: (typeof FAMILIES)[number]): boolean {
  const offered = capabilities.filter(capability => capability.kind === 'multiprotocol')
  if (offered.length === 0) return family === 'ipv4'
  return offered.some(capability => familyOfAfi(capability) === family)
}
