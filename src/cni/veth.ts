/**
 * Wires pods: sends the requests of `pod-wire.ts` on the host and in the pod's namespace, writes
 * the settings of the host's end, and takes back what was made when a step fails. Also finds the
 * links that are ours, and what of the uplink a pod is given. Pods are taken down by `detach.ts`.
 *
 * A link is ours by its alias (`veth-names.ts`); nobody else's is ever deleted.
 */
import { ERRNO, SystemError } from '../lib/errno.ts'
import { FAMILIES, type Family, familyOf } from '../lib/ip.ts'
import { close, inNetworkNamespace, interfaceIndex, openFile } from '../lib/libc.ts'
import { deleteLink, setLink } from '../netlink/link.ts'
import type { Request } from '../netlink/message.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { deleteHostEnds } from './detach.ts'
import { LinkNameTaken, NamespaceGone } from './errors.ts'
import { defaultRoute, gatewayRoute, hostRequests, ownWay, type PodWire, pairRequest, podRequests } from './pod-wire.ts'
import type { Attachment } from './protocol.ts'
import { setInterfaceSysctls } from './sysctl.ts'
import { parseVethAlias } from './veth-names.ts'

/**
 * Settings of the host's end. No address of the kernel's choice (addr_gen_mode 1: none), since it
 * has the gateway's; no DAD, which would delay the pod; and no pod's router advertisement makes it
 * the host's router.
 */
const HOST_IPV6 = { disable_ipv6: 0, accept_ra: 0, accept_dad: 0, addr_gen_mode: 1, forwarding: 1 } as const
const WITHOUT_IPV6 = { disable_ipv6: 1 } as const

export interface Wired {
  /** Index of the host's end. */
  readonly hostIndex: number
  /**
   * Families whose default route goes this way; one that the pod has already by another interface
   * is left alone.
   */
  readonly defaultRoutes: readonly Family[]
}

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
  const { hostInterface } = wire
  const pair = pairRequest(wire, namespace)
  const refusal = host.execute([pair])[0]?.error
  if (refusal !== undefined) {
    if (refusal.errno !== ERRNO.EEXIST) throw refusal
    const before = deleteHostEnds(host, [hostInterface]).get(hostInterface)
    if (typeof before === 'object') throw before.error
    if (before !== 'gone') throw podNameTaken(wire, refusal)
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

/**
 * The default route and the one to its gateway. False, and neither, when the pod has a default
 * route by another interface.
 */
function addGatewayRoutes(pod: Rtnetlink, podIndex: number, family: Family): boolean {
  const [outcome] = pod.execute([defaultRoute(podIndex, family)])
  if (outcome?.error?.errno === ERRNO.EEXIST) return false
  if (outcome?.error !== undefined) throw outcome.error
  pod.run(gatewayRoute(podIndex, family))
  return true
}
