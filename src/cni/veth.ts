/**
 * How a pod is wired: a veth pair, /32 or /128 in the pod, a default route to a link-local gateway,
 * on the host a route for the pod, and at both ends a permanent neighbour entry for the other. No
 * bridge, and nobody asks by ARP or ND; but where entries are lost (flushed, or the pod's MAC
 * changes) the host end answers for the gateway, and no other interface does.
 *
 * Routes to pods bear RTPROT_BOOT: like pods they last until the next boot, and the agent (which
 * may own any number from 5 on) never takes them for its own. They go with the link. Forwarding and
 * everything else between nodes is the agent's.
 */

import { ERRNO, SystemError } from '../lib/errno.ts'
import { addressBits, FAMILIES, type Family, familyOf, hostPrefix } from '../lib/ip.ts'
import { close, inNetworkNamespace, interfaceIndex, openFile } from '../lib/libc.ts'
import { ANY_SOURCE_GROUP, POD_GROUP } from '../model/pod-interfaces.ts'
import { addAddress } from '../netlink/address.ts'
import { IFA_F, RT_SCOPE, RTPROT } from '../netlink/constants.ts'
import { addVeth, deleteLink, setLink } from '../netlink/link.ts'
import type { Request } from '../netlink/message.ts'
import { addProxy, replaceNeighbour } from '../netlink/neighbour.ts'
import { addRoute, DEFAULT_DESTINATIONS, type RouteSpec, replaceRoute } from '../netlink/route.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { addRule } from '../netlink/rule.ts'
import { LinkNameTaken, NamespaceGone } from './errors.ts'
import type { Attachment } from './protocol.ts'
import { setInterfaceSysctls } from './sysctl.ts'
import { isOurAlias, parseVethAlias } from './veth-names.ts'

/** What the pod takes for its router. Never leaves the veth pair. */
export const POD_GATEWAY: Readonly<Record<Family, string>> = { ipv4: '169.254.1.1', ipv6: 'fe80::1' }

/**
 * Settings of the host's end. No address of the kernel's choice (addr_gen_mode 1: none), since it
 * has the gateway's; no DAD, which would delay the pod; and no pod's router advertisement makes it
 * the host's router.
 */
const HOST_IPV6 = { disable_ipv6: 0, accept_ra: 0, accept_dad: 0, addr_gen_mode: 1, forwarding: 1 } as const
const WITHOUT_IPV6 = { disable_ipv6: 1 } as const

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

export interface Wired {
  /** Index of the host's end. */
  readonly hostIndex: number
  /**
   * Families whose default route goes this way; one that the pod has already by another interface
   * is left alone.
   */
  readonly defaultRoutes: readonly Family[]
}

/**
 * The requests that lead to a pod by policy routes, and from it by its interface
 * (`netlink/policy-routes.ts`), once its host end has an index.
 */
export type PodPolicy = (hostIndex: number) => readonly Request[]

/** What the requests of a policy may be refused with, for what they ask for is so already. */
const SO_ALREADY: readonly number[] = [ERRNO.EEXIST, ERRNO.ENOENT]

/**
 * Wires a pod, all or nothing: what was made is taken back when a step fails. A host end left by a
 * dead attempt is replaced. Throws `NamespaceGone`, `LinkNameTaken`, `NetlinkError`, `SystemError`.
 */
export function attachPod(host: Rtnetlink, wire: PodWire): Wired {
  const namespace = openNamespace(wire.namespacePath)
  try {
    const hostIndex = createPair(host, wire, namespace)
    try {
      setHostEnd(wire)
      host.run(setLink(hostIndex, { up: true, alias: wire.alias }))
      const defaultRoutes = inPodNamespace(wire.namespacePath, () => configurePod(wire))
      const { policy } = wire
      if (policy === undefined) runAll(host, hostRequests(wire, hostIndex))
      else runAll(host, [...hostRequests(wire, hostIndex), ...policy(hostIndex)], SO_ALREADY)
      return { hostIndex, defaultRoutes }
    } catch (error) {
      host.execute([deleteLink(hostIndex)])
      throw error
    }
  } finally {
    close(namespace)
  }
}

type HostEnd = Pick<PodWire, 'hostInterface' | 'addresses' | 'anySource'>

/**
 * Settings of the host's end, whatever the machine's defaults for new interfaces are. Writes what
 * differs.
 */
