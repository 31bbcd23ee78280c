/**
 * The controller is killed before and after each of its calls and writes of a scale-up and a
 * scale-down, calls go unanswered after they took effect, the cloud takes few calls, vSwitches and
 * the account fill up: the invariants hold, and an Event names the cause.
 */
import { describe, expect, test } from 'bun:test'
import type { Fault } from '../../src/cloudsim/types.ts'
import { type ModelNode, World, type WorldOptions } from './world.ts'

/** Up to 20 pods, down to 2, and quiet. Effects of the controller that it took. */
async function upAndDown(world: World, node: ModelNode): Promise<void> {
  world.start()
  node.startPods(20)
  await world.until('all pods run', () => node.pods.size === 20, 1800)
  node.stopPods(18)
  const held = () =>
    world.eniNode(node.name)?.status.interfaces.flatMap(item => [...item.addresses, ...item.releasing]).length ?? 99
  await world.until(
    'the rest is given back',
    () => held() <= 7 && (world.eniNode(node.name)?.status.operations.length ?? 1) === 0,
    3600,
  )
  await world.run(700)
}

/** Every other call, by no pattern: it took effect and was not answered. */
function unanswered(seed = 1): () => Fault | undefined {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) >>> 0 // mulberry32
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % 2 === 0 ? { kind: 'no-answer', effect: true } : undefined
  }
}

async function quiet(world: World): Promise<void> {
  expect(world.invariants.check()).toEqual([])
  const calls = world.changing().length
  await world.run(900)
  expect(world.invariants.check()).toEqual([])
  expect(world.invariants.since(calls)).toEqual([])
}

async function withNode(options: WorldOptions = {}): Promise<{ world: World; node: ModelNode }> {
  const world = await World.make(options)
  return { world, node: await world.addNode('node-1', 'ecs.u1-c1m4.xlarge') }
}

describe('killed', () => {
  test('before and after every call and write', async () => {
    const { world: whole, node } = await withNode()
    await upAndDown(whole, node)
    await quiet(whole)
    const effects = whole.effects
    expect(effects).toBeGreaterThan(30)
    for (let at = 1; at <= effects; at++) {
      const { world, node: victim } = await withNode()
      world.killAt = at
      await upAndDown(world, victim)
      expect({ at, broken: world.invariants.check() }).toEqual({ at, broken: [] })
    }
  }, 300_000)
})

describe('half of all calls unanswered after they took effect', () => {
  for (const [name, tokenSeconds] of [
    ['tokens are remembered', 86_400],
    ['tokens are forgotten at once', 0],
  ] as const) {
    test(name, async () => {
      const { world, node } = await withNode({ sim: { questions: { tokenSeconds } } })
      let turn = 0
      world.sim.fault = (): Fault | undefined => (turn++ % 2 === 0 ? { kind: 'no-answer', effect: true } : undefined)
      await upAndDown(world, node)
      world.sim.fault = () => undefined
      await world.run(120)
      await quiet(world)
    }, 300_000)
  }

  test('killed at every call as well', async () => {
    for (let at = 2; at <= 60; at += 3) {
      const { world, node } = await withNode()
      world.sim.fault = unanswered(at)
      world.killAt = at
      await upAndDown(world, node)
      world.sim.fault = () => undefined
      await world.run(700)
      expect({ at, broken: world.invariants.check() }).toEqual({ at, broken: [] })
    }
  }, 300_000)
})

test('one call a second: everything in its time, and what waits goes first', async () => {
  const { world, node } = await withNode({
    sim: { perMinute: { default: 60 } },
    eniConf: { rate_limit: { AssignPrivateIpAddresses: 60 } },
  })
  await upAndDown(world, node)
  await quiet(world)
}, 300_000)

test('five calls a minute: throttled, and no storm', async () => {
  const { world, node } = await withNode({ sim: { perMinute: { default: 5 } } })
  await upAndDown(world, node)
  await quiet(world)
  const throttled = world.sim.calls.filter(({ outcome }) => outcome.startsWith('Throttling')).length
  expect(throttled).toBeLessThan(world.sim.calls.length / 2)
}, 300_000)

