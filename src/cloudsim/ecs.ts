/**
 * ECS 2014-05-26 and VPC 2016-04-28, as far as pods' interfaces need them: each action checks in
 * the order of its page, refuses with the page's code and status, and answers in the page's words.
 * Pure but for the world that they are handed.
 */
import type { Parameters } from './parameters.ts'
import { demand } from './refusal.ts'
import type { SimWorld } from './state.ts'
import type { SimInterface, SimVSwitch } from './types.ts'

export type Handler = (world: SimWorld, parameters: Parameters) => Record<string, unknown>

const UNATTACHED_SECONDARY = 49
const UNATTACHED_IPV6 = 10

export const ECS_ACTIONS: Readonly<Record<string, Handler>> = {
  CreateNetworkInterface: create,
  AttachNetworkInterface: attach,
  DetachNetworkInterface: detach,
  DeleteNetworkInterface: remove,
  DescribeNetworkInterfaces: describe,
  AssignPrivateIpAddresses: assign,
  UnassignPrivateIpAddresses: unassign,
  AssignIpv6Addresses: assign6,
  UnassignIpv6Addresses: unassign6,
  DescribeInstanceTypes: describeTypes,
}

export const VPC_ACTIONS: Readonly<Record<string, Handler>> = { DescribeVSwitches: describeVSwitches }

function region(world: SimWorld, parameters: Parameters): void {
  demand(parameters.required('RegionId') === world.options.regionID, 'InvalidRegionId.NotFound', 404)
}

function interfaceOf(world: SimWorld, parameters: Parameters): SimInterface {
  const item = world.interfaces.get(parameters.required('NetworkInterfaceId'))
  demand(item?.product === 'ecs', 'InvalidEniId.NotFound', 404)
  demand(!item.serviceManaged, 'InvalidOperation.EniServiceManaged', 403)
  return item
}

function addressesLeft(world: SimWorld, vSwitch: SimVSwitch, count: number): void {
  demand(world.available(vSwitch) >= count, 'InvalidVSwitchId.IpNotEnough', 403, `vSwitch ${vSwitch.id} is full`)
}

function create(world: SimWorld, parameters: Parameters) {
  region(world, parameters)
  const vSwitch = world.vSwitches.get(parameters.required('VSwitchId'))
  const groups = parameters.list('SecurityGroupIds')
  const single = parameters.optional('SecurityGroupId')
  demand(groups.length > 0 !== (single !== undefined), 'InvalidParameter.Conflict', 400)
  const secondary =
    parameters.number('SecondaryPrivateIpAddressCount', { minimum: 1, maximum: UNATTACHED_SECONDARY }) ?? 0
  const ipv6 = parameters.number('Ipv6AddressCount', { minimum: 1, maximum: UNATTACHED_IPV6 }) ?? 0
  const tags = parameters.tags()
  const type = parameters.optional('InstanceType') ?? 'Secondary'
  const name = parameters.optional('NetworkInterfaceName')
  const description = parameters.optional('Description')
  const sourceDestCheck = parameters.boolean('SourceDestCheck') ?? true
  const deleteOnRelease = parameters.boolean('DeleteOnRelease') ?? true
  parameters.optional('ResourceGroupId')
  parameters.finish()
  demand(type === 'Secondary', 'InvalidParameter.InstanceType', 400)
  demand(
    name === undefined || /^(?!https?:)[A-Za-z\p{L}].{1,127}$/u.test(name),
    'InvalidParameter.NetworkInterfaceName',
    400,
  )
  demand(
    description === undefined || (description.length >= 2 && description.length <= 256),
    'InvalidDescription.Malformed',
    400,
  )
  demand(vSwitch !== undefined, 'InvalidVSwitchId.NotFound', 404)
  const used = groups.length > 0 ? groups : [single ?? '']
  for (const group of used)
    demand(world.options.securityGroups.includes(group), 'InvalidSecurityGroupId.NotFound', 404, `no group ${group}`)
  const own = [...world.interfaces.values()].filter(({ product, type }) => product === 'ecs' && type === 'Secondary')
  demand(own.length < (world.options.maximumInterfaces ?? 100_000), 'MaxEniCountExceeded', 403)
  const inGroups = own.filter(item => item.securityGroups.some(group => used.includes(group)))
  const room = world.options.securityGroupAddresses ?? 100_000
  const held = inGroups.reduce((sum, { ipv4 }) => sum + ipv4.length, 0)
  demand(held + secondary + 1 <= room, 'SecurityGroupInstanceLimitExceed', 403)
  demand(ipv6 === 0 || vSwitch.ipv6Cidr !== undefined, 'InvalidVSwitchId.Ipv6NotTurnOn', 403)
  addressesLeft(world, vSwitch, secondary + 1)
  const made = world.makeInterface({ product: 'ecs', type: 'Secondary', vSwitchID: vSwitch.id, secondary, ipv6 })
  Object.assign(made, { tags, securityGroups: used, sourceDestCheck, deleteOnRelease })
  return described(made)
}

