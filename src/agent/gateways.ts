/**
 * The way to pods outside of this node's LAN: the `gateway` of each BGPPeer that selects the node, else its peerIP where that is on-link
 * (the device that holds the container routes), else the node's default gateway. Several different ones share the load (ECMP). Pure.
 */
import type { BGPPeer } from '../kube/bgp-peer.ts'
import { compareAddresses, type Family, familyOf } from '../lib/ip.ts'
import type { NextHop } from '../netlink/types.ts'

/** The ways of one family, sorted by gateway; none when there is none. */
export interface Gateways {
  readonly nextHops: readonly NextHop[]
  readonly problems: readonly string[]
}

interface GatewayInput {
  /** The BGPPeers that select this node. */
  readonly peers: readonly BGPPeer[]
  readonly network: {
    readonly onLink: ReadonlyMap<string, number>
    readonly defaultGateways: readonly NextHop[]
    readonly ownAddresses: readonly string[]
  }
}

export function gatewaysOf(input: GatewayInput): Readonly<Record<Family, Gateways>> {
  return { ipv4: gatewaysOfFamily('ipv4', input), ipv6: gatewaysOfFamily('ipv6', input) }
}

function gatewaysOfFamily(family: Family, { peers, network }: GatewayInput): Gateways {
  const named = new Map<string, string>()
  for (const { name, spec } of peers) {
    const gateway = gatewayOf(spec, family, network.onLink)
    // a node that is itself the gateway has nobody to hand its packets to but its own default gateway
    if (gateway !== undefined && !network.ownAddresses.includes(gateway)) named.set(gateway, name)
  }
  if (named.size === 0) {
    return { nextHops: sorted(network.defaultGateways.filter(hop => ofFamily(hop, family))), problems: [] }
  }
  const all = [...named.keys()].map((gateway): NextHop => {
    const via = network.onLink.get(gateway)
    return via === undefined ? { gateway } : { gateway, interface: via }
  })
  const usable = all.filter(hop => hop.interface !== undefined)
  const problems = all
    .filter(hop => hop.interface === undefined)
    .map(({ gateway = '' }) => `gateway ${gateway} of BGPPeer ${named.get(gateway)} is not on-link at this node`)
  // when none is usable they stand all the same: the kernel will refuse, and the routes show as failed instead of vanishing
  return { nextHops: sorted(usable.length > 0 ? usable : all), problems }
}

function gatewayOf(spec: BGPPeer['spec'], family: Family, onLink: ReadonlyMap<string, number>): string | undefined {
  if (spec.gateway !== undefined && familyOf(spec.gateway) === family) return spec.gateway
  return familyOf(spec.peerIP) === family && onLink.has(spec.peerIP) ? spec.peerIP : undefined
}

function ofFamily(hop: NextHop, family: Family): boolean {
  return hop.gateway !== undefined && familyOf(hop.gateway) === family
}

function sorted(hops: readonly NextHop[]): NextHop[] {
  return [...hops].sort((a, b) => compareAddresses(a.gateway ?? '', b.gateway ?? ''))
}
