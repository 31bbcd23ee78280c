/**
 * One TCP connection that Bun owns: keeps what the kernel does not take at once, says when that is
 * gone, and tells once how it ended.
 */
import type { Cancel, Clock } from '../../lib/clock.ts'
import { SystemError } from '../../lib/errno.ts'
import { errorCode } from '../../lib/errors.ts'
import { canonicalAddress, familyOf } from '../../lib/ip.ts'
import type { Connection, ConnectionHandlers, HopLimits, TransportProblem } from './transport-types.ts'
import { startTtlTrial } from './ttl-trial.ts'

/** How long a closing connection may take to hand its last bytes to a peer that does not read. */
const LINGER_MILLISECONDS = 2000

type Phase = 'open' | 'closing' | 'gone'

type Limit = (limits: HopLimits) => void

export class TcpConnection implements Connection {
  readonly localAddress: string
  readonly remoteAddress: string
  readonly localPort: number
  readonly remotePort: number
  readonly fd: number
  readonly #socket: Bun.Socket<TcpConnection | undefined>
  readonly #clock: Clock
  #phase: Phase = 'open'
  #handlers: ConnectionHandlers | undefined
  #queue: Uint8Array[] = []
  #limit: Limit = () => {}
  #linger: Cancel = () => {}
  #endTrial: Cancel = () => {}

  constructor(socket: Bun.Socket<TcpConnection | undefined>, clock: Clock) {
    this.#socket = socket
    this.#clock = clock
    this.localAddress = plainAddress(socket.localAddress)
    this.remoteAddress = plainAddress(socket.remoteAddress)
    this.localPort = socket.localPort
    this.remotePort = socket.remotePort
    this.fd = fdOf(socket)
  }

  get congested(): boolean {
    return this.#queue.length > 0
  }

  attach(handlers: ConnectionHandlers): void {
    this.#handlers = handlers
  }

  /** Who may set options on this socket tells how. */
  limitWith(limit: Limit): void {
    this.#limit = limit
  }

  limitHops(limits: HopLimits): TransportProblem | undefined {
    try {
      this.#limit(limits)
      return undefined
    } catch (error) {
      if (!(error instanceof SystemError)) throw error
      return { kind: 'local-problem', detail: error.message }
    }
  }

  tryMinimumTtl(minimum: number, done: (passes: boolean | undefined) => void): Cancel {
    this.#endTrial()
    const isOpen = () => this.#phase === 'open' && this.fd >= 0
    const family = familyOf(this.remoteAddress)
    const end = startTtlTrial({ clock: this.#clock, fd: this.fd, family, minimum, isOpen, done })
    this.#endTrial = end
    return end
  }

  write(bytes: Uint8Array): void {
    if (this.#phase !== 'open') return
    if (this.congested) {
      this.#queue.push(bytes.slice())
      return
    }
    const taken = this.#take(bytes)
    if (taken < bytes.length) this.#queue.push(bytes.slice(taken))
  }

  close(): void {
    if (this.#phase !== 'open') return
    this.#endTrial() // or the peer's last acknowledgments would not be heard
    this.#phase = 'closing'
    if (this.congested) this.#linger = this.#clock.after(LINGER_MILLISECONDS, () => this.abort())
    else this.#end()
  }

  abort(): void {
    if (this.#phase === 'gone') return
    this.#gone()
    this.#socket.terminate()
  }

  /** The socket's events, from `tcpHandlers`. */
  onData(bytes: Uint8Array): void {
    if (this.#phase === 'open') this.#handlers?.data(bytes)
  }

  onDrain(): void {
    if (this.#phase === 'gone' || !this.congested) return
    while (this.#queue.length > 0) {
      const bytes = this.#queue[0] ?? new Uint8Array()
      const taken = this.#take(bytes)
      if (taken < bytes.length) {
        this.#queue[0] = bytes.subarray(taken)
        return
      }
      this.#queue.shift()
    }
    if (this.#phase === 'open') this.#handlers?.drained()
    else this.#end()
  }

  onEnd(error: unknown): void {
    const tell = this.#phase === 'open'
    if (this.#phase === 'gone') return
    this.#gone()
    if (tell) this.#handlers?.ended(endProblem(error))
  }

  #take(bytes: Uint8Array): number {
    return Math.max(0, this.#socket.write(bytes))
  }

  #end(): void {
    this.#gone()
    this.#socket.end()
  }

  #gone(): void {
    this.#phase = 'gone'
    this.#queue = []
    this.#linger()
  }
}

/** Handlers for Bun that make a `TcpConnection` of each socket that opens. */
export function tcpHandlers(
  clock: Clock,
  opened: (connection: TcpConnection) => void,
): Bun.SocketHandler<TcpConnection | undefined> {
  return {
    binaryType: 'uint8array',
    open(socket) {
      const connection = new TcpConnection(socket, clock)
      socket.data = connection
      opened(connection)
    },
    data(socket, bytes) {
      socket.data?.onData(bytes)
    },
    drain(socket) {
      socket.data?.onDrain()
    },
    close(socket, error) {
      socket.data?.onEnd(error)
    },
    error(socket, error) {
      // Bun brings what a handler throws here as well: that is a bug of ours, not an end of the
      // connection.
      if (errorCode(error) === undefined) {
        queueMicrotask(() => {
          throw error
        })
      }
      socket.data?.onEnd(error)
    },
  }
}

function endProblem(error: unknown): TransportProblem {
  switch (errorCode(error)) {
    case undefined:
      return { kind: 'closed', detail: 'closed by the peer' }
    case 'ETIMEDOUT':
      return { kind: 'timed-out', detail: 'the peer does not answer any more' }
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ENETDOWN':
      return { kind: 'unreachable', detail: 'the peer is unreachable' }
    default:
      return { kind: 'reset', detail: 'connection reset' }
  }
}

/** Bun gives the descriptor of a TCP socket, though its types do not say so. */
function fdOf(socket: object): number {
  return 'fd' in socket && typeof socket.fd === 'number' ? socket.fd : -1
}

function plainAddress(address: string): string {
  const text = address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/, '')
  return canonicalAddress(text) ?? text
}
