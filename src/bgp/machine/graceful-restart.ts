/**
 * Graceful restart, the restarting side (RFC 4724, 8538, 9494): what the OPEN says, how to close, and what the peer then does with our
 * routes. Pure.
 *
 * Deferral does not exist here: we import nothing, so there is no route selection to wait for (RFC 4724 section 4.1). Forwarding does not
 * depend on this process, as the next hops are the nodes themselves, so it is always preserved. As a receiving side there is nothing
 * to keep: the peer's routes are not imported.
 */
import { cease, hardReset } from '../codec/errors.ts'
import type { Notification, Open } from '../codec/message-types.ts'
import { Cease, ErrorCode } from '../codec/registry.ts'
import type { PeerConfig, State } from '../speaker-types.ts'
import type { BfdDown, Down } from './fsm-types.ts'
import type { LocalSide, Negotiated } from './negotiation.ts'

/** RFC 4724 section 3: 12 bits. */
const MAX_RESTART_TIME_SECONDS = 4095
/** RFC 9494 section 3.1: 24 bits. */
const MAX_STALE_TIME_SECONDS = 0xffffff

export interface RestartFacts {
  /** The process has restarted, and this peer did not yet get the full set since, nor did the restart time pass. */
  readonly restarting: boolean
  /** A session with this peer was established before, by this process or (when restarting) the one before. */
  readonly hadSession: boolean
}

/** The capability to send. R only after a restart of ours; F whenever there can be routes of ours to keep. */
export function restartCapability(config: PeerConfig, facts: RestartFacts): LocalSide['gracefulRestart'] {
  if (!config.gracefulRestart.enabled) return undefined
  const { restartTimeSeconds, longLivedSeconds } = config.gracefulRestart
  return {
    restartTimeSeconds: Math.min(restartTimeSeconds, MAX_RESTART_TIME_SECONDS),
    ...(longLivedSeconds !== undefined && { longLivedSeconds: Math.min(longLivedSeconds, MAX_STALE_TIME_SECONDS) }),
    restarted: facts.restarting,
    forwarding: facts.restarting || facts.hadSession,
  }
}

export type Closing = 'restart' | 'configuration-change' | { readonly final: Notification }

/**
 * The NOTIFICATION to close a session with; undefined: none, so that the peer keeps our routes (RFC 4724 section 4.2).
 * - restart of this process: none, also towards a peer without graceful restart, which removes the routes either way;
 * - changed configuration: none if the peer keeps routes, else Cease, Other Configuration Change;
 * - for good: that NOTIFICATION, as a Hard Reset where a plain one would keep the routes (RFC 8538 section 3).
 */
export function closingNotification(closing: Closing, negotiated: Negotiated | undefined): Notification | undefined {
  if (closing === 'restart') return undefined
  if (closing === 'configuration-change') {
    return negotiated?.gracefulRestart === undefined ? cease(Cease.OtherConfigurationChange) : undefined
  }
  return negotiated?.gracefulRestart?.notification ? hardReset(closing.final) : closing.final
}

/**
 * The end of a session by BFD (RFC 9384), never as a Hard Reset. Our BFD shares its processor with BGP, so its C bit is clear, and then
 * RFC 5882 section 4.3.2 would not have a BFD failure undo a graceful restart: a peer with the N bit keeps our routes for the restart time,
 * whose next hops are the nodes, which this session says nothing about. Any other peer removes them.
 */
export function bfdDown(reason: string): BfdDown {
  return { kind: 'bfd-down', notification: cease(Cease.BfdDown), reason }
}

/** For how long a peer may have kept our routes while we were away: the restart time, and what long-lived restart adds to it. */
export function keptAtMostSeconds({ restartTimeSeconds, longLivedSeconds }: PeerConfig['gracefulRestart']): number {
  return restartTimeSeconds + (longLivedSeconds ?? 0)
}

/** How long the peer keeps our routes after a session that ended with `reason`, in seconds; undefined: it does not. */
export function keptSeconds(negotiated: Negotiated, reason: Down): number | undefined {
  const restart = negotiated.gracefulRestart
  if (restart === undefined) return undefined
  const seconds = restart.restartTimeSeconds + (restart.longLivedSeconds ?? 0)
  switch (reason.kind) {
    case 'tcp':
      return seconds
    case 'stopped':
      if (reason.notification === undefined) return seconds
      return survives(reason.notification, restart.notification) ? seconds : undefined
    case 'hold-timer-expired':
    case 'send-hold-timer-expired':
    case 'notification-sent':
    case 'notification-received':
    case 'bfd-down':
      return survives(reason.notification, restart.notification) ? seconds : undefined
    case 'collision':
      return undefined
  }
}

/** RFC 8538 section 4: any NOTIFICATION but a Hard Reset, if both sides set the N bit. */
function survives(message: Notification, bothN: boolean): boolean {
  const hard = message.code === ErrorCode.Cease && message.subcode === Cease.HardReset
  return bothN && !hard
}

/** A younger session is more likely the other half of a collision than one that the peer lost without our notice. */
const SETTLED_MILLISECONDS = 10_000

/**
 * Whether the connection on which `open` arrived replaces a session that we still hold for established: the peer restarted and we did
 * not notice (RFC 4724 section 5, change to event 17 in Established). Deviation: decided at the OPEN, not at the TCP connection, so
 * that a bare connection cannot end a session. Without graceful restart it is a collision like any other.
 */
export function takesOver(
  existing: {
    readonly state: State
    readonly negotiated: Negotiated | undefined
    readonly establishedMilliseconds: number
  },
  open: Open,
): boolean {
  if (existing.state !== 'Established' || existing.negotiated?.gracefulRestart === undefined) return false
  const restarted = open.capabilities.some(capability => capability.kind === 'graceful-restart' && capability.restarted)
  return restarted || existing.establishedMilliseconds >= SETTLED_MILLISECONDS
}
