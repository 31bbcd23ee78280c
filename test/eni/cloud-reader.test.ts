/** How often the cloud is asked what there is, when many nodes ask. */
import { expect, test } from 'bun:test'
import type { CloudApi } from '../../src/cloud/cloud-api.ts'
import { CloudReader, type ReadTarget } from '../../src/eni/cloud-reader.ts'
import { TokenBuckets } from '../../src/eni/token-buckets.ts'
import { sleep } from '../../src/lib/clock.ts'
import { DirectCloud, REGION, simulator, ZONE } from '../cloud/world.ts'
import { FakeClock } from '../support/fake-clock.ts'

function targetOf(instanceID: string): ReadTarget {
  const target = { platform: 'ecs', regionID: REGION, instanceID, vSwitchIDs: ['vsw-1'] } as const
  return { ...target, interfaceIDs: [], urgent: false, name: instanceID, claims: () => false }
}

test('nodes that ask while a listing is under way share the next one, which began after they asked', async () => {
  const clock = new FakeClock()
  const sim = simulator(clock)
  const direct = new DirectCloud(sim)
  let [running, most, listings] = [0, 0, 0]
  const slow: CloudApi = {
    async call(call) {
      if (call.action !== 'ecs:DescribeNetworkInterfaces') return await direct.call(call)
      running++
      listings++
      most = Math.max(most, running)
      const answer = await direct.call(call) // as it was when it was asked
      await sleep(clock, 2_000)
      running--
      return answer
    },
    close() {},
  }
  const buckets = new TokenBuckets(() => ({}))
  const reader = new CloudReader({ cloud: slow, clock, buckets, onListing: () => {}, onCall: () => {} })
  const ask = (number: number) => {
    const instanceID = `i-${number}`
    sim.world.addInstance(
      { id: instanceID, product: 'ecs', type: 'ecs.g7.xlarge', vpcID: 'vpc-1', zoneID: ZONE },
      'vsw-node',
    )
    return reader.interfaces(targetOf(instanceID))
  }
  const answers: Promise<readonly { readonly instanceID: string | undefined }[]>[] = []
  for (let number = 1; number <= 40; number++) {
    answers.push(ask(number))
    await clock.advance(150)
  }
  await clock.advance(10_000)
  const found = await Promise.all(answers)
  expect(found.map(([first]) => first?.instanceID)).toEqual(answers.map((_, index) => `i-${index + 1}`))
  expect(most).toBe(1)
  expect(listings).toBeLessThanOrEqual(6)
})

test.each([
  ['Throttling.User', 400, 3],
  ['Forbidden.RAM', 403, 14],
  ['Nobody.Knows', 400, 14],
])(
  '%s while many nodes ask: one finds it out for all, and it is asked again in its time',
  async (code, httpStatus, most) => {
    const clock = new FakeClock()
    const sim = simulator(clock)
    let isOver = false
    sim.fault = ({ action }) =>
      action === 'DescribeNetworkInterfaces' && !isOver ? { kind: 'refuse', code, httpStatus } : undefined
    const calls: string[] = []
    const buckets = new TokenBuckets(() => ({}))
    const cloud = new DirectCloud(sim)
    const reader = new CloudReader({ cloud, clock, buckets, onListing: () => {}, onCall: action => calls.push(action) })
    const refused: unknown[] = []
    for (let second = 0; second < 120; second++) {
      for (let number = 0; number < 10; number++)
        reader.interfaces(targetOf(`i-${second}-${number}`)).catch((error: unknown) => refused.push(error))
      await clock.advance(1_000)
    }
    await Bun.sleep(0) // the last of them are told
    expect(refused.length).toBe(1200)
    expect(String(refused[0])).toContain(code)
    const listings = () => calls.filter(action => action === 'ecs:DescribeNetworkInterfaces').length
    expect(listings()).toBeGreaterThan(0)
    expect(listings()).toBeLessThanOrEqual(most)
    isOver = true
    await clock.advance(60_000)
    const listed = reader.interfaces(targetOf('i-1'))
    await clock.advance(1_000)
    expect(await listed).toEqual([])
  },
)
