/**
 * What becomes of an ENINode's record by a call's outcome, and by reading back. A call is recorded,
 * made, and its outcome recorded; after a crash, a timeout or any answer that is not a clear yes or
 * no the cloud is asked what there is, and what no record explains is adopted rather than asked for
 * again. Calls with a ClientToken that reading back does not explain are made again as recorded; of
 * the others the record is dropped, for what is there tells what is left to do. Pure.
 */
import type { CloudAction } from '../cloud/actions.ts'
import { listParameter } from '../cloud/actions.ts'
import { type CloudInterface, readAssigned, readAssigned6, readCreated, type VSwitch } from '../cloud/answers.ts'
import type { ENIInterface, ENINodeSpec, ENIOperation, OperationAction } from '../kube/eni-node.ts'
import { gatewayOf } from './vswitch.ts'

/** The controller's part of an ENINode's status that calls change. */
export interface Recorded {
  readonly interfaces: readonly ENIInterface[]
  readonly operations: readonly ENIOperation[]
}

/**
 * The action of a recorded operation as the door knows it. Undefined: the platform has no such
 * action, the record is not ours.
 */
export function cloudActionOf(platform: ENINodeSpec['platform'], action: OperationAction): CloudAction | undefined {
  if (platform === 'ecs') return `ecs:${action}`
  if (action === 'AssignPrivateIpAddresses' || action === 'UnassignPrivateIpAddresses') return `ens:${action}`
  return undefined
}

/** By what name an action is left alone. */
export function blockedActionOf(platform: ENINodeSpec['platform'] | undefined, action: OperationAction): string {
  return cloudActionOf(platform ?? 'ecs', action) ?? action
}

/** An interface as it is recorded when it is first seen. */
function recordInterface(
  item: CloudInterface,
  ipFamilies: ENINodeSpec['ipFamilies'],
  vSwitches: ReadonlyMap<string, VSwitch>,
): ENIInterface {
  const vSwitch = vSwitches.get(item.vSwitchID)
  const gateways = [vSwitch?.cidr, ipFamilies.includes('IPv6') ? vSwitch?.ipv6Cidr : undefined]
    .map(cidr => (cidr === undefined || cidr === '' ? undefined : gatewayOf(cidr)))
    .filter(gateway => gateway !== undefined)
  return {
    id: item.id,
    mac: item.mac,
    vSwitchID: item.vSwitchID,
    state: item.state,
    gateways,
    addresses: podAddresses(item, ipFamilies),
    releasing: [],
  }
}

/** What of an interface pods may get: the primary address too. */
export function podAddresses(item: CloudInterface, ipFamilies: ENINodeSpec['ipFamilies']): readonly string[] {
  return [...item.ipv4, ...(ipFamilies.includes('IPv6') ? item.ipv6 : [])]
}

/**
 * The record after `operation` was done and answered with `body`. Undefined: the answer does not
 * say what was done.
 */
export function applyAnswer(
  recorded: Recorded,
  operation: ENIOperation,
  body: unknown,
  from: { spec: ENINodeSpec; vSwitches: ReadonlyMap<string, VSwitch> },
): Recorded | undefined {
  const operations = recorded.operations.filter(other => other !== operation)
  const change = (map: (item: ENIInterface) => ENIInterface): Recorded => ({
    interfaces: recorded.interfaces.map(item => (item.id === targetOf(operation) ? map(item) : item)),
    operations,
  })
  const grow = (added: readonly string[] | undefined) =>
    added && change(item => ({ ...item, addresses: [...new Set([...item.addresses, ...added])] }))
  switch (operation.action) {
    case 'CreateNetworkInterface': {
      const made = readCreated(body)
      if (made === undefined) return undefined
      const item = recordInterface(made, from.spec.ipFamilies, from.vSwitches)
      const others = recorded.interfaces.filter(({ id }) => id !== item.id)
      return { interfaces: [...others, item], operations }
    }
    case 'AssignPrivateIpAddresses':
      return grow(readAssigned(body))
    case 'AssignIpv6Addresses':
      return grow(readAssigned6(body))
    case 'UnassignPrivateIpAddresses':
    case 'UnassignIpv6Addresses': {
      const gone = new Set(addressesOf(operation))
      return change(item => ({ ...item, releasing: item.releasing.filter(address => !gone.has(address)) }))
    }
    case 'AttachNetworkInterface':
      return change(item => ({ ...item, state: 'Attaching' }))
    case 'DetachNetworkInterface':
      return change(item => ({ ...item, state: 'Detaching' }))
    case 'DeleteNetworkInterface':
      return change(item => ({ ...item, state: 'Deleting' }))
  }
}

