/**
 * Which addresses a pod gets: a pure function of podCIDRs, what is taken and the last given; ends
 * with random comings and goings.
 */
import { describe, expect, test } from 'bun:test'
import { type Allocation, allocate, capacity, familiesOf, type LastGiven } from '../../src/cni/address-pool.ts'
import { covers } from '../../src/lib/ip.ts'

function allocated(allocation: Allocation): readonly string[] {
  if (allocation.kind !== 'allocated') throw new Error(`not allocated: ${allocation.kind}`)
  return allocation.addresses
}

/** Gives out addresses one after another until the pool is full. */
function drain(podCIDRs: string[], start: LastGiven = {}): string[] {
  const given: string[] = []
  let last = start
  for (;;) {
    const next = allocate({ podCIDRs, taken: new Set(given), last, requested: [] })
    if (next.kind !== 'allocated') return given
    given.push(...next.addresses)
    last = next.last
  }
}

describe('what of a podCIDR is given out', () => {
  test.each([
    ['10.0.1.0/29', ['10.0.1.1', '10.0.1.2', '10.0.1.3', '10.0.1.4', '10.0.1.5', '10.0.1.6']],
    ['10.0.1.4/30', ['10.0.1.5', '10.0.1.6']],
    ['10.0.1.4/31', ['10.0.1.4', '10.0.1.5']],
    ['10.0.1.7/32', ['10.0.1.7']],
    ['fd00:1::/126', ['fd00:1::1', 'fd00:1::2', 'fd00:1::3']],
    ['fd00:1::2/127', ['fd00:1::2', 'fd00:1::3']],
    ['fd00:1::9/128', ['fd00:1::9']],
  ])('%s', (podCIDR, expected) => {
    expect(drain([podCIDR])).toEqual(expected)
    expect(capacity([podCIDR], podCIDR.includes(':') ? 'ipv6' : 'ipv4')).toBe(BigInt(expected.length))
  })

  test('several podCIDRs of a family are used one after the other', () => {
    expect(drain(['10.0.1.0/30', '10.0.9.0/30'])).toEqual(['10.0.1.1', '10.0.1.2', '10.0.9.1', '10.0.9.2'])
  })

  test('dual stack gives one of each family, that of the first podCIDR first', () => {
    const input = { taken: new Set<string>(), last: {}, requested: [] }
    expect(allocated(allocate({ ...input, podCIDRs: ['10.0.1.0/25', 'fd00:1::/64'] }))).toEqual([
      '10.0.1.1',
      'fd00:1::1',
    ])
    expect(allocated(allocate({ ...input, podCIDRs: ['fd00:1::/64', '10.0.1.0/25'] }))).toEqual([
      'fd00:1::1',
      '10.0.1.1',
    ])
    expect(familiesOf(['fd00:1::/64', '10.0.1.0/25', 'fd00:2::/64'])).toEqual(['ipv6', 'ipv4'])
  })

  test('a pool without room says which family, and gives nothing of the other', () => {
    const podCIDRs = ['10.0.1.0/30', 'fd00:1::/64']
    const taken = new Set(['10.0.1.1', '10.0.1.2'])
    expect(allocate({ podCIDRs, taken, last: {}, requested: [] })).toEqual({
      kind: 'full',
      family: 'ipv4',
      capacity: 2n,
    })
  })
})

describe('round robin', () => {
  test('an address rests until all others had their turn', () => {
    const podCIDRs = ['10.0.1.0/28']
    let last: LastGiven = {}
    const order: string[] = []
    for (let round = 0; round < 42; round++) {
      // each pod goes at once
      const next = allocate({ podCIDRs, taken: new Set(), last, requested: [] })
      order.push(...allocated(next))
      if (next.kind === 'allocated') last = next.last
    }
    expect(new Set(order.slice(0, 14)).size).toBe(14)
    expect(order.slice(14, 28)).toEqual(order.slice(0, 14))
    expect(order.slice(28)).toEqual(order.slice(0, 14))
  })

  test('goes on behind the last one, around the end, past what is taken', () => {
    const podCIDRs = ['10.0.1.0/29']
    const taken = new Set(['10.0.1.6', '10.0.1.1'])
    expect(allocated(allocate({ podCIDRs, taken, last: { ipv4: '10.0.1.5' }, requested: [] }))).toEqual(['10.0.1.2'])
  })

  test('starts anew when the podCIDR changed', () => {
    expect(drain(['10.0.7.0/30'], { ipv4: '10.0.1.77' })).toEqual(['10.0.7.1', '10.0.7.2'])
  })

  test('a static address does not move the turn', () => {
    const last = { ipv4: '10.0.1.3' }
    const input = { podCIDRs: ['10.0.1.0/24'], taken: new Set<string>(), last, requested: ['10.0.1.200'] }
    expect(allocate(input)).toEqual({ kind: 'allocated', addresses: ['10.0.1.200'], last })
  })

  test('a huge prefix is searched no further than what is taken', () => {
    const taken = new Set(Array.from({ length: 500 }, (_, index) => `fd00:1::${(index + 1).toString(16)}`))
    expect(allocated(allocate({ podCIDRs: ['fd00:1::/64'], taken, last: {}, requested: [] }))).toEqual(['fd00:1::1f5'])
  })
})

describe('static addresses', () => {
  const podCIDRs = ['10.0.1.0/25', 'fd00:1::/64']
  const taken = new Set(['10.0.1.9'])

  test('one family asked for, the other is given', () => {
    expect(allocated(allocate({ podCIDRs, taken, last: {}, requested: ['fd00:1::beef'] }))).toEqual([
      '10.0.1.1',
      'fd00:1::beef',
    ])
  })

  test.each([
    ['10.0.1.9', 'taken'],
    ['10.0.2.9', 'outside'],
    ['fd00:2::1', 'outside'],
    ['10.0.1.0', 'reserved'],
    ['10.0.1.127', 'reserved'],
    ['fd00:1::', 'reserved'],
  ])('%s is refused: %s', (address, reason) => {
    const refusal = allocate({ podCIDRs, taken, last: {}, requested: [address] })
    expect(refusal).toMatchObject({ kind: 'refused', address, reason })
  })

  test('two of one family are refused', () => {
    expect(allocate({ podCIDRs, taken, last: {}, requested: ['10.0.1.3', '10.0.1.4'] })).toMatchObject({
      kind: 'refused',
      address: '10.0.1.4',
      reason: 'second-of-family',
    })
  })
})

test('whatever comes and goes, addresses are distinct, inside the podCIDRs, and none is left unused', () => {
  let seed = 42
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * below)
  }
  const podCIDRs = ['10.0.1.0/28', '10.3.0.0/29', 'fd00:1::/123']
  const pods = new Map<number, readonly string[]>()
  let last: LastGiven = {}
  for (let step = 0; step < 3000; step++) {
    if (random(100) < 45 && pods.size > 0) {
      pods.delete([...pods.keys()][random(pods.size)] ?? 0)
      continue
    }
    const taken = new Set([...pods.values()].flat())
    const next = allocate({ podCIDRs, taken, last, requested: [] })
    if (next.kind === 'full') {
      expect(pods.size).toBe(20) // 14 + 6 IPv4 addresses
      continue
    }
    const addresses = allocated(next)
    expect(addresses.map(address => taken.has(address))).toEqual([false, false])
    expect(addresses.every(address => podCIDRs.some(podCIDR => covers(podCIDR, address)))).toBe(true)
    pods.set(step, addresses)
    if (next.kind === 'allocated') last = next.last
  }
})
