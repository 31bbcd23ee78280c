/**
 * ADD (CNI 1.1.0 section 2): reserve addresses, wire the pod, say what was made. For many at once
 * the addresses are reserved with one write, as the disk takes longer for it than the kernel for a
 * pod. The record of the
 * addresses is on disk before the first link is made and goes after the last is gone, so that
 * whatever dies in between, a DEL or GC finds all of it.
 */
import { statfsSync, statSync } from 'node:fs'
import { invariant } from '../lib/assert.ts'
import { errorCode, errorText } from '../lib/errors.ts'
import { covers, familyOf, hostPrefix, prefixRange } from '../lib/ip.ts'
import { DEFAULT_DESTINATIONS } from '../netlink/route.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { capacity } from './address-pool.ts'
import type { AddressStore } from './address-store.ts'
import { type AttachmentRecord, findRecord } from './attachments.ts'
import { currentBootId } from './boot.ts'
import { detachLink } from './detach.ts'
import { failureOf } from './failures.ts'
import { inspectPod } from './inspect.ts'
import { NodeInterfaces } from './node-interfaces.ts'
import { POD_GATEWAY, type PodWire } from './pod-wire.ts'
import {
  type AttachRequest,
  CNI_ERROR,
  type Failure,
  failure,
  type NetworkConfig,
  type Result,
  type ResultInterface,
} from './protocol.ts'
import { type ReservationRequest, release, reserve } from './reservation.ts'
import { attachPod, uplinkMtu, type Wired } from './veth.ts'
import { vethAlias, vethNames } from './veth-names.ts'

/**
 * f_type of namespaces (NSFS_MAGIC of <linux/magic.h>). A bind mount of one that was taken away
 * leaves an empty file.
 */
const NSFS_MAGIC = 0x6e736673
/** Where no uplink says otherwise: Ethernet's. */
const DEFAULT_MTU = 1500

/**
 * Attaches pods, one after the other; one that fails stops no other. An answer for each. Throws
 * `StoreError`, `StoreBusy` and what the kernel refuses before anything is made for any.
 */
export function add(
  requests: readonly AttachRequest[],
  store: AddressStore,
): ReadonlyMap<AttachRequest, Result | Failure> {
  const host = Rtnetlink.open()
  try {
    const interfaces = new NodeInterfaces(store.stateDir, host)
    const prepared = requests.map(request => ({ request, place: orFailure(() => placeOf(request, host, interfaces)) }))
    const places = prepared.flatMap(({ place }) => ('kind' in place ? [] : [place]))
    const reserved = places.length === 0 ? [] : reserve(store, places.map(reservationOf), isAlive)
    return new Map(
      prepared.map(({ request, place }) => {
        if ('kind' in place) return [request, place]
        const record = reserved[places.indexOf(place)]
        invariant(record !== undefined, 'there are as many answers as reservations')
        return [request, 'kind' in record ? record : orFailure(() => wireRecorded(store, place, record))]
      }),
    )
  } finally {
    host.close()
  }
}

/** What `action` answers, or what it throws as a failure. */
function orFailure<T>(action: () => T): T | Failure {
  try {
    return action()
  } catch (error) {
    return failureOf(error, 'ADD failed')
  }
}

/** Where and how a pod is to be attached. */
interface Place {
  readonly request: AttachRequest
  readonly host: Rtnetlink
  /** Bytes. */
  readonly mtu: number
  /** Where the addresses are of elastic network interfaces. */
  readonly interfaces: NodeInterfaces | undefined
}

function placeOf(request: AttachRequest, host: Rtnetlink, ofNode: NodeInterfaces): Place | Failure {
  const { config } = request
  const refusal = unusableSource(config) ?? checkNamespace(request)
  if (refusal !== undefined) return refusal
  const mtu = mtuOf(config, host)
  if (typeof mtu !== 'number') return mtu
  return { request, host, mtu, interfaces: config.addressSource === 'interfaces' ? ofNode : undefined }
}

