/**
 * What a ROUTE-REFRESH of the peer asks for (RFC 2918 section 4, RFC 7313 sections 4 and 5). Pure.
 */
import type { Family } from '../../lib/ip.ts'
import type { RouteRefresh } from '../codec/message-types.ts'
import { familyOfAfi } from '../codec/nlri.ts'
import { RefreshSubtype } from '../codec/registry.ts'
import type { Negotiated } from './negotiation.ts'

/** To announce a family once more, or nothing; `reason`: for the log. */
export type Refresh =
  | { readonly kind: 'announce'; readonly family: Family }
  | { readonly kind: 'ignore'; readonly reason?: string }

export function refreshOf(message: RouteRefresh, negotiated: Negotiated | undefined): Refresh {
  const family = familyOfAfi(message)
  const { subtype, afi, safi } = message
  // RFC 2918 section 3: from a peer without the capability of RFC 7313 the octet is reserved, to be
  // ignored.
  const request = subtype === RefreshSubtype.request || negotiated?.enhancedRouteRefresh !== true
  if (!request) {
    // BoRR and EoRR frame routes that we do not keep.
    if (subtype === RefreshSubtype.BoRR || subtype === RefreshSubtype.EoRR) return { kind: 'ignore' }
    return { kind: 'ignore', reason: `RFC 7313 section 5: subtype ${subtype}` }
  }
  if (!negotiated?.routeRefresh) return { kind: 'ignore', reason: 'RFC 2918 section 4: route refresh was not offered' }
  if (family === undefined)
    return { kind: 'ignore', reason: `RFC 2918 section 4: AFI ${afi} SAFI ${safi} was not offered` }
  return { kind: 'announce', family }
}