/** The record after `operation` was refused for good: nothing was done. */
export function dropOperation(recorded: Recorded, operation: ENIOperation): Recorded {
  return { ...recorded, operations: recorded.operations.filter(other => other !== operation) }
}

/** The interface that an operation is about; undefined for a creation. */
export function targetOf({ parameters }: ENIOperation): string | undefined {
  return parameters.NetworkInterfaceId
}

function addressesOf({ action, parameters }: ENIOperation): readonly string[] {
  return listParameter(parameters, action === 'UnassignIpv6Addresses' ? 'Ipv6Address' : 'PrivateIpAddress')
}

/** What the cloud has for a node, asked after its last call ended. */
export interface ReadBack {
  /** Interfaces of the node that pods may use: ours, or on ENS those that are there. */
  readonly interfaces: readonly CloudInterface[]
  readonly spec: ENINodeSpec
  readonly vSwitches: ReadonlyMap<string, VSwitch>
}

/** What reading back found that nobody had said. */
export interface Found {
  readonly adoptedInterfaces: readonly string[]
  readonly adoptedAddresses: readonly string[]
  readonly lostInterfaces: readonly ENIInterface[]
  readonly lostAddresses: readonly string[]
}

export interface ReadBackResult extends Found {
  readonly recorded: Recorded
}

/**
 * The record brought in line with what there is. An interface or address that is not there is
 * dropped, one that no record explains is adopted. Of the operations those with a ClientToken stay
 * of which no effect can be seen.
 */
export function readBack(recorded: Recorded, { interfaces, spec, vSwitches }: ReadBack): ReadBackResult {
  const there = new Map(interfaces.map(item => [item.id, item]))
  const known = new Set(recorded.interfaces.map(({ id }) => id))
  const adopted = interfaces.filter(({ id }) => !known.has(id))
  const grown = new Set<string>()
  const adoptedAddresses: string[] = []
  const lostAddresses: string[] = []
  const kept = recorded.interfaces.flatMap((item): ENIInterface[] => {
    const now = there.get(item.id)
    if (now === undefined) return []
    const has = podAddresses(now, spec.ipFamilies)
    const explained = new Set([...item.addresses, ...item.releasing])
    const added = has.filter(address => !explained.has(address))
    if (added.length > 0) grown.add(item.id)
    adoptedAddresses.push(...added)
    const stays = (address: string) => has.includes(address)
    const leaving = item.addresses.length === 0 && item.releasing.length > 0
    lostAddresses.push(...item.addresses.filter(address => !stays(address)))
    const { gateways } = recordInterface(now, spec.ipFamilies, vSwitches)
    const next = {
      ...item,
      mac: now.mac,
      vSwitchID: now.vSwitchID,
      state: now.state,
      gateways: gateways.length > 0 ? gateways : item.gateways,
      addresses: [...item.addresses.filter(stays), ...(leaving ? [] : added)],
      releasing: [...item.releasing.filter(stays), ...(leaving ? added : [])],
    }
    return [Bun.deepEquals(next, item) ? item : next]
  })
  const news = adopted.map(item => recordInterface(item, spec.ipFamilies, vSwitches))
  const unexplained = new Map(Map.groupBy(adopted, ({ vSwitchID }) => vSwitchID))
  const operations = recorded.operations.filter(operation => {
    if (operation.token === '') return false
    if (operation.action !== 'CreateNetworkInterface')
      return !grown.has(targetOf(operation) ?? '') && there.has(targetOf(operation) ?? '')
    // each interface that nobody explains is the work of one creation
    const works = unexplained.get(operation.parameters.VSwitchId ?? '') ?? []
    unexplained.set(operation.parameters.VSwitchId ?? '', works.slice(1))
    return works.length === 0
  })
  return {
    recorded: { interfaces: [...kept, ...news], operations },
    adoptedInterfaces: adopted.map(({ id }) => id),
    adoptedAddresses,
    lostInterfaces: recorded.interfaces.filter(({ id }) => !there.has(id)),
    lostAddresses,
  }
}
