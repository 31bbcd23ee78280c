/**
 * A simulated process: what every shell of the product is given, on the bus. Its clock has an
 * offset of its own and timers that may come late, as drawn; killing it ends all of that at once,
 * between any two of its effects.
 */
import type { Clock } from '../../src/lib/clock.ts'
import type { Log, LogFields } from '../../src/lib/log.ts'
import type { Bus, Owner } from './bus.ts'
import { Random } from './random.ts'

/** 2026-01-01T00:00:00Z: where virtual time begins for those who read the wall. */
const EPOCH = 1_767_225_600_000

export interface ClockFaults {
  /** What the wall clock of this machine is off by, milliseconds. */
  readonly offMilliseconds: number
  /** The most that a timer comes late. */
  readonly lateMilliseconds: number
}

export const TRUE_CLOCK: ClockFaults = { offMilliseconds: 0, lateMilliseconds: 0 }

export class Process implements Owner {
  readonly name: string
  alive = true
  readonly bus: Bus
  readonly clock: Clock
  readonly random: Random
  /** The last lines that it logged, for people. */
  readonly lines: string[] = []

  constructor(bus: Bus, name: string, seed: number, faults: ClockFaults = TRUE_CLOCK) {
    this.bus = bus
    this.name = name
    this.random = new Random(seed, name)
    const startedAt = bus.now
    this.clock = {
      now: () => EPOCH + bus.now + faults.offMilliseconds,
      monotonic: () => bus.now - startedAt + 1000,
      after: (milliseconds, action) => {
        const late = faults.lateMilliseconds === 0 ? 0 : Math.floor(this.random.next() * faults.lateMilliseconds)
        return bus.post(this, Math.ceil(milliseconds) + late, 'timer', action)
      },
      random: () => this.random.next(),
    }
  }

  get log(): Log {
    return this.#logOf({})
  }

  kill(): void {
    this.alive = false
  }

  #logOf(fields: LogFields): Log {
    const write = (level: string) => (more: LogFields, phrase: string) => {
      if (!this.alive) return
      this.lines.push(`${this.bus.now} ${level} ${phrase} ${JSON.stringify({ ...fields, ...more })}`)
      if (this.lines.length > 200) this.lines.splice(0, 100)
    }
    return {
      debug: () => {},
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: more => this.#logOf({ ...fields, ...more }),
    }
  }
}

/** The wall of the world itself, milliseconds since the epoch. */
export function worldMilliseconds(bus: Bus): number {
  return EPOCH + bus.now
}
