/**
 * A configured peer, and a network that is a test: connections whose other end the test holds, in
 * messages.
 */
import { decodeMessage, encodeMessage, INITIAL_CONTEXT } from '../../src/bgp/codec/message.ts'
import { MessageFramer } from '../../src/bgp/codec/message-framer.ts'
import type { CodecContext, Message } from '../../src/bgp/codec/message-types.ts'
import type { PeerConfig } from '../../src/bgp/speaker-types.ts'
import type {
  Connection,
  ConnectionHandlers,
  Endpoint,
  HopLimits,
  Listener,
  Transport,
  TransportProblem,
} from '../../src/bgp/tcp/transport-types.ts'
import type { Secret } from '../../src/lib/secret.ts'

export function peerConfig(changes: Partial<PeerConfig> = {}): PeerConfig {
  return {
    key: 'lan',
    localAs: 65010,
    peerAs: 65001,
    peerAddress: '10.0.0.2',
    peerPort: 179,
    routerId: '10.0.0.1',
    holdTimeSeconds: 90,
    connectRetrySeconds: 30,
    gracefulRestart: { enabled: true, restartTimeSeconds: 600 },
    families: ['ipv4'],
    passive: false,
    ...changes,
  }
}

/** A connection of the speaker; the test is the peer. */
export class FakeConnection implements Connection {
  readonly localAddress = '10.0.0.1'
  readonly remoteAddress: string
  congested = false
  ended: 'close' | 'abort' | undefined
  hops: HopLimits | undefined
  /** What the speaker sent, decoded with `context`. */
  readonly received: Message[] = []
  context: CodecContext = { ...INITIAL_CONTEXT, fourOctetAs: true }
  readonly #framer = new MessageFramer()
  #handlers: ConnectionHandlers | undefined

  constructor(remoteAddress = '10.0.0.2') {
    this.remoteAddress = remoteAddress
  }
  attach(handlers: ConnectionHandlers): void {
    this.#handlers = handlers
  }
  limitHops(limits: HopLimits): undefined {
    this.hops = limits
  }
  write(bytes: Uint8Array): void {
    if (this.ended !== undefined) throw new Error('written after the end')
    for (const message of this.#framer.push(bytes).messages) {
      const decoded = decodeMessage(message, this.context)
      if (decoded.message !== undefined) this.received.push(decoded.message)
    }
  }
  close(): void {
    this.ended ??= 'close'
  }
  abort(): void {
    this.ended ??= 'abort'
  }
  /** The peer sends. */
  send(...messages: Message[]): void {
    for (const message of messages) this.#handlers?.data(encodeMessage(message, this.context))
  }
  sendBytes(bytes: Uint8Array): void {
    this.#handlers?.data(bytes)
  }
  drain(): void {
    this.congested = false
    this.#handlers?.drained()
  }
  /** The peer's end is gone. */
  fail(problem: TransportProblem = { kind: 'closed', detail: 'closed by the peer' }): void {
    this.#handlers?.ended(problem)
  }
  /** The types of what the speaker sent, and the numbers of NOTIFICATIONs. */
  get sent(): string[] {
    return this.received.map(message =>
      message.type === 'NOTIFICATION' ? `${message.code}/${message.subcode}` : message.type,
    )
  }
}

export interface FakeDial {
  readonly to: Endpoint
  cancelled: boolean
  connect(): FakeConnection
  fail(kind: TransportProblem['kind']): void
}

export class FakeTransport implements Transport {
  readonly dials: FakeDial[] = []
  readonly keys = new Map<string, Secret>()
  listening = false
  /** What setting a key of the listening socket comes to. */
  keyProblem: TransportProblem | undefined
  #accepted: ((connection: Connection) => void) | undefined

  connect(to: Endpoint, done: (result: Connection | TransportProblem) => void): () => void {
    const dial: FakeDial = {
      to,
      cancelled: false,
      connect() {
        const connection = new FakeConnection()
        done(connection)
        return connection
      },
      fail: kind => done({ kind, detail: kind }),
    }
    this.dials.push(dial)
    return () => {
      dial.cancelled = true
    }
  }
  listen(_options: unknown, accepted: (connection: Connection) => void): Listener {
    this.listening = true
    this.#accepted = accepted
    return {
      setKey: (address, password) => {
        if (this.keyProblem !== undefined) return this.keyProblem
        if (password === undefined) this.keys.delete(address)
        else this.keys.set(address, password)
        return undefined
      },
      close: () => {
        this.listening = false
      },
    }
  }
  /** The latest attempt of the speaker. */
  get dial(): FakeDial {
    const last = this.dials.at(-1)
    if (last === undefined) throw new Error('the speaker did not dial')
    return last
  }
  /** Somebody dials in. */
  incoming(address = '10.0.0.2'): FakeConnection {
    const connection = new FakeConnection(address)
    this.#accepted?.(connection)
    return connection
  }
}
