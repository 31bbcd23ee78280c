/**
 * How a pod is wired, as requests to the kernel: a veth pair, /32 or /128 in the pod, a default
 * route to a link-local gateway, on the host a route for the pod, and at both ends a permanent
 * neighbour entry for the other. No bridge, and nobody asks by ARP or ND; but where entries are
 * lost (flushed, or the pod's MAC changes) the host end answers for the gateway, and no other
 * interface does.
 *
 * Routes to pods bear RTPROT_BOOT: like pods they last until the next boot, and the agent (which
 * may own any number from 5 on) never takes them for its own. They go with the link. When requests
 * are sent, and what a refusal means, is `veth.ts`. Pure.
 */
import { addressBits, type Family, familyOf, hostPrefix } from '../lib/ip.ts'
import { ANY_SOURCE_GROUP, POD_GROUP } from '../model/pod-interfaces.ts'
import { addAddress } from '../netlink/address.ts'
import { IFA_F, RT_SCOPE, RTPROT } from '../netlink/constants.ts'
import { addVeth } from '../netlink/link.ts'
import type { Request } from '../netlink/message.ts'
import { addProxy, replaceNeighbour } from '../netlink/neighbour.ts'
import { addRoute, DEFAULT_DESTINATIONS, type RouteSpec, replaceRoute } from '../netlink/route.ts'
import { addRule } from '../netlink/rule.ts'

/** What the pod takes for its router. Never leaves the veth pair. */
export const POD_GATEWAY: Readonly<Record<Family, string>> = { ipv4: '169.254.1.1', ipv6: 'fe80::1' }

export interface PodWire {
  readonly hostInterface: string
  readonly hostMac: string
  readonly podMac: string
  readonly alias: string
  readonly namespacePath: string
  readonly interfaceName: string
  readonly addresses: readonly string[]
  /** Bytes. */
  readonly mtu: number
  /**
   * How the host reaches a pod whose addresses are of an elastic network interface; absent: by a
   * route in table main.
   */
  readonly policy?: PodPolicy
  /** Whether the pod may send from any address; absent: from its own alone. */
  readonly anySource?: boolean
}

/**
 * The requests that lead to a pod by policy routes, and from it by its interface
 * (`netlink/policy-routes.ts`), once its host end has an index.
 */
export type PodPolicy = (hostIndex: number) => readonly Request[]

/** The pair, the pod's end right in its namespace, which is open as `namespace`. */
export function pairRequest(wire: PodWire, namespace: number): Request {
  const { hostInterface, interfaceName, mtu } = wire
  return addVeth({
    name: hostInterface,
    mtu,
    address: wire.hostMac,
    group: wire.anySource === true ? ANY_SOURCE_GROUP : POD_GROUP,
    peer: { name: interfaceName, mtu, address: wire.podMac, namespaceFd: namespace },
  })
}

/** The pod's address, and who its gateway is. */
export function podRequests(wire: PodWire, podIndex: number, address: string): Request[] {
  const family = familyOf(address)
  const gateway = POD_GATEWAY[family]
  const own = addAddress({
    address,
    prefixLength: addressBits(family),
    interface: podIndex,
    ...(family === 'ipv6' && { flags: IFA_F.NODAD }),
  })
  const neighbour = replaceNeighbour({ address: gateway, interface: podIndex, hardwareAddress: wire.hostMac })
  return [own, neighbour]
}

/** A default route of a pod; `table` is absent for table main. */
export function defaultRoute(podIndex: number, family: Family, place: { readonly table?: number } = {}): Request {
  const nextHops = [{ gateway: POD_GATEWAY[family], interface: podIndex, onlink: true }]
  return addRoute({ destination: DEFAULT_DESTINATIONS[family], protocol: RTPROT.BOOT, nextHops, ...place })
}

/** The route of a pod to its gateway, once it has the default route. */
export function gatewayRoute(podIndex: number, family: Family): Request {
  return addRoute({
    destination: hostPrefix(POD_GATEWAY[family]),
    protocol: RTPROT.BOOT,
    nextHops: [{ interface: podIndex }],
    ...(family === 'ipv4' && { scope: RT_SCOPE.LINK }),
  })
}

/** Tables of a pod's further interfaces: this and the interface's index. */
const FIRST_TABLE = 1000
const RULE_PRIORITY = 2048

/**
 * What a pod sends from the address of a further interface leaves by that one, and not by the
 * default route of the first: the host takes from each only what belongs to it.
 */
export function ownWay(podIndex: number, address: string): Request[] {
  const family = familyOf(address)
  const table = FIRST_TABLE + podIndex
  return [
    defaultRoute(podIndex, family, { table }),
    addRule({ family, priority: RULE_PRIORITY, table, protocol: RTPROT.BOOT, source: hostPrefix(address) }),
  ]
}

/** What the host has for the pod once both ends are there. */
export function hostRequests(wire: PodWire, hostIndex: number): Request[] {
  const families = new Set(wire.addresses.map(familyOf))
  return [
    ...[...families].map(family => answerForGateway(family, hostIndex)),
    ...wire.addresses.flatMap(address => [
      replaceNeighbour({ address, interface: hostIndex, hardwareAddress: wire.podMac }),
      ...(wire.policy === undefined ? [mainRoute(address, hostIndex)] : []),
    ]),
  ]
}

function mainRoute(address: string, hostIndex: number): Request {
  return addRoute(podRoute(address, hostIndex))
}

/**
 * Has what the host itself sends to a pod bear `source`; absent: what the kernel chooses. In the
 * place of the route that is there.
 */
export function sourceRequest(address: string, hostIndex: number, source: string | undefined): Request {
  const route = podRoute(address, hostIndex)
  return replaceRoute(source === undefined ? route : { ...route, preferredSource: source })
}

function podRoute(address: string, hostIndex: number): RouteSpec {
  return { destination: hostPrefix(address), protocol: RTPROT.BOOT, nextHops: [{ interface: hostIndex }] }
}

/**
 * Has the host's end answer who asks for the gateway. IPv4 by a proxy entry, because the kernel
 * answers ARP for an address of one interface on all of them (arp_ignore 0), the uplink too. An
 * IPv6 link-local address belongs to its link, and the host needs one to ask for the pod.
 */
function answerForGateway(family: Family, hostIndex: number): Request {
  const address = POD_GATEWAY[family]
  if (family === 'ipv4') return addProxy({ address, interface: hostIndex })
  return addAddress({ address, prefixLength: 64, interface: hostIndex, flags: IFA_F.NODAD })
}

/**
 * What makes a host end whole again that lost its routes or addresses; what is there already is
 * refused with EEXIST.
 */
export function hostEndRequests(hostIndex: number, addresses: readonly string[], routed: boolean): Request[] {
  const families = [...new Set(addresses.map(familyOf))]
  return [
    ...families.map(family => answerForGateway(family, hostIndex)),
    ...(routed ? addresses.map(address => mainRoute(address, hostIndex)) : []),
  ]
}