test('a vSwitch is full: the Event names it; it is extended by another: interfaces are replaced and pods run', async () => {
  const { world, node } = await withNode({ eniConf: { vswitches: { 'cn-hangzhou-k': ['vsw-2'] }, max_pool_size: 2 } })
  const vSwitch = world.sim.world.vSwitches.get('vsw-2')
  if (vSwitch === undefined) throw new Error('no vsw-2')
  vSwitch.taken = world.sim.world.available(vSwitch) - 3
  world.start()
  node.startPods(6)
  await world.until('three run', () => node.pods.size === 3, 300)
  await world.run(120)
  expect(world.eniNode('node-1')?.status.conditions.find(({ type }) => type === 'SufficientAddresses')).toMatchObject({
    status: 'False',
    reason: 'VSwitchFull',
  })
  expect(
    world.events.some(
      ({ reason, message }) => reason === 'VSwitchFull' && message.includes('vsw-2') && message.includes('eni-config'),
    ),
  ).toBe(true)
  const calls = world.changing().length
  await world.run(300)
  expect(world.changing().length - calls).toBeLessThan(5)
  await world.configure({ vswitches: { 'cn-hangzhou-k': ['vsw-2', 'vsw-1'] }, max_pool_size: 2 })
  await world.until('all run', () => node.pods.size === 6, 900)
  await world.run(700)
  expect(world.eniNode('node-1')?.status.conditions.find(({ type }) => type === 'SufficientAddresses')?.status).toBe(
    'True',
  )
  await quiet(world)
}, 300_000)

test('all slots are held by interfaces of a full vSwitch: the one with the fewest pods gives way', async () => {
  const { world, node } = await withNode({ eniConf: { vswitches: { 'cn-hangzhou-k': ['vsw-2'] }, max_pool_size: 1 } })
  const vSwitch = world.sim.world.vSwitches.get('vsw-2')
  if (vSwitch === undefined) throw new Error('no vsw-2')
  world.start()
  node.startPods(12) // ten on the first interface, two on the second
  await world.until('twelve run', () => node.pods.size === 12)
  vSwitch.taken = (vSwitch.taken ?? 0) + world.sim.world.available(vSwitch)
  node.startPods(3)
  await world.run(60)
  expect(node.pods.size).toBe(12)
  await world.configure({ vswitches: { 'cn-hangzhou-k': ['vsw-1'] }, max_pool_size: 1 })
  await world.run(60)
  const leaving = world.eniNode('node-1')?.status.interfaces.filter(item => item.addresses.length === 0) ?? []
  expect(leaving.length).toBe(1)
  // its two pods end by and by, and only then it goes
  expect(world.changing()).not.toContain('DetachNetworkInterface')
  const held = new Set(leaving[0]?.releasing)
  for (const [pod, address] of [...node.pods]) if (held.has(address)) node.pods.delete(pod)
  await world.until('the three run', () => node.waiting === 0, 600)
  await world.run(700)
  await quiet(world)
}, 300_000)

test('the quota of the account is used up: told once, no storm, and on when it is raised', async () => {
  const { world, node } = await withNode()
  let full = true
  world.sim.fault = ({ action }) =>
    full && action === 'CreateNetworkInterface'
      ? { kind: 'refuse', code: 'MaxEniCountExceeded', httpStatus: 403 }
      : undefined
  world.start()
  node.startPods(5)
  await world.run(1800)
  expect(world.changing().length).toBeLessThan(8)
  const told = world.events.filter(({ reason }) => reason === 'QuotaExceeded')
  expect(told.length).toBe(1)
  expect(told[0]?.message).toContain('MaxEniCountExceeded')
  expect(told[0]?.message).toContain('raise the quota')
  expect(world.eniNode('node-1')?.status.conditions.find(({ type }) => type === 'SufficientAddresses')).toMatchObject({
    status: 'False',
    reason: 'QuotaExceeded',
  })
  full = false
  await world.until('all run', () => node.pods.size === 5, 4000)
  await world.run(700)
  await quiet(world)
}, 300_000)
