/**
 * BFD in people's words: how a session is, and why one that should be up is not. Pure. A BGP
 * session without its BFD looks well, and is lost a hold time later than its operator believes:
 * that is a problem to name.
 */
import type { BfdSessionView } from '../bfd/bfd-types.ts'
import { nothingLeft, present } from '../lib/fields.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { BfdPath } from '../model/session.ts'
import type { SpeakerProblem } from './speaker-problem.ts'

/** Less than this is a session that comes up, or comes back. */
export const NOT_UP_MILLISECONDS = 30_000

export function bfdPath(view: BfdSessionView): BfdPath {
  const { state, since, remoteState, detectionTimeMilliseconds, lastDown, ...rest } = view
  const { key: _key, peerAddress: _address, notUpSince: _since, pathLost: _lost, diagnostic: _why, ...others } = rest
  nothingLeft(others)
  return present<BfdPath>({
    state,
    since: timestamp(since),
    // while it is heard
    remoteState: detectionTimeMilliseconds === undefined ? undefined : remoteState,
    detectionTimeMilliseconds,
    lastDown,
  })
}

/**
 * A problem for each session that is not up, and was not for so long that it is none that comes up.
 * `now` is Clock.now().
 */
export function bfdProblems(views: readonly BfdSessionView[], now: number): readonly SpeakerProblem[] {
  return views
    .filter(({ notUpSince }) => notUpSince !== undefined && now - notUpSince >= NOT_UP_MILLISECONDS)
    .map(view => ({
      bgpPeer: view.key,
      kind: 'BfdNotUp',
      message: `BFD with ${view.peerAddress} is not up: ${why(view)}`,
    }))
}

/** The same words as long as the cause is the same. */
function why({ remoteState, detectionTimeMilliseconds }: BfdSessionView): string {
  if (detectionTimeMilliseconds === undefined) {
    return 'nothing is heard from it; configure BFD for this node on the switch, let UDP 3784 pass, or remove bfd from the BGPPeer'
  }
  if (remoteState === 'AdminDown') return 'the switch has it out of service (AdminDown); enable it there'
  if (remoteState === 'Down') return 'the switch does not hear this node; let UDP 3784 pass on the way to it'
  return 'the switch takes it for coming up; look at the values of BFD there'
}

/**
 * Why BGP waits for BFD, or undefined (RFC 5882 section 4.1): the path was lost, and the peer,
 * which is heard, wants BFD and cannot have it. One that is not heard may have no BFD any more, or
 * begin it only with BGP: it is not waited for.
 */
export function waitsForBfd(view: BfdSessionView): string | undefined {
  const { state, remoteState, detectionTimeMilliseconds, pathLost } = view
  const heard = detectionTimeMilliseconds !== undefined && remoteState !== 'AdminDown'
  if (state === 'Up' || state === 'AdminDown' || pathLost !== true || !heard) return undefined
  return `BGP waits until BFD with ${view.peerAddress} is up again: ${why(view)}`
}
