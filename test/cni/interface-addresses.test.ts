/**
 * Which address of the node's elastic network interfaces a pod gets, and what is said when there is
 * none.
 */
import { expect, test } from 'bun:test'
import { NO_ATTACHMENTS, waitingPods, withOnly, withoutWaiting, withWaiting } from '../../src/cni/attachments.ts'
import { allocateOfInterfaces } from '../../src/cni/interface-addresses.ts'
import { formatInterfacePool, longestIdleFirst, parseInterfacePool } from '../../src/model/interface-pool.ts'

const NUMBERS = {
  protocol: 187,
  pods: { priority: 512, table: 512 },
  marked: { priority: 600, table: 600, mark: 16 },
  interfaces: { priority: 2048, tableBase: 1000 },
}
const FIRST = {
  id: 'eni-1',
  mac: '00:16:3e:00:00:01',
  gateways: ['192.168.63.253', 'fd00::fd'],
  addresses: ['192.168.32.10', '192.168.32.11', 'fd00::10'],
}
const SECOND = {
  id: 'eni-2',
  mac: '00:16:3e:00:00:02',
  gateways: ['192.168.63.253', 'fd00::fd'],
  addresses: ['192.168.32.20', 'fd00::20'],
}
const POOL = { numbers: NUMBERS, dualStack: false, interfaces: [FIRST, SECOND] }

function choose(more: Partial<Parameters<typeof allocateOfInterfaces>[0]> = {}) {
  return allocateOfInterfaces({
    pool: POOL,
    present: () => true,
    taken: new Set(),
    freed: [],
    requested: [],
    ...more,
  })
}

test('the pool is read as it was written, and refused when it is not whole', () => {
  const pool = { ...POOL, shortage: 'vSwitch vsw-1 is full' }
  expect(parseInterfacePool(formatInterfacePool(pool))).toEqual(pool)
  for (const text of ['{}', '[]', '{"format":1}', formatInterfacePool(POOL).replace('192.168.32.20', 'x')]) {
    expect(() => parseInterfacePool(text)).toThrow()
  }
})

test('what was never used comes first, then what has been idle the longest', () => {
  expect(longestIdleFirst(['a', 'b', 'c'], ['c', 'a'])).toEqual(['b', 'c', 'a'])
  expect(choose()).toMatchObject({ addresses: ['192.168.32.10'], interface: { id: 'eni-1' } })
  expect(choose({ freed: ['192.168.32.10'], taken: new Set(['192.168.32.11']) })).toMatchObject({
    addresses: ['192.168.32.20'],
  })
  const freed = ['192.168.32.20', '192.168.32.11', '192.168.32.10']
  expect(choose({ freed })).toMatchObject({ addresses: ['192.168.32.20'] })
})

test('both families of a pod are of one interface', () => {
  const pool = { ...POOL, dualStack: true }
  expect(choose({ pool })).toMatchObject({ addresses: ['192.168.32.10', 'fd00::10'] })
  const taken = new Set(['192.168.32.10', 'fd00::10'])
  expect(choose({ pool, taken })).toMatchObject({ addresses: ['192.168.32.20', 'fd00::20'] })
  const most = new Set([...taken, '192.168.32.20'])
  expect(choose({ pool, taken: most })).toEqual({
    kind: 'none',
    why: 'no interface has a free address of both families',
  })
})

test('three interfaces of 25 serve 75 pods, each address once, and say so when they are full', () => {
  const interfaces = [1, 2, 3].map(number => ({
    ...FIRST,
    id: `eni-${number}`,
    mac: `00:16:3e:00:00:0${number}`,
    addresses: Array.from({ length: 25 }, (_, index) => `192.168.${number}.${index + 1}`),
  }))
  const taken = new Set<string>()
  for (let pod = 0; pod < 75; pod++) {
    const answer = choose({ pool: { ...POOL, interfaces }, taken })
    if (answer.kind !== 'allocated') throw new Error(`pod ${pod} got none`)
    for (const address of answer.addresses) taken.add(address)
  }
  expect(taken.size).toBe(75)
  expect(choose({ pool: { ...POOL, interfaces }, taken })).toEqual({ kind: 'none', why: 'all 75 addresses are in use' })
})

test('an address that the pod asks for is given, or refused with the reason', () => {
  expect(choose({ requested: ['192.168.32.20'] })).toMatchObject({ addresses: ['192.168.32.20'] })
  expect(choose({ requested: ['192.168.32.99'] })).toMatchObject({ kind: 'refused', reason: 'outside' })
  const taken = new Set(['192.168.32.20'])
  expect(choose({ requested: ['192.168.32.20'], taken })).toMatchObject({ kind: 'refused', reason: 'taken' })
})

test('why there is none: no interface, not attached, all in use, and what the controller says', () => {
  const why = (more: Parameters<typeof choose>[0]) => {
    const answer = choose(more)
    return answer.kind === 'none' ? answer.why : answer
  }
  expect(why({ pool: { ...POOL, interfaces: [] } })).toBe('it has no interface for pods yet')
  expect(why({ pool: { ...POOL, interfaces: [{ ...FIRST, addresses: [] }] } })).toBe(
    'its interfaces have no addresses yet',
  )
  const taken = new Set([...FIRST.addresses, ...SECOND.addresses])
  expect(why({ taken })).toBe('all 3 addresses are in use')
  expect(why({ taken, pool: { ...POOL, shortage: 'vSwitch vsw-1 is full' } })).toBe(
    'all 3 addresses are in use; vSwitch vsw-1 is full',
  )
  expect(why({ taken, present: mac => mac === SECOND.mac })).toBe(
    'eni-1 (00:16:3e:00:00:01) is not among its links; all 1 addresses are in use',
  )
})

test('what pods give back rests, and who waits is remembered for a while', () => {
  const record = {
    attempt: 'a',
    network: 'pods',
    containerId: 'c',
    interfaceName: 'eth0',
    addresses: ['192.168.32.10'],
    hostInterface: 'te1',
    namespacePath: '/x',
    bootId: 'b',
  }
  const eni = { id: 'eni-1', mac: FIRST.mac }
  const with2 = {
    ...NO_ATTACHMENTS,
    records: [{ ...record, interface: eni }],
    freed: ['192.168.32.10', '192.168.32.20'],
  }
  expect(withOnly(with2, () => false).freed).toEqual(['192.168.32.20', '192.168.32.10'])
  // of a podCIDR
  expect(withOnly({ ...NO_ATTACHMENTS, records: [record] }, () => false).freed).toEqual([])
  const waiting = withWaiting(withWaiting(NO_ATTACHMENTS, 'default/a', 1000), 'default/b', 2000)
  expect(waitingPods(waiting, 3000).map(({ pod }) => pod)).toEqual(['default/a', 'default/b'])
  expect(waitingPods(waiting, 91_500).map(({ pod }) => pod)).toEqual(['default/b'])
  expect(withWaiting(waiting, 'default/a', 91_500).waiting.map(({ pod }) => pod)).toEqual(['default/b', 'default/a'])
  expect(withoutWaiting(waiting, 'default/a').waiting).toEqual([{ pod: 'default/b', at: 2000 }])
})
