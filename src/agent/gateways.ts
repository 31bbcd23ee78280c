/**
 * The way to pods outside of this node's LAN: the `gateway` of each BGPPeer that selects the node,
 * else its peerIP where that is on-link (the device that holds the container routes), else the
 * node's default route, which on a point-to-point link names a device and no gateway. Several
 * different ones share the load (ECMP). Pure.
 *
 * IPv4 pods may go by an IPv6 gateway (RFC 8950 networks) where there is no IPv4 one; IPv6 pods
 * never by an IPv4 one.
 */
import type { BGPPeer } from '../kube/bgp-peer.ts'
import { compareAddresses, type Family, familyOf } from '../lib/ip.ts'
import type { NextHop } from '../netlink/types.ts'
import type { Judged } from './gateway-evidence.ts'

/** The ways of one family, sorted by gateway; none when there is none. */
export interface Gateways {
  readonly nextHops: readonly NextHop[]
  readonly problems: readonly string[]
}

/** The ways of the default route for destinations of each family. */
export type DefaultGateways = Readonly<Record<Family, readonly NextHop[]>>

interface GatewayInput {
  /** The BGPPeers that select this node. */
  readonly peers: readonly BGPPeer[]
  /** Of this node, as the cluster knows them. */
  readonly addresses: readonly string[]
  readonly network: {
    readonly onLink: ReadonlyMap<string, number>
    readonly defaultGateways: DefaultGateways
    readonly ownAddresses: readonly string[]
    readonly judged?: Judged
  }
}

export function gatewaysOf(input: GatewayInput): Readonly<Record<Family, Gateways>> {
  const { ipv4, ipv6 } = { ipv4: waysOf('ipv4', input), ipv6: waysOf('ipv6', input) }
  // the IPv4 default route of a node without an IPv4 address in the LAN leads elsewhere (a modem, a
  // VPN)
  const inOrder = input.addresses.some(address => familyOf(address) === 'ipv4')
    ? [ipv4.named, ipv4.default, ipv6.named, ipv6.default]
    : [ipv4.named, ipv6.named, ipv4.default, ipv6.default]
  return { ipv4: firstOf(inOrder), ipv6: firstOf([ipv6.named, ipv6.default]) }
}

function firstOf(ways: readonly Gateways[]): Gateways {
  return ways.find(({ nextHops }) => nextHops.length > 0) ?? { nextHops: [], problems: [] }
}

/** Gateways of one family that BGPPeers name, and the default route's. */
function waysOf(family: Family, { peers, network }: GatewayInput): { named: Gateways; default: Gateways } {
  const named = new Map<string, string>()
  for (const { name, spec } of peers) {
    const gateway = gatewayOf(spec, family, network.onLink)
    // a node that is itself the gateway has nobody to hand its packets to but its own default
    // gateway
    if (gateway !== undefined && !network.ownAddresses.includes(gateway)) named.set(gateway, name)
  }
  const all = [...named.keys()].map(gateway => wayTo(gateway, network.onLink, network.defaultGateways[family]))
  const onLink = all.filter(hop => hop.interface !== undefined)
  const counting = onLink.filter(({ gateway }) => network.judged?.counting.has(gateway) !== false)
  // those of the other family may be all that count
  const usable = counting.length > 0 ? counting : onLink
  const problems = all
    .filter(hop => hop.interface === undefined)
    .map(({ gateway }) => `gateway ${gateway} of BGPPeer ${named.get(gateway)} is not on-link at this node`)
  const silent = onLink
    .filter(hop => !usable.includes(hop))
    .map(
      ({ gateway }) =>
        `gateway ${gateway} of BGPPeer ${named.get(gateway)} ${network.judged?.reasons.get(gateway) ?? 'does not answer'}: the others have its share`,
    )
  // when none is usable they stand all the same: the kernel will refuse, and the routes show as
  // failed instead of vanishing
  const nextHops = usable.length > 0 ? usable : all
  return {
    named: { nextHops: sorted(nextHops), problems: [...problems, ...silent] },
    default: { nextHops: sorted(network.defaultGateways[family]), problems: [] },
  }
}

/**
 * Without an interface where there is no way. A default route may lead to a gateway that no address
 * makes on-link (`onlink`, for a /32).
 */
function wayTo(
  gateway: string,
  onLink: ReadonlyMap<string, number>,
  byDefault: readonly NextHop[],
): NextHop & { readonly gateway: string } {
  const via = onLink.get(gateway)
  if (via !== undefined) return { gateway, interface: via }
  const hop = byDefault.find(other => other.onlink === true && other.gateway === gateway)
  return hop?.interface === undefined ? { gateway } : { gateway, interface: hop.interface, onlink: true }
}

function gatewayOf(spec: BGPPeer['spec'], family: Family, onLink: ReadonlyMap<string, number>): string | undefined {
  if (spec.gateway !== undefined && familyOf(spec.gateway) === family) return spec.gateway
  return familyOf(spec.peerIP) === family && onLink.has(spec.peerIP) ? spec.peerIP : undefined
}

/** By gateway, those without one first; these by interface. */
function sorted(hops: readonly NextHop[]): NextHop[] {
  const none = '0.0.0.0'
  return hops.toSorted(
    (a, b) =>
      compareAddresses(a.gateway ?? none, b.gateway ?? none) || Number(a.interface ?? 0) - Number(b.interface ?? 0),
  )
}
