/**
 * The timers of one session on a clock, with the jitter of RFC 4271 section 10. Restarting a
 * running timer only moves its deadline, as that happens with every message.
 */
import type { Cancel, Clock } from '../../lib/clock.ts'
import type { Timer } from './fsm-types.ts'

/** Section 10 names these; the hold timers are agreed with the peer and exact. */
const JITTERED: ReadonlySet<Timer> = new Set(['ConnectRetryTimer', 'KeepaliveTimer'])
/** Section 4.4: KEEPALIVEs at most once a second. */
const LEAST_MILLISECONDS = 1000

interface Running {
  deadline: number
  /** When the clock calls, not later than the deadline. */
  wakeAt: number
  cancel: Cancel
  /** The time is over, but what has come in was not looked at yet. */
  late?: boolean
}

/** Long enough for what waits in the sockets to be read once. */
const LOOK_MILLISECONDS = 20

export class SessionTimers {
  readonly #clock: Clock
  readonly #expired: (timer: Timer) => void
  readonly #running = new Map<Timer, Running>()

  constructor(clock: Clock, expired: (timer: Timer) => void) {
    this.#clock = clock
    this.#expired = expired
  }

  start(timer: Timer, seconds: number): void {
    const milliseconds = JITTERED.has(timer)
      ? Math.max(Math.min(LEAST_MILLISECONDS, seconds * 1000), seconds * 1000 * (1 - this.#clock.random() / 4))
      : seconds * 1000
    const deadline = this.#clock.monotonic() + milliseconds
    const running = this.#running.get(timer)
    if (running !== undefined && running.wakeAt <= deadline) {
      running.deadline = deadline
      running.late = false
      return
    }
    running?.cancel()
    this.#running.set(timer, { deadline, wakeAt: deadline, cancel: this.#wakeIn(timer, milliseconds) })
  }

  stop(timer: Timer): void {
    this.#running.get(timer)?.cancel()
    this.#running.delete(timer)
  }

  close(): void {
    for (const timer of [...this.#running.keys()]) this.stop(timer)
  }

  #wakeIn(timer: Timer, milliseconds: number): Cancel {
    return this.#clock.after(milliseconds, () => {
      const running = this.#running.get(timer)
      if (running === undefined) return
      const left = running.deadline - this.#clock.monotonic()
      if (left > 0) {
        running.wakeAt = running.deadline
        running.cancel = this.#wakeIn(timer, left)
        return
      }
      // A process that stood still (a laptop's lid, a stopped virtual machine, a busy loop) wakes
      // with its timers before it reads: the peer's messages may lie in the socket. They get one
      // chance to move the deadline.
      if (timer === 'HoldTimer' && left < 0 && running.late !== true) {
        running.late = true
        running.wakeAt = this.#clock.monotonic() + LOOK_MILLISECONDS
        running.cancel = this.#wakeIn(timer, LOOK_MILLISECONDS)
        return
      }
      this.#running.delete(timer)
      this.#expired(timer)
    })
  }
}
