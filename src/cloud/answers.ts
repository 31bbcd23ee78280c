/**
 * What the cloud answers, from untrusted JSON to typed values. ECS and ENS describe an interface in
 * different words: both become one `CloudInterface`. A reader returns undefined for an answer that
 * is not what the API's page says; the door takes that for an answer whose effect is not known.
 * Pure.
 */
import { canonicalAddress } from '../lib/ip.ts'

/** Spelled as ECS does; Unknown is what no page documents. */
export type CloudInterfaceState = 'Available' | 'Attaching' | 'InUse' | 'Detaching' | 'Deleting' | 'Unknown'

/** A network interface as the cloud has it. Addresses are canonical. */
export interface CloudInterface {
  readonly id: string
  readonly mac: string
  readonly vSwitchID: string
  readonly zoneID: string
  readonly state: CloudInterfaceState
  /** Primary, Secondary, or what else there is (Trunk, Member). */
  readonly type: string
  /** Of the instance it is attached to, or being attached to. */
  readonly instanceID: string | undefined
  readonly primaryAddress: string | undefined
  /** IPv4, the primary one among them. */
  readonly ipv4: readonly string[]
  readonly ipv6: readonly string[]
  readonly tags: Readonly<Record<string, string>>
  /** Belongs to a service of the cloud. */
  readonly serviceManaged: boolean
}

export interface VSwitch {
  readonly id: string
  readonly vpcID: string
  readonly zoneID: string
  readonly cidr: string
  readonly ipv6Cidr: string
  readonly availableAddresses: number
}

/** Limits of an instance type, its primary interface counted. */
export interface InstanceType {
  readonly name: string
  readonly interfaces: number
  readonly ipv4PerInterface: number
  readonly ipv6PerInterface: number
}

export interface Page<T> {
  readonly items: readonly T[]
  /** For NextToken of the next call; undefined on the last page. */
  readonly nextToken: string | undefined
  /** All there are, where the API counts them. */
  readonly total: number | undefined
}

type Json = Readonly<Record<string, unknown>>

