/** What a speaker has to say of a BGPPeer that it cannot do as asked. Pure. */
import type { Family } from '../lib/ip.ts'

/**
 * Why something that a BGPPeer asks for is not done. `message` says what to change and never holds
 * a secret.
 */
export interface SpeakerProblem {
  readonly bgpPeer: string
  readonly kind:
    | 'SecretNotFound'
    | 'PeerTaken'
    | 'OwnAddress'
    | 'NoSourceAddress'
    | 'NoNextHop'
    | 'PrefixTaken'
    | 'BfdMultihop'
    | 'BfdNotOnLink'
    | 'BfdNotUp'
    | 'TtlTooLow'
    | 'TtlNotKnown'
  readonly message: string
  /** Of a prefix (NoNextHop). */
  readonly family?: Family
}
