/**
 * Which session a packet belongs to (RFC 5880 section 6.8.6, RFC 5881 section 3). Pure. The TTL was
 * checked by the kernel (filter.ts).
 *
 * By Your Discriminator alone when it is set, whatever address it came from (RFC 5880 section 6.3);
 * else by that address. That it came in on the session's interface was checked by the kernel too.
 */
import type { ControlPacket } from './packet.ts'

export type Selected<S> = { readonly session: S } | { readonly discard: 'unknown-discriminator' | 'unknown-peer' }

export interface Sessions<S> {
  /** By our discriminator. */
  readonly byDiscriminator: ReadonlyMap<number, S>
  readonly byPeerAddress: ReadonlyMap<string, S>
}

export function selectSession<S>(packet: ControlPacket, fromAddress: string, sessions: Sessions<S>): Selected<S> {
  if (packet.yourDiscriminator === 0) {
    const session = sessions.byPeerAddress.get(fromAddress)
    return session === undefined ? { discard: 'unknown-peer' } : { session }
  }
  const session = sessions.byDiscriminator.get(packet.yourDiscriminator)
  return session === undefined ? { discard: 'unknown-discriminator' } : { session }
}
