/**
 * What happens around the interfaces of nodes: ENS, others' interfaces, nodes that go, refusals of
 * every kind, questions with no known answer.
 */
import { describe, expect, test } from 'bun:test'
import type { SimInterface } from '../../src/cloudsim/types.ts'
import { ENI_NODES, NODES } from '../../src/kube/resources.ts'
import { REGION, ZONE } from '../cloud/world.ts'
import { World, type WorldOptions } from './world.ts'

async function quiet(world: World): Promise<void> {
  expect(world.invariants.check()).toEqual([])
  const calls = world.changing().length
  await world.run(900)
  expect(world.invariants.check()).toEqual([])
  expect(world.invariants.since(calls)).toEqual([])
}

function condition(world: World, name = 'node-1', type = 'SufficientAddresses') {
  return world.eniNode(name)?.status.conditions.find(item => item.type === type)
}

describe('ENS', () => {
  for (const [what, questions] of [
    ['the primary address counts', { ensPrimaryCounts: true }],
    ['it does not count, and no page names the code', { ensPrimaryCounts: false, ensFullCode: 'ens.nobody.knows' }],
    ['the state is spelled otherwise', { ensInUse: 'InUse' }],
    ['the interface is full with a code of nobody', { ensFullCode: 'Eni.Full' }],
    ['few calls a minute', { ensPerMinute: 10 }],
  ] as const) {
    test(`4 interfaces, 75 pods, one address a call, nothing attached: ${what}`, async () => {
      const world = await World.make({ sim: { questions } })
      const node = await world.addEnsNode('ens-1', 3)
      world.start()
      node.startPods(80)
      await world.until('75 pods run', () => node.pods.size === 75, 3600)
      await world.run(120)
      expect(node.pods.size).toBe(75)
      expect(new Set(world.changing())).toEqual(new Set(['AssignPrivateIpAddresses']))
      expect(condition(world, 'ens-1')).toMatchObject({ status: 'False', reason: 'CapacityReached' })
      node.stopWaiting()
      node.stopPods(70)
      await world.until(
        'what is too much is given back',
        () =>
          (world.eniNode('ens-1')?.status.interfaces.flatMap(item => [...item.addresses, ...item.releasing]).length ??
            99) <= 10,
        3600,
      )
      await world.run(600)
      await quiet(world)
      expect(world.changing().filter(action => !/Assign|Unassign/.test(action))).toEqual([])
    }, 300_000)
  }

  test('the cloud takes fewer than its page says: what it gives is used, and it is not asked without end', async () => {
    const world = await World.make({ sim: { ensAddressesPerInterface: 20, questions: { ensFullCode: 'who.knows' } } })
    const node = await world.addEnsNode('ens-1', 2)
    world.start()
    node.startPods(50)
    await world.run(1200)
    expect(node.pods.size).toBe(40)
    const calls = world.changing().length
    await world.run(3600)
    expect(world.changing().length - calls).toBeLessThan(30)
    expect(world.invariants.check()).toEqual([])
  }, 300_000)

  test('half of the calls unanswered after they took effect: what was given is adopted', async () => {
    const world = await World.make()
    const node = await world.addEnsNode('ens-1', 3)
    let turn = 0
    world.sim.fault = ({ action }) =>
      action.startsWith('Assign') && turn++ % 2 === 0 ? { kind: 'no-answer', effect: true } : undefined
    world.start()
    node.startPods(30)
    await world.until('30 pods run', () => node.pods.size === 30, 1800)
    world.sim.fault = () => undefined
    await world.run(600)
    await quiet(world)
  }, 300_000)
})

