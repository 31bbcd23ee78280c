/**
 * Pool arithmetic, filling, giving back, vSwitches, buckets: by the vectors that terway's users
 * know, and the corners of each.
 */
import { describe, expect, test } from 'bun:test'
import type { VSwitch } from '../../src/cloud/answers.ts'
import { addressesToAdd, addressesToRelease, chooseReleases, fill } from '../../src/eni/pool.ts'
import { TokenBuckets } from '../../src/eni/token-buckets.ts'
import { chooseVSwitch, gatewayOf } from '../../src/eni/vswitch.ts'

describe('add', () => {
  test.each([
    [0, 0, 1, 1],
    [5, 2, 2, 5],
    [5, 9, 2, 0],
    [5, 0, 0, 5],
    [0, 3, 0, 0],
    [2, 3, 5, 4],
  ])('minIdle %p, idle %p, waiting %p: %p', (minIdle, idle, waiting, add) => {
    expect(addressesToAdd({ minIdle }, { idle, waiting, room: 100 })).toBe(add)
  })
  test('never more than there is room for, also when there is less than none', () => {
    expect(addressesToAdd({ minIdle: 10 }, { idle: 0, waiting: 10, room: 7 })).toBe(7)
    expect(addressesToAdd({ minIdle: 10 }, { idle: 0, waiting: 10, room: -3 })).toBe(0)
  })
  test('warming up asks for what is left of it', () => {
    expect(addressesToAdd({ minIdle: 2 }, { idle: 3, waiting: 0, room: 100, warmUpLeft: 12 })).toBe(12)
  })
})

describe('release', () => {
  test.each([
    [1, 5, 4, 0, 0],
    [1, 5, 9, 0, 4],
    [1, 5, 9, 1, 0],
    [6, 5, 6, 0, 0],
    [0, 0, 3, 0, 3],
  ])('min %p, max %p, idle %p, waiting %p: %p', (minIdle, maxIdle, idle, waiting, count) => {
    expect(addressesToRelease({ minIdle, maxIdle }, { idle, waiting })).toBe(count)
  })
  test('where reclaiming is due, a batch, but never below minIdle', () => {
    expect(addressesToRelease({ minIdle: 1, maxIdle: 5 }, { idle: 4, waiting: 0, reclaimBatch: 2 })).toBe(2)
    expect(addressesToRelease({ minIdle: 3, maxIdle: 5 }, { idle: 4, waiting: 0, reclaimBatch: 5 })).toBe(1)
  })
})

describe('fill', () => {
  const at = (want: number, rooms: readonly number[], freeSlots: number, perInterface: number) =>
    fill(want, { interfaces: rooms.map((room, index) => ({ id: `eni-${index}`, room })), freeSlots, perInterface })
  test('interfaces that have room first, the fullest of them first', () => {
    expect(at(5, [8, 3, 0], 2, 10)).toEqual({
      assign: [
        { id: 'eni-1', count: 3 },
        { id: 'eni-0', count: 2 },
      ],
      create: [],
      left: 0,
    })
  })
  test('then as few interfaces as hold the rest', () => {
    expect(at(100, [], 7, 30)).toEqual({ assign: [], create: [30, 30, 30, 10], left: 0 })
    expect(at(100, [4], 7, 120).create).toEqual([50, 46])
  })
  test('what is too much stays over', () => {
    expect(at(50, [2], 1, 10)).toEqual({ assign: [{ id: 'eni-0', count: 2 }], create: [10], left: 38 })
    expect(at(5, [], 3, 0)).toEqual({ assign: [], create: [], left: 5 })
  })
})

describe('give back', () => {
  const item = (id: string, pods: number, idle: readonly string[], total: number, detachable = true) => ({
    id,
    pods,
    idle,
    total,
    detachable,
  })
  test('from the interface with the fewest pods, the longest idle first', () => {
    expect(chooseReleases(3, [item('a', 5, ['a1', 'a2'], 7), item('b', 1, ['b1', 'b2'], 4)])).toEqual([
      { id: 'b', addresses: ['b1', 'b2'] },
      { id: 'a', addresses: ['a1'] },
    ])
  })
  test('an empty interface that is not needed goes whole; one that is needed in part does not', () => {
    expect(chooseReleases(4, [item('a', 0, ['a1', 'a2', 'a3'], 4), item('b', 2, ['b1'], 3)])).toEqual([
      { id: 'a', addresses: 'all' },
    ])
    expect(chooseReleases(2, [item('a', 0, ['a1', 'a2', 'a3'], 4)])).toEqual([{ id: 'a', addresses: ['a1', 'a2'] }])
  })
  test('an interface that others attached stays, with its primary address', () => {
    expect(chooseReleases(9, [item('a', 0, ['a1'], 2, false)])).toEqual([{ id: 'a', addresses: ['a1'] }])
  })
})

