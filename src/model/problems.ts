/**
 * What of sessions, paths, clocks and credentials is a problem, in words: one list for the
 * commands, the page, the metrics and JSON, so that none of them is green while another is not.
 * Pure.
 */
import type { BgpSession } from './session.ts'
import type { ApiContact, Expiry, PathsView } from './snapshot.ts'

/** A problem, and what to do about it. */
export interface Advice {
  readonly problem: string
  readonly remedy: string
}

/** What to do, by the problem's own words. */
export function remediesOf(advice: readonly Advice[]): Readonly<Record<string, string>> {
  return Object.fromEntries(advice.map(({ problem, remedy }) => [problem, remedy]))
}

/** A line for each session that is not up, or is up and does not do all that it should. */
export function sessionProblems(sessions: readonly BgpSession[]): Advice[] {
  return sessions.flatMap(({ bgpPeer, node, peerIP, state, lastError }) => {
    if (state === 'Established' && lastError === undefined) return []
    const why = lastError === undefined ? '' : `: ${lastError}`
    const problem = `BGPPeer ${bgpPeer}: the session of ${node} with ${peerIP} is ${state}${why}`
    const remedy =
      state === 'Established'
        ? `terway-edge peers ${bgpPeer} on ${node}: what both sides agreed to; terway-edge switch-config ${bgpPeer}: the switch's side`
        : `sudo terway-edge doctor on ${node} tries the session; terway-edge peers ${bgpPeer} there has its history`
    return [{ problem, remedy }]
  })
}

/** What packets found; `from` tells where, when it is not here. */
export function pathProblems(paths: PathsView | undefined, from = ''): Advice[] {
  return (paths?.findings ?? []).map(({ message, remedy = '' }) => ({ problem: `${from}${message}`, remedy }))
}

/** Beyond this tokens and certificates are taken for expired, or not yet valid, here or there. */
const CLOCK_APART_SECONDS = 60

export function clockProblems({ clockAheadSeconds: ahead = 0 }: ApiContact): string[] {
  if (Math.abs(ahead) <= CLOCK_APART_SECONDS) return []
  const how = `${Math.abs(ahead)} s ${ahead > 0 ? 'ahead of' : 'behind'}`
  return [`the clock of this machine is ${how} the API server's: set both by NTP (timedatectl, chronyc tracking)`]
}

/** `now` in milliseconds. */
export function expiryProblems(expiries: readonly Expiry[], now: number): string[] {
  return expiries.flatMap(({ what, at, warnFrom }) => {
    if (now < Date.parse(warnFrom)) return []
    const days = Math.floor((Date.parse(at) - now) / 86_400_000)
    if (Date.parse(at) <= now) return [`the ${what} has expired (${at}): make a new one`]
    return [`the ${what} expires in ${days === 0 ? 'less than a day' : `${days} days`} (${at}): make a new one`]
  })
}
