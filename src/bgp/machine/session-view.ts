/**
 * A peer as others see it: one state for its connections, and the negotiated values by name. Pure.
 */
import { present, type Said } from '../../lib/fields.ts'
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

/** What a peer's configuration and its furthest connection say. */
type Derived = 'key' | 'peerAddress' | 'localAs' | 'peerAs' | 'localAddress' | 'negotiated'

export function sessionView(
  peer: Omit<Said<SessionView>, Derived> & {
    readonly config: PeerConfig
    readonly session:
      | { readonly localAddress: string | undefined; readonly negotiated: Negotiated | undefined }
      | undefined
  },
): SessionView {
  const { config, session, ...rest } = peer
  const { key, peerAddress, localAs, peerAs } = config
  const { localAddress, negotiated } = session ?? {}
  return present<SessionView>({
    ...rest,
    key,
    peerAddress,
    localAs,
    peerAs,
    localAddress,
    negotiated: negotiated && {
      holdTimeSeconds: negotiated.holdTimeSeconds,
      capabilities: negotiated.capabilities,
    },
  })
}
