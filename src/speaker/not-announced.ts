/**
 * What an operator is told of prefixes that a session, though it is up, does not announce: in the
 * speaker's entry of BGPPeer status, on the page and in an Event when it begins. Pure: what was
 * told goes in and comes out.
 */

import { countNotAnnounced } from '../bgp/rib/not-announced.ts'
import type { NotAnnounced, SessionView } from '../bgp/speaker-types.ts'
import { counted } from '../lib/count-text.ts'
import { FAMILY_NAMES } from '../lib/ip.ts'
import type { SpeakerProblem } from './speaker-problem.ts'

/**
 * Of an established session: what the peer does not take, and what was never given to it for want
 * of a next hop. Else empty.
 */
export function notAnnounced(
  session: Pick<SessionView, 'key' | 'state' | 'notAnnounced'>,
  problems: readonly SpeakerProblem[],
): readonly NotAnnounced[] {
  if (session.state !== 'Established') return []
  const without = problems.flatMap(({ bgpPeer, kind, family }) =>
    bgpPeer === session.key && kind === 'NoNextHop' && family !== undefined
      ? [{ family, reason: 'no-next-hop' as const, prefixes: 1 }]
      : [],
  )
  return countNotAnnounced([...session.notAnnounced, ...without])
}

/** One line of it, with the counts; undefined when everything is announced. */
export function notAnnouncedText(found: readonly NotAnnounced[]): string | undefined {
  if (found.length === 0) return undefined
  const parts = found.map(({ family, prefixes, message }) => {
    const name = FAMILY_NAMES[family]
    return `${counted(prefixes, `${name} prefix`, `${name} prefixes`)}: ${message}`
  })
  return `not announced: ${parts.join('; ')}`
}

/**
 * Whether `found` holds a family and reason of which `told` knows nothing: a count that grows is no
 * news.
 */
export function isNews(told: readonly NotAnnounced[], found: readonly NotAnnounced[]): boolean {
  return found.some(({ family, reason }) => !told.some(other => other.family === family && other.reason === reason))
}
