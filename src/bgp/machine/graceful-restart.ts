/**
 * Graceful restart, the restarting side (RFC 4724, 8538, 9494): what the OPEN says, how to close,
 * and what the peer then does with our routes. Pure.
 *
 * Deferral does not exist here: we import nothing, so there is no route selection to wait for (RFC
 * 4724 section 4.1). Forwarding does not depend on this process, as the next hops are the nodes
 * themselves, so it is preserved as long as the machine runs. As a receiving side there is nothing
 * to keep: the peer's routes are not imported.
 */
import { cease, hardReset } from '../codec/errors.ts'
import type { Notification, Open } from '../codec/message-types.ts'
import { Cease, ErrorCode } from '../codec/registry.ts'
import type { PeerConfig, State } from '../speaker-types.ts'
import type { Direction } from './collision.ts'
import type { BfdDown, Down } from './fsm-types.ts'
import { SETTLED_MILLISECONDS } from './idle-hold.ts'
import type { LocalSide, Negotiated } from './negotiation.ts'

/** RFC 4724 section 3: 12 bits. */
const MAX_RESTART_TIME_SECONDS = 4095
/** RFC 9494 section 3.1: 24 bits. */
const MAX_STALE_TIME_SECONDS = 0xffffff

export interface RestartFacts {
  /**
   * The process has restarted, and this peer did not yet get the full set since, nor did the
   * restart time pass.
   */
  readonly restarting: boolean
  /** With `restarting`: the machine did too, and forwarded nothing meanwhile. */
  readonly rebooted?: boolean
  /**
   * A session with this peer was established before, by this process or (when restarting) the one
   * before.
   */
  readonly hadSession: boolean
}

/**
 * The capability to send. R only after a restart of ours; F whenever there can be routes of ours to
 * keep and forwarding went on: not after a start of the machine (RFC 4724 section 4.1).
 */
export function restartCapability(config: PeerConfig, facts: RestartFacts): LocalSide['gracefulRestart'] {
  if (!config.gracefulRestart.enabled) return undefined
  const { restartTimeSeconds, longLivedSeconds } = config.gracefulRestart
  return {
    restartTimeSeconds: Math.min(restartTimeSeconds, MAX_RESTART_TIME_SECONDS),
    ...(longLivedSeconds !== undefined && { longLivedSeconds: Math.min(longLivedSeconds, MAX_STALE_TIME_SECONDS) }),
    restarted: facts.restarting,
    forwarding: facts.hadSession || (facts.restarting && facts.rebooted !== true),
  }
}

export type Closing = 'restart' | 'configuration-change' | { readonly final: Notification }

/**
 * The NOTIFICATION to close a session with; undefined: none, so that the peer keeps our routes (RFC
 * 4724 section 5, TcpConnectionFails in Established).
 * - restart of this process: none, also towards a peer without graceful restart, which removes the
 *   routes either way. Deviation: none before Established either (RFC 4271 section 8.2.2, event 8),
 *   as a peer that keeps routes from before may drop them at a NOTIFICATION;
 * - changed configuration: Cease, Other Configuration Change (RFC 4486 section 4), but none towards
 *   a peer that keeps routes only over the end of the connection (no N bit);
 * - for good: that NOTIFICATION, as a Hard Reset where a plain one would keep the routes (RFC 8538
 *   section 5.1).
 */
export function closingNotification(closing: Closing, negotiated: Negotiated | undefined): Notification | undefined {
  if (closing === 'restart') return undefined
  if (closing === 'configuration-change') {
    const restart = negotiated?.gracefulRestart
    return restart === undefined || restart.notification ? cease(Cease.OtherConfigurationChange) : undefined
  }
  return negotiated?.gracefulRestart?.notification ? hardReset(closing.final) : closing.final
}

/**
 * The end of a session by BFD (RFC 9384), never as a Hard Reset: a choice that RFC 5882 section
 * 10.2 leaves to us by way of its section 4.3.2.2. Our BFD shares its processor with BGP, so its C
 * bit is clear and its failure says nothing of forwarding: a peer with the N bit keeps our routes
 * for the restart time, whose next hops are the nodes, which this session says nothing about. Any
 * other removes them.
 */
export function bfdDown(reason: string): BfdDown {
  return { kind: 'bfd-down', notification: cease(Cease.BfdDown), reason }
}

/**
 * For how long a peer may have kept our routes while we were away: the restart time, and what
 * long-lived restart adds to it.
 */
export function keptAtMostSeconds({ restartTimeSeconds, longLivedSeconds }: PeerConfig['gracefulRestart']): number {
  return restartTimeSeconds + (longLivedSeconds ?? 0)
}

/**
 * How long the peer keeps our routes after a session that ended with `reason`, in seconds;
 * undefined: it does not.
 */
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

/**
 * Whether the connection on which the peer's OPEN arrived replaces a session that we still hold for
 * established: the peer restarted and we did not notice (RFC 4724 section 4.2, and section 5,
 * change to event 17 in Established). Only a connection that the peer opened says so: ours may have
 * been under way before the session. Without graceful restart it is a collision.
 *
 * Deviations: decided at the OPEN, not at the TCP connection, so that a bare connection cannot end
 * a session; and a session younger than `SETTLED_MILLISECONDS` goes only when the peer says that it
 * restarted, as the other half of a collision is likelier. A capability without any family counts
 * too: it is what a router says by default that only knows the procedure, and one whose power
 * failed would else be refused until the hold timer expires.
 */
export function takesOver(
  existing: {
    readonly state: State
    readonly negotiated: Negotiated | undefined
    readonly establishedMilliseconds: number
  },
  opening: { readonly direction: Direction; readonly open: Open },
): boolean {
  if (opening.direction !== 'incoming' || existing.state !== 'Established') return false
  if (existing.negotiated?.gracefulRestart === undefined) return false
  const restarted = opening.open.capabilities.some(
    capability => capability.kind === 'graceful-restart' && capability.restarted,
  )
  return restarted || existing.establishedMilliseconds >= SETTLED_MILLISECONDS
}
