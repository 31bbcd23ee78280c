/**
 * How long a peer rests after the end of a connection, whether it may dial in meanwhile, and what
 * is done with one whose sessions do not last. Pure: a part of what peer-machine.ts decides; the
 * rest that each reason asks for is idle-hold.ts's.
 */
import { backoffMilliseconds } from '../../lib/backoff.ts'
import { refusesCapabilities, withoutHardReset } from './down.ts'
import type { Down } from './fsm-types.ts'
import { idleHold, SETTLED_MILLISECONDS, STABLE_MILLISECONDS } from './idle-hold.ts'
import type { Circumstances, ConnectionFacts, PeerEvent, PeerState, PeerStep } from './peer-types.ts'

/**
 * A peer whose sessions end as soon as they begin, one after the other, is not let in at once for
 * ever: what it dials is refused during rests that grow. Counts the ends of sessions and of the
 * peer's own connections within `SETTLED_MILLISECONDS`.
 */
export function restless(
  before: PeerState,
  own: ConnectionFacts,
  reason: Down,
  { monotonic }: Circumstances,
): PeerState {
  if (reason.kind === 'stopped' || reason.kind === 'collision') return before
  const established = before.established?.id === own.id ? before.established : undefined
  if (established === undefined && (own.direction === 'outgoing' || own.localAddress === undefined)) return before
  if (established !== undefined && monotonic - established.at >= SETTLED_MILLISECONDS) return { ...before, restless: 0 }
  const forgotten = monotonic - before.lastRestless > STABLE_MILLISECONDS
  return { ...before, restless: forgotten ? 1 : before.restless + 1, lastRestless: monotonic }
}

/** So many short sessions in a row are a router that restarts, or a handful of `clear bgp`. */
export const PATIENCE = 4

/** How long a peer may not dial in after its sessions did not last; 0: it may. */
function refusal({ restless, config }: PeerState, random: number): number {
  if (restless <= PATIENCE) return 0
  const hold = { initialMilliseconds: 1000, maximumMilliseconds: Math.max(1000, config.connectRetrySeconds * 1000) }
  return backoffMilliseconds(hold, restless - PATIENCE - 1, random)
}

/**
 * After the end of a connection: when the next is opened, and whether the peer may open one
 * meanwhile.
 */
export function rest(
  before: PeerState,
  { reason }: Extract<PeerEvent, { kind: 'down' }>,
  around: Circumstances,
): PeerStep {
  const { config } = before
  const inner = withoutHardReset(reason)
  const hold = idleHold(inner, config.connectRetrySeconds)
  const counts = reason.kind !== 'stopped' && reason.kind !== 'collision'
  const another = counts && hold.initialMilliseconds !== before.hold?.initialMilliseconds
  const attempt = another ? 0 : before.attempt
  const milliseconds = backoffMilliseconds(hold, attempt, around.random)
  const refused = Math.max(hold.refusesIncoming ? milliseconds : 0, refusal(before, around.random))
  const peer: PeerState = {
    ...before,
    capabilities: !refusesCapabilities(inner),
    attempt: counts ? attempt + 1 : attempt,
    hold: counts ? hold : before.hold,
    refuseUntil: Math.max(before.refuseUntil, refused === 0 ? 0 : around.monotonic + refused),
  }
  if (config.passive || around.connections.some(({ direction }) => direction === 'outgoing')) return [peer, []]
  return [{ ...peer, resting: true }, [{ do: 'rest', milliseconds }]]
}
