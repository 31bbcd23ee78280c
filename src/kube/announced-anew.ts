/**
 * What this node announces to its LAN's devices since a change, and did not before. Where no route
 * of ours can lead packets to the API server astray, those of these devices still can: a podCIDR
 * may cover what they live by, which nobody here knows. What is announced since a BGPPeer selects
 * its node, and was the node's before, is not among them: BGPPeers are not on trial. Pure.
 */
import type { ClusterView } from './cluster-view-types.ts'
import type { RoutingObjects } from './held-changes.ts'
import type { RouteEntry } from './route-slice.ts'

/**
 * podCIDRs of nodes for which `self` speaks, that in `former` were neither of the same node nor of
 * any that it spoke for.
 */
export function announcedAnew(
  self: string,
  { entries, peers }: Pick<ClusterView, 'entries' | 'peers'>,
  former: RoutingObjects,
): readonly string[] {
  const spoken = new Set(peers.filter(({ spec }) => spec.localSpeakers.includes(self)).map(({ name }) => name))
  if (spoken.size === 0) return []
  const isSpokenFor = (entry: RouteEntry) => entry.peers.some(peer => spoken.has(peer))
  const known = new Set(former.entries.filter(isSpokenFor).flatMap(({ podCIDRs }) => podCIDRs))
  const own = new Map(former.entries.map(({ node, podCIDRs }) => [node, podCIDRs]))
  return entries
    .filter(isSpokenFor)
    .flatMap(({ node, podCIDRs }) =>
      podCIDRs.filter(podCIDR => !known.has(podCIDR) && own.get(node)?.includes(podCIDR) !== true),
    )
}
