/**
 * What of sessions is a problem, in words: one list for the commands, the page, the metrics and
 * JSON, so that none of them is green while another is not. Pure.
 */
import type { BgpSession } from './session.ts'

/** A line for each session that is not up, or is up and does not do all that it should. */
export function sessionProblems(sessions: readonly BgpSession[]): string[] {
  return sessions.flatMap(({ bgpPeer, node, peerIP, state, lastError }) => {
    if (state === 'Established' && lastError === undefined) return []
    const why = lastError === undefined ? '' : `: ${lastError}`
    return [`BGPPeer ${bgpPeer}: the session of ${node} with ${peerIP} is ${state}${why}`]
  })
}
