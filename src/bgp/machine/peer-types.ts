/**
 * The vocabulary of what a configured peer decides (peer-machine.ts has `peerStep`): what it
 * remembers, what happens to it, and what it wants done, all of them values. A peer is what
 * outlives its connections, of which there are two at most (RFC 4271 section 6.8). Pure.
 */
import type { Open } from '../codec/message-types.ts'
import type { PathFailure, PeerConfig, SessionError, State } from '../speaker-types.ts'
import type { Direction } from './collision.ts'
import type { Down, Event, Settings } from './fsm-types.ts'
import type { Closing } from './graceful-restart.ts'
import type { IdleHold } from './idle-hold.ts'
import type { Negotiated } from './negotiation.ts'

/** A connection of the peer, as its machine (fsm.ts) stands. */
export interface ConnectionFacts {
  readonly id: number
  readonly direction: Direction
  readonly state: State
  readonly settings: Settings
  readonly negotiated: Negotiated | undefined
  /** Known while and after there is a TCP connection. */
  readonly localAddress: string | undefined
}

export interface PeerState {
  readonly config: PeerConfig
  /**
   * This process follows one that closed with `restart`: Clock.monotonic() of its start, and
   * whether the machine started with it.
   */
  readonly restarted: { readonly at: number; readonly rebooted: boolean } | undefined
  /** For good: nothing is dialled, accepted or told any more. */
  readonly closed: boolean
  /** Was dialled before. */
  readonly started: boolean
  /** A dial is due when the rest is over. */
  readonly resting: boolean
  /** Failures in a row that ask for the same kind of rest, and that kind. */
  readonly attempt: number
  readonly hold: IdleHold | undefined
  /** Why no session is begun or let in for now. */
  readonly held: string | undefined
  /** Until when (monotonic) the peer may not dial in. */
  readonly refuseUntil: number
  /** Sessions in a row that ended as soon as they began, the last of them then (monotonic). */
  readonly restless: number
  readonly lastRestless: number
  /** False after the peer refused our capabilities (RFC 5492 section 3). */
  readonly capabilities: boolean
  readonly hadSession: boolean
  /** The peer had the whole set and End-of-RIB from this process. */
  readonly synchronised: boolean
  /** The session that is up, since `at` (monotonic). */
  readonly established: { readonly id: number; readonly at: number } | undefined
  /** The state that is shown, since `since` (Clock.now()). */
  readonly visible: { readonly state: State; readonly since: number }
  readonly flaps: number
  /** How often it came up, and how often it went down whatever the reason. */
  readonly ups: number
  readonly downs: number
  readonly lastError: SessionError | undefined
}

export type PeerEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'rest-over' }
  /** A connection that the peer opened, under the number that it would get. */
  | { readonly kind: 'incoming'; readonly id: number }
  /** `reopen`: what runs is opened anew with the least loss. */
  | { readonly kind: 'configured'; readonly config: PeerConfig; readonly reopen: boolean }
  /** After the sessions of a former configuration have ended. */
  | { readonly kind: 'begin-anew' }
  | { readonly kind: 'held'; readonly reason: string | undefined }
  | { readonly kind: 'path-down'; readonly failure: PathFailure }
  /** No session will follow; what is up may still say goodbye. */
  | { readonly kind: 'closing' }
  | { readonly kind: 'stop'; readonly closing: Closing }
  /** An OPEN arrived and its machine has not seen it yet: time for collision detection. */
  | { readonly kind: 'opening'; readonly id: number; readonly open: Open }
  | { readonly kind: 'up'; readonly id: number; readonly negotiated: Negotiated }
  /** `was` is set when the session was established. */
  | { readonly kind: 'down'; readonly id: number; readonly reason: Down; readonly was: Negotiated | undefined }
  /** A machine went to another state. */
  | { readonly kind: 'moved' }

export type PeerAction =
  /** Opens a connection with these settings, and starts its machine. */
  | { readonly do: 'dial'; readonly settings: Settings; readonly start: 'ManualStart' | 'AutomaticStart' }
  /**
   * Gives the accepted connection a machine; `refuse` closes it with Cease, Connection Rejected.
   */
  | { readonly do: 'take'; readonly id: number; readonly settings: Settings }
  | { readonly do: 'refuse'; readonly id: number }
  | { readonly do: 'feed'; readonly id: number; readonly event: Event }
  | { readonly do: 'forget'; readonly id: number }
  /**
   * Asks for `rest-over` after this time, instead of what was asked before; `stop-resting`: not at
   * all.
   */
  | { readonly do: 'rest'; readonly milliseconds: number }
  | { readonly do: 'stop-resting' }
  /** The Adj-RIB-Out begins with a session, announces what it has, and ends with the session. */
  | { readonly do: 'begin-announcing'; readonly negotiated: Negotiated }
  | { readonly do: 'announce' }
  | { readonly do: 'end-announcing' }
  | { readonly do: 'tell'; readonly what: Told }
  | { readonly do: 'log'; readonly level: 'debug' | 'info' | 'warn'; readonly phrase: string; readonly reason?: string }
  /** Comes after what the actions before it cause. */
  | { readonly do: 'then'; readonly event: PeerEvent }

/** What who uses the speaker hears; the session as it is then comes with it. */
export type Told =
  | { readonly kind: 'established' }
  | { readonly kind: 'failed' | 'lost'; readonly error: SessionError }
  | { readonly kind: 'graceful-restart'; readonly detail: string }

export type PeerStep = readonly [PeerState, readonly PeerAction[]]

/** What a decision may look at beside the event. */
export interface Circumstances {
  /** Those that were not forgotten. */
  readonly connections: readonly ConnectionFacts[]
  /** The peer has the whole set and End-of-RIB in the session that is up. */
  readonly complete: boolean
  /** Clock.monotonic() and Clock.now(), milliseconds. */
  readonly monotonic: number
  readonly now: number
  /** In [0, 1), for jitter. */
  readonly random: number
}
