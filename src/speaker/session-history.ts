/**
 * What a session went through: its last transitions with their reasons, since when it is not up,
 * and NOTIFICATIONs by direction and code. Pure: the memory goes in and comes out.
 */
import type { SessionError, SessionEvent } from '../bgp/speaker-types.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { NotificationCount, SessionTransition } from '../model/session.ts'

export interface SessionMemory {
  /** Clock.now() milliseconds; undefined while it is up. */
  readonly downSince: number | undefined
  readonly lastUp?: number
  /** Newest first. */
  readonly transitions: readonly SessionTransition[]
  readonly notifications: readonly NotificationCount[]
}

/** Enough for a bad night; tries that fail alike are one. */
const KEPT = 20

/** Of a session that begins to be wanted at `now`. */
export function freshMemory(now: number): SessionMemory {
  return { downSince: now, transitions: [], notifications: [] }
}

export function remember(memory: SessionMemory, event: SessionEvent, now: number): SessionMemory {
  switch (event.kind) {
    case 'graceful-restart':
      return memory
    case 'established': {
      const transitions = [{ time: timestamp(now), what: 'up', times: 1 } as const, ...memory.transitions]
      return { ...memory, downSince: undefined, lastUp: now, transitions: transitions.slice(0, KEPT) }
    }
    default: {
      const what = event.kind === 'lost' ? 'down' : 'failed'
      return {
        ...memory,
        downSince: memory.downSince ?? now,
        ...(event.kind === 'lost' && { lastUp: now }),
        transitions: noted(memory.transitions, { what, error: event.error, now }),
        notifications: counted(memory.notifications, event.error),
      }
    }
  }
}

/** A try that fails as the one before is that one, once more. */
function noted(
  transitions: readonly SessionTransition[],
  { what, error, now }: { what: 'down' | 'failed'; error: SessionError; now: number },
): SessionTransition[] {
  const [last, ...earlier] = transitions
  const { message: reason, notification } = error
  const time = timestamp(now)
  if (what === 'failed' && last?.what === 'failed' && last.reason === reason)
    return [{ ...last, lastTime: time, times: last.times + 1 }, ...earlier]
  const said = notification && ({ notification: notification.sent ? 'sent' : 'received' } as const)
  return [{ time, what, reason, times: 1, ...said }, ...transitions].slice(0, KEPT)
}

function counted(counts: readonly NotificationCount[], { notification }: SessionError): readonly NotificationCount[] {
  if (notification === undefined) return counts
  const { sent, code, subcode } = notification
  const direction = sent ? 'sent' : 'received'
  const isIt = (one: NotificationCount) => one.direction === direction && one.code === code && one.subcode === subcode
  if (!counts.some(isIt)) return [...counts, { direction, code, subcode, count: 1 }]
  return counts.map(one => (isIt(one) ? { ...one, count: one.count + 1 } : one))
}

/**
 * What this node or its peer said in a NOTIFICATION since the session was last up: no guess from
 * the outside says more.
 */
export function saidSinceUp(transitions: readonly SessionTransition[]): SessionTransition | undefined {
  const end = transitions.findIndex(({ what }) => what === 'up')
  return (end < 0 ? transitions : transitions.slice(0, end)).find(({ notification }) => notification !== undefined)
}