describe('vSwitch', () => {
  const known = new Map(
    [
      ['a', 'z1', 5],
      ['b', 'z1', 9],
      ['c', 'z2', 100],
      ['d', 'z1', 0],
    ].map(([id, zoneID, free]) => [
      String(id),
      {
        id: String(id),
        vpcID: 'v',
        zoneID: String(zoneID),
        cidr: '10.0.0.0/24',
        ipv6Cidr: '',
        availableAddresses: Number(free),
      } as VSwitch,
    ]),
  )
  const base = {
    configured: ['a', 'b', 'c', 'd'],
    zoneID: 'z1',
    known,
    policy: 'ordered',
    random: 0.99,
    blocked: () => false,
  } as const
  test('of the zone, not blocked, the most free addresses', () => {
    expect(chooseVSwitch(base)).toBe('b')
    expect(chooseVSwitch({ ...base, blocked: id => id === 'b' })).toBe('a')
    expect(chooseVSwitch({ ...base, planned: new Map([['b', 6]]) })).toBe('a')
    expect(chooseVSwitch({ ...base, blocked: () => true })).toBeUndefined()
    expect(chooseVSwitch({ ...base, configured: ['c', 'd'] })).toBeUndefined()
  })
  test('at random, every good one', () => {
    const chosen = [0, 0.4, 0.6, 0.99].map(random => chooseVSwitch({ ...base, policy: 'random', random }))
    expect(new Set(chosen)).toEqual(new Set(['a', 'b']))
  })
  test('one that is not known yet may be tried', () => {
    expect(chooseVSwitch({ ...base, configured: ['x'], known: new Map() })).toBe('x')
  })
  test.each([
    ['192.168.0.0/24', '192.168.0.253'],
    ['192.168.1.0/30', '192.168.1.1'],
    ['192.168.32.0/19', '192.168.63.253'],
    ['fd00:32::/64', 'fd00:32::ffff:ffff:ffff:fffd'],
    ['10.0.0.0/31', undefined],
    ['10.0.0.1', undefined],
  ])('the gateway of %s is %s', (cidr, gateway) => expect(gatewayOf(cidr)).toBe(gateway))
})

describe('buckets', () => {
  const calm = (name: string) => ({ name, urgent: false })
  const urgent = (name: string) => ({ name, urgent: true })
  test('a minute of calls at once, then one after the other', () => {
    const buckets = new TokenBuckets(() => ({ Assign: 60 }))
    for (let call = 0; call < 60; call++) expect(buckets.take('Assign', calm('a'), 0)).toBe('taken')
    expect(buckets.take('Assign', calm('a'), 0)).toBe(1000)
    expect(buckets.take('Other', calm('a'), 0)).toBe('taken')
    expect(buckets.take('Assign', calm('a'), 1000)).toBe('taken')
    expect(buckets.take('Assign', calm('a'), 1500)).toBe(500)
  })
  test('nodes with pods that wait go first, but not for ever', () => {
    const buckets = new TokenBuckets(() => ({ Assign: 60 }))
    for (let call = 0; call < 60; call++) buckets.take('Assign', calm('a'), 0)
    expect(buckets.take('Assign', urgent('b'), 0)).toBe(1000)
    expect(buckets.take('Assign', calm('a'), 1000)).not.toBe('taken')
    expect(buckets.take('Assign', urgent('b'), 1000)).toBe('taken')
    expect(buckets.take('Assign', calm('a'), 2000)).toBe('taken')
    buckets.take('Assign', urgent('gone'), 2000)
    expect(buckets.take('Assign', calm('a'), 40_000)).toBe('taken')
  })
})
