/**
 * What this node announces to its LAN's devices since a change, and did not before. Where no route
 * of ours can lead packets to the API server astray, those of these devices still can: a podCIDR
 * may cover what they live by, which nobody here knows. Pure.
 */
import type { ClusterView } from './cluster-view-types.ts'
import type { RoutingObjects } from './held-changes.ts'

/** podCIDRs that `former` had nowhere, of nodes for which `self` speaks. */
export function announcedAnew(
  self: string,
  { entries, peers }: Pick<ClusterView, 'entries' | 'peers'>,
  former: RoutingObjects,
): readonly string[] {
  const spoken = new Set(peers.filter(({ spec }) => spec.localSpeakers.includes(self)).map(({ name }) => name))
  if (spoken.size === 0) return []
  const known = new Set(former.entries.flatMap(({ podCIDRs }) => podCIDRs))
  const announced = entries.filter(entry => entry.peers.some(peer => spoken.has(peer)))
  return announced.flatMap(({ podCIDRs }) => podCIDRs.filter(podCIDR => !known.has(podCIDR)))
}