function attach(world: SimWorld, parameters: Parameters) {
  region(world, parameters)
  const item = interfaceOf(world, parameters)
  const instance = world.instances.get(parameters.required('InstanceId'))
  parameters.finish()
  demand(instance?.product === 'ecs', 'InvalidEcsId.NotFound', 404)
  demand(item.state === 'Available', 'InvalidOperation.InvalidEniState', 400, `it is ${item.state}`)
  demand(item.zoneID === instance.zoneID, 'InvalidOperation.AvailabilityZoneMismatch', 403)
  demand(item.vpcID === instance.vpcID, 'InvalidOperation.VpcMismatch', 403)
  const type = typeOf(world, instance.type)
  demand(type.attachStopped !== true || instance.state === 'Stopped', 'InvalidOperation.InvalidEcsState', 400)
  const attached = [...world.interfaces.values()].filter(({ instanceID }) => instanceID === instance.id)
  demand(attached.length < type.interfaces, 'EniPerInstanceLimitExceeded', 403)
  demand(item.ipv4.length <= type.ipv4PerInterface, 'InvalidOperation.Ipv4CountExceeded', 403)
  demand(item.ipv6.length <= type.ipv6PerInterface, 'InvalidOperation.Ipv6CountExceeded', 403)
  item.instanceID = instance.id
  const fails = world.attachFailures++ < (world.options.questions?.attachFailures ?? 0)
  world.begin(item, 'Attaching', fails ? 'Available' : 'InUse', 'attach')
  return {}
}

function detach(world: SimWorld, parameters: Parameters) {
  region(world, parameters)
  const item = interfaceOf(world, parameters)
  const instance = world.instances.get(parameters.required('InstanceId'))
  parameters.finish()
  demand(instance !== undefined, 'InvalidEcsId.NotFound', 404)
  demand(item.type === 'Secondary', 'InvalidOperation.InvalidEniType', 403)
  demand(item.state === 'InUse' && item.instanceID === instance.id, 'InvalidOperation.InvalidEniState', 400)
  world.begin(item, 'Detaching', 'Available', 'detach')
  return {}
}

function remove(world: SimWorld, parameters: Parameters) {
  region(world, parameters)
  const item = interfaceOf(world, parameters)
  parameters.finish()
  demand(item.type === 'Secondary', 'InvalidOperation.InvalidEniType', 403)
  demand(item.state === 'Available', 'InvalidOperation.InvalidEniState', 400, `it is ${item.state}`)
  world.begin(item, 'Deleting', 'gone', 'delete')
  return {}
}

function assign(world: SimWorld, parameters: Parameters) {
  region(world, parameters)
  const item = interfaceOf(world, parameters)
  const count = parameters.number('SecondaryPrivateIpAddressCount', { minimum: 1, maximum: UNATTACHED_SECONDARY })
  parameters.finish()
  demand(count !== undefined, 'MissingSecondaryPrivateIpAddressCount', 400)
  assignable(world, item)
  demand(item.ipv4.length + count <= limitOf(world, item, 'ipv4'), 'InvalidOperation.Ipv4CountExceeded', 403)
  const vSwitch = world.vSwitches.get(item.vSwitchID)
  demand(vSwitch !== undefined, 'InvalidVSwitchId.NotFound', 404)
  addressesLeft(world, vSwitch, count)
  const taken = world.take(vSwitch, 'ipv4', count, item.id)
  item.ipv4.push(...taken)
  return {
    AssignedPrivateIpAddressesSet: {
      NetworkInterfaceId: item.id,
      PrivateIpSet: { PrivateIpAddress: taken },
    },
  }
}

