/**
 * The vocabulary of a BFD session's machine: its variables (RFC 5880 section 6.8.1), events and
 * actions, all of them values. machine.ts has `step`. Intervals are in microseconds, as on the
 * wire.
 *
 * We are always active (we send before we are asked), never in Demand mode ourselves, without
 * authentication and Echo. Pure.
 */
import type { ControlPacket } from './packet.ts'
import type { BfdState, Diagnostic } from './registry.ts'

/** What is configured; intervals in microseconds. */
export interface Parameters {
  readonly desiredMinTxInterval: number
  readonly requiredMinRxInterval: number
  readonly detectMult: number
}

/** A session that is Up as the next process takes it over (RFC 5882 sections 3.3 and 4.3.2.2). */
export interface Kept {
  readonly discriminator: number
  readonly remote: Remote
  /** What the peer knows of us. */
  readonly desiredMinTxInterval: number
  readonly requiredMinRxInterval: number
}

/**
 * Section 6.5. `again`: values changed while a Poll was out, so its Final may not speak of them;
 * `wanted`: a Poll is to begin.
 */
export type PollSequence = 'none' | 'polling' | 'again' | 'wanted'

/** What the last packet of the peer said. */
export interface Remote {
  readonly state: BfdState
  readonly diagnostic: Diagnostic
  readonly discriminator: number
  readonly desiredMinTxInterval: number
  /** 1 before the first packet (section 6.8.1). */
  readonly requiredMinRxInterval: number
  /** 0 before the first packet. */
  readonly detectMult: number
  readonly demand: boolean
}

export interface Session {
  readonly parameters: Parameters
  readonly state: BfdState
  /** bfd.LocalDiag. */
  readonly diagnostic: Diagnostic
  /** Non-zero, and unique among our sessions. */
  readonly discriminator: number
  readonly remote: Remote
  readonly poll: PollSequence
  /** bfd.DesiredMinTxInterval and bfd.RequiredMinRxInterval: what we send. */
  readonly desiredMinTxInterval: number
  readonly requiredMinRxInterval: number
  /**
   * The same as they count for our own timers: until a Poll Sequence ends, those of before it
   * (section 6.8.3).
   */
  readonly activeMinTxInterval: number
  readonly activeMinRxInterval: number
}

export type Event =
  /** Section 6.8.16: into and out of service. */
  | { readonly kind: 'enable' }
  | { readonly kind: 'disable' }
  /** Instead of `enable`: the peer never heard that a process ended. */
  | { readonly kind: 'resume'; readonly kept: Kept }
  | { readonly kind: 'configure'; readonly parameters: Parameters }
  /** A packet that is this session's. */
  | { readonly kind: 'packet'; readonly packet: ControlPacket }
  | { readonly kind: 'transmit-timer-expired' }
  | { readonly kind: 'detection-timer-expired' }

export type Action =
  | { readonly do: 'send'; readonly packet: ControlPacket }
  /**
   * The next periodic packet, jittered (`jittered`), is due this long after the last one that was
   * sent; at once if that has passed. Undefined: no periodic packets.
   */
  | { readonly do: 'transmit-every'; readonly milliseconds: number | undefined }
  /** A packet was received: expire this long from now; undefined: stop. */
  | { readonly do: 'detect-within'; readonly milliseconds: number | undefined }
  /**
   * The Detection Time is another now: expire this long from the last packet; at once if that has
   * passed.
   */
  | { readonly do: 'detect-since-last'; readonly milliseconds: number }
  | { readonly do: 'state'; readonly from: BfdState; readonly to: BfdState; readonly cause: Cause }

/** Why a state changed. */
export type Cause =
  | 'enabled'
  | 'resumed'
  | 'disabled'
  | 'packet'
  | 'detection-time-expired'
  | 'peer-down'
  | 'peer-admin-down'

export type Step = readonly [Session, readonly Action[]]
