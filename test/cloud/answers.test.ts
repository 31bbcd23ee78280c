/** Calls as they are sent and answers as they are read, by examples of the API's pages. */
import { expect, test } from 'bun:test'
import { actionFacts, CLOUD_ACTIONS, flatParameters, listParameter } from '../../src/cloud/actions.ts'
import {
  interfaceState,
  readAssigned,
  readAssigned6,
  readCreated,
  readInstanceTypes,
  readInterfaces,
  readVSwitches,
} from '../../src/cloud/answers.ts'
import { endpointOf, stsEndpointOf } from '../../src/cloud/endpoints.ts'

test('parameters are sent as the RPC style wants them, and lists are found again', () => {
  const flat = flatParameters('ecs:CreateNetworkInterface', {
    RegionId: 'cn-hangzhou',
    VSwitchId: 'vsw-1',
    SecurityGroupIds: ['sg-1', 'sg-2'],
    InstanceType: 'Secondary',
    SecondaryPrivateIpAddressCount: 9,
    Tag: [{ Key: 'creator', Value: 'terway-edge' }],
    NetworkInterfaceName: 'eni',
    Description: 'pods',
    SourceDestCheck: false,
    DeleteOnRelease: true,
  })
  expect(flat).toMatchObject({
    'SecurityGroupIds.1': 'sg-1',
    'SecurityGroupIds.2': 'sg-2',
    'Tag.1.Key': 'creator',
    'Tag.1.Value': 'terway-edge',
    SecondaryPrivateIpAddressCount: '9',
    SourceDestCheck: 'false',
  })
  expect(listParameter(flat, 'SecurityGroupIds')).toEqual(['sg-1', 'sg-2'])
  expect(listParameter(flat, 'PrivateIpAddress')).toEqual([])
})

test('the table has the 10 actions of ECS, 1 of VPC and 3 of ENS, and who takes a ClientToken', () => {
  const products = CLOUD_ACTIONS.map(action => actionFacts(action).product)
  expect(['ecs', 'vpc', 'ens'].map(name => products.filter(product => product === name).length)).toEqual([10, 1, 3])
  expect(CLOUD_ACTIONS.filter(action => actionFacts(action).token)).toEqual([
    'ecs:CreateNetworkInterface',
    'ecs:AssignPrivateIpAddresses',
    'ecs:AssignIpv6Addresses',
  ])
  expect(CLOUD_ACTIONS.filter(action => !actionFacts(action).changes).length).toBe(4)
})

test('states are read without regard to case and underscores', () => {
  expect(['InUse', 'In_use', 'IN_USE', 'inuse', 'available', 'Detaching', 'Linked', '', 7].map(interfaceState)).toEqual(
    ['InUse', 'InUse', 'InUse', 'InUse', 'Available', 'Detaching', 'Unknown', 'Unknown', 'Unknown'],
  )
})

test('an interface of ECS and one of ENS become the same words', () => {
  const ecs = readInterfaces({
    NetworkInterfaceSets: {
      NetworkInterfaceSet: [
        {
          NetworkInterfaceId: 'eni-1',
          MacAddress: '00:16:3E:0F:00:01',
          VSwitchId: 'vsw-1',
          ZoneId: 'k',
          Status: 'InUse',
          Type: 'Secondary',
          Attachment: { InstanceId: 'i-1' },
          PrivateIpAddress: '192.168.32.10',
          PrivateIpSets: {
            PrivateIpSet: [
              { PrivateIpAddress: '192.168.32.11', Primary: false },
              { PrivateIpAddress: '192.168.32.10', Primary: true },
            ],
          },
          Ipv6Sets: { Ipv6Set: [{ Ipv6Address: 'FD00::0:1' }] },
          Tags: { Tag: [{ TagKey: 'creator', TagValue: 'x' }] },
          ServiceManaged: false,
        },
        { NetworkInterfaceId: 'eni-2' },
      ],
    },
    NextToken: 'more',
  })
  expect(ecs?.nextToken).toBe('more')
  expect(ecs?.items).toEqual([
    {
      id: 'eni-1',
      mac: '00:16:3e:0f:00:01',
      vSwitchID: 'vsw-1',
      zoneID: 'k',
      state: 'InUse',
      type: 'Secondary',
      instanceID: 'i-1',
      primaryAddress: '192.168.32.10',
      ipv4: ['192.168.32.10', '192.168.32.11'],
      ipv6: ['fd00::1'],
      tags: { creator: 'x' },
      serviceManaged: false,
    },
  ])
  const ens = readInterfaces({
    TotalCount: '1',
    NetworkInterfaceSets: {
      NetworkInterfaceSet: [
        {
          NetworkInterfaceId: 'eni-9',
          MacAddress: '00:16:3e:00:00:09',
          InstanceId: 'i-9',
          VSwitchId: 'v',
          PrimaryIp: '10.8.0.2',
          PrivateIpSets: [{ PrivateIpAddress: '10.8.0.3' }],
          Status: 'In_use',
          Type: 'Secondary',
        },
      ],
    },
  })
  expect(ens?.items[0]).toMatchObject({
    state: 'InUse',
    instanceID: 'i-9',
    primaryAddress: '10.8.0.2',
    ipv4: ['10.8.0.2', '10.8.0.3'],
  })
  expect(ens?.total).toBe(1)
})

