/** Each invariant is one that can be broken, and is then named. */
import { expect, test } from 'bun:test'
import { Invariants } from '../../src/cloudsim/invariants.ts'
import type { ENINodeStatus, ENIOperation } from '../../src/kube/eni-node.ts'
import { REGION, simulator } from '../cloud/world.ts'
import { FakeClock } from '../support/fake-clock.ts'

const CREATE = {
  RegionId: REGION,
  VSwitchId: 'vsw-1',
  'SecurityGroupIds.1': 'sg-1',
  SecondaryPrivateIpAddressCount: '2',
}

test('I1 to I6', () => {
  const sim = simulator(new FakeClock())
  const pods: [string, string][] = []
  let status: ENINodeStatus = { interfaces: [], operations: [], node: undefined, conditions: [] }
  const invariants = new Invariants(sim, {
    pods: () => pods,
    eniNodes: () => [{ name: 'n', status }],
    isOurs: ({ type }) => type === 'Secondary',
  })
  const record = (action: ENIOperation['action'], parameters: Record<string, string>) => {
    status = { ...status, operations: [{ action, parameters, token: '', since: '' }] }
  }
  record('CreateNetworkInterface', CREATE)
  sim.perform('ecs', 'CreateNetworkInterface', CREATE)
  expect(invariants.broken).toEqual([])
  const [made] = [...sim.world.interfaces.values()]
  if (made === undefined) throw new Error('nothing was made')
  expect(invariants.check()).toEqual([`I3: ${made.id} (Available) is in no ENINode`])
  const [first = '', second = '', third = ''] = made.ipv4
  const item = {
    id: made.id,
    mac: made.mac,
    vSwitchID: 'vsw-1',
    state: 'Available',
    gateways: [],
    addresses: [first],
    releasing: [second],
  } as const
  status = { ...status, interfaces: [item] }
  expect(invariants.check()).toEqual([`I4: ${third} of ${made.id} is neither in addresses nor in releasing`])
  status = { ...status, interfaces: [{ ...item, addresses: [first, third] }] }
  expect(invariants.check()).toEqual([])
  pods.push(['a', first], ['b', first])
  expect(invariants.check()).toEqual([`I1: ${first} is on the pods a and b`])
  pods.splice(0, 2, ['a', second])
  const calls = invariants.changingCalls().length
  sim.perform('ecs', 'UnassignPrivateIpAddresses', {
    RegionId: REGION,
    NetworkInterfaceId: made.id,
    'PrivateIpAddress.1': second,
  })
  expect(invariants.broken.map(text => text.slice(0, 2))).toEqual(['I5', 'I2'])
  expect(invariants.since(calls)).toEqual(['I6: UnassignPrivateIpAddresses (ok) in a steady state'])
})
