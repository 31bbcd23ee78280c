/**
 * The messages of one session as they come, a JSON object per line. Bounded: a client that reads
 * slowly misses lines, and is told how many.
 */
import type { TraceLine } from '../model/session.ts'

/** Tells of messages with the peer of a BGPPeer; undefined where there is no session of it. */
export type Trace = (bgpPeer: string, listener: (line: TraceLine) => void) => (() => void) | undefined

/** Lines that wait for a client. */
const MOST_WAITING = 1000
const HEARTBEAT_MILLISECONDS = 15_000
const encoder = new TextEncoder()

/** Undefined where there is no such session. */
export function traceStream(
  trace: Trace,
  bgpPeer: string,
  closing?: AbortSignal,
): ReadableStream<Uint8Array> | undefined {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined
  let missed = 0
  const send = (value: unknown) => controller?.enqueue(encoder.encode(`${JSON.stringify(value)}\n`))
  const stop = trace(bgpPeer, (line: TraceLine) => {
    if ((controller?.desiredSize ?? 0) <= 0) {
      missed++
      return
    }
    if (missed > 0) send({ missed })
    missed = 0
    send(line)
  })
  if (stop === undefined) return undefined
  // an empty line keeps the connection open, and finds a client that is gone
  const beat = setInterval(() => {
    if ((controller?.desiredSize ?? 0) > 0) controller?.enqueue(encoder.encode('\n'))
  }, HEARTBEAT_MILLISECONDS)
  const end = () => {
    clearInterval(beat)
    stop()
  }
  closing?.addEventListener('abort', () => {
    end()
    controller?.close()
    controller = undefined
  })
  return new ReadableStream<Uint8Array>(
    {
      start: own => {
        controller = own
        own.enqueue(encoder.encode('\n'))
      },
      cancel: () => {
        controller = undefined
        end()
      },
    },
    new CountQueuingStrategy({ highWaterMark: MOST_WAITING }),
  )
}
