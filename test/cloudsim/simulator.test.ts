/**
 * The simulated cloud is as strict as the pages of the real one say: what it lets pass, the real
 * one would.
 */
import { describe, expect, test } from 'bun:test'
import { MetadataService } from '../../src/cloudsim/metadata.ts'
import type { CloudSimulator } from '../../src/cloudsim/simulator.ts'
import { REGION, simulator, ZONE } from '../cloud/world.ts'
import { FakeClock } from '../support/fake-clock.ts'

const CREATE = { RegionId: REGION, VSwitchId: 'vsw-1', 'SecurityGroupIds.1': 'sg-1', SourceDestCheck: 'false' }

function ecs(sim: CloudSimulator, action: string, parameters: Record<string, string>) {
  const answer = sim.perform('ecs', action, { RegionId: REGION, ...parameters })
  if (answer === undefined || 'html' in answer) throw new Error('no answer')
  return { status: answer.httpStatus, code: String(answer.body.Code ?? 'ok'), body: answer.body }
}

function made(sim: CloudSimulator, more: Record<string, string> = {}): string {
  const { code, body } = ecs(sim, 'CreateNetworkInterface', { ...CREATE, ...more })
  if (code !== 'ok') throw new Error(code)
  return String(body.NetworkInterfaceId)
}

function world(more: Parameters<typeof simulator>[1] = {}) {
  const clock = new FakeClock()
  const sim = simulator(clock, more)
  sim.world.addInstance({ id: 'i-1', product: 'ecs', type: 'ecs.g6.large', vpcID: 'vpc-1', zoneID: ZONE }, 'vsw-node')
  sim.world.addInstance({ id: 'i-ens', product: 'ens', type: 'ens.x', vpcID: 'n-ens', zoneID: 'cn-ens-1' }, 'vsw-ens')
  return { clock, sim }
}

describe('refusals', () => {
  const { clock, sim } = world({ maximumInterfaces: 6 })
  const id = made(sim)
  test.each([
    ['CreateNetworkInterface', { ...CREATE, VSwitchId: 'vsw-x' }, 'InvalidVSwitchId.NotFound', 404],
    ['CreateNetworkInterface', { ...CREATE, 'SecurityGroupIds.1': 'sg-x' }, 'InvalidSecurityGroupId.NotFound', 404],
    ['CreateNetworkInterface', { ...CREATE, SecurityGroupId: 'sg-1' }, 'InvalidParameter.Conflict', 400],
    [
      'CreateNetworkInterface',
      { ...CREATE, SecondaryPrivateIpAddressCount: '50' },
      'InvalidParameter.SecondaryPrivateIpAddressCount',
      400,
    ],
    ['CreateNetworkInterface', { ...CREATE, Ipv6AddressCount: '11' }, 'InvalidParameter.Ipv6AddressCount', 400],
    [
      'CreateNetworkInterface',
      { ...CREATE, VSwitchId: 'vsw-node', Ipv6AddressCount: '1' },
      'InvalidVSwitchId.Ipv6NotTurnOn',
      403,
    ],
    ['CreateNetworkInterface', { ...CREATE, Nonsense: '1' }, 'InvalidParameter.Nonsense', 400],
    ['CreateNetworkInterface', { ...CREATE, RegionId: 'cn-x' }, 'InvalidRegionId.NotFound', 404],
    ['AttachNetworkInterface', { NetworkInterfaceId: 'eni-x', InstanceId: 'i-1' }, 'InvalidEniId.NotFound', 404],
    ['AttachNetworkInterface', { NetworkInterfaceId: id, InstanceId: 'i-x' }, 'InvalidEcsId.NotFound', 404],
    ['DetachNetworkInterface', { NetworkInterfaceId: id, InstanceId: 'i-1' }, 'InvalidOperation.InvalidEniState', 400],
    [
      'AssignPrivateIpAddresses',
      { NetworkInterfaceId: id, SecondaryPrivateIpAddressCount: '50' },
      'InvalidParameter.SecondaryPrivateIpAddressCount',
      400,
    ],
    [
      'UnassignPrivateIpAddresses',
      { NetworkInterfaceId: id, 'PrivateIpAddress.1': '192.168.63.1' },
      'InvalidIp.IpUnassigned',
      403,
    ],
    ['DescribeNetworkInterfaces', { MaxResults: '501' }, 'InvalidParameter.MaxResults', 400],
    ['RunInstances', {}, 'InvalidAction.NotFound', 404],
  ])('%s %o: %s', (action, parameters, code, status) => {
    expect(ecs(sim, action, parameters)).toMatchObject({ code, status })
    expect(sim.calls.at(-1)).toMatchObject({ outcome: code, effect: false })
  })

  test('the primary address of an interface is not taken off, nor is the primary interface', () => {
    const primary = [...sim.world.interfaces.values()].find(item => item.type === 'Primary')
    const address = sim.world.interfaces.get(id)?.primaryAddress ?? ''
    expect(ecs(sim, 'UnassignPrivateIpAddresses', { NetworkInterfaceId: id, 'PrivateIpAddress.1': address }).code).toBe(
      'InvalidIp.IpUnassigned',
    )
    expect(ecs(sim, 'DeleteNetworkInterface', { NetworkInterfaceId: primary?.id ?? '' }).code).toBe(
      'InvalidOperation.InvalidEniType',
    )
  })

  test('states take their time, and the limits of the type hold once attached', async () => {
    expect(ecs(sim, 'AttachNetworkInterface', { NetworkInterfaceId: id, InstanceId: 'i-1' }).code).toBe('ok')
    expect(sim.world.interfaces.get(id)?.state).toBe('Attaching')
    expect(ecs(sim, 'DeleteNetworkInterface', { NetworkInterfaceId: id }).code).toBe('InvalidOperation.InvalidEniState')
    await clock.advance(2_000)
    expect(
      ecs(sim, 'AssignPrivateIpAddresses', { NetworkInterfaceId: id, SecondaryPrivateIpAddressCount: '6' }).code,
    ).toBe('InvalidOperation.Ipv4CountExceeded')
    expect(
      ecs(sim, 'AssignPrivateIpAddresses', { NetworkInterfaceId: id, SecondaryPrivateIpAddressCount: '5' }).code,
    ).toBe('ok')
    const second = made(sim)
    expect(ecs(sim, 'AttachNetworkInterface', { NetworkInterfaceId: second, InstanceId: 'i-1' }).code).toBe(
      'EniPerInstanceLimitExceeded',
    )
  })

  test('the account is full at its quota', () => {
    for (let more = 0; more < 4; more++) made(sim)
    expect(ecs(sim, 'CreateNetworkInterface', CREATE)).toMatchObject({ code: 'MaxEniCountExceeded', status: 403 })
  })
})

