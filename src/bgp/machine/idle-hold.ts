/**
 * How long a peer rests after a failure before it tries again: the damping that RFC 4271 section
 * 8.2.2 (Idle) leaves to the implementation (DampPeerOscillations, IdleHoldTimer), with the advice
 * of RFC 4486 section 4 not to hammer a peer that refuses. Pure.
 *
 * Deviation: tries have no last one (RFC 4486 section 4), also after Unsupported Capability (RFC
 * 5492 section 3), because nobody at an edge site starts a session by hand; they get rarer, and
 * what the peer dials is taken at once where it was the one that refused.
 */
import type { Backoff } from '../../lib/backoff.ts'
import type { Notification } from '../codec/message-types.ts'
import { Cease, ErrorCode } from '../codec/registry.ts'
import type { Down } from './fsm-types.ts'

export interface IdleHold extends Backoff {
  /** Closes what the peer dials meanwhile: it was the peer's message that was wrong. */
  readonly refusesIncoming: boolean
}

/** A session that lasted this long starts with the shortest rest again. */
export const STABLE_MILLISECONDS = 120_000
/** One that did not last this long may as well not have been. */
export const SETTLED_MILLISECONDS = 10_000

/** A connection that did not come up, or broke: soon again, for peers that restart. */
function ofConnection(connectRetrySeconds: number): IdleHold {
  return {
    initialMilliseconds: 1000,
    maximumMilliseconds: Math.max(1000, connectRetrySeconds * 1000),
    refusesIncoming: false,
  }
}
const DISAGREEMENT: IdleHold = { initialMilliseconds: 5000, maximumMilliseconds: 120_000, refusesIncoming: false }
const OUR_REFUSAL: IdleHold = { ...DISAGREEMENT, refusesIncoming: true }
/**
 * An operator of the peer has to act first: maximum prefixes, shutdown, de-configured, resources.
 */
export const OPERATOR: IdleHold = { initialMilliseconds: 30_000, maximumMilliseconds: 600_000, refusesIncoming: false }

const OPERATOR_ACTS: readonly number[] = [
  Cease.MaximumPrefixesReached,
  Cease.AdministrativeShutdown,
  Cease.PeerDeconfigured,
  Cease.OutOfResources,
]

/** The rest after `reason`. `received` NOTIFICATIONs are given without their Hard Reset. */
export function idleHold(reason: Down, connectRetrySeconds: number): IdleHold {
  switch (reason.kind) {
    case 'tcp':
    case 'stopped':
    case 'collision':
    case 'hold-timer-expired':
    case 'send-hold-timer-expired':
    case 'bfd-down':
      return ofConnection(connectRetrySeconds)
    case 'notification-sent':
      return OUR_REFUSAL
    case 'notification-received':
      return ofNotification(reason.notification, connectRetrySeconds)
  }
}

function ofNotification({ code, subcode }: Notification, connectRetrySeconds: number): IdleHold {
  if (code !== ErrorCode.Cease) return DISAGREEMENT
  if (OPERATOR_ACTS.includes(subcode)) return OPERATOR
  // RFC 4486 section 4 names it too; but who rejects for a while only, as we do (peer-rest.ts), is
  // not left alone for long.
  if (subcode === Cease.ConnectionRejected) return DISAGREEMENT
  // a reset, a changed configuration, a collision: the peer is there
  return ofConnection(connectRetrySeconds)
}