describe('interfaces of others', () => {
  function foreign(world: World, instanceID: string, tags: Record<string, string>): SimInterface {
    const made = world.sim.world.makeInterface({ product: 'ecs', type: 'Secondary', vSwitchID: 'vsw-1' })
    return Object.assign(made, { state: 'InUse', instanceID, tags })
  }

  test('they take slots and are left alone: of a user, of another cluster, excluded, of a service', async () => {
    const world = await World.make()
    const node = await world.addNode('node-1', 'ecs.g7.4xlarge')
    const ours = { creator: 'terway-edge', 'terway-edge/cluster': 'cluster-1' }
    const others = [
      foreign(world, 'i-node1', {}),
      foreign(world, 'i-node1', { creator: 'terway-edge', 'terway-edge/cluster': 'cluster-2' }),
      Object.assign(foreign(world, 'i-node1', {}), { serviceManaged: true }),
      Object.assign(
        foreign(world, 'i-node1', {
          creator: 'terway-edge',
          'terway-edge/cluster': 'cluster-2',
          'terway-edge/node': 'node-1',
        }),
        { state: 'Available', instanceID: undefined },
      ),
    ]
    const excluded = foreign(world, 'i-node1', { creator: 'x', 'terway.alibabacloud.com/excluded': 'true' })
    expect(ours.creator).toBe('terway-edge')
    world.start()
    node.startPods(200)
    await world.run(300)
    expect(node.pods.size).toBe(90) // three of seven slots
    expect(world.eniNode('node-1')?.status.interfaces.length).toBe(3)
    for (const item of [...others, excluded]) expect(world.sim.world.interfaces.get(item.id)?.ipv4).toEqual(item.ipv4)
    expect(condition(world)).toMatchObject({ status: 'False' })
    node.stopWaiting()
    node.stopPods(85)
    await world.run(600)
    for (const item of [...others, excluded]) expect(world.sim.world.interfaces.has(item.id)).toBe(true)
    await quiet(world)
  }, 300_000)

  test('somebody attaches one in between: ours that finds no slot is not leaked', async () => {
    const world = await World.make()
    const node = await world.addNode('node-1', 'ecs.g6.large')
    let other: SimInterface | undefined
    world.sim.fault = ({ action }) => {
      if (action === 'AttachNetworkInterface') other ??= foreign(world, 'i-node1', {})
      return undefined
    }
    world.start()
    node.startPods(3)
    await world.run(300)
    expect(world.events.some(({ reason }) => reason === 'InstanceFull')).toBe(true)
    await world.run(900)
    expect(world.eniNode('node-1')?.status.interfaces).toEqual([])
    expect(world.invariants.check()).toEqual([])
    const calls = world.changing().length
    await world.run(1200)
    expect(world.changing().length - calls).toBeLessThan(8)
    if (other !== undefined) world.sim.world.interfaces.delete(other.id)
    await world.until('the pods run', () => node.pods.size === 3, 4000)
    await world.run(600)
    await quiet(world)
  }, 300_000)
})