function assign6(world: SimWorld, parameters: Parameters) {
  region(world, parameters)
  const item = interfaceOf(world, parameters)
  const count = parameters.number('Ipv6AddressCount', { minimum: 1, maximum: UNATTACHED_IPV6 })
  parameters.finish()
  demand(count !== undefined, 'MissingIpv6AddressCount', 400)
  assignable(world, item)
  demand(item.ipv6.length + count <= limitOf(world, item, 'ipv6'), 'InvalidOperation.Ipv6CountExceeded', 403)
  const vSwitch = world.vSwitches.get(item.vSwitchID)
  demand(vSwitch?.ipv6Cidr !== undefined, 'InvalidVSwitchId.Ipv6NotTurnOn', 403)
  const taken = world.take(vSwitch, 'ipv6', count, item.id)
  item.ipv6.push(...taken)
  return { NetworkInterfaceId: item.id, Ipv6Sets: { Ipv6Address: taken } }
}

function unassign(world: SimWorld, parameters: Parameters) {
  return takeOff(world, parameters, 'PrivateIpAddress')
}

function unassign6(world: SimWorld, parameters: Parameters) {
  return takeOff(world, parameters, 'Ipv6Address')
}

function takeOff(world: SimWorld, parameters: Parameters, list: 'PrivateIpAddress' | 'Ipv6Address') {
  region(world, parameters)
  const item = interfaceOf(world, parameters)
  const addresses = parameters.list(list)
  parameters.finish()
  demand(addresses.length >= 1 && addresses.length <= 32, `InvalidParameter.${list}`, 400, `1 to 32 addresses`)
  assignable(world, item)
  const owned = list === 'PrivateIpAddress' ? item.ipv4 : item.ipv6
  for (const address of addresses)
    demand(
      owned.includes(address) && address !== item.primaryAddress,
      'InvalidIp.IpUnassigned',
      403,
      `not on it: ${address}`,
    )
  world.drop(item, addresses)
  return {}
}

function assignable(world: SimWorld, item: SimInterface): void {
  const open = world.options.questions?.assignWhileAttaching === true ? ['Attaching'] : []
  demand(
    [...open, 'Available', 'InUse'].includes(item.state),
    'InvalidOperation.InvalidEniState',
    400,
    `it is ${item.state}`,
  )
}

function limitOf(world: SimWorld, item: SimInterface, family: 'ipv4' | 'ipv6'): number {
  const instance = item.instanceID === undefined ? undefined : world.instances.get(item.instanceID)
  if (instance === undefined) return family === 'ipv4' ? UNATTACHED_SECONDARY + 1 : UNATTACHED_IPV6
  const type = typeOf(world, instance.type)
  return family === 'ipv4' ? type.ipv4PerInterface : type.ipv6PerInterface
}

function typeOf(world: SimWorld, name: string) {
  const type = world.options.instanceTypes.find(item => item.name === name)
  demand(type !== undefined, 'InvalidInstanceType.ValueNotSupported', 403)
  return type
}

function describe(world: SimWorld, parameters: Parameters) {
  region(world, parameters)
  const size = parameters.number('MaxResults', { minimum: 10, maximum: 500 }) ?? 10
  const token = parameters.optional('NextToken')
  const ids = parameters.list('NetworkInterfaceId')
  const wanted = {
    instanceID: parameters.optional('InstanceId'),
    vpcID: parameters.optional('VpcId'),
    vSwitchID: parameters.optional('VSwitchId'),
    state: parameters.optional('Status'),
    type: parameters.optional('Type'),
  }
  const tags = Object.entries(parameters.tags())
  parameters.finish()
  demand(ids.length <= 100, 'InvalidParameter.NetworkInterfaceId', 400)
  const all = world
    .listed()
    .filter(({ product }) => product === 'ecs')
    .map(item => asShown(world, item))
    .filter(item => ids.length === 0 || ids.includes(item.id))
    .filter(item =>
      Object.entries(wanted).every(([key, value]) => value === undefined || item[key as keyof SimInterface] === value),
    )
    .filter(item => tags.every(([key, value]) => item.tags[key] === value))
    .slice(0, tags.length > 0 ? 1000 : undefined) // by a tag, no more are shown
  const start = token === undefined ? 0 : all.findIndex(({ id }) => id > token)
  const page = start < 0 ? [] : all.slice(start, start + size)
  const last = page.at(-1)
  const more = last !== undefined && all.indexOf(last) < all.length - 1
  return {
    TotalCount: all.length,
    NetworkInterfaceSets: { NetworkInterfaceSet: page.map(described) },
    NextToken: more ? last.id : '',
  }
}

