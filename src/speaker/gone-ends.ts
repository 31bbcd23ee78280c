/**
 * Sessions whose own end is gone: the address was taken away, or the link to a peer that is one hop
 * away lost its carrier. Nobody has to wait for the hold timer to know that. Pure.
 */
import type { PeerConfig, SessionView } from '../bgp/speaker-types.ts'
import { type LocalAddress, linkOf } from './peer-link.ts'

/**
 * Of established sessions, which to end, and why. `local`: the addresses of interfaces that are up.
 */
export function goneEnds(
  sessions: readonly SessionView[],
  configs: ReadonlyMap<string, PeerConfig>,
  local: readonly LocalAddress[],
): readonly { readonly key: string; readonly reason: string }[] {
  return sessions.flatMap(({ key, state, localAddress }) => {
    const config = configs.get(key)
    if (state !== 'Established' || localAddress === undefined || config === undefined) return []
    const own = local.find(({ address }) => address === localAddress)
    if (own === undefined) {
      return [
        { key, reason: `this node has the address ${localAddress} of the session no more, or its interface is down` },
      ]
    }
    const link = oneHop(config) ? linkOf(config.peerAddress, local) : []
    if (link.length === 0 || link.some(({ carrier }) => carrier)) return []
    return [{ key, reason: `the link ${link[0]?.interface ?? ''} to ${config.peerAddress} is down` }]
  })
}

/** Whether the peer can only be on that link. */
function oneHop({ ebgpMultihop = 1, ttlSecurity = 1 }: PeerConfig): boolean {
  return ebgpMultihop === 1 && ttlSecurity === 1
}