test('a vSwitch that is full says so, and has its addresses back when they are taken off', () => {
  const { sim } = world()
  const vSwitch = sim.world.vSwitches.get('vsw-2')
  if (vSwitch === undefined) throw new Error('no vsw-2')
  vSwitch.taken = sim.world.available(vSwitch) - 3
  const id = made(sim, { VSwitchId: 'vsw-2', SecondaryPrivateIpAddressCount: '2' })
  expect(ecs(sim, 'CreateNetworkInterface', { ...CREATE, VSwitchId: 'vsw-2' }).code).toBe(
    'InvalidVSwitchId.IpNotEnough',
  )
  const [, address = ''] = sim.world.interfaces.get(id)?.ipv4 ?? []
  expect(ecs(sim, 'UnassignPrivateIpAddresses', { NetworkInterfaceId: id, 'PrivateIpAddress.1': address }).code).toBe(
    'ok',
  )
  expect(ecs(sim, 'CreateNetworkInterface', { ...CREATE, VSwitchId: 'vsw-2' }).code).toBe('ok')
})

test('a ClientToken gives the same answer, with other parameters a mismatch, and is forgotten some time', async () => {
  const { clock, sim } = world({ questions: { tokenSeconds: 60 } })
  const first = made(sim, { ClientToken: 't' })
  expect(made(sim, { ClientToken: 't' })).toBe(first)
  expect(ecs(sim, 'CreateNetworkInterface', { ...CREATE, VSwitchId: 'vsw-2', ClientToken: 't' }).code).toBe(
    'IdempotentParameterMismatch',
  )
  await clock.advance(61_000)
  expect(made(sim, { ClientToken: 't' })).not.toBe(first)
  expect(ecs(sim, 'DeleteNetworkInterface', { NetworkInterfaceId: first, ClientToken: 't' }).code).toBe(
    'InvalidParameter.ClientToken',
  )
})

