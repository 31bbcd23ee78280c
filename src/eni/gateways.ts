/**
 * By which gateway the pods of an interface leave. The metadata service of the instance wins where
 * it says one; then what the controller wrote (the third address from the end of the vSwitch); and
 * where neither knows, as on ENS, whose API names no vSwitch's range, an interface in the network
 * of the primary one has the primary's. Pure.
 */
import type { ENIInterface, ENINode } from '../kube/eni-node.ts'
import { covers, FAMILIES, type Family, familyOf, hostPrefix, networkOf, parseAddress } from '../lib/ip.ts'
import { DEFAULT_DESTINATIONS } from '../netlink/route.ts'
import type { Primary } from './datapath.ts'
import { gatewayOf } from './vswitch.ts'

/** By MAC: at most one of a family. */
export type GatewaysByMac = ReadonlyMap<string, readonly string[]>

/** The network of a primary interface, of one family. */
export interface PrimaryNetwork {
  readonly gateway: string
  /** What it has on its link. */
  readonly onLink: readonly string[]
}

/** Of primaries with a gateway. */
export function primaryNetworks(primaries: readonly Primary[]): readonly PrimaryNetwork[] {
  return primaries.flatMap(({ routes }) => {
    const isDefault = (destination: string) => Object.values(DEFAULT_DESTINATIONS).includes(destination)
    const gateway = routes.find(({ destination }) => isDefault(destination))?.nextHops[0]?.gateway
    const onLink = routes.map(({ destination }) => destination).filter(destination => !isDefault(destination))
    return gateway === undefined ? [] : [{ gateway, onLink }]
  })
}

/** The ENINode with the gateways that are to be used. */
export function withGateways(node: ENINode, said: GatewaysByMac, primaries: readonly PrimaryNetwork[]): ENINode {
  const interfaces = node.status.interfaces.map(item => {
    const gateways = FAMILIES.flatMap(family => gatewayFor(item, family, said, primaries) ?? [])
    return Bun.deepEquals(gateways, item.gateways) ? item : { ...item, gateways }
  })
  const same = interfaces.every((item, index) => item === node.status.interfaces[index])
  return same ? node : { ...node, status: { ...node.status, interfaces } }
}

function gatewayFor(
  item: ENIInterface,
  family: Family,
  said: GatewaysByMac,
  primaries: readonly PrimaryNetwork[],
): string | undefined {
  const own = (gateways: readonly string[] | undefined) => gateways?.find(gateway => familyOf(gateway) === family)
  const [address] = [...item.addresses, ...item.releasing].filter(one => familyOf(one) === family)
  const neighbour = primaries.find(
    ({ gateway, onLink }) =>
      familyOf(gateway) === family && address !== undefined && onLink.some(range => covers(range, hostPrefix(address))),
  )
  return own(said.get(item.mac)) ?? own(item.gateways) ?? neighbour?.gateway
}

/** Where the metadata service says otherwise than the controller wrote. */
export function gatewayDifferences(node: ENINode, said: GatewaysByMac): readonly string[] {
  return node.status.interfaces.flatMap(({ id, mac, gateways }) =>
    FAMILIES.flatMap(family => {
      const [theirs, written] = [said.get(mac) ?? [], gateways].map(list => list.find(one => familyOf(one) === family))
      if (theirs === undefined || written === undefined || theirs === written) return []
      return [`interface ${id} leaves by the gateway ${theirs}, as the metadata service says, not by ${written}`]
    }),
  )
}

/** The gateway of the subnet of an address, by its mask (`255.255.255.0`). */
export function gatewayByMask(address: string, mask: string): string | undefined {
  const bytes = parseAddress(mask)
  if (bytes?.length !== 4 || parseAddress(address)?.length !== 4) return undefined
  const bits = [...bytes].map(byte => byte.toString(2).padStart(8, '0')).join('')
  const length = bits.indexOf('0') < 0 ? 32 : bits.indexOf('0')
  if (bits.slice(length).includes('1')) return undefined
  return gatewayOf(networkOf(`${address}/${length}`) ?? '')
}