function reservationOf({ request, host, interfaces }: Place): ReservationRequest {
  const { config, attachment, namespacePath } = request
  const { hostInterface } = vethNames(attachment)
  return {
    source: interfaces ?? {
      kind: 'podCIDRs',
      podCIDRs: config.podCIDRs,
      isOfHost: address => isOfHost(host, address, config.podCIDRs, hostInterface),
    },
    requestedAddresses: config.requestedAddresses,
    record: {
      ...attachment,
      attempt: crypto.randomUUID(),
      network: config.name,
      hostInterface,
      namespacePath,
      bootId: currentBootId(),
      ...(request.pod !== undefined && { pod: request.pod }),
    },
  }
}

function wireOf({ request, mtu, interfaces }: Place, record: AttachmentRecord): PodWire {
  const { config, attachment, namespacePath } = request
  const names = vethNames(attachment)
  return {
    hostInterface: names.hostInterface,
    hostMac: names.hostMac,
    podMac: config.requestedMac ?? names.podMac,
    alias: vethAlias(config.name, attachment),
    namespacePath,
    interfaceName: attachment.interfaceName,
    addresses: record.addresses,
    mtu,
    ...(config.allowSourceAddresses === true && { anySource: true }),
    ...(interfaces !== undefined && { policy: interfaces.policyOf(record, mtu) }),
  }
}

/**
 * Whether the host has an address itself, or a more specific route to it than that of the podCIDR:
 * no pod would be heard there. What leads to the pod's own interface is of an attempt that died.
 */
function isOfHost(host: Rtnetlink, address: string, podCIDRs: readonly string[], hostInterface: string): boolean {
  const way = host.way(address)
  if (typeof way === 'string') return false
  const { type, destination, nextHops } = way
  if (type === 'local') return true
  const podCIDR = podCIDRs.find(prefix => covers(prefix, address))
  if (podCIDR === undefined || lengthOf(destination) <= lengthOf(podCIDR)) return false
  const index = nextHops[0]?.interface
  return index === undefined || host.getLink(index)?.name !== hostInterface
}

function lengthOf(prefix: string): number {
  return prefixRange(prefix).length
}

/** Wires what is reserved; a failure takes back the wiring and frees the reservation. */
function wireRecorded(store: AddressStore, place: Place, record: AttachmentRecord): Result | Failure {
  const { host, interfaces } = place
  const { config } = place.request
  const wire = wireOf(place, record)
  let wired: Wired | undefined
  try {
    wired = attachPod(host, wire)
    // A DEL (or a second ADD) that came while this ran has taken the reservation away: then the pod
    // must not keep its address.
    if (findRecord(store.read(), record)?.attempt === record.attempt) return resultOf(wire, wired, config)
    detachLink(host, wired.hostIndex)
    interfaces?.removeRules(record)
  } catch (error) {
    if (wired !== undefined) detachLink(host, wired.hostIndex)
    interfaces?.removeRules(record)
    return releasing(store, record, failureOf(error, `cannot attach ${wire.interfaceName} of ${record.containerId}`))
  }
  return failure(
    CNI_ERROR.tryAgainLater,
    `container ${record.containerId} was deleted while it was being attached`,
    'nothing is left behind; the runtime may try again',
  )
}

function releasing(store: AddressStore, record: AttachmentRecord, why: Failure): Failure {
  try {
    release(store, [record.attempt])
    return why
  } catch (error) {
    const details = `${why.details ?? ''} The reservation of ${record.addresses.join(' and ')} stays until DEL: ${errorText(error)}`
    return { ...why, details: details.trim() }
  }
}