export function setHostEnd({ hostInterface, addresses, anySource }: HostEnd): void {
  setInterfaceSysctls('ipv4', hostInterface, { rp_filter: anySource === true ? 0 : 1, forwarding: 1 })
  setInterfaceSysctls('ipv6', hostInterface, addresses.some(isIPv6) ? HOST_IPV6 : WITHOUT_IPV6)
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

/** Deletes a host end by its index, which no later link can have. Throws `NetlinkError`. */
export function detachLink(host: Rtnetlink, hostIndex: number): void {
  const [outcome] = host.execute([deleteLink(hostIndex)])
  if (outcome?.error !== undefined && outcome.error.errno !== ERRNO.ENODEV) throw outcome.error
}

/**
 * Deletes a host end, and so all of the wiring. False when there is none. Throws `LinkNameTaken`,
 * `NetlinkError`.
 */
export function detachPod(hostInterface: string): boolean {
  const host = Rtnetlink.open()
  try {
    return deleteHostEnd(host, hostInterface)
  } finally {
    host.close()
  }
}

/**
 * The MTU of the interface that the default route leaves by, in bytes; undefined while there is no
 * default route. Asked with addresses for documentation (RFC 5737, RFC 3849), which no other route
 * covers.
 */
export function uplinkMtu(host: Rtnetlink): { readonly name: string; readonly mtu: number } | undefined {
  for (const family of FAMILIES) {
    const route = host.lookup(ANYWHERE[family])
    const link = route.interface === undefined || route.type !== 'unicast' ? undefined : host.getLink(route.interface)
    if (link !== undefined) return { name: link.name, mtu: link.mtu }
  }
  return undefined
}

/**
 * The address of this node that packets to the world bear; undefined without a default route of
 * that family.
 */
export function nodeAddress(host: Rtnetlink, family: Family): string | undefined {
  return host.lookup(ANYWHERE[family]).source
}

const ANYWHERE: Readonly<Record<Family, string>> = { ipv4: '192.0.2.1', ipv6: '2001:db8::1' }

/** The host ends that bear our alias, with what it says. */
export function ourLinks(): (Attachment & { readonly name: string; readonly network: string })[] {
  const host = Rtnetlink.open()
  try {
    return host.dumpLinks().flatMap(link => {
      const said = link.kind === 'veth' ? parseVethAlias(link.alias) : undefined
      return said === undefined ? [] : [{ ...said, name: link.name }]
    })
  } finally {
    host.close()
  }
}

/**
 * Brings the loopback interface of a namespace up or down. Throws `NamespaceGone`, `NetlinkError`.
 */
export function setLoopback(namespacePath: string, up: boolean): void {
  const netlink = openRtnetlink(namespacePath)
  try {
    netlink.run(setLink(LOOPBACK_INDEX, { up }))
  } finally {
    netlink.close()
  }
}

/** A conversation with the kernel about a namespace. Throws `NamespaceGone`. */
export function openRtnetlink(namespacePath: string): Rtnetlink {
  try {
    return Rtnetlink.open({ netns: namespacePath })
  } catch (error) {
    throw namespaceError(namespacePath, error)
  }
}

/** The kernel gives the loopback interface of every namespace this index (LOOPBACK_IFINDEX). */
export const LOOPBACK_INDEX = 1

function isIPv6(address: string): boolean {
  return familyOf(address) === 'ipv6'
}

function openNamespace(path: string): number {
  try {
    return openFile(path)
  } catch (error) {
    throw namespaceError(path, error)
  }
}

/**
 * setns(2) says EINVAL for a file that is no namespace (any more): a bind mount that was unmounted
 * leaves an empty file.
 */
function namespaceError(path: string, error: unknown): unknown {
  const gone: readonly number[] = [ERRNO.ENOENT, ERRNO.EINVAL, ERRNO.ENXIO]
  if (!(error instanceof SystemError && gone.includes(error.errno))) return error
  return new NamespaceGone(`there is no network namespace ${path}`, { cause: error })
}

/**
 * Creates the pair, the pod's end right in its namespace, and returns the index of the host's end.
 */
function createPair(host: Rtnetlink, wire: PodWire, namespace: number): number {
  const { hostInterface, interfaceName, mtu } = wire
  const pair = addVeth({
    name: hostInterface,
    mtu,
    address: wire.hostMac,
    group: wire.anySource === true ? ANY_SOURCE_GROUP : POD_GROUP,
    peer: { name: interfaceName, mtu, address: wire.podMac, namespaceFd: namespace },
  })
  const refusal = host.execute([pair])[0]?.error
  if (refusal !== undefined) {
    if (refusal.errno !== ERRNO.EEXIST) throw refusal
    if (!deleteHostEnd(host, hostInterface)) throw podNameTaken(wire, refusal)
    const again = host.execute([pair])[0]?.error
    if (again?.errno === ERRNO.EEXIST) throw podNameTaken(wire, again)
    if (again !== undefined) throw again
  }
  const index = interfaceIndex(hostInterface)
  if (index === undefined) throw new NamespaceGone(`${hostInterface} went as soon as it was made`)
  return index
}

/** EEXIST without a host end of that name: it is the pod's. */
function podNameTaken(wire: PodWire, cause: unknown): LinkNameTaken {
  return new LinkNameTaken(`the container has an interface ${wire.interfaceName} already`, { cause })
}

function deleteHostEnd(host: Rtnetlink, hostInterface: string): boolean {
  const link = host.getLink(hostInterface)
  if (link === undefined) return false
  // Without an alias it is the half of an attempt that was killed: the name alone is a hash that
  // nobody else comes upon.
  if (link.kind !== 'veth' || (link.alias !== undefined && !isOurAlias(link.alias))) {
    throw new LinkNameTaken(`the host has an interface ${hostInterface} that is not ours (${link.alias ?? link.kind})`)
  }
  const [outcome] = host.execute([deleteLink(link.index)])
  if (outcome?.error !== undefined && outcome.error.errno !== ERRNO.ENODEV) throw outcome.error
  return true
}

function inPodNamespace<T>(path: string, action: () => T): T {
  try {
    return inNetworkNamespace(path, action)
  } catch (error) {
    throw namespaceError(path, error)
  }
}

/** Sends requests as one; throws the first refusal, unless it is for one of `tolerated`. */
function runAll(netlink: Rtnetlink, requests: readonly Request[], tolerated: readonly number[] = []): void {
  for (const { error } of netlink.execute(requests))
    if (error !== undefined && !tolerated.includes(error.errno)) throw error
}

/** Runs inside the pod's namespace. Returns the families whose default route it made. */
function configurePod(wire: PodWire): Family[] {
  const pod = Rtnetlink.open()
  try {
    const index = interfaceIndex(wire.interfaceName)
    if (index === undefined) throw new NamespaceGone(`interface ${wire.interfaceName} is not in ${wire.namespacePath}`)
    const families = wire.addresses.map(familyOf)
    if (families.includes('ipv6')) {
      // The router is static, and nobody else is on the link to ask for a duplicate. Some runtimes
      // turn IPv6 off.
      setInterfaceSysctls('ipv6', wire.interfaceName, { disable_ipv6: 0, accept_ra: 0, accept_dad: 0 })
    }
    runAll(pod, [
      setLink(LOOPBACK_INDEX, { up: true }),
      setLink(index, { up: true }),
      ...wire.addresses.flatMap(address => podRequests(wire, index, address)),
    ])
    const byDefault = families.filter(family => addGatewayRoutes(pod, index, family))
    const others = wire.addresses.filter(address => !byDefault.includes(familyOf(address)))
    runAll(
      pod,
      others.flatMap(address => ownWay(index, address)),
      SO_ALREADY,
    )
    return byDefault
  } finally {
    pod.close()
  }
}

/** Tables of a pod's further interfaces: this and the interface's index. */
const FIRST_TABLE = 1000
const RULE_PRIORITY = 2048

/**
 * What a pod sends from the address of a further interface leaves by that one, and not by the
 * default route of the first: the host takes from each only what belongs to it.
 */
function ownWay(podIndex: number, address: string): Request[] {
  const family = familyOf(address)
  const table = FIRST_TABLE + podIndex
  const nextHops = [{ gateway: POD_GATEWAY[family], interface: podIndex, onlink: true }]
  return [
    addRoute({ destination: DEFAULT_DESTINATIONS[family], protocol: RTPROT.BOOT, table, nextHops }),
    addRule({ family, priority: RULE_PRIORITY, table, protocol: RTPROT.BOOT, source: hostPrefix(address) }),
  ]
}

function podRequests(wire: PodWire, podIndex: number, address: string): Request[] {
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

/**
 * The default route and the one to its gateway. False, and neither, when the pod has a default
 * route by another interface.
 */
function addGatewayRoutes(pod: Rtnetlink, podIndex: number, family: Family): boolean {
  const gateway = POD_GATEWAY[family]
  const byGateway = addRoute({
    destination: DEFAULT_DESTINATIONS[family],
    protocol: RTPROT.BOOT,
    nextHops: [{ gateway, interface: podIndex, onlink: true }],
  })
  const [outcome] = pod.execute([byGateway])
  if (outcome?.error?.errno === ERRNO.EEXIST) return false
  if (outcome?.error !== undefined) throw outcome.error
  pod.run(
    addRoute({
      destination: hostPrefix(gateway),
      protocol: RTPROT.BOOT,
      nextHops: [{ interface: podIndex }],
      ...(family === 'ipv4' && { scope: RT_SCOPE.LINK }),
    }),
  )
  return true
}

function hostRequests(wire: PodWire, hostIndex: number): Request[] {
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
