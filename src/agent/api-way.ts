/**
 * Whether all that packets to the API server go by is known: the gateways of the machine's own
 * routes, and the far ends of tunnels. Each is a lifeline, which no podCIDR covers, so that no
 * route of ours can lead these packets astray. Not known is where a tunnel leads that does not say
 * it (WireGuard, a program behind a tun device, IPsec), be it under a VLAN or a port of a bridge,
 * and to whom a program of this machine passes on what it is sent (a proxy or a load balancer on
 * loopback).
 *
 * What the kernel makes of a destination after it was looked up (DNAT) is not seen here: that the
 * address of a Service is none of a server is known by the Service ranges of the configuration
 * alone. Through Open vSwitch nothing is followed either.
 */
import type { Rtnetlink } from '../netlink/rtnetlink.ts'
import type { Link } from '../netlink/types.ts'

/** Kinds of links (IFLA_INFO_KIND) whose packets travel inside others. */
const TUNNELS: readonly string[] = [
  ...['wireguard', 'tun', 'vxlan', 'geneve', 'gre', 'gretap', 'ip6gre', 'ip6gretap', 'ipip', 'sit', 'ip6tnl'],
  ...['vti', 'vti6', 'xfrm', 'erspan', 'ip6erspan', 'fou', 'ppp', 'ovpn', 'gtp', 'bareudp', 'amt'],
]
/** Tunnels within tunnels; more are a loop, as is a bridge that leads to its own port's far end. */
const MOST_TUNNELS = 4

/** Whether packets that leave by a link may travel inside others. */
export function entersTunnel(links: readonly Link[], link: Link): boolean {
  return linksUnder(links, link).some(({ kind }) => isTunnel(kind))
}

/** Of packets to all of the addresses. Throws `NetlinkError`. */
export function isWayKnown(kernel: Rtnetlink, addresses: readonly string[]): boolean {
  const seen = { kernel, links: kernel.dumpLinks() }
  return addresses.every(address => isKnown(seen, address, MOST_TUNNELS))
}

interface Seen {
  readonly kernel: Rtnetlink
  readonly links: readonly Link[]
}

function isKnown(seen: Seen, address: string, tunnelsLeft: number): boolean {
  const way = seen.kernel.lookup(address)
  if (way.type === 'local') return false
  const link = way.type === 'unicast' ? seen.links.find(({ index }) => index === way.interface) : undefined
  if (link === undefined) return true
  return linksUnder(seen.links, link).every(({ kind, remote }) => {
    if (!isTunnel(kind)) return true
    return remote !== undefined && tunnelsLeft > 0 && isKnown(seen, remote, tunnelsLeft - 1)
  })
}

/**
 * The link, and all that its packets may leave by: ports of a bridge or bond, what a VLAN is on,
 * the bridge at the other end of a veth. Through a veth to another namespace, as through a cable,
 * nothing is seen.
 */
function linksUnder(links: readonly Link[], link: Link): readonly Link[] {
  const found = new Set([link])
  for (const one of found) {
    const peer = one.peerNamespace === undefined ? links.find(({ index }) => index === one.peer) : undefined
    for (const other of links) {
      const isUnder = other.master === one.index || [one.parent, peer?.index, peer?.master].includes(other.index)
      if (isUnder) found.add(other)
    }
  }
  return [...found]
}

function isTunnel(kind: string): boolean {
  return TUNNELS.includes(kind)
}
