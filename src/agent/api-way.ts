/**
 * Whether all that packets to the API server go by is known: the gateways of the machine's own
 * routes, and the far ends of tunnels. Each is a lifeline, which no podCIDR covers, so that no
 * route of ours can lead these packets astray. Not known is where a tunnel leads that does not say
 * it (WireGuard, a program behind a tun device, IPsec), and to whom a program of this machine
 * passes on what it is sent (a proxy or a load balancer on loopback).
 */
import type { Rtnetlink } from '../netlink/rtnetlink.ts'

/** Kinds of links (IFLA_INFO_KIND) whose packets travel inside others. */
const TUNNELS: readonly string[] = [
  ...['wireguard', 'tun', 'vxlan', 'geneve', 'gre', 'gretap', 'ip6gre', 'ip6gretap', 'ipip', 'sit', 'ip6tnl'],
  ...['vti', 'vti6', 'xfrm', 'erspan', 'ip6erspan', 'fou', 'ppp', 'ovpn', 'gtp', 'bareudp', 'amt'],
]
/** Tunnels within tunnels; more are a loop. */
const MOST_TUNNELS = 4

export function isTunnel(kind: string): boolean {
  return TUNNELS.includes(kind)
}

/** Of packets to all of the addresses. Throws `NetlinkError`. */
export function isWayKnown(kernel: Rtnetlink, addresses: readonly string[]): boolean {
  return addresses.every(address => isKnown(kernel, address, MOST_TUNNELS))
}

function isKnown(kernel: Rtnetlink, address: string, tunnelsLeft: number): boolean {
  const way = kernel.lookup(address)
  if (way.type === 'local') return false
  const link = way.type === 'unicast' && way.interface !== undefined ? kernel.getLink(way.interface) : undefined
  if (link === undefined || !isTunnel(link.kind)) return true
  return link.remote !== undefined && tunnelsLeft > 0 && isKnown(kernel, link.remote, tunnelsLeft - 1)
}