/** As a listing shows it: whose it is while it moves, no page says. */
function asShown({ options }: SimWorld, item: SimInterface): SimInterface {
  const moves = item.state === 'Attaching' || item.state === 'Detaching'
  return moves && options.questions?.instanceWhileMoving === false ? { ...item, instanceID: undefined } : item
}

export function described(item: SimInterface): Record<string, unknown> {
  return {
    NetworkInterfaceId: item.id,
    MacAddress: item.mac,
    VSwitchId: item.vSwitchID,
    VpcId: item.vpcID,
    ZoneId: item.zoneID,
    Status: item.state,
    Type: item.type,
    ...(item.instanceID === undefined
      ? { InstanceId: '' }
      : { InstanceId: item.instanceID, Attachment: { InstanceId: item.instanceID } }),
    PrivateIpAddress: item.primaryAddress,
    PrivateIpSets: {
      PrivateIpSet: item.ipv4.map(address => ({ PrivateIpAddress: address, Primary: address === item.primaryAddress })),
    },
    Ipv6Sets: { Ipv6Set: item.ipv6.map(address => ({ Ipv6Address: address })) },
    Tags: { Tag: Object.entries(item.tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue })) },
    SecurityGroupIds: { SecurityGroupId: item.securityGroups },
    SourceDestCheck: item.sourceDestCheck,
    DeleteOnRelease: item.deleteOnRelease,
    ServiceManaged: item.serviceManaged,
  }
}

function describeTypes(world: SimWorld, parameters: Parameters) {
  const names = parameters.list('InstanceTypes')
  parameters.number('MaxResults', { minimum: 1, maximum: 100 })
  parameters.optional('NextToken')
  parameters.finish()
  const found = world.options.instanceTypes.filter(({ name }) => names.length === 0 || names.includes(name))
  return {
    InstanceTypes: {
      InstanceType: found.map(type => ({
        InstanceTypeId: type.name,
        EniQuantity: type.interfaces,
        EniTotalQuantity: type.interfaces,
        EniPrivateIpAddressQuantity: type.ipv4PerInterface,
        EniIpv6AddressQuantity: type.ipv6PerInterface,
        JumboFrameSupport: false,
      })),
    },
    NextToken: '',
  }
}

function describeVSwitches(world: SimWorld, parameters: Parameters) {
  region(world, parameters)
  const wanted = {
    id: parameters.optional('VSwitchId'),
    vpcID: parameters.optional('VpcId'),
    zoneID: parameters.optional('ZoneId'),
  }
  const number = parameters.number('PageNumber', { minimum: 1, maximum: 1_000_000 }) ?? 1
  const size = parameters.number('PageSize', { minimum: 1, maximum: 50 }) ?? 10
  parameters.finish()
  const all = [...world.vSwitches.values()].filter(item =>
    Object.entries(wanted).every(([key, value]) => value === undefined || item[key as keyof SimVSwitch] === value),
  )
  return {
    TotalCount: all.length,
    PageNumber: number,
    PageSize: size,
    VSwitches: {
      VSwitch: all.slice((number - 1) * size, number * size).map(item => ({
        VSwitchId: item.id,
        VpcId: item.vpcID,
        ZoneId: item.zoneID,
        CidrBlock: item.cidr,
        Ipv6CidrBlock: item.ipv6Cidr ?? '',
        AvailableIpAddressCount: world.available(item),
        Status: 'Available',
      })),
    },
  }
}