test('a listing has pages, and by a tag shows a thousand at most', () => {
  const { sim } = world()
  for (let count = 0; count < 1_050; count++) made(sim, { 'Tag.1.Key': 'creator', 'Tag.1.Value': 'x' })
  const all = (more: Record<string, string>) => {
    const ids = new Set<string>()
    for (let token = ''; ; ) {
      const { body } = ecs(sim, 'DescribeNetworkInterfaces', {
        MaxResults: '500',
        ...(token === '' ? {} : { NextToken: token }),
        ...more,
      })
      const sets = body.NetworkInterfaceSets as { NetworkInterfaceSet: { NetworkInterfaceId: string }[] }
      for (const { NetworkInterfaceId } of sets.NetworkInterfaceSet) ids.add(NetworkInterfaceId)
      token = String(body.NextToken)
      if (token === '') return ids.size
    }
  }
  expect(all({ VpcId: 'vpc-1' })).toBe(1_051) // with the primary one of i-1
  expect(all({ 'Tag.1.Key': 'creator', 'Tag.1.Value': 'x' })).toBe(1_000)
})

test('a minute takes so many calls of an action, others go on', async () => {
  const { clock, sim } = world({ perMinute: { DescribeNetworkInterfaces: 2 } })
  const codes = [1, 2, 3].map(() => ecs(sim, 'DescribeNetworkInterfaces', {}).code)
  expect(codes).toEqual(['ok', 'ok', 'Throttling.User'])
  expect(ecs(sim, 'CreateNetworkInterface', CREATE).code).toBe('ok')
  await clock.advance(60_000)
  expect(ecs(sim, 'DescribeNetworkInterfaces', {}).code).toBe('ok')
})

test('ENS assigns one address a call, up to its limit, and spells In_use', () => {
  const { sim } = world({ ensAddressesPerInterface: 3 })
  const item = sim.world.makeInterface({ product: 'ens', type: 'Secondary', vSwitchID: 'vsw-ens' })
  Object.assign(item, { state: 'InUse', instanceID: 'i-ens' })
  const ens = (action: string, parameters: Record<string, string>) => {
    const answer = sim.perform('ens', action, parameters)
    if (answer === undefined || 'html' in answer) throw new Error('no answer')
    return answer
  }
  const assign = () => ens('AssignPrivateIpAddresses', { NetworkInterfaceId: item.id })
  expect([assign(), assign(), assign()].map(({ httpStatus }) => httpStatus)).toEqual([200, 200, 400])
  expect(ens('AssignPrivateIpAddresses', { NetworkInterfaceId: item.id, ClientToken: 't' }).httpStatus).toBe(400)
  expect(JSON.stringify(ens('DescribeNetworkInterfaces', { InstanceId: 'i-ens' }).body)).toContain('"In_use"')
})

test('metadata: ECS wants a token, knows the interface by its MAC; ENS has other paths and no token', async () => {
  const { clock, sim } = world()
  const id = made(sim, { SecondaryPrivateIpAddressCount: '2' })
  ecs(sim, 'AttachNetworkInterface', { NetworkInterfaceId: id, InstanceId: 'i-1' })
  await clock.advance(2_000)
  const service = new MetadataService({ world: sim.world, instanceID: 'i-1', clock })
  const url = 'http://100.100.100.200/latest/'
  const headers = { 'x-aliyun-ecs-metadata-token-ttl-seconds': '60' }
  const token = await service.fetch(new Request(`${url}api/token`, { method: 'PUT', headers })).text()
  const get = (path: string, from = service, with_ = token) =>
    from.fetch(new Request(`${url}meta-data/${path}`, { headers: { 'x-aliyun-ecs-metadata-token': with_ } }))
  expect(get('instance-id', service, 'no').status).toBe(401)
  expect(await get('instance-id').text()).toBe('i-1')
  const mac = sim.world.interfaces.get(id)?.mac
  expect(await get(`network/interfaces/macs/${mac}/gateway`).text()).toBe('192.168.63.253')
  expect(JSON.parse(await get(`network/interfaces/macs/${mac}/private-ipv4s`).text()).length).toBe(3)
  expect(get(`network/interfaces/macs/${mac}/ipv6s`).status).toBe(404)
  await clock.advance(61_000)
  expect(get('instance-id').status).toBe(401)
  const ens = new MetadataService({ world: sim.world, instanceID: 'i-ens', clock })
  expect(await get('instance/instance-id', ens).text()).toBe('i-ens')
  expect(get('instance-id', ens).status).toBe(404)
})
