/**
 * A peer as others see it: one state for its connections, and the negotiated values by name. Pure.
 */

import type { PeerConfig, SessionView, State } from '../speaker-types.ts'
import type { Negotiated } from './negotiation.ts'

/** From least to furthest. */
const PROGRESS: readonly State[] = ['Idle', 'Active', 'Connect', 'OpenSent', 'OpenConfirm', 'Established']

/**
 * The furthest state of a peer's connections; without any, Active for a peer that we wait for, else
 * Idle.
 */
export function visibleState(states: readonly State[], waits: boolean): State {
  const none: State = waits ? 'Active' : 'Idle'
  return states.reduce((best, state) => (PROGRESS.indexOf(state) > PROGRESS.indexOf(best) ? state : best), none)
}

export function sessionView(peer: {
  readonly config: PeerConfig
  readonly state: State
  readonly since: number
  readonly session:
    | { readonly localAddress: string | undefined; readonly negotiated: Negotiated | undefined }
    | undefined
  readonly advertisedPrefixes: number
  readonly notAnnounced: SessionView['notAnnounced']
  readonly receivedPrefixes: number
  readonly flaps: number
  readonly lastError: SessionView['lastError'] | undefined
  readonly messages: SessionView['messages']
  readonly neighbor: SessionView['neighbor']
}): SessionView {
  const { config, session } = peer
  const negotiated = session?.negotiated
  return {
    key: config.key,
    peerAddress: config.peerAddress,
    state: peer.state,
    since: peer.since,
    localAs: config.localAs,
    peerAs: config.peerAs,
    advertisedPrefixes: peer.advertisedPrefixes,
    notAnnounced: peer.notAnnounced,
    receivedPrefixes: peer.receivedPrefixes,
    flaps: peer.flaps,
    messages: peer.messages,
    neighbor: peer.neighbor,
    ...(session?.localAddress !== undefined && { localAddress: session.localAddress }),
    ...(negotiated && { peerRouterId: negotiated.peerRouterId, negotiated: negotiatedView(negotiated) }),
    ...(peer.lastError && { lastError: peer.lastError }),
  }
}

function negotiatedView(negotiated: Negotiated): NonNullable<SessionView['negotiated']> {
  const { holdTimeSeconds, keepaliveSeconds, families, capabilities, gracefulRestart } = negotiated
  return {
    holdTimeSeconds,
    keepaliveSeconds,
    families,
    capabilities,
    ...(gracefulRestart && { gracefulRestartSeconds: gracefulRestart.peerRestartTimeSeconds }),
  }
}
