/**
 * What a session needs of TCP, as values and one small interface each, so that a test can be the
 * network. transport.ts implements it with real sockets. Pure.
 */
import type { Secret } from '../../lib/secret.ts'
import type { SessionErrorKind } from '../speaker-types.ts'

/** Why a connection did not come up or ended. `detail` is for people, without advice. */
export interface TransportProblem {
  readonly kind: Extract<
    SessionErrorKind,
    'refused' | 'timed-out' | 'unreachable' | 'reset' | 'closed' | 'no-md5-support' | 'local-problem'
  >
  readonly detail: string
}

/**
 * Limits on the packets of one connection: TTL (or hop limit) to send with, and the least to accept
 * (RFC 5082).
 */
export interface HopLimits {
  readonly ttl: number
  readonly minimumTtl?: number
}

/** Where to connect to, and how. */
export interface Endpoint extends HopLimits {
  readonly address: string
  readonly port: number
  readonly sourceAddress?: string
  /** RFC 2385. */
  readonly password?: Secret
  readonly timeoutMilliseconds: number
}

export interface ConnectionHandlers {
  /** Valid until the next call. */
  data(bytes: Uint8Array): void
  /** Everything queued has gone to the kernel. */
  drained(): void
  /** The other end closed or the connection failed; not called after `close` or `abort` of ours. */
  ended(problem: TransportProblem): void
}

export interface Connection {
  readonly localAddress: string
  readonly remoteAddress: string
  /** Absent where the network is not the kernel's. */
  readonly localPort?: number
  readonly remotePort?: number
  /** Whether bytes wait for the kernel to take them: stop writing until `drained`. */
  readonly congested: boolean
  /**
   * From now on events go here. Called once, in the turn in which the connection was handed over.
   */
  attach(handlers: ConnectionHandlers): void
  /** For an accepted connection. Returns the problem when the kernel refuses. */
  limitHops(limits: HopLimits): TransportProblem | undefined
  /**
   * Whether what the peer sends bears at least this TTL: tells once. Something that it has to
   * acknowledge is to be written right after. Undefined: not known. What it returns ends the trial
   * early, as another trial does. Absent where the network is not the kernel's, and knows no TTL.
   */
  tryMinimumTtl?(minimum: number, done: (passes: boolean | undefined) => void): () => void
  write(bytes: Uint8Array): void
  /** Ends with FIN after what is queued; gives up on a peer that does not read. */
  close(): void
  /** Ends at once with RST. */
  abort(): void
}

export interface Listener {
  /**
   * Sets, changes or (undefined) removes the TCP MD5 key for a peer's address, live. Returns the
   * problem when the kernel refuses.
   */
  setKey(peerAddress: string, password: Secret | undefined): TransportProblem | undefined
  close(): void
}

export interface ListenOptions {
  readonly port: number
  /** Local addresses; absent: all, IPv4 and IPv6. */
  readonly addresses?: readonly string[]
}

export interface Transport {
  /**
   * Calls `done` once, later, with the connection or why there is none. The result cancels: `done`
   * is then not called.
   */
  connect(to: Endpoint, done: (result: Connection | TransportProblem) => void): () => void
  /** Throws `SystemError` when the port cannot be had. */
  listen(options: ListenOptions, accepted: (connection: Connection) => void): Listener
}

export function isConnection(result: Connection | TransportProblem): result is Connection {
  return 'attach' in result
}
