/**
 * An hour of ordinary life, in virtual time, says nothing: packets get lost now and then, processes
 * are restarted one after the other, machines are busy for some seconds, nodes come and go, another
 * controller leads. And in the same site a fault is named within ten seconds.
 */

import { expect, test } from 'bun:test'
import { FakeClock } from '../support/fake-clock.ts'
import { seeded } from '../support/seeded.ts'
import { VirtualSite } from './virtual-site.ts'

const LANS = { 'lan-a': ['a1', 'a2', 'a3', 'a4'], 'lan-b': ['b1', 'b2'], 'lan-c': ['c1'] } as const
const NODES = Object.values(LANS).flat()
const [FIRST, SECOND] = ['192.168.0.10', '192.168.0.11'] as const
const SECONDS = 1000
const MINUTES = 60 * SECONDS

test('an hour of restarts, rollouts, joins, busy machines and another leader: nothing is said', async () => {
  const clock = new FakeClock()
  const site = new VirtualSite(clock, seeded(7), { lans: LANS, controllers: [FIRST, SECOND] })
  const said: string[] = []
  const pass = async (milliseconds: number) => {
    for (let left = milliseconds; left > 0; left -= SECONDS) {
      await clock.advance(Math.min(left, SECONDS))
      said.push(...site.findings())
    }
  }
  site.leader = FIRST
  for (const name of [...NODES, FIRST, SECOND]) site.start(name)
  await pass(5 * MINUTES)

  // a rollout: each in turn is away for as long as an image takes to start
  for (const node of NODES) {
    await site.stop(node)
    await pass(20 * SECONDS)
    site.start(node)
    await pass(40 * SECONDS)
  }
  await pass(3 * MINUTES)

  // the leader's process ends, and half a minute later another leads
  await site.stop(FIRST)
  await pass(30 * SECONDS)
  site.leader = SECOND
  site.wakeAll()
  site.start(FIRST)
  await pass(5 * MINUTES)
  // and then its machine is off
  await site.powerOff(SECOND)
  await pass(35 * SECONDS)
  site.leader = FIRST
  site.wakeAll()
  await pass(5 * MINUTES)

  // busy machines: nobody is heard for four seconds
  for (const node of ['a2', 'b1', 'c1']) {
    site.stall(node, 4 * SECONDS)
    await pass(MINUTES)
  }

  // a node leaves: drained, deleted, then off; later it comes back
  site.leave('a4')
  site.wakeAll()
  await pass(5 * SECONDS)
  await site.powerOff('a4')
  await pass(5 * MINUTES)
  site.join('a4')
  site.wakeAll()
  site.start('a4')
  await pass(5 * MINUTES)

  // a line that loses one packet of fifty
  site.lossOneIn = 50
  await pass(15 * MINUTES)
  site.lossOneIn = 500
  await pass(5 * MINUTES)
  expect(said).toEqual([])
  // and all of that was measured
  for (const name of [...NODES, FIRST]) expect(site.known(name)).toBeGreaterThan(0)

  // a fault of the same site is named: the machine of a2 is off
  await site.powerOff('a2')
  await clock.advance(10 * SECONDS)
  expect(site.findings().join('\n')).toContain('a2, a neighbour')
  await site.close()
}, 300_000)
