/**
 * Which session a packet belongs to (RFC 5880 section 6.8.6, RFC 5881 section 3). Pure. The TTL was checked by the kernel (filter.ts).
 *
 * By Your Discriminator when it is set, else by the address it came from. It has to have come from the session's peer either way,
 * which the RFCs leave open: on one hop nobody else has a reason to send it.
 */
import type { ControlPacket } from './packet.ts'

/** What is known of a session for this. */
export interface Selectable {
  readonly peerAddress: string
}

export type Selected<S> = { readonly session: S } | { readonly discard: 'unknown-discriminator' | 'unknown-peer' }

export interface Sessions<S> {
  /** By our discriminator. */
  readonly byDiscriminator: ReadonlyMap<number, S>
  readonly byPeerAddress: ReadonlyMap<string, S>
}

export function selectSession<S extends Selectable>(
  packet: ControlPacket,
  fromAddress: string,
  sessions: Sessions<S>,
): Selected<S> {
  if (packet.yourDiscriminator === 0) {
    const session = sessions.byPeerAddress.get(fromAddress)
    return session === undefined ? { discard: 'unknown-peer' } : { session }
  }
  const session = sessions.byDiscriminator.get(packet.yourDiscriminator)
  if (session === undefined) return { discard: 'unknown-discriminator' }
  return session.peerAddress === fromAddress ? { session } : { discard: 'unknown-peer' }
}
