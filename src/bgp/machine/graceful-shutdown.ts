/**
 * Graceful session shutdown (RFC 8326): before routes are taken away they are announced once more
 * as the worst there are, so that the peer moves to another speaker's before it has to. Pure.
 */
import { parseCommunity } from '../codec/communities.ts'
import { WellKnownCommunity } from '../codec/registry.ts'
import type { Announcement } from '../speaker-types.ts'

/**
 * Section 4: the same routes with the community GRACEFUL_SHUTDOWN; to iBGP peers with LOCAL_PREF 0
 * too, as these need not know the community.
 */
export function onTheWayOut(announcements: readonly Announcement[]): readonly Announcement[] {
  // Announcements that share a list go on sharing one, by which the Adj-RIB-Out tells them alike.
  const lists = new Map<readonly string[] | undefined, readonly string[]>()
  return announcements.map(announcement => {
    const before = announcement.communities
    const communities = lists.get(before) ?? withShutdown(before ?? [])
    lists.set(before, communities)
    return { ...announcement, communities, localPref: 0 }
  })
}

function withShutdown(communities: readonly string[]): readonly string[] {
  const has = communities.some(text => parseCommunity(text) === WellKnownCommunity['graceful-shutdown'])
  return has ? communities : [...communities, 'graceful-shutdown']
}
