/**
 * Whole clusters by chance, in virtual time, one seed each: instance types, both answers to every
 * question that no page answers, refusals of every code in any place, lost answers, controllers
 * killed, interfaces of others and of a second cluster in the same VPC, pods that come and go.
 * While it lasts nothing may break (I1 to I5); when it is over every pod that fits runs, what is
 * too much is given back, and then there is not a single call (I6).
 *
 *   CHANCE_SEEDS=100-200 bun test ./test/eni/chance.test.ts     other seeds
 */
import { expect, test } from 'bun:test'
import { CLOUD_ACTIONS } from '../../src/cloud/actions.ts'
import type { Fault, OpenQuestions, SimCall, SimInterface } from '../../src/cloudsim/types.ts'
import { CLOUD_ERRORS } from '../../src/eni/cloud-errors.ts'
import { TYPES, ZONE } from '../cloud/world.ts'
import { seeded } from '../support/seeded.ts'
import { type ModelNode, World } from './world.ts'

/** What is drawn from one seed. */
function chance(seed: number) {
  const next = seeded(seed)
  const one = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T
  return { next, one, upTo: (most: number) => Math.floor(next() * (most + 1)), yes: (share: number) => next() < share }
}
type Chance = ReturnType<typeof chance>

const CODES = [
  ...Object.keys(CLOUD_ERRORS),
  'Nobody.Knows',
  'InvalidVSwitchId.New',
  'Some.LimitExceeded',
  'FlowControl.X',
]
const ACTIONS = CLOUD_ACTIONS.map(action => action.slice(action.indexOf(':') + 1))

function questions({ one, yes }: Chance): Partial<OpenQuestions> {
  return {
    tokenSeconds: one([0, 5, 86_400]),
    ensPrimaryCounts: yes(0.5),
    ensFullCode: one([
      'QuotaExceeded.PrivateIpAddress',
      'nobody.knows',
      'InvalidVSwitchId.IpNotEnough',
      'Eni.LimitExceeded',
    ]),
    ensInUse: one(['In_use', 'InUse', 'in use', 'INUSE']),
    ensPerMinute: one([10, 100, 100_000]),
    ensPrimaryType: one(['private', 'Private']),
    assignWhileAttaching: yes(0.5),
    listingLagMilliseconds: one([0, 0, 1_000, 4_000]),
    instanceWhileMoving: yes(0.5),
    attachFailures: one([0, 0, 1, 3]),
  }
}

interface Scene {
  readonly world: World
  readonly nodes: readonly { readonly node: ModelNode; readonly capacity: number }[]
  readonly others: readonly SimInterface[]
}

async function scene(dice: Chance): Promise<Scene> {
  const pool = { min_pool_size: dice.upTo(3), max_pool_size: 3 + dice.upTo(7), ip_warm_up_size: dice.one([0, 0, 8]) }
  const conf = { ...pool, vswitches: { [ZONE]: ['vsw-1', 'vsw-2'] }, ...(dice.yes(0.3) && { ip_stack: 'dual' }) }
  const perMinute = dice.yes(0.3) ? { default: dice.one([20, 60]) } : {}
  const world = await World.make({ eniConf: conf, sim: { questions: questions(dice), perMinute } })
  const others: SimInterface[] = []
  const foreign = (instanceID: string | undefined) => {
    const made = world.sim.world.makeInterface({ product: 'ecs', type: 'Secondary', vSwitchID: 'vsw-1', secondary: 2 })
    const tags = dice.yes(0.5)
      ? {}
      : { creator: 'terway-edge', 'terway-edge/cluster': 'cluster-2', 'terway-edge/node': 'node-0' }
    others.push(Object.assign(made, { tags, state: instanceID === undefined ? 'Available' : 'InUse', instanceID }))
  }
  foreign(undefined)
  const nodes: { node: ModelNode; capacity: number }[] = []
  const count = 1 + dice.upTo(2)
  for (let number = 0; number < count; number++) {
    const name = `node-${number}`
    if (dice.yes(0.25)) {
      const interfaces = 1 + dice.upTo(2)
      nodes.push({ node: await world.addEnsNode(name, interfaces), capacity: interfaces * 25 })
      continue
    }
    const type = dice.one(TYPES.filter(({ name: one }) => one !== 'ecs.xn4.small'))
    const node = await world.addNode(name, type.name)
    const taken = type.interfaces > 2 && dice.yes(0.4) ? 1 : 0
    if (taken > 0) foreign(`i-${name.replaceAll('-', '')}`)
    nodes.push({ node, capacity: (type.interfaces - 1 - taken) * type.ipv4PerInterface })
  }
  return { world, nodes, others }
}

/** For a time, so many of the calls of some actions go wrong. */
function trouble({ one, next, yes }: Chance): (call: SimCall) => Fault | undefined {
  const actions = new Set([one(ACTIONS), one(ACTIONS), one(ACTIONS)])
  const code = one(CODES)
  const httpStatus = one([400, 403, 404, 500, 503])
  const share = one([0.3, 1])
  const kind = one(['refuse', 'refuse', 'no-answer', 'html'] as const)
  return ({ action }) => {
    if (!actions.has(action) || next() > share) return undefined
    return kind === 'refuse' ? { kind, code, httpStatus } : { kind, effect: yes(0.5) }
  }
}

async function play(seed: number): Promise<void> {
  const dice = chance(seed)
  const { world, nodes, others } = await scene(dice)
  world.start()
  for (let act = 0; act < 6; act++) {
    world.sim.fault = dice.yes(0.7) ? trouble(dice) : () => undefined
    if (dice.yes(0.3)) world.killAt = world.effects + 1 + dice.upTo(6)
    for (const { node, capacity } of nodes) {
      const room = capacity - node.pods.size - node.waiting
      if (dice.yes(0.6)) node.startPods(dice.upTo(Math.min(40, room)))
      else node.stopPods(dice.upTo(node.pods.size))
      if (dice.yes(0.1)) node.silent = !node.silent
    }
    await world.run(30 + dice.upTo(200))
    expect(broken(world)).toEqual([])
  }
  world.sim.fault = () => undefined
  for (const { node } of nodes) node.silent = false
  await world.until('all that fit run', () => nodes.every(({ node }) => node.waiting === 0), 7200)
  await world.run(1500)
  expect(world.invariants.check()).toEqual([])
  const calls = world.changing().length
  await world.run(900)
  expect(world.invariants.since(calls)).toEqual([])
  for (const { node } of nodes) {
    const eni = world.eniNode(node.name)
    const most = (eni?.spec.pool.maxIdle ?? 0) + node.pods.size
    const kept = (eni?.status.interfaces ?? [])
      .flatMap(item => item.addresses)
      .filter(address => !address.includes(':'))
    expect([node.name, kept.length <= Math.max(most, eni?.status.interfaces.length ?? 0)]).toEqual([node.name, true])
  }
  for (const other of others) expect(world.sim.world.interfaces.get(other.id)).toEqual(other)
  world.kill()
}

/** In the middle of things I3 and I4 may wait for a reading, the others may not. */
function broken(world: World): readonly string[] {
  return world.invariants.check().filter(text => !/^I[34]/.test(text))
}

const [first = 1, last = 8] = (process.env.CHANCE_SEEDS ?? '1-8').split('-').map(Number)
for (let seed = first; seed <= last; seed++) {
  test(`seed ${seed}`, () => play(seed), 300_000)
}
