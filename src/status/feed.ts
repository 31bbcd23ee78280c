/**
 * The live stream: server-sent events (WHATWG HTML, "Server-sent events") with the whole snapshot
 * at once (`snapshot`), and what has changed in it after each change (`changes`).
 *
 * Bounded in every direction: so many clients, at most four snapshots a second, and a client that
 * reads slowly gets the newest state when it is ready for it, never a queue. A snapshot is made
 * once for all clients, and only while there are any; what changed is encoded once for all that
 * had the same before.
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { snapshotChanges } from './snapshot-changes.ts'

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
  /** What it was sent last. */
  has: Snapshot
  unread: number
}

export class SnapshotFeed {
  readonly #options: FeedOptions
  readonly #clients = new Set<Client>()
  #unsubscribe: (() => void) | undefined
  #cancelHeartbeat: Cancel | undefined
  #cancelSend: Cancel | undefined
  #lastSentAt = Number.NEGATIVE_INFINITY
  #newest: Snapshot | undefined
  #encoded: { from: Snapshot; to: Snapshot; bytes: Uint8Array } | undefined
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
    const has = this.#options.snapshot()
    let client: Client | undefined
    return new ReadableStream<Uint8Array>(
      {
        start: controller => {
          client = { controller, has, unread: 0 }
          this.#add(client)
          controller.enqueue(encoder.encode(`retry: 2000\n\nevent: snapshot\ndata: ${JSON.stringify(has)}\n\n`))
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
    this.#encoded = undefined
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
      this.#newest = this.#options.snapshot()
    } catch (error) {
      this.#options.onError(error)
      return
    }
    for (const client of this.#clients) this.#catchUp(client)
  }

  #catchUp(client: Client): void {
    if ((client.controller.desiredSize ?? 0) <= 0) return
    client.unread = 0
    if (this.#newest === undefined || client.has === this.#newest) return
    const bytes = this.#encode(client.has, this.#newest)
    client.has = this.#newest // before: to enqueue may ask for more at once
    client.controller.enqueue(bytes)
  }

  /** JSON has no raw line ends, so its text is one `data` line. */
  #encode(from: Snapshot, to: Snapshot): Uint8Array {
    if (this.#encoded?.from !== from || this.#encoded.to !== to) {
      const bytes = encoder.encode(`event: changes\ndata: ${JSON.stringify(snapshotChanges(from, to))}\n\n`)
      this.#encoded = { from, to, bytes }
    }
    return this.#encoded.bytes
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
