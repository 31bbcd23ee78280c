/**
 * Why prefixes that the speaker was given cannot be announced in a session, in words that say what
 * to change. Pure. Which ones they are is known by rib.ts.
 */
import { FAMILY_NAMES, type Family } from '../../lib/ip.ts'
import type { NotAnnounced, NotAnnouncedReason } from '../speaker-types.ts'

/** Counts by family and reason, in the order in which they first come. */
export function countNotAnnounced(
  found: Iterable<{ readonly family: Family; readonly reason: NotAnnouncedReason; readonly prefixes: number }>,
): readonly NotAnnounced[] {
  const counts = new Map<string, { family: Family; reason: NotAnnouncedReason; prefixes: number }>()
  for (const { family, reason, prefixes } of found) {
    const key = `${family} ${reason}`
    const before = counts.get(key)?.prefixes ?? 0
    if (prefixes > 0) counts.set(key, { family, reason, prefixes: before + prefixes })
  }
  return [...counts.values()].map(({ family, reason, prefixes }) => {
    return { family, reason, prefixes, message: explanation(family, reason) }
  })
}

function explanation(family: Family, reason: NotAnnouncedReason): string {
  const name = FAMILY_NAMES[family]
  switch (reason) {
    case 'family-not-negotiated':
      return `the peer did not agree to ${name} unicast (RFC 4760): enable that address family for this session there`
    case 'extended-next-hop-not-negotiated':
      return 'their next hops are IPv6, and the peer did not agree to that (RFC 8950): enable extended next hops there'
    case 'no-next-hop':
      return `their nodes have no ${name} address of their own to be the next hop`
    case 'attributes-too-long':
      return 'the path attributes leave no room for a prefix: fewer communities are needed'
  }
}
