/**
 * One direction of a TCP connection as a stream of octets: captured segments put in order, what was
 * sent twice used once. Octets that the capture does not have are a gap, for good as soon as the
 * other side says that it has got them. Pure.
 */
import type { TcpSegment } from './capture-packet.ts'

/** A segment, and when it was captured: milliseconds since the epoch. */
export type TimedSegment = Pick<TcpSegment, 'sequence' | 'syn' | 'payload'> & { readonly time: number | undefined }

export interface TcpStream {
  next: number | undefined
  /** Segments ahead of `next`, in no order. */
  readonly ahead: TimedSegment[]
}

export type StreamPiece =
  | { readonly kind: 'octets'; readonly octets: Uint8Array; readonly time: number | undefined }
  | { readonly kind: 'gap'; readonly time: number | undefined }

/** More than these ahead of a missing segment: it is not in the capture. */
const MAX_AHEAD = 1024

export function newStream(): TcpStream {
  return { next: undefined, ahead: [] }
}

/**
 * What `segment` adds to its stream, in order. A gap stands for octets that the capture does not
 * have.
 */
export function addSegment(stream: TcpStream, segment: TimedSegment): StreamPiece[] {
  if (segment.syn) {
    stream.next = (segment.sequence + 1) >>> 0
    stream.ahead.length = 0
  }
  if (segment.payload.length === 0) return []
  stream.next ??= segment.sequence
  stream.ahead.push(segment.syn ? { ...segment, sequence: stream.next } : segment)
  const pieces = drain(stream)
  return stream.ahead.length > MAX_AHEAD ? [...pieces, ...skipGap(stream)] : pieces
}

/** The other side has got everything before `sequence`: what is missing of that will not come. */
export function acknowledge(stream: TcpStream, sequence: number, time: number | undefined): StreamPiece[] {
  const pieces: StreamPiece[] = []
  while (stream.next !== undefined && distance(stream.next, sequence) > 0) {
    // One octet more than was sent acknowledges a FIN, which is no octet of the stream.
    if (stream.ahead.length === 0 && distance(stream.next, sequence) === 1) return pieces
    pieces.push(...skipGap(stream, { sequence, time }))
  }
  return pieces
}

/** The rest of a stream at the end of a capture. */
export function endStream(stream: TcpStream): StreamPiece[] {
  const pieces: StreamPiece[] = []
  while (stream.ahead.length > 0) pieces.push(...skipGap(stream))
  return pieces
}

/** Goes on behind the gap: at the nearest segment, or at `limit` when that comes first. */
function skipGap(stream: TcpStream, limit?: { sequence: number; time: number | undefined }): StreamPiece[] {
  const base = stream.next ?? 0
  const ends = stream.ahead.map(({ sequence, time }) => ({ length: distance(base, sequence), time }))
  if (limit !== undefined) ends.push({ length: distance(base, limit.sequence), time: limit.time })
  const nearest = ends.reduce((a, b) => (b.length < a.length ? b : a))
  stream.next = (base + nearest.length) >>> 0
  return [{ kind: 'gap', time: nearest.time }, ...drain(stream)]
}

function drain(stream: TcpStream): StreamPiece[] {
  const pieces: StreamPiece[] = []
  for (;;) {
    const base = stream.next ?? 0
    const index = stream.ahead.findIndex(({ sequence }) => distance(base, sequence) <= 0)
    const segment = stream.ahead[index]
    if (segment === undefined) return pieces
    stream.ahead.splice(index, 1)
    const octets = segment.payload.subarray(-distance(base, segment.sequence))
    if (octets.length === 0) continue
    stream.next = (base + octets.length) >>> 0
    pieces.push({ kind: 'octets', octets, time: segment.time })
  }
}

/** How far `sequence` is ahead of `base`, modulo 2^32 (RFC 9293 section 3.4). */
function distance(base: number, sequence: number): number {
  return (sequence - base) | 0
}
