/**
 * What the controller saw of sessions since its start: the last transitions of each, made from one
 * report of its speaker to the next. That a speaker is not heard is no transition of its session.
 * Pure.
 */
import type { BGPPeerObject, SpeakerStatus } from '../kube/bgp-peer.ts'
import type { BgpSession, SessionTransition } from '../model/session.ts'

interface SeenSession {
  readonly state: string
  readonly lastError: string | undefined
  /** Newest first. */
  readonly transitions: readonly SessionTransition[]
}

/** By BGPPeer and node. */
export type SeenSessions = ReadonlyMap<string, SeenSession>

const KEPT = 20

function keyOf(bgpPeer: string, node: string): string {
  return `${bgpPeer}/${node}`
}

/** `time` (RFC 3339) is now. Sessions that nobody reports any more are forgotten. */
export function seeSessions(before: SeenSessions, peers: Iterable<BGPPeerObject>, time: string): SeenSessions {
  const seen = new Map<string, SeenSession>()
  for (const { metadata, status } of peers) {
    for (const entry of status?.speakers ?? []) {
      const key = keyOf(metadata.name, entry.node)
      const last = before.get(key)
      const { state = '', lastError } = entry
      seen.set(key, { state, lastError, transitions: transitionsOf(last, entry, time) })
    }
  }
  return seen
}

function transitionsOf(
  last: SeenSession | undefined,
  { state, since, lastError: reason }: SpeakerStatus,
  time: string,
): readonly SessionTransition[] {
  const before = last?.transitions ?? []
  const [wasUp, isUp] = [last?.state === 'Established', state === 'Established']
  const because = reason === undefined ? {} : { reason }
  const add = (transition: SessionTransition) => [transition, ...before].slice(0, KEPT)
  if (isUp) return wasUp ? before : add({ time: since ?? time, what: 'up', times: 1 })
  if (last === undefined || wasUp) return add({ time: since ?? time, what: 'down', times: 1, ...because })
  if (reason === undefined || reason === last.lastError) return before
  return add({ time, what: 'failed', times: 1, reason })
}

/** The sessions with what was seen of them. */
export function withHistory(sessions: readonly BgpSession[], seen: SeenSessions): BgpSession[] {
  return sessions.map(session => {
    const history = seen.get(keyOf(session.bgpPeer, session.node))?.transitions ?? []
    return history.length === 0 ? session : { ...session, history }
  })
}
