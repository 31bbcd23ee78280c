/**
 * Announcements grouped into blocks of equal attributes, and the memory of what a peer was told.
 * Pure.
 */
import { expect, test } from 'bun:test'
import { prefixTexts } from '../../../src/bgp/codec/nlri.ts'
import { routeSetOf } from '../../../src/bgp/rib/route-set.ts'
import { ToldRoutes } from '../../../src/bgp/rib/told-routes.ts'
import type { Announcement } from '../../../src/bgp/speaker-types.ts'

const A: Announcement = { prefix: '10.0.1.0/24', nextHop: '10.9.0.11' }
const B: Announcement = { ...A, prefix: '10.0.2.0/24' }

test('prefixes with equal attributes share a block, in their order', () => {
  const { blocks, blockOf } = routeSetOf([A, { ...B, communities: [] }])
  expect(blocks.map(({ nlri }) => prefixTexts(nlri))).toEqual([['10.0.1.0/24', '10.0.2.0/24']])
  expect(blockOf.get(A.prefix)).toBe(blocks[0])
})

test('each attribute parts two prefixes, and so does the family', () => {
  const others: Partial<Announcement>[] = [
    { nextHop: '10.9.0.12' },
    { med: 0 },
    { localPref: 0 },
    { communities: ['65010:1'] },
    { largeCommunities: ['65010:1:1'] },
    { prefix: 'fd00::/64' },
  ]
  for (const other of others) {
    const { blocks } = routeSetOf([A, { ...B, ...other }, { ...A, prefix: '10.0.3.0/24' }])
    expect(blocks.map(({ nlri }) => nlri.count)).toEqual([2, 1])
    expect(new Set(blocks.map(({ key }) => key)).size).toBe(2)
  }
})

test('of several announcements of one prefix the last counts', () => {
  const { blocks, blockOf } = routeSetOf([A, B, { ...A, nextHop: '10.9.0.12' }])
  expect(blockOf.size).toBe(2)
  expect(blockOf.get(A.prefix)?.announcement.nextHop).toBe('10.9.0.12')
  expect(blocks.flatMap(({ nlri }) => prefixTexts(nlri)).sort()).toEqual([A.prefix, B.prefix])
})

test('a block is bounded', () => {
  const many = Array.from({ length: 10_000 }, (_, i) => ({
    prefix: `10.${i >> 8}.${i & 255}.0/24`,
    nextHop: A.nextHop,
  }))
  const { blocks } = routeSetOf(many)
  expect(blocks.length).toBeGreaterThan(1)
  expect(new Set(blocks.map(({ key }) => key)).size).toBe(1)
  expect(blocks.reduce((sum, { nlri }) => sum + nlri.count, 0)).toBe(many.length)
})

test('what is no prefix is refused', () => {
  expect(() => routeSetOf([{ ...A, prefix: '10.0.1.0/33' }])).toThrow('not an IP prefix')
})

test('told routes: a base by blocks, then changes by prefix', () => {
  const set = routeSetOf([A, B, { ...A, prefix: '10.0.3.0/24', nextHop: '10.9.0.12' }])
  const [first, second] = set.blocks
  if (first === undefined || second === undefined) throw new Error('two blocks')
  const told = new ToldRoutes()
  told.rebase(set, set.blocks)
  expect([told.size, told.get(A.prefix), [...told.prefixes()]]).toEqual([0, undefined, []])
  told.addBlock(first)
  expect([told.size, told.get(A.prefix)]).toEqual([2, first])
  told.delete(A.prefix)
  told.set(B.prefix, second)
  told.set('10.0.9.0/24', second)
  expect([told.size, told.get(A.prefix), told.get(B.prefix)]).toEqual([2, undefined, second])
  expect([...told.prefixes()]).toEqual([B.prefix, '10.0.9.0/24'])
  told.rebase(set, [second])
  expect([told.size, told.get(A.prefix), told.get('10.0.9.0/24')]).toEqual([2, first, undefined])
  told.setDue([first])
  told.delete(A.prefix)
  expect([told.isDue(A.prefix), told.isDue(B.prefix)]).toEqual([false, true])
})
