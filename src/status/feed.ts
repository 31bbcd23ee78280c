/**
 * The live stream: server-sent events (WHATWG HTML, "Server-sent events") with the whole snapshot
 * at once and after each change.
 *
 * Bounded in every direction: so many clients, at most four snapshots a second, and a client that
 * reads slowly gets the newest one when it is ready for it, never a queue. A snapshot is made and
 * encoded once for all clients, and only while there are any.
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Snapshot } from '../model/snapshot.ts'

export interface SnapshotSource {
  readonly snapshot: () => Snapshot
  /** Calls `listener` after each change until the function that it returns is called. */
  readonly onChange: (listener: () => void) => () => void
}

export interface FeedOptions extends SnapshotSource {
  readonly clock: Clock
  /** Default 32. */
  readonly maximumClients?: number | undefined
  readonly onError: (error: unknown) => void
}

const HEARTBEAT_MILLISECONDS = 15_000
const COALESCE_MILLISECONDS = 250
/** Heartbeats that a client may leave unread before it is dropped. */
const PATIENCE = 4

interface Client {
  readonly controller: ReadableStreamDefaultController<Uint8Array>
  /** It was not ready for the newest snapshot. */
  behind: boolean
  unread: number
}

export class SnapshotFeed {
  readonly #options: FeedOptions
  readonly #clients = new Set<Client>()
  #unsubscribe: (() => void) | undefined
  #cancelHeartbeat: Cancel | undefined
  #cancelSend: Cancel | undefined
  #lastSentAt = Number.NEGATIVE_INFINITY
  #newest: Uint8Array | undefined
  #closed = false

  constructor(options: FeedOptions) {
    this.#options = options
  }

  /** Clients that listen now. */
  get clients(): number {
    return this.#clients.size
  }

  /**
   * A stream for one more client, or undefined when there are too many or the feed is closed.
   * Throws what `snapshot` throws.
   */
  open(): ReadableStream<Uint8Array> | undefined {
    if (this.#closed || this.#clients.size >= (this.#options.maximumClients ?? 32)) return undefined
    const first = encodeSnapshot(this.#options.snapshot())
    let client: Client | undefined
    return new ReadableStream<Uint8Array>(
      {
        start: controller => {
          client = { controller, behind: false, unread: 0 }
          this.#add(client)
          controller.enqueue(concatenate('retry: 2000\n\n', first))
        },
        pull: () => {
          if (client !== undefined) this.#catchUp(client)
        },
        cancel: () => {
          if (client !== undefined) this.#remove(client)
        },
      },
      new CountQueuingStrategy({ highWaterMark: 2 }),
    )
  }

  /** Ends every stream. */
  close(): void {
    this.#closed = true
    for (const client of [...this.#clients]) {
      this.#remove(client)
      client.controller.close()
    }
  }

  #add(client: Client): void {
    this.#clients.add(client)
    if (this.#clients.size > 1) return
    this.#unsubscribe = this.#options.onChange(() => this.#changed())
    this.#scheduleHeartbeat()
  }

  #remove(client: Client): void {
    if (!this.#clients.delete(client) || this.#clients.size > 0) return
    this.#unsubscribe?.()
    this.#cancelHeartbeat?.()
    this.#cancelSend?.()
    this.#cancelSend = undefined
    this.#newest = undefined
  }

  #changed(): void {
    if (this.#cancelSend !== undefined || this.#clients.size === 0) return
    const { clock } = this.#options
    const pause = Math.max(0, this.#lastSentAt + COALESCE_MILLISECONDS - clock.monotonic())
    this.#cancelSend = clock.after(pause, () => this.#send())
  }

  #send(): void {
    this.#cancelSend = undefined
    this.#lastSentAt = this.#options.clock.monotonic()
    try {
      this.#newest = encodeSnapshot(this.#options.snapshot())
    } catch (error) {
      this.#options.onError(error)
      return
    }
    for (const client of this.#clients) {
      client.behind = true
      this.#catchUp(client)
    }
  }

  #catchUp(client: Client): void {
    if ((client.controller.desiredSize ?? 0) <= 0) return
    client.unread = 0
    if (!client.behind || this.#newest === undefined) return
    client.behind = false
    client.controller.enqueue(this.#newest)
  }

  #scheduleHeartbeat(): void {
    this.#cancelHeartbeat = this.#options.clock.after(HEARTBEAT_MILLISECONDS, () => {
      for (const client of [...this.#clients]) this.#beat(client)
      if (this.#clients.size > 0) this.#scheduleHeartbeat()
    })
  }

  /** A comment keeps the connection open and tells the client that we live. */
  #beat(client: Client): void {
    if ((client.controller.desiredSize ?? 0) > 0) {
      client.controller.enqueue(HEARTBEAT)
      return
    }
    client.unread++
    if (client.unread < PATIENCE) return
    this.#remove(client)
    client.controller.error(new Error('the client does not read'))
  }
}

const encoder = new TextEncoder()
const HEARTBEAT = encoder.encode(': heartbeat\n\n')

/** One `snapshot` event. JSON has no raw line ends, so its text is one `data` line. */
function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  return encoder.encode(`event: snapshot\ndata: ${JSON.stringify(snapshot)}\n\n`)
}

function concatenate(head: string, tail: Uint8Array): Uint8Array {
  const bytes = encoder.encode(head)
  const whole = new Uint8Array(bytes.length + tail.length)
  whole.set(bytes)
  whole.set(tail, bytes.length)
  return whole
}