describe('a node that goes', () => {
  async function busy(options: WorldOptions = {}) {
    const world = await World.make(options)
    const node = await world.addNode('node-1', 'ecs.u1-c1m4.xlarge')
    world.start()
    node.startPods(12)
    await world.until('pods run', () => node.pods.size === 12)
    return { world, node }
  }

  test('its Node is deleted while it works on: nothing is taken; when it has left, all is given back', async () => {
    const { world, node } = await busy()
    await world.kube.delete(NODES, 'node-1')
    const calls = world.changing().length
    await world.run(3600)
    expect(world.changing().length).toBe(calls)
    node.pods.clear()
    node.left = true
    await world.until('the ENINode is gone', () => world.eniNode('node-1') === undefined, 600)
    await world.run(60)
    expect([...world.sim.world.interfaces.values()].filter(({ tags }) => tags.creator === 'terway-edge')).toEqual([])
    world.nodes.clear()
    await quiet(world)
  }, 300_000)

  test('it is silent: everything stays, for ever', async () => {
    const { world, node } = await busy({ eniConf: { max_pool_size: 1 } })
    node.stopPods(10)
    node.silent = true
    await world.run(7200)
    expect(
      world.eniNode('node-1')?.status.interfaces.flatMap(item => [...item.addresses, ...item.releasing]).length,
    ).toBe(12)
    expect(world.changing().filter(action => /Detach|Delete|Unassign/.test(action))).toEqual([])
    expect(world.invariants.check()).toEqual([])
  }, 300_000)

  test('its instance was released: interfaces that are left unattached are deleted with it', async () => {
    const { world, node } = await busy()
    for (const item of world.sim.world.interfaces.values())
      if (item.tags.creator === 'terway-edge') item.deleteOnRelease = false
    node.silent = true
    node.pods.clear()
    world.sim.world.removeInstance('i-node1')
    await world.kube.delete(NODES, 'node-1')
    await world.until('the ENINode is gone', () => world.eniNode('node-1') === undefined, 1800)
    expect([...world.sim.world.interfaces.values()].filter(({ tags }) => tags.creator === 'terway-edge')).toEqual([])
  }, 300_000)

  test('one that is said to be of route mode keeps its interfaces while pods use them', async () => {
    const { world, node } = await busy()
    await world.kube.mergePatch(NODES, 'node-1', {
      metadata: { labels: { 'alibabacloud.com/is-edge-worker': 'true' } },
    })
    await world.run(300)
    expect(world.events.some(({ reason }) => reason === 'ModeChangeRefused')).toBe(true)
    expect(world.eniNode('node-1')?.status.interfaces.length).toBe(2)
    node.stopPods(12)
    node.left = true
    await world.until('the ENINode is gone', () => world.eniNode('node-1') === undefined, 1800)
    expect(world.invariants.check()).toEqual([])
  }, 300_000)

  test('an interface of ours that nobody names is given back after a while, with a record', async () => {
    const { world } = await busy()
    const lost = world.sim.world.makeInterface({ product: 'ecs', type: 'Secondary', vSwitchID: 'vsw-1' })
    const tags = {
      creator: 'terway-edge',
      'terway-edge/cluster': 'cluster-1',
      'terway-edge/instance': 'i-old',
      'terway-edge/node': 'node-old',
    }
    Object.assign(lost, { tags })
    await world.run(2700)
    expect(world.sim.world.interfaces.has(lost.id)).toBe(false)
    expect(world.eniNode('node-old')).toBeUndefined()
    await quiet(world)
  }, 300_000)

  test('so is one that bears the name of a Node in route mode, which never has an ENINode, or of no node at all', async () => {
    const { world } = await busy()
    const metadata = { name: 'edge-1', labels: { 'alibabacloud.com/is-edge-worker': 'true' } }
    await world.kube.create(NODES, { apiVersion: 'v1', kind: 'Node', metadata } as never)
    const lost = ['edge-1', 'No Node!'].map(node => {
      const made = world.sim.world.makeInterface({ product: 'ecs', type: 'Secondary', vSwitchID: 'vsw-1' })
      const ours = { creator: 'terway-edge', 'terway-edge/cluster': 'cluster-1', 'terway-edge/node': node }
      return Object.assign(made, { tags: { ...ours, 'terway-edge/instance': `i-of ${node}` } })
    })
    const named = new Set<string>()
    const eniNodes = world.kube.cache(ENI_NODES)
    eniNodes.onChange(() => {
      for (const name of eniNodes.objects.keys()) named.add(name)
    })
    await world.run(2700)
    eniNodes.close()
    for (const { id } of lost) expect(world.sim.world.interfaces.has(id)).toBe(false)
    expect([...named].sort()).toEqual([...lost.map(({ id }) => id), 'node-1'].sort())
    expect(world.eniNodes().map(({ name }) => name)).toEqual(['node-1'])
    await quiet(world)
  }, 300_000)

  test('its instance comes back under another name: each has what was made for it, and nothing of it is taken', async () => {
    const { world, node } = await busy()
    await world.kube.delete(NODES, 'node-1')
    const renamed = await world.addNode('node-2', 'ecs.u1-c1m4.xlarge', { instanceID: 'i-node1' })
    renamed.startPods(8)
    await world.run(1800)
    const ofBoth = world.eniNodes().flatMap(({ status }) => status.interfaces.map(({ id }) => id))
    expect(new Set(ofBoth).size).toBe(ofBoth.length)
    expect(world.changing().filter(action => /Detach|Delete|Unassign/.test(action))).toEqual([])
    expect(world.invariants.check()).toEqual([])
    node.pods.clear()
    node.left = true
    await world.until('the former ENINode is gone', () => world.eniNode('node-1') === undefined, 600)
    world.nodes.delete('node-1')
    await world.until('pods run', () => renamed.pods.size === 8, 1200)
    await world.run(600)
    await quiet(world)
  }, 300_000)
})