function resultOf(wire: PodWire, wired: Pick<Wired, 'defaultRoutes'>, config: NetworkConfig): Result {
  const before: Result = config.prevResult ?? { interfaces: [], ips: [], routes: [] }
  const host: ResultInterface = { name: wire.hostInterface, mac: wire.hostMac, mtu: wire.mtu }
  const pod = { name: wire.interfaceName, mac: wire.podMac, mtu: wire.mtu, sandbox: wire.namespacePath }
  const podIndex = before.interfaces.length + 1
  const ips = wire.addresses.map(address => ({
    address: hostPrefix(address),
    gateway: POD_GATEWAY[familyOf(address)],
    interface: podIndex,
  }))
  const routes = wired.defaultRoutes.map(family => ({ dst: DEFAULT_DESTINATIONS[family], gw: POD_GATEWAY[family] }))
  const dns = config.dns ?? before.dns
  return {
    interfaces: [...before.interfaces, host, pod],
    ips: [...before.ips, ...ips],
    routes: [...before.routes, ...routes],
    ...(dns !== undefined && { dns }),
  }
}

/** Why no pod can be attached, as far as the configuration alone tells. */
export function unusableSource(config: NetworkConfig): Failure | undefined {
  return config.addressSource === 'interfaces' ? undefined : unusablePodCIDRs(config)
}

function unusablePodCIDRs(config: NetworkConfig): Failure | undefined {
  const single = config.podCIDRs.find(podCIDR => capacity([podCIDR], familyOf(podCIDR)) === 1n)
  if (single !== undefined) {
    return failure(
      CNI_ERROR.invalidConfig,
      `podCIDR ${single} of this node is a single address: the route that guards it takes the place of the pod's`,
      'give the node a larger podCIDR: network.podsPerNode of the controller, or spec.podCIDRs of the Node',
    )
  }
  if (config.podCIDRs.length > 0) return undefined
  return failure(
    CNI_ERROR.tryAgainLater,
    'this node has no podCIDR yet',
    'the controller allocates one and the node agent writes it into the CNI configuration: look at the events of the Node and the log of the agent',
  )
}

/**
 * The configured MTU, or that of the uplink. Which link that is the agent says, who knows by which
 * one other nodes know this node; pods start with its MTU where it has become smaller since.
 */
export function mtuOf(config: NetworkConfig, host: Rtnetlink): number | Failure {
  const named = config.uplink === undefined ? undefined : host.getLink(config.uplink)
  if (config.uplink !== undefined && config.mtu !== undefined) return Math.min(config.mtu, named?.mtu ?? config.mtu)
  const uplink = named ?? uplinkMtu(host)
  if (config.mtu === undefined) return uplink?.mtu ?? DEFAULT_MTU
  if (uplink === undefined || config.mtu <= uplink.mtu) return config.mtu
  return failure(
    CNI_ERROR.invalidConfig,
    `mtu ${config.mtu} is larger than ${uplink.mtu}, that of the uplink ${uplink.name}: packets of pods would be dropped`,
    'set cni.mtu of the node configuration to "auto" or lower, or raise the MTU of the uplink',
  )
}

/**
 * What was attached and still works must not be attached again; anything less is the leftover of an
 * attempt that died.
 */
function isAlive(record: AttachmentRecord): boolean {
  const { hostMac } = vethNames(record)
  return inspectPod({ ...record, hostMac, destinations: [] }).length === 0
}

function checkNamespace(request: AttachRequest): Failure | undefined {
  const { namespacePath } = request
  try {
    const theirs = statSync(namespacePath)
    if (statfsSync(namespacePath).type !== NSFS_MAGIC) return namespaceGone(request, 'is not a namespace (any more)')
    const ours = statSync('/proc/self/ns/net')
    if (request.ownNamespaceAllowed || theirs.ino !== ours.ino || theirs.dev !== ours.dev) return undefined
    return failure(
      CNI_ERROR.invalidEnvironment,
      `CNI_NETNS ${namespacePath} is the namespace that the plugin runs in`,
      'a pod with hostNetwork needs no CNI; set CNI_NETNS_OVERRIDE=true where this is meant',
    )
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    return namespaceGone(request, 'does not exist')
  }
}

function namespaceGone(request: AttachRequest, how: string): Failure {
  return failure(
    CNI_ERROR.unknownContainer,
    `CNI_NETNS ${request.namespacePath} of container ${request.attachment.containerId} ${how}`,
    'the container ended before its network was made; nothing was left behind',
  )
}
