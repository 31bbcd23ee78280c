/**
 * Where a peer lies as seen from this node, and which addresses go with that: the link that has its
 * network, our own address on it, and a node's address that the peer can reach as a next hop
 * (RFC 4271 section 5.1.3). Pure.
 *
 * Deviation from section 5.1.3: an address that shares no network with the peer is still announced
 * when the node has no other. A switch that routes several networks has them all connected; the
 * speaker's own address instead would send the packets of another network in a circle through the
 * switch.
 */
import { covers, FAMILY_NAMES, type Family, familyOf, networkOf } from '../lib/ip.ts'
import { isLinkLocal } from './link-local.ts'

/**
 * An address of an interface of this node that is up, canonical; the preferred one of an interface
 * and family first.
 */
export interface LocalAddress {
  readonly interface: string
  readonly address: string
  readonly prefixLength: number
  /** False: the cable is out. */
  readonly carrier: boolean
}

/**
 * The addresses, of both families, of the interfaces that have an address in the peer's network;
 * none: it is behind a router.
 */
export function linkOf(peerIP: string, local: readonly LocalAddress[]): readonly LocalAddress[] {
  const names = new Set(local.filter(of => isIn(of, peerIP)).map(of => of.interface))
  return local.filter(of => names.has(of.interface))
}

/**
 * Where our connections to the peer come from, unless somebody chose: this node's InternalIP in the
 * peer's network, else one of the peer's family that an interface has. Undefined: as the kernel
 * chooses, as none of them is here.
 */
export function sourceFor(peerIP: string, own: readonly string[], local: readonly LocalAddress[]): string | undefined {
  const here = own.filter(address => familyOf(address) === familyOf(peerIP) && local.some(of => of.address === address))
  return (
    here.find(address => inNetworkOf(peerIP, address, local)) ??
    (linkOf(peerIP, local).length > 0 ? undefined : here[0])
  )
}

/** The next hop of a prefix, or why there is none. */
export type NextHop = { readonly address: string } | { readonly missing: string }

/**
 * The address of `candidates` that the peer can use best for prefixes of `family`: of that family
 * and in the peer's network, of that family, IPv6 in the peer's network (RFC 8950), IPv6. Never one
 * of the peer itself (section 5.1.3), nor one that is link-local.
 */
export function nextHopFor(
  family: Family,
  candidates: readonly string[],
  to: { readonly peerIP: string; readonly local: readonly LocalAddress[] },
): NextHop {
  const usable = candidates.filter(address => address !== to.peerIP && !isLinkLocal(address))
  const near = usable.filter(address => inNetworkOf(to.peerIP, address, to.local))
  const first = (of: Family) =>
    near.find(address => familyOf(address) === of) ?? usable.find(address => familyOf(address) === of)
  const address = first(family) ?? first('ipv6')
  if (address !== undefined) return { address }
  const name = FAMILY_NAMES[family]
  return {
    missing: candidates.includes(to.peerIP)
      ? `its address ${to.peerIP} is the peer's own`
      : `it has no ${name} address of its own to be the next hop`,
  }
}

/**
 * Whether an address lies in the network of the peer; one of the other family: in a network of the
 * peer's link.
 */
function inNetworkOf(peerIP: string, address: string, local: readonly LocalAddress[]): boolean {
  const sameFamily = familyOf(address) === familyOf(peerIP)
  const networks = sameFamily ? local.filter(of => isIn(of, peerIP)) : linkOf(peerIP, local)
  return networks.some(of => isIn(of, address))
}

function isIn({ address, prefixLength }: LocalAddress, other: string): boolean {
  const network = networkOf(`${address}/${prefixLength}`)
  return network !== undefined && covers(network, other)
}
