/**
 * The contract between the BFD room and who uses it: the sessions wanted, how they are, and what
 * happens to them. Knows no BGP and no Kubernetes. bfd.ts implements `Bfd`. Pure.
 */
import type { Kept } from './machine-types.ts'
import type { BfdState } from './registry.ts'

/**
 * A session wanted (RFC 5881, single hop). `key` names it for its whole life; one session per peer
 * address.
 */
export interface BfdSessionConfig {
  readonly key: string
  /** Canonical address. */
  readonly peerAddress: string
  /** The source of our packets, canonical; absent: what the route to the peer says. */
  readonly localAddress?: string
  /**
   * The interface that the session is bound to (RFC 5881 section 3): nothing is sent or taken
   * elsewhere. Undefined while the peer is on no link: nothing at all is.
   */
  readonly interface: string | undefined
  /** Of sending and of receiving: Desired Min TX Interval and Required Min RX Interval. */
  readonly minimumIntervalMilliseconds: number
  /** Detect Mult, 1 to 255. */
  readonly multiplier: number
}

/** A session as it is now. */
export interface BfdSessionView {
  readonly key: string
  readonly peerAddress: string
  readonly state: BfdState
  /** Clock.now() milliseconds: since when it is in that state. */
  readonly since: number
  /** Clock.now() milliseconds: since when it is in other states than Up; absent while it is Up. */
  readonly notUpSince?: number
  /** It was Up and went down, not by the peer's or our own AdminDown, and is not back. */
  readonly pathLost?: true
  /** Why the state changed last, by its registered name (RFC 5880 section 4.1, Diag). */
  readonly diagnostic: string
  readonly remoteState: BfdState
  /** Without a packet for this long the session goes down; absent: none was received yet. */
  readonly detectionTimeMilliseconds?: number
  /** The reason of the last time that the session was Up and went down. */
  readonly lastDown?: string
}

export type BfdEvent =
  | { readonly kind: 'up'; readonly key: string; readonly at: number }
  | {
      readonly kind: 'down'
      readonly key: string
      /** Clock.now() milliseconds. */
      readonly at: number
      /** For people: what happened. */
      readonly reason: string
      /**
       * The peer took its session out of service (AdminDown): says nothing about the path (RFC 5882
       * section 3.2).
       */
      readonly administrative: boolean
    }

/**
 * A session that the peer takes for Up while no process of ours is there; the next one goes on with
 * it. Plain JSON.
 */
export interface SuspendedSession {
  readonly peerAddress: string
  readonly localAddress?: string | undefined
  readonly interface: string
  /** For how long the peer waits without a packet, from the last one on. */
  readonly waitsMilliseconds: number
  /** See machine-types.ts. */
  readonly kept: Kept
}

export interface Bfd {
  /**
   * The whole set of sessions wanted: starts, changes (by a Poll Sequence) and ends (by AdminDown)
   * as needed.
   */
  setSessions(sessions: readonly BfdSessionConfig[]): void
  /** The sessions wanted that have been started, as of their last change. */
  sessions(): readonly BfdSessionView[]
  /**
   * Up, and down after having been up. A session that is taken away, or never came up, tells
   * nothing.
   */
  onEvent(listener: (event: BfdEvent) => void): () => void
  /**
   * What `suspend` of the process before gave; to be told before the first `setSessions`. A session
   * that is wanted otherwise starts anew.
   */
  resume(sessions: readonly SuspendedSession[]): void
  /**
   * Before a planned restart: asks the peers of these sessions (by key) to wait so many seconds for
   * our next packet (RFC 5882 section 4.3.2.2). Resolves soon with those that agreed, of which
   * `close` will not say AdminDown.
   */
  suspend(seconds: ReadonlyMap<string, number>): Promise<readonly SuspendedSession[]>
  /** Says AdminDown to all peers but those of suspended sessions, and ends. */
  close(): Promise<void>
}
