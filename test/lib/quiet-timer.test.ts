import { expect, test } from 'bun:test'
import { QuietTimer } from '../../src/lib/quiet-timer.ts'
import { FakeClock } from '../support/fake-clock.ts'

test('it comes once for each occasion, when nothing has happened for so long', async () => {
  const clock = new FakeClock()
  let count = 0
  const timer = new QuietTimer({ clock, milliseconds: 5_000, action: () => count++ })
  for (let second = 0; second < 20; second++) {
    timer.touch(1)
    await clock.advance(1_000)
  }
  expect([count, clock.pending]).toEqual([0, 1])
  await clock.advance(4_000)
  expect([count, clock.pending]).toEqual([1, 0])
  timer.touch(1)
  expect(clock.pending).toBe(0)
  await clock.advance(60_000)
  timer.touch(2)
  await clock.advance(5_000)
  expect(count).toBe(2)
  timer.touch(3)
  timer.close()
  expect(clock.pending).toBe(0)
})

test('after its end nothing is awaited, also where nothing was before', () => {
  const clock = new FakeClock()
  const timer = new QuietTimer({ clock, milliseconds: 5_000, action: () => {} })
  timer.close()
  timer.touch(1)
  expect(clock.pending).toBe(0)
})
