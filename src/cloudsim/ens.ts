/**
 * ENS 2017-11-10, as far as pods' interfaces need it. Every refusal has status 400; an assignment
 * gives one address, has no count and no ClientToken; interfaces are attached by others, while the
 * instance is stopped. Pure but for the world that they are handed.
 */
import type { Handler } from './ecs.ts'
import type { Parameters } from './parameters.ts'
import { demand } from './refusal.ts'
import type { SimWorld } from './state.ts'
import type { SimInterface } from './types.ts'

export const ENS_ACTIONS: Readonly<Record<string, Handler>> = {
  DescribeNetworkInterfaces: describe,
  AssignPrivateIpAddresses: assign,
  UnassignPrivateIpAddresses: unassign,
}

function interfaceOf(world: SimWorld, parameters: Parameters): SimInterface {
  const item = world.interfaces.get(parameters.required('NetworkInterfaceId'))
  demand(item?.product === 'ens', 'InvalidEniId.NotFound', 400)
  return item
}

function describe(world: SimWorld, parameters: Parameters) {
  const instanceID = parameters.optional('InstanceId')
  const ids = parameters.list('NetworkInterfaceIds')
  const type = parameters.optional('Type')
  const number = parameters.number('PageNumber', { minimum: 1, maximum: 100_000 }) ?? 1
  const size = parameters.number('PageSize', { minimum: 1, maximum: 100 }) ?? 50
  parameters.finish()
  const all = world
    .listed()
    .filter(({ product }) => product === 'ens')
    .filter(item => instanceID === undefined || item.instanceID === instanceID)
    .filter(item => ids.length === 0 || ids.includes(item.id))
    .filter(item => type === undefined || item.type === type)
  const inUse = world.options.questions?.ensInUse ?? 'In_use'
  return {
    TotalCount: all.length,
    PageNumber: number,
    PageSize: size,
    NetworkInterfaceSets: {
      NetworkInterfaceSet: all.slice((number - 1) * size, number * size).map(item => ({
        NetworkInterfaceId: item.id,
        MacAddress: item.mac,
        InstanceId: item.instanceID ?? '',
        VSwitchId: item.vSwitchID,
        NetworkId: item.vpcID,
        EnsRegionId: item.zoneID,
        PrimaryIp: item.primaryAddress,
        PrimaryIpType: world.options.questions?.ensPrimaryType ?? 'private',
        PrivateIpSets: {
          PrivateIpSet: item.ipv4.map(address => ({
            PrivateIpAddress: address,
            Primary: address === item.primaryAddress,
          })),
        },
        Ipv6Sets: { Ipv6Set: [] },
        SecurityGroupIds: { SecurityGroup: item.securityGroups },
        Status: item.state === 'InUse' ? inUse : item.state,
        Type: item.type,
      })),
    },
  }
}

function assign(world: SimWorld, parameters: Parameters) {
  const item = interfaceOf(world, parameters)
  const vSwitchID = parameters.optional('VSwitchId')
  parameters.finish()
  demand(vSwitchID === undefined || vSwitchID === item.vSwitchID, 'InvalidVSwitchId.NotFound', 400)
  demand(item.state === 'InUse', 'IncorrectInstanceStatus', 400)
  const { ensPrimaryCounts = true, ensFullCode = 'QuotaExceeded.PrivateIpAddress' } = world.options.questions ?? {}
  const counted = item.ipv4.length - (ensPrimaryCounts ? 0 : 1)
  demand(counted < (world.options.ensAddressesPerInterface ?? 25), ensFullCode, 400)
  const vSwitch = world.vSwitches.get(item.vSwitchID)
  demand(vSwitch !== undefined && world.available(vSwitch) > 0, 'InvalidVSwitchId.IpNotEnough', 400)
  const taken = world.take(vSwitch, 'ipv4', 1, item.id)
  item.ipv4.push(...taken)
  return {
    AssignedPrivateIpAddressesSet: {
      NetworkInterfaceId: item.id,
      PrivateIpSet: taken.map(address => ({ PrivateIpAddress: address })),
    },
  }
}

function unassign(world: SimWorld, parameters: Parameters) {
  const item = interfaceOf(world, parameters)
  const addresses = parameters.list('PrivateIpAddress')
  parameters.finish()
  demand(addresses.length > 0, 'MissingPrivateIpAddress', 400)
  for (const address of addresses)
    demand(item.ipv4.includes(address) && address !== item.primaryAddress, 'InvalidPrivateIpAddress.NotFound', 400)
  world.drop(item, addresses)
  return {}
}