describe('refusals', () => {
  test.each([
    ['Forbidden.RAM', 403, 'CreateNetworkInterface', 'Forbidden', 'ram-policy'],
    ['SomethingNew.Odd', 400, 'CreateNetworkInterface', 'CloudError', 'SomethingNew.Odd'],
    ['InvalidSecurityGroupId.NotFound', 404, 'CreateNetworkInterface', 'WrongConfiguration', 'security_groups'],
    ['InvalidVSwitchId.NotFound', 404, 'CreateNetworkInterface', 'WrongConfiguration', 'vswitches'],
    ['SecurityGroupInstanceLimitExceed', 403, 'CreateNetworkInterface', 'QuotaExceeded', 'security group'],
    ['QuotaExceeded.PrivateIpAddress', 403, 'AssignPrivateIpAddresses', 'VSwitchFull', 'vsw-1'],
    ['InvalidOperation.InvalidEcsState', 400, 'AttachNetworkInterface', undefined, ''],
    ['Operation.Conflict', 403, 'AttachNetworkInterface', undefined, ''],
    ['IdempotentFailed', 400, 'CreateNetworkInterface', undefined, ''],
    ['InternalError', 500, 'AttachNetworkInterface', undefined, ''],
    ['ServiceUnavailable', 503, 'CreateNetworkInterface', undefined, ''],
    // in places that no page names
    ['InvalidOperation.AvailabilityZoneMismatch', 403, 'AttachNetworkInterface', 'WrongConfiguration', 'zone'],
    ['MaxEniCountExceeded', 403, 'AttachNetworkInterface', 'QuotaExceeded', 'quota'],
    ['InvalidVSwitchId.IpNotEnough', 403, 'AttachNetworkInterface', 'VSwitchFull', 'vsw-1'],
    ['Some.LimitExceeded', 403, 'AssignPrivateIpAddresses', 'QuotaExceeded', 'quota'],
    ['EniPerInstanceLimitExceeded', 403, 'AssignPrivateIpAddresses', 'InstanceFull', 'instance'],
    ['InvalidSecurityGroupId.NotFound', 404, 'AssignPrivateIpAddresses', 'WrongConfiguration', 'security_groups'],
  ])(
    '%s (%p) of %s: bounded, told, and on when it is over',
    async (code, httpStatus, action, reason, says) => {
      const world = await World.make({ eniConf: { max_pool_size: 1 } })
      const node = await world.addNode('node-1', 'ecs.u1-c1m4.xlarge')
      let on = true
      world.sim.fault = call => (on && call.action === action ? { kind: 'refuse', code, httpStatus } : undefined)
      world.start()
      node.startPods(1)
      await world.run(60)
      node.startPods(11)
      await world.run(1740)
      const made = world.changing().filter(name => name === action).length
      expect(made).toBeGreaterThan(0)
      expect(made).toBeLessThan(700)
      if (reason !== undefined) {
        const told = world.events.filter(event => event.reason === reason)
        expect(told.length).toBeGreaterThan(0)
        expect(told.length).toBeLessThan(5)
        expect(told[0]?.message).toContain(code)
        expect(told[0]?.message).toContain(says)
        expect(made).toBeLessThan(30)
      }
      on = false
      await world.until('all pods run', () => node.pods.size === 12, 4000)
      await world.run(700)
      await quiet(world)
    },
    300_000,
  )
})

