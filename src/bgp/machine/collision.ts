/**
 * Connection collision (RFC 4271 section 6.8, with the tie-break of RFC 6286 section 2.3): which of
 * two connections to one peer stays. Pure. Asked when a valid OPEN arrives on one of them, before
 * the machine sees it.
 */
import { addressBytes } from '../../lib/ip.ts'
import type { State } from '../speaker-types.ts'

/** Who opened a connection. */
export type Direction = 'outgoing' | 'incoming'

export interface Contender {
  readonly direction: Direction
  readonly state: State
}

export interface Identity {
  /** Dotted BGP Identifier. */
  readonly routerId: string
  readonly asNumber: number
}

/**
 * Which to close when an OPEN of `remote` arrives on `opening` and `other` exists; undefined when
 * both may go on for now. An established connection stays (the RFC's default), unless the peer has
 * restarted: `takesOver` of graceful-restart.ts, asked before.
 */
export function loserOf(
  opening: Contender,
  other: Contender,
  identities: { readonly local: Identity; readonly remote: Identity },
): 'opening' | 'other' | undefined {
  switch (other.state) {
    case 'Established':
      return 'opening'
    case 'OpenConfirm':
      if (opening.direction === other.direction) return 'opening'
      return preferred(identities) === opening.direction ? 'other' : 'opening'
    case 'Idle':
    case 'Connect':
    case 'Active':
    case 'OpenSent': // not yet known to be of the same peer: it is compared when its own OPEN comes
      return undefined
  }
}

/**
 * The direction that stays: the connection opened by the side with the larger BGP Identifier, or of
 * equal ones the larger AS.
 */
function preferred({ local, remote }: { readonly local: Identity; readonly remote: Identity }): Direction {
  const ours = identifierNumber(local.routerId)
  const theirs = identifierNumber(remote.routerId)
  if (ours !== theirs) return ours > theirs ? 'outgoing' : 'incoming'
  return local.asNumber > remote.asNumber ? 'outgoing' : 'incoming'
}

function identifierNumber(dotted: string): number {
  return addressBytes(dotted).reduce((number, byte) => number * 256 + byte, 0)
}
