/**
 * What happened, in order: as a hash, so that two runs can be compared, and as lines where somebody
 * wants to read them. It counts what was work, too: at rest there is none.
 */
import { hashText } from './random.ts'

export class Trace {
  /** What was done to the API server or to kernels since it was set to 0. */
  work = 0
  /** The last of that, in words. */
  lastWork = ''
  readonly lines: string[] = []
  readonly #now: () => number
  readonly #isTold: boolean
  #hash = 0x811c9dc5

  constructor(now: () => number, options: { readonly isTold: boolean }) {
    this.#now = now
    this.#isTold = options.isTold
  }

  get text(): string {
    return this.#hash.toString(16).padStart(8, '0')
  }

  /** One entry of the bus was delivered. */
  step(text: string): void {
    this.#hash = hashText(text, this.#hash)
  }

  /** Something that people would want to read. */
  note(line: string, options: { readonly isWork?: boolean } = {}): void {
    if (options.isWork === true) {
      this.work++
      this.lastWork = line
    }
    this.step(line)
    if (this.#isTold) this.lines.push(`${(this.#now() / 1000).toFixed(3)} ${line}`)
  }
}
