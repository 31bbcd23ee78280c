/**
 * Who is on-link, asked of the kernel: the interface on which packets to an address go to itself,
 * without a gateway between. Addresses and prefix lengths alone would be a guess; policy rules and
 * other tables count too.
 */
import { DEFAULT_DESTINATIONS } from './route.ts'
import type { Rtnetlink } from './rtnetlink.ts'
import type { Link } from './types.ts'

/**
 * The interface index of each address that is on-link (see `onLinkInterface`), on an interface that
 * is not loopback.
 */
export function askOnLink(
  netlink: Rtnetlink,
  addresses: readonly string[],
  links: readonly Link[],
): ReadonlyMap<string, number> {
  const usable = new Set(links.filter(({ loopback }) => !loopback).map(({ index }) => index))
  const onLink = new Map<string, number>()
  for (const address of addresses) {
    const index = onLinkInterface(netlink, address)
    if (index !== undefined && usable.has(index)) onLink.set(address, index)
  }
  return onLink
}

/**
 * The index of the interface on which packets to `address` go to itself; undefined where there is
 * no such. What only a default route without a gateway leads to (`default dev ppp0`) may be
 * anywhere behind that link.
 */
export function onLinkInterface(netlink: Rtnetlink, address: string): number | undefined {
  const route = netlink.match(address)
  const [hop, second] = route?.nextHops ?? []
  if (route?.type !== 'unicast' || hop?.gateway !== undefined || second !== undefined) return undefined
  return DEFAULT_DESTINATIONS[route.family] === route.destination ? undefined : hop?.interface
}
