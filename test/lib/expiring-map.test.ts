import { expect, test } from 'bun:test'
import { ExpiringMap } from '../../src/lib/expiring-map.ts'

test('each for its own time, and then it is gone', () => {
  const map = new ExpiringMap<string>()
  map.set('a', 'one', { now: 0, until: 10 })
  map.set('b', 'two', { now: 0, until: 20 })
  expect([map.get('a', 9), map.get('a', 10), map.get('b', 10), map.get('c', 0)]).toEqual([
    'one',
    undefined,
    'two',
    undefined,
  ])
  map.set('a', 'three', { now: 15, until: 30 })
  expect([map.get('a', 29), map.get('b', 19)]).toEqual(['three', 'two'])
})

test('what nobody asks for again does not stay', () => {
  const map = new ExpiringMap<number>()
  for (let now = 0; now < 1000; now++) map.set(`name ${now}`, now, { now, until: now + 10 })
  expect(map.size).toBe(10)
})