test('a public primary address of an ENS interface goes to no pod', () => {
  const [item] =
    readInterfaces({
      NetworkInterfaceSets: {
        NetworkInterfaceSet: [
          {
            NetworkInterfaceId: 'eni-1',
            MacAddress: '00:16:3e:00:00:01',
            PrimaryIp: '203.0.113.7',
            PrimaryIpType: 'Public',
            PrivateIpSets: { PrivateIpSet: [{ PrivateIpAddress: '10.8.0.9' }] },
          },
        ],
      },
    })?.items ?? []
  expect(item).toMatchObject({ primaryAddress: undefined, ipv4: ['10.8.0.9'] })
})

test('an answer that does not say what was done is none', () => {
  expect(readCreated({ RequestId: 'x' })).toBeUndefined()
  expect(readCreated({ NetworkInterfaceId: 'eni-1', MacAddress: '00:16:3e:00:00:01' })?.state).toBe('Available')
  for (const junk of [undefined, null, 'text', 7, [], {}, { AssignedPrivateIpAddressesSet: 1 }]) {
    for (const read of [readCreated, readAssigned, readAssigned6, readInterfaces, readVSwitches, readInstanceTypes])
      expect(read(junk)).toBeUndefined()
  }
  const assigned = { AssignedPrivateIpAddressesSet: { PrivateIpSet: { PrivateIpAddress: ['10.0.0.1', 'x'] } } }
  expect(readAssigned(assigned)).toEqual(['10.0.0.1'])
  expect(readAssigned({ AssignedPrivateIpAddressesSet: { PrivateIpSet: [{ PrivateIpAddress: '10.0.0.1' }] } })).toEqual(
    ['10.0.0.1'],
  )
  expect(readAssigned({ AssignedPrivateIpAddressesSet: { PrivateIpSet: ['10.0.0.2'] } })).toEqual(['10.0.0.2'])
})

test('a role is assumed inside of the VPC by default, in the region of the call', () => {
  expect(stsEndpointOf('ecs', 'cn-beijing', { network: 'vpc' })).toBe('sts-vpc.cn-beijing.aliyuncs.com')
  expect(stsEndpointOf('vpc', 'cn-beijing', { network: 'public' })).toBe('sts.cn-beijing.aliyuncs.com')
  expect(stsEndpointOf('ens', 'cn-wuxi-telecom', { network: 'vpc' })).toBe('sts.aliyuncs.com')
})

test('endpoints: from inside the VPC by default, over the internet or others when asked', () => {
  const vpc = { network: 'vpc', overrides: {} } as const
  expect(endpointOf('ecs', 'cn-beijing', vpc)).toBe('ecs-vpc.cn-beijing.aliyuncs.com')
  expect(endpointOf('vpc', 'cn-beijing', vpc)).toBe('vpc-vpc.cn-beijing.aliyuncs.com')
  expect(endpointOf('ens', 'any', vpc)).toBe('ens.aliyuncs.com')
  const open = { network: 'public', overrides: { vpc: '127.0.0.1:1' } } as const
  expect(endpointOf('ecs', 'cn-hangzhou', open)).toBe('ecs-cn-hangzhou.aliyuncs.com')
  expect(endpointOf('ecs', 'ap-southeast-1', open)).toBe('ecs.ap-southeast-1.aliyuncs.com')
  expect(endpointOf('vpc', 'cn-hangzhou', open)).toBe('127.0.0.1:1')
})