describe('the rest', () => {
  test('both families: as many of each on an interface', async () => {
    const world = await World.make({ eniConf: { ip_stack: 'dual', max_pool_size: 2 } })
    const node = await world.addNode('node-1', 'ecs.g7.xlarge')
    const single = await world.addNode('node-2', 'ecs.u1-c1m4.xlarge')
    world.start()
    node.startPods(20)
    single.startPods(1)
    await world.until('all run', () => node.pods.size === 20 && single.pods.size === 1, 600)
    expect(world.eniNode('node-1')?.spec.ipFamilies).toEqual(['IPv4', 'IPv6'])
    expect(world.eniNode('node-2')?.spec.ipFamilies).toEqual(['IPv4'])
    await world.run(120)
    for (const { addresses } of world.eniNode('node-1')?.status.interfaces ?? [])
      expect(addresses.filter(address => address.includes(':')).length).toBe(
        addresses.filter(address => !address.includes(':')).length,
      )
    node.stopPods(15)
    await world.run(900)
    await quiet(world)
  }, 300_000)

  test('both families on a large type: addresses that are asked for ten a call count, and no interface too many is made', async () => {
    const world = await World.make({ eniConf: { ip_stack: 'dual', max_pool_size: 5 } })
    const node = await world.addNode('node-1', 'ecs.g7.4xlarge')
    world.start()
    node.startPods(200)
    await world.until('all run', () => node.pods.size === 200, 600)
    await world.run(120)
    const made = world.invariants.changingCalls().filter(({ action }) => /Create|Attach/.test(action))
    expect(made.map(({ outcome }) => outcome)).toEqual(Array<string>(14).fill('ok'))
    await quiet(world)
  }, 300_000)

  test('an attaching that comes to nothing is not begun again at once, and told', async () => {
    const world = await World.make({ sim: { questions: { attachFailures: 6 } } })
    const node = await world.addNode('node-1', 'ecs.g7.xlarge')
    world.start()
    node.startPods(3)
    await world.run(600)
    const attached = () => world.changing().filter(action => action === 'AttachNetworkInterface').length
    expect(attached()).toBeGreaterThan(3)
    expect(attached()).toBeLessThan(8)
    expect(world.events.filter(({ message }) => message.includes('was not attached')).length).toBeGreaterThan(0)
    expect(condition(world)?.message).toContain('was not attached')
    await world.until('the pods run', () => node.pods.size === 3, 3600)
    await world.run(600)
    await quiet(world)
  }, 300_000)

  test('the instance of a Node is another: what the former one holds is of no use, and is left alone', async () => {
    const world = await World.make()
    const node = await world.addNode('node-1', 'ecs.g7.xlarge')
    world.start()
    node.startPods(5)
    await world.until('all run', () => node.pods.size === 5)
    const former = [...world.sim.world.interfaces.values()].filter(({ tags }) => tags.creator === 'terway-edge')
    node.pods.clear() // a machine of the same name, without them
    node.elsewhere = new Set(former.map(({ id }) => id))
    const instance = { id: 'i-second', product: 'ecs', type: 'ecs.g7.xlarge', vpcID: 'vpc-1', zoneID: ZONE } as const
    world.sim.world.addInstance(instance, 'vsw-node')
    await world.kube.mergePatch(NODES, 'node-1', { spec: { providerID: `${REGION}.i-second` } })
    node.startPods(8)
    await world.until('all run there', () => node.pods.size === 8)
    for (const item of former) expect(world.sim.world.interfaces.get(item.id)?.instanceID).toBe('i-node1')
    expect(world.invariants.check()).toEqual([])
  }, 300_000)

  test('no calls: nothing is changed; no releases: nothing is given back', async () => {
    const still = await World.make({ degradation: 'no-calls' })
    const first = await still.addNode('node-1', 'ecs.g7.xlarge')
    still.start()
    first.startPods(5)
    await still.run(300)
    expect(still.changing()).toEqual([])
    expect(condition(still)?.reason).toBe('Degraded')
    const keeping = await World.make({ degradation: 'no-releases', eniConf: { max_pool_size: 1 } })
    const second = await keeping.addNode('node-1', 'ecs.g7.xlarge')
    keeping.start()
    second.startPods(20)
    await keeping.until('all run', () => second.pods.size === 20)
    second.stopPods(20)
    await keeping.run(900)
    expect(keeping.changing().filter(action => /Detach|Delete|Unassign/.test(action))).toEqual([])
  }, 300_000)

  test('warms up once', async () => {
    const world = await World.make({ eniConf: { ip_warm_up_size: 20, max_pool_size: 3 } })
    const node = await world.addNode('node-1', 'ecs.g7.xlarge')
    world.start()
    await world.until(
      'warm',
      () => (world.eniNode('node-1')?.status.interfaces.flatMap(({ addresses }) => addresses).length ?? 0) >= 20,
    )
    node.startPods(1)
    await world.run(900)
    expect(world.eniNode('node-1')?.status.interfaces.flatMap(({ addresses }) => addresses).length).toBe(4)
    await quiet(world)
  }, 300_000)

  test('an interface that vanishes is told, and made anew', async () => {
    const world = await World.make()
    const node = await world.addNode('node-1', 'ecs.g7.xlarge')
    world.start()
    node.startPods(5)
    await world.until('all run', () => node.pods.size === 5)
    const [gone] = world.eniNode('node-1')?.status.interfaces ?? []
    node.pods.clear()
    world.sim.world.interfaces.delete(gone?.id ?? '')
    await world.run(700)
    expect(
      world.events.some(({ reason, message }) => reason === 'InterfaceGone' && message.includes(gone?.id ?? '?')),
    ).toBe(true)
    node.startPods(5)
    await world.until('all run again', () => node.pods.size === 5)
    await world.run(600)
    await quiet(world)
  }, 300_000)

  test('a wrong or missing configuration is said, and a key in it refused', async () => {
    const world = await World.make({ eniConf: { access_key: 'LTAI', vswitches: { 'another-zone': ['vsw-1'] } } })
    await world.addNode('node-1', 'ecs.g7.xlarge')
    world.start()
    await world.run(60)
    expect(world.controller.view().problems.join()).toContain('keys do not belong into a ConfigMap')
    await world.configure({ vswitches: { 'another-zone': ['vsw-1'] } })
    await world.run(60)
    expect(world.controller.view().problems.join()).toContain('eni-config names no vSwitch of zone cn-hangzhou-k')
    expect(world.changing()).toEqual([])
    await world.addNode('node-2', 'ecs.of-no-kind')
    await world.run(60)
    expect(world.controller.view().problems.join()).toContain('the cloud knows no instance type ecs.of-no-kind')
  }, 300_000)
})
