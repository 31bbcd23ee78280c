/**
 * The BGP messages of a capture as reports, in the order of the packets that complete them. What
 * the OPENs of a connection agree on decides how its UPDATEs are read; without them (the capture
 * started later) the caller's defaults do. Packets that may hold BGP and are not read are counted
 * by what they are. Pure.
 */
import { toHex } from '../../lib/bytes.ts'
import { counted } from '../../lib/count-text.ts'
import { decodeHeader, decodeMessage, HEADER_LENGTH } from '../codec/message.ts'
import type { Decoded, Open } from '../codec/message-types.ts'
import { MessageTypeCode } from '../codec/registry.ts'
import { type CapturedPacket, CaptureFile } from './capture-file.ts'
import { segmentOf, type TcpSegment } from './capture-packet.ts'
import {
  acknowledge,
  addSegment,
  endStream,
  newStream,
  type StreamPiece,
  type TcpStream,
  type TimedSegment,
} from './capture-tcp.ts'
import { type Report, reportDecoded, reportMessage } from './decode-report.ts'
import { negotiatedContext, type ReportContext } from './report-options.ts'

const BGP_PORT = 179
const MARKER = new Uint8Array(16).fill(0xff)

/** One direction of a connection: its octets, and whether a message starts at the next one. */
interface Direction {
  readonly from: string
  readonly to: string
  readonly stream: TcpStream
  /** Octets that are no whole message yet. */
  pending: Uint8Array
  /**
   * The next header is to be looked for: the octets before it belong to no message that we know.
   */
  searching: boolean
  open: Open | undefined
}

export class CaptureReport {
  readonly #defaults: ReportContext
  readonly #file = new CaptureFile()
  readonly #directions = new Map<string, Direction>()
  readonly #unread = new Map<string, number>()

  constructor(defaults: ReportContext) {
    this.#defaults = defaults
  }

  /** The messages that the octets of the file complete. */
  push(chunk: Uint8Array): Report[] {
    return this.#file.push(chunk).flatMap(packet => this.#packet(packet))
  }

  /** Behind the last octets: the rest, and what a reader has to know of the whole. */
  end(): { readonly reports: Report[]; readonly isCapture: boolean; readonly notes: string[] } {
    const problem = this.#file.end()
    const reports = [...this.#directions.values()].flatMap(direction =>
      this.#pieces(direction, endStream(direction.stream)),
    )
    const unread = [...this.#unread].map(([what, count]) => `${counted(count, 'packet')} of ${what} not read`)
    return { reports, isCapture: this.#file.isCapture, notes: [...unread, ...(problem === undefined ? [] : [problem])] }
  }

  #packet(packet: CapturedPacket): Report[] {
    const found = segmentOf(packet)
    if (found === undefined) return []
    if ('unread' in found) {
      this.#unread.set(found.unread, 1 + (this.#unread.get(found.unread) ?? 0))
      return []
    }
    const { time } = packet
    const direction = this.#directionOf(found)
    const other = this.#directions.get(`${found.to} ${found.from}`)
    const lost =
      found.acknowledged === undefined || other === undefined
        ? []
        : this.#pieces(other, acknowledge(other.stream, found.acknowledged, time))
    if (direction === undefined) return lost
    const segment: TimedSegment = { ...found, time }
    if (found.syn && !isRepeatedSyn(direction, found)) restart(direction)
    return [...lost, ...this.#pieces(direction, addSegment(direction.stream, segment))]
  }

  /** A stream is BGP by its port, or by the marker that it starts with. */
  #directionOf(segment: TcpSegment): Direction | undefined {
    const key = `${segment.from} ${segment.to}`
    const known = this.#directions.get(key)
    if (known !== undefined) return known
    const bgp = segment.ports.includes(BGP_PORT) || Buffer.from(segment.payload.subarray(0, 16)).equals(MARKER)
    if (!bgp) return undefined
    const { from, to } = segment
    // Without the SYN we may be in the middle of a message.
    const direction: Direction = {
      from,
      to,
      stream: newStream(),
      pending: new Uint8Array(0),
      searching: !segment.syn,
      open: undefined,
    }
    this.#directions.set(key, direction)
    return direction
  }

  #pieces(direction: Direction, pieces: readonly StreamPiece[]): Report[] {
    return pieces.flatMap(piece => {
      const place = placeOf(direction, piece.time)
      if (piece.kind === 'octets') return this.#octets(direction, piece.octets).map(report => ({ ...place, ...report }))
      direction.pending = new Uint8Array(0)
      direction.searching = true
      return [{ ...place, type: null, reason: 'octets of this connection are not in the capture' }]
    })
  }

  #octets(direction: Direction, octets: Uint8Array): Report[] {
    const reports: Report[] = []
    direction.pending = direction.pending.length === 0 ? octets : Buffer.concat([direction.pending, octets])
    for (;;) {
      const context = this.#contextOf(direction)
      if (direction.searching && !seek(direction, context)) break
      const { pending } = direction
      if (pending.length < HEADER_LENGTH) break
      const header = decodeHeader(pending, context.extendedMessages)
      if ('notification' in header) {
        const decoded: Decoded = { outcome: 'session-reset', ...header }
        const octets = toHex(pending.subarray(0, HEADER_LENGTH))
        reports.push({ ...reportDecoded(new Uint8Array(0), decoded, context), octets })
        direction.searching = true
        direction.pending = pending.subarray(1)
      } else {
        if (pending.length < header.length) break
        reports.push(readMessage(direction, pending.subarray(0, header.length), context))
        direction.pending = pending.subarray(header.length)
      }
    }
    direction.pending = direction.pending.slice()
    return reports
  }

  #contextOf(direction: Direction): ReportContext {
    const other = this.#directions.get(`${direction.to} ${direction.from}`)?.open
    if (direction.open === undefined || other === undefined) return this.#defaults
    return negotiatedContext(direction.open, other)
  }
}

function readMessage(direction: Direction, bytes: Uint8Array, context: ReportContext): Report {
  if (bytes[HEADER_LENGTH - 1] === MessageTypeCode.OPEN) {
    const { message } = decodeMessage(bytes, context)
    if (message?.type === 'OPEN') direction.open = message
  }
  return reportMessage(bytes, context)
}

/** Drops what comes before the next header; false when there is none yet. */
function seek(direction: Direction, { extendedMessages }: ReportContext): boolean {
  const { pending } = direction
  for (let start = pending.indexOf(0xff); start >= 0; start = pending.indexOf(0xff, start + 1)) {
    if (pending.length - start < HEADER_LENGTH) {
      direction.pending = pending.subarray(start)
      return false
    }
    const rest = pending.subarray(start)
    // Octets of ones before a marker belong to a value: then its length would be more than any
    // message has.
    if (!('notification' in decodeHeader(rest, extendedMessages))) {
      direction.pending = rest
      direction.searching = false
      return true
    }
  }
  direction.pending = new Uint8Array(0)
  return false
}

/** Sent again, since its answer was lost. */
function isRepeatedSyn({ stream }: Direction, { sequence }: TcpSegment): boolean {
  return stream.next === (sequence + 1) >>> 0
}

function restart(direction: Direction): void {
  direction.pending = new Uint8Array(0)
  direction.searching = false
  direction.open = undefined
}

function placeOf({ from, to }: Direction, time: number | undefined): Report {
  const date = new Date(time ?? Number.NaN)
  // A capture can hold any number as its time.
  const known = Number.isNaN(date.getTime()) ? {} : { time: date.toISOString() }
  return { ...known, from, to }
}
