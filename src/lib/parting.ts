/**
 * How the parts of a process are ended: in the reverse order of their start, each within a time and
 * all of them within another, so that nothing that hangs keeps a service from stopping. What was
 * cut short is told by name; the end of a part that comes too late is begun and not waited for.
 */
import { type Clock, sleep } from './clock.ts'
import { errorText } from './errors.ts'
import type { Log } from './log.ts'

/** A part may take this long, unless it asks for more. */
const PART_MILLISECONDS = 2000
/** All of them together: less than TimeoutStopSec of the units. */
const WHOLE_MILLISECONDS = 8000

interface Part {
  readonly name: string
  readonly end: () => unknown
  readonly milliseconds: number
}

export class Parting {
  readonly #parts: Part[] = []
  readonly #clock: Clock
  readonly #log: Log
  #ended = false

  constructor({ clock, log }: { readonly clock: Clock; readonly log: Log }) {
    this.#clock = clock
    this.#log = log
  }

  /**
   * Has `end` called at the end; at once where that is past (a start that a signal overtook).
   */
  defer(name: string, end: () => unknown, milliseconds = PART_MILLISECONDS): void {
    const part = { name, end, milliseconds }
    if (this.#ended) void this.#end(part, 0)
    else this.#parts.push(part)
  }

  /** Ends all parts; never throws. */
  async end(): Promise<void> {
    this.#ended = true
    const deadline = this.#clock.monotonic() + WHOLE_MILLISECONDS
    const short: string[] = []
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      const left = Math.max(0, deadline - this.#clock.monotonic())
      if (!(await this.#end(part, Math.min(part.milliseconds, left)))) short.push(part.name)
    }
    if (short.length > 0) this.#log.error({ detail: short.join(', ') }, 'parts did not end in time and were cut short')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end()
  }

  /** Whether the part ended within `milliseconds`. */
  async #end({ name, end }: Part, milliseconds: number): Promise<boolean> {
    const done = new AbortController()
    const ending = (async () => end())().then(
      () => true,
      error => {
        this.#log.error({ name, detail: errorText(error) }, 'a part did not end well')
        return true
      },
    )
    const late = sleep(this.#clock, milliseconds, done.signal).then(() => false)
    const outcome = await Promise.race([ending, late])
    done.abort()
    return outcome
  }
}
