/**
 * The controller's half of pods on elastic network interfaces against the simulated cloud, in
 * virtual time.
 */
import { describe, expect, test } from 'bun:test'
import { World } from './world.ts'

describe('a node of ECS', () => {
  test('gets an ENINode, and addresses when pods wait, in as few calls as there are interfaces', async () => {
    const world = await World.make()
    const node = await world.addNode('node-1', 'ecs.g7.4xlarge')
    world.start()
    await world.until('there is an ENINode', () => world.eniNode('node-1') !== undefined)
    expect(world.eniNode('node-1')?.spec).toEqual({
      platform: 'ecs',
      instanceID: 'i-node1',
      instanceType: 'ecs.g7.4xlarge',
      regionID: 'cn-hangzhou',
      zoneID: 'cn-hangzhou-k',
      vSwitchIDs: ['vsw-1'],
      securityGroupIDs: ['sg-1'],
      ipFamilies: ['IPv4'],
      limits: { interfaces: 7, addressesPerInterface: 30 },
      pool: { minIdle: 0, maxIdle: 5, warmUp: 0 },
    })
    expect(world.changing()).toEqual([])
    node.startPods(100)
    await world.until('all pods run', () => node.pods.size === 100)
    expect(world.changing().length).toBeLessThanOrEqual(12)
    const calls = world.changing().length
    for (let turn = 0; turn < 100; turn++) {
      node.stopPods(4)
      node.startPods(4)
      await world.run(1)
    }
    await world.run(1200)
    expect(world.invariants.check()).toEqual([])
    expect(world.invariants.since(calls)).toEqual([])
  })

  test('gives back what is too much, in three steps, and whole interfaces when they are empty', async () => {
    const world = await World.make()
    const node = await world.addNode('node-1', 'ecs.g7.xlarge')
    world.start()
    node.startPods(40)
    await world.until('all pods run', () => node.pods.size === 40)
    node.stopPods(38)
    await world.until(
      'the rest is given back',
      () =>
        (world.eniNode('node-1')?.status.interfaces.flatMap(item => [...item.addresses, ...item.releasing]) ?? [])
          .length === 7,
    )
    await world.run(60)
    const calls = world.changing().length
    await world.run(1500)
    expect(world.invariants.check()).toEqual([])
    expect(world.invariants.since(calls)).toEqual([])
    expect(world.changing()).toContain('DeleteNetworkInterface')
  })
})

test('of many nodes: what their start left in memory is let go of once, not after each full read', async () => {
  let collections = 0
  const world = await World.make({ collectGarbage: () => collections++ })
  for (let number = 1; number <= 100; number++) await world.addNode(`node-${number}`, 'ecs.g7.xlarge')
  world.nodes.clear() // the controller's half alone
  world.start()
  await world.run(60)
  expect(world.eniNodes().length).toBe(100)
  expect(collections).toBe(1)
  const { length: reads } = world.sim.calls
  await world.run(1260)
  expect(world.sim.calls.length).toBeGreaterThan(reads)
  expect(collections).toBe(1)
}, 300_000)
