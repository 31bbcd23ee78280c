/**
 * The hold timer of a process that stood still: what the peer sent meanwhile waits in the socket
 * and is read before the session is given up; without anything to read it ends.
 */
import { expect, test } from 'bun:test'
import { SessionTimers } from '../../../src/bgp/machine/session-timers.ts'
import type { Clock } from '../../../src/lib/clock.ts'

/** A clock whose timers run when the test says, however late. */
class StallingClock implements Clock {
  time = 0
  readonly #timers: { at: number; action: () => void }[] = []
  now = () => this.time
  monotonic = () => this.time
  random = () => 0
  after(milliseconds: number, action: () => void): () => void {
    const timer = { at: this.time + milliseconds, action }
    this.#timers.push(timer)
    return () => this.#timers.splice(this.#timers.indexOf(timer) >>> 0, 1)
  }
  /** Nothing runs until `time`, then everything that is due. */
  stallUntil(time: number): void {
    this.time = time
    const due = this.#timers.filter(({ at }) => at <= time)
    for (const timer of due) this.#timers.splice(this.#timers.indexOf(timer), 1)
    for (const { action } of due) action()
  }
}

function holdTimer(): { clock: StallingClock; timers: SessionTimers; expired: string[] } {
  const clock = new StallingClock()
  const expired: string[] = []
  const timers = new SessionTimers(clock, timer => expired.push(timer))
  timers.start('HoldTimer', 90)
  return { clock, timers, expired }
}

test('woken late: what came in meanwhile is looked at first, and moves the deadline', () => {
  const { clock, timers, expired } = holdTimer()
  clock.stallUntil(200_000)
  expect(expired).toEqual([])
  timers.start('HoldTimer', 90) // a KEEPALIVE that waited in the socket
  clock.stallUntil(200_100)
  clock.stallUntil(289_999)
  expect(expired).toEqual([])
  clock.stallUntil(290_000)
  expect(expired).toEqual(['HoldTimer'])
})

test('woken late, and nothing waited: expired', () => {
  const { clock, expired } = holdTimer()
  clock.stallUntil(200_000)
  clock.stallUntil(200_100)
  expect(expired).toEqual(['HoldTimer'])
})

test('on time: expired at once', () => {
  const { clock, expired } = holdTimer()
  clock.stallUntil(90_000)
  expect(expired).toEqual(['HoldTimer'])
})

test('the others do not wait', () => {
  const { clock, timers, expired } = holdTimer()
  timers.start('KeepaliveTimer', 30)
  clock.stallUntil(60_000)
  expect(expired).toEqual(['KeepaliveTimer'])
})
