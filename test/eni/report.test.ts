/** What a node says of its addresses and when, and that it writes at most once a second. */
import { expect, test } from 'bun:test'
import { isDue, poolOf, reportOf } from '../../src/eni/report.ts'
import { ReportWriter } from '../../src/eni/report-writer.ts'
import type { ENINode, ENINodeReport } from '../../src/kube/eni-node.ts'
import { silentLog } from '../../src/lib/log.ts'
import { FakeClock } from '../support/fake-clock.ts'

const NUMBERS = {
  protocol: 187,
  pods: { priority: 512, table: 512 },
  marked: { priority: 600, table: 600, mark: 16 },
  interfaces: { priority: 2048, tableBase: 1000 },
}
const ADDRESSES = ['192.168.32.10', '192.168.32.11', '192.168.32.12', '192.168.32.13']

const NODE: ENINode = {
  name: 'node-1',
  uid: 'uid-1',
  spec: {
    platform: 'ecs',
    instanceID: 'i-1',
    instanceType: 'ecs.g7.large',
    regionID: 'cn-hangzhou',
    zoneID: 'cn-hangzhou-k',
    vSwitchIDs: ['vsw-1'],
    securityGroupIDs: ['sg-1'],
    ipFamilies: ['IPv4'],
    limits: { interfaces: 2, addressesPerInterface: 6 },
    pool: { minIdle: 2, maxIdle: 4, warmUp: 0 },
  },
  status: {
    interfaces: [
      {
        id: 'eni-1',
        mac: '00:16:3e:00:00:01',
        vSwitchID: 'vsw-1',
        state: 'InUse',
        gateways: ['192.168.63.253'],
        addresses: ADDRESSES,
        releasing: ['192.168.32.14', '192.168.32.15'],
      },
      {
        id: 'eni-2',
        mac: '00:16:3e:00:00:02',
        vSwitchID: 'vsw-1',
        state: 'Attaching',
        gateways: ['192.168.63.253'],
        addresses: ['192.168.32.20'],
        releasing: [],
      },
    ],
    operations: [],
    node: undefined,
    conditions: [],
  },
}

function report(taken: readonly string[], more: { waiting?: number; freed?: string[]; left?: boolean } = {}) {
  const { waiting = 0, freed = [], left = false } = more
  return reportOf(NODE, { addresses: new Set(taken), pods: taken.length, waiting, freed }, left)
}

test('the plugin gets what is attached and not to leave, with the reason for a shortage', () => {
  expect(poolOf(NODE, NUMBERS)).toEqual({
    numbers: NUMBERS,
    dualStack: false,
    interfaces: [{ id: 'eni-1', mac: '00:16:3e:00:00:01', gateways: ['192.168.63.253'], addresses: ADDRESSES }],
  })
  const condition = {
    status: 'False',
    reason: 'VSwitchFull',
    message: 'vsw-1 is full',
    lastTransitionTime: '',
  } as const
  const conditions = [{ type: 'SufficientAddresses', ...condition }]
  expect(poolOf({ ...NODE, status: { ...NODE.status, conditions } }, NUMBERS).shortage).toBe(
    'VSwitchFull: vsw-1 is full',
  )
})

test('released is what is to leave and no pod has; idle is told with the longest idle first', () => {
  const [a = '', b = '', c = '', d = ''] = ADDRESSES
  expect(report([a, '192.168.32.14'], { freed: [c] })).toEqual({
    inUse: 2,
    waiting: 0,
    released: ['192.168.32.15'],
    idle: [b, d, c],
    left: false,
  })
  expect(report([a], { left: true }).left).toBe(false)
  expect(report([], { left: true }).left).toBe(true)
})

test('starts and stops within the bounds are not due; who waits, what may leave and touched bounds are', () => {
  const [a = '', b = '', c = '', d = ''] = ADDRESSES
  const one = report([a]) // 4 idle, one of them on the way, of 2 to 4
  expect(isDue(one, undefined, NODE)).toBe(true)
  expect(isDue(report([a, b]), one, NODE)).toBe(false)
  expect(isDue(report([a, b, c]), one, NODE)).toBe(false)
  expect(isDue(report([a, b, c, d]), one, NODE)).toBe(true) // 1 idle
  expect(isDue(report([]), one, NODE)).toBe(true) // 5 idle
  expect(isDue(report([a, b]), report([]), NODE)).toBe(true) // back between the bounds
  expect(isDue(report([a], { waiting: 1 }), one, NODE)).toBe(true)
  // there are too many now: which of them may go must be known
  const fewer = { ...NODE, spec: { ...NODE.spec, pool: { minIdle: 0, maxIdle: 1, warmUp: 0 } } }
  expect(isDue(report([a]), one, fewer)).toBe(false)
  expect(isDue(report([b]), one, fewer)).toBe(true)
  expect(isDue(report([a, '192.168.32.15']), one, NODE)).toBe(true)
})

test('at most one write a second, the newest; what somebody took away is written again', async () => {
  const clock = new FakeClock()
  const written: ENINodeReport[] = []
  const apply = async (_: unknown, object: { status?: { node: ENINodeReport } }) => {
    if (object.status !== undefined) written.push(object.status.node)
    return object
  }
  // biome-ignore lint/suspicious/noExplicitAny: a generic function for one kind
  const writer = new ReportWriter({ api: { apply: apply as any }, clock, log: silentLog })
  for (let waiting = 1; waiting <= 50; waiting++) {
    writer.report(NODE, report([], { waiting }))
    await clock.advance(100)
  }
  await clock.advance(1000)
  expect(written.length).toBeLessThanOrEqual(6)
  expect(written.at(-1)?.waiting).toBe(50)
  const count = written.length
  writer.report(NODE, report([], { waiting: 50 })) // the watch lags
  await clock.advance(5000)
  expect(written).toHaveLength(count)
  await clock.advance(30_000)
  writer.report(NODE, report([], { waiting: 50 })) // it shows nothing of ours
  await clock.advance(1000)
  expect(written).toHaveLength(count + 1)
  await writer.close()
})

test('an API server that is away is asked again with pauses, and gets the newest', async () => {
  const clock = new FakeClock()
  let away = true
  const tries: number[] = []
  const apply = async (_: unknown, object: { status?: { node: ENINodeReport } }) => {
    tries.push(object.status?.node.waiting ?? -1)
    if (away) throw new Error('away')
    return object
  }
  // biome-ignore lint/suspicious/noExplicitAny: a generic function for one kind
  const writer = new ReportWriter({ api: { apply: apply as any }, clock, log: silentLog })
  writer.report(NODE, report([], { waiting: 1 }))
  await clock.advance(3_600_000)
  expect(tries.length).toBeLessThan(200)
  writer.report(NODE, report([], { waiting: 7 }))
  away = false
  await clock.advance(31_000)
  expect(tries.at(-1)).toBe(7)
  const count = tries.length
  await clock.advance(60_000)
  expect(tries).toHaveLength(count)
  await writer.close()
})