function fields(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

function number(value: unknown): number {
  const read = typeof value === 'string' && value !== '' ? Number(value) : value
  return typeof read === 'number' && Number.isFinite(read) && read >= 0 ? read : 0
}

/** A list that ECS wraps in an object (`Tags: {Tag: […]}`) and ENS sometimes does not. */
function wrapped(value: unknown, name: string): readonly unknown[] {
  return Array.isArray(value) ? value : list(fields(value)[name])
}

function addressesOf(values: readonly unknown[], name: string): readonly string[] {
  const found = values.flatMap(value => {
    const address = canonicalAddress(typeof value === 'string' ? value : text(fields(value)[name]))
    return address === undefined ? [] : [address]
  })
  return [...new Set(found)]
}

const STATES: Readonly<Record<string, CloudInterfaceState>> = {
  available: 'Available',
  attaching: 'Attaching',
  inuse: 'InUse',
  detaching: 'Detaching',
  deleting: 'Deleting',
}

/** Without regard to case and underscores: a page of ENS shows `In_use`. */
export function interfaceState(value: unknown): CloudInterfaceState {
  return (
    STATES[
      text(value)
        .toLowerCase()
        .replaceAll(/[_\s-]/g, '')
    ] ?? 'Unknown'
  )
}

/**
 * An interface as CreateNetworkInterface and DescribeNetworkInterfaces of ECS and ENS describe it.
 */
function readInterface(value: unknown): CloudInterface | undefined {
  const item = fields(value)
  const id = text(item.NetworkInterfaceId)
  const mac = text(item.MacAddress).toLowerCase()
  if (id === '' || !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(mac)) return undefined
  const sets = wrapped(item.PrivateIpSets, 'PrivateIpSet')
  const primary = sets.map(fields).find(({ Primary }) => Primary === true || text(Primary).toLowerCase() === 'true')
  // of ENS the primary address may be a public one, which no pod gets
  const ofEns = /^(private)?$/i.test(text(item.PrimaryIpType)) ? text(item.PrimaryIp) : ''
  const named = canonicalAddress(text(item.PrivateIpAddress) || ofEns || text(primary?.PrivateIpAddress))
  const instanceID = text(item.InstanceId) || text(fields(item.Attachment).InstanceId)
  return {
    id,
    mac,
    vSwitchID: text(item.VSwitchId),
    zoneID: text(item.ZoneId),
    state: interfaceState(item.Status),
    type: text(item.Type),
    instanceID: instanceID === '' ? undefined : instanceID,
    primaryAddress: named,
    ipv4: [...new Set([...(named === undefined ? [] : [named]), ...addressesOf(sets, 'PrivateIpAddress')])],
    ipv6: addressesOf(wrapped(item.Ipv6Sets, 'Ipv6Set'), 'Ipv6Address'),
    tags: Object.fromEntries(
      wrapped(item.Tags, 'Tag').map(tag => {
        const { TagKey, TagValue, Key, Value } = fields(tag)
        return [text(TagKey) || text(Key), text(TagValue) || text(Value)]
      }),
    ),
    serviceManaged: item.ServiceManaged === true || text(item.ServiceManaged) === 'true',
  }
}

/** CreateNetworkInterface: undefined means that nothing was made. */
export function readCreated(answer: unknown): CloudInterface | undefined {
  const item = fields(answer)
  return readInterface({ Status: 'Available', Type: 'Secondary', ...item })
}

/** DescribeNetworkInterfaces of ECS and ENS. Undefined when it is no such list. */
export function readInterfaces(answer: unknown): Page<CloudInterface> | undefined {
  const { NetworkInterfaceSets, NextToken, TotalCount } = fields(answer)
  if (NetworkInterfaceSets === undefined) return undefined
  const items = wrapped(NetworkInterfaceSets, 'NetworkInterfaceSet').map(readInterface)
  return {
    items: items.filter(item => item !== undefined),
    nextToken: text(NextToken) === '' ? undefined : text(NextToken),
    total: TotalCount === undefined ? undefined : number(TotalCount),
  }
}

/**
 * AssignPrivateIpAddresses of ECS and ENS: what was assigned. Undefined when the answer does not
 * say.
 */
export function readAssigned(answer: unknown): readonly string[] | undefined {
  const set = fields(fields(answer).AssignedPrivateIpAddressesSet)
  const inner = set.PrivateIpSet
  const values = Array.isArray(inner) ? inner : list(fields(inner).PrivateIpAddress)
  const found = addressesOf(values, 'PrivateIpAddress')
  return found.length === 0 ? undefined : found
}

/** AssignIpv6Addresses. */
export function readAssigned6(answer: unknown): readonly string[] | undefined {
  const found = addressesOf(wrapped(fields(answer).Ipv6Sets, 'Ipv6Address'), 'Ipv6Address')
  return found.length === 0 ? undefined : found
}

/** DescribeVSwitches. */
export function readVSwitches(answer: unknown): Page<VSwitch> | undefined {
  const { VSwitches, TotalCount } = fields(answer)
  if (VSwitches === undefined) return undefined
  const items = wrapped(VSwitches, 'VSwitch').map((value): VSwitch => {
    const item = fields(value)
    return {
      id: text(item.VSwitchId),
      vpcID: text(item.VpcId),
      zoneID: text(item.ZoneId),
      cidr: text(item.CidrBlock),
      ipv6Cidr: text(item.Ipv6CidrBlock),
      availableAddresses: number(item.AvailableIpAddressCount),
    }
  })
  return { items: items.filter(({ id }) => id !== ''), nextToken: undefined, total: number(TotalCount) }
}

/** DescribeInstanceTypes. */
export function readInstanceTypes(answer: unknown): Page<InstanceType> | undefined {
  const { InstanceTypes, NextToken } = fields(answer)
  if (InstanceTypes === undefined) return undefined
  const items = wrapped(InstanceTypes, 'InstanceType').map((value): InstanceType => {
    const item = fields(value)
    return {
      name: text(item.InstanceTypeId),
      interfaces: number(item.EniQuantity),
      ipv4PerInterface: number(item.EniPrivateIpAddressQuantity),
      ipv6PerInterface: number(item.EniIpv6AddressQuantity),
    }
  })
  return {
    items: items.filter(({ name }) => name !== ''),
    nextToken: text(NextToken) === '' ? undefined : text(NextToken),
    total: undefined,
  }
}
