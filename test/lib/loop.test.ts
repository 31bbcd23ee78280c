/**
 * The loop behind every reconcile, on a clock that the test holds: wake-ups, failures, full passes.
 */
import { expect, test } from 'bun:test'
import { backoffMilliseconds } from '../../src/lib/backoff.ts'
import { Loop } from '../../src/lib/loop.ts'
import { FakeClock } from '../support/fake-clock.ts'

test('any number of wake-ups during a pass make one more pass, and passes never overlap', async () => {
  const clock = new FakeClock()
  let passes = 0
  let open: () => void = () => {}
  let atOnce = 0
  const loop = new Loop({
    clock,
    onError: () => {},
    run: async () => {
      passes++
      expect(++atOnce).toBe(1)
      await new Promise<void>(resolve => {
        open = resolve
      })
      atOnce--
    },
  })
  loop.wake()
  loop.wake()
  await clock.advance(0)
  expect(passes).toBe(1)
  for (let turn = 0; turn < 5; turn++) loop.wake()
  open()
  await clock.advance(0)
  expect(passes).toBe(2)
  open()
  await clock.advance(10_000)
  expect(passes).toBe(2)
  await loop.close()
  loop.wake()
  await clock.advance(10_000)
  expect(passes).toBe(2)
})

test('a failed pass is repeated with growing pauses, and a full pass comes every so often', async () => {
  const clock = new FakeClock()
  const start = clock.now()
  const at: number[] = []
  const pauses: number[] = []
  const loop = new Loop({
    clock,
    everyMilliseconds: 30_000,
    run: () => {
      at.push(clock.now() - start)
      if (at.length <= 3) throw new Error('no')
    },
    onError: (_error, pause) => pauses.push(pause),
  })
  loop.wake()
  await clock.advance(60_000)
  expect(pauses).toEqual([200, 400, 800])
  expect(at).toEqual([0, 200, 600, 1400, 31_400])
  await loop.close()
})

test('back-off doubles, is capped and jittered downwards by a quarter at most', () => {
  const backoff = { initialMilliseconds: 100, maximumMilliseconds: 1000 }
  expect([0, 1, 2, 3, 4, 400].map(attempt => backoffMilliseconds(backoff, attempt, 0))).toEqual([
    100, 200, 400, 800, 1000, 1000,
  ])
  expect(backoffMilliseconds(backoff, 0, 1)).toBe(75)
})
