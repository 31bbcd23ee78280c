/** What is counted from the words of ping. */
import { expect, test } from 'bun:test'
import { unwrapped } from './packets.ts'

test('sequence numbers that begin anew are told apart, also where answers change places', () => {
  expect(unwrapped([1, 3, 2])).toEqual([1, 3, 2])
  const twice = Array.from({ length: 2 ** 17 }, (_, index) => index % 2 ** 16)
  expect(new Set(unwrapped(twice)).size).toBe(2 ** 17)
  expect(unwrapped([40_000 - 20_000, 50_000, 65_535, 1, 0, 2]).slice(2)).toEqual([65_535, 65_537, 65_536, 65_538])
})
