/**
 * An hour without API server and cloud, in virtual time: pods start and stop on the plugin's own
 * store and nothing else, the machine starts anew twice. Every start within the pool succeeds, and
 * what the store says is held against the simulated cloud, in that hour and when all is back.
 */
import { afterEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AddressStore } from '../../src/cni/address-store.ts'
import type { AttachmentRecord } from '../../src/cni/attachments.ts'
import { readInterfacePool, writeInterfacePool } from '../../src/cni/interface-pool-file.ts'
import { release, reserve } from '../../src/cni/reservation.ts'
import { poolOf } from '../../src/eni/report.ts'
import { NUMBERS } from './cloud-network.ts'
import { type ModelNode, World } from './world.ts'

const folder = mkdtempSync(join(tmpdir(), 'te-hour-'))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** A machine whose pods stand in the plugin's store; `shown` sees them as the invariants do. */
class Machine {
  readonly #state: string
  readonly #store: AddressStore
  readonly #shown: Map<string, string>
  readonly #alive = new Set<string>()
  #boot = 1
  #serial = 0

  constructor(state: string, shown: Map<string, string>) {
    this.#state = state
    this.#store = new AddressStore(state)
    this.#shown = shown
  }

  get running(): readonly string[] {
    return [...this.#alive]
  }

  get poolSize(): number {
    return readInterfacePool(this.#state)?.interfaces.flatMap(({ addresses }) => addresses).length ?? 0
  }

  /** ADD, as the plugin does it. Whether the pod got an address. */
  start(): boolean {
    const containerId = `pod-${++this.#serial}`
    const record = {
      attempt: `attempt-${this.#serial}`,
      network: 'terway-edge',
      containerId,
      interfaceName: 'eth0',
      hostInterface: `te${this.#serial}`,
      namespacePath: `/run/netns/${containerId}`,
      bootId: `boot-${this.#boot}`,
    }
    const source = { kind: 'interfaces', pool: () => readInterfacePool(this.#state), present: () => true } as const
    const isAlive = (other: AttachmentRecord) => this.#alive.has(other.containerId)
    const [given] = reserve(this.#store, [{ source, requestedAddresses: [], record }], isAlive)
    if (given === undefined || !('addresses' in given)) return false
    this.#alive.add(containerId)
    this.#shown.set(containerId, given.addresses[0] ?? '')
    return true
  }

  /** DEL. */
  stop(containerId: string): void {
    const records = this.#store.read().records.filter(record => record.containerId === containerId)
    release(
      this.#store,
      records.map(({ attempt }) => attempt),
    )
    this.#alive.delete(containerId)
    this.#shown.delete(containerId)
  }

  /** The power goes and comes: no pod is there, their records are. */
  reboot(): void {
    this.#boot++
    this.#alive.clear()
    this.#shown.clear()
  }
}

/** Numbers in [0, 1), the same each time. */
function dice(): () => number {
  let state = 7
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

async function ready(): Promise<{ world: World; node: ModelNode; machine: Machine }> {
  const world = await World.make({ eniConf: { min_pool_size: 12, max_pool_size: 14 } })
  const node = await world.addNode('node-1', 'ecs.u1-c1m4.xlarge')
  world.start()
  const attached = () => (world.eniNode('node-1')?.status.interfaces ?? []).filter(({ state }) => state === 'InUse')
  await world.until('the pool is warm', () => attached().flatMap(({ addresses }) => addresses).length >= 12)
  await world.run(60)
  const known = world.eniNode('node-1')
  if (known === undefined) throw new Error('there is no ENINode')
  writeInterfacePool(folder, poolOf(known, NUMBERS))
  return { world, node, machine: new Machine(folder, node.pods) }
}

test('pods start from the warm pool and stop for an hour, over two reboots; all holds, and after it', async () => {
  const { world, node, machine } = await ready()
  const calls = world.changing().length
  node.silent = true
  world.kill() // without the API server no controller leads
  const random = dice()
  world.sim.fault = () => ({ kind: 'no-answer', effect: false })
  const size = machine.poolSize
  expect(size).toBeGreaterThanOrEqual(12)
  let starts = 0
  let reboots = 0
  for (let step = 0; step < 720; step++) {
    await world.clock.advance(5_000)
    if (step === 240 || step === 480) {
      machine.reboot()
      reboots++
    }
    const { running } = machine
    const wantsMore = running.length === 0 || (running.length < size && random() < 0.55)
    if (wantsMore) {
      expect({ step, started: machine.start() }).toEqual({ step, started: true })
      starts++
    } else machine.stop(running[Math.floor(random() * running.length)] ?? '')
    const twice = world.invariants.check().filter(text => /^I[12]/.test(text))
    expect(twice).toEqual([])
  }
  expect([reboots, starts > 200]).toEqual([2, true])
  while (machine.running.length < size) expect(machine.start()).toBe(true) // to the last address
  expect(machine.start()).toBe(false)
  expect(world.changing().length).toBe(calls)
  expect(world.invariants.check()).toEqual([])

  world.sim.fault = () => undefined
  node.silent = false
  world.start()
  for (const pod of machine.running.slice(0, 10)) machine.stop(pod)
  await world.run(1_800)
  expect(world.invariants.check()).toEqual([])
  const quiet = world.changing().length
  await world.run(900)
  expect(world.invariants.since(quiet)).toEqual([])
  expect(world.invariants.check()).toEqual([])
}, 300_000)
