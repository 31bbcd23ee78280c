/**
 * Runs the part of a node that its mode asks for, and changes it when the mode changes and no pod
 * stands in the way. A refusal is a problem of the node and an Event, once. While nobody has
 * decided, what runs goes on.
 */
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import type { NodeMode } from '../model/node-mode.ts'
import { decideMode, type ModeInput, type ModeRefusal } from './mode.ts'

/** What is started for a mode. */
export interface ModePart {
  close(): Promise<void>
}

export interface ModeKeeperOptions<T extends ModePart> {
  readonly clock: Clock
  readonly log: Log
  readonly input: () => ModeInput
  readonly start: (mode: NodeMode) => Promise<T>
  /** A new part runs, or another refusal stands. */
  readonly onChange: () => void
  readonly onRefusal: (refusal: ModeRefusal) => void
}

/** Pods that go do not say so here. */
const LOOK_MILLISECONDS = 5000

export class ModeKeeper<T extends ModePart> {
  readonly #options: ModeKeeperOptions<T>
  readonly #loop: Loop
  #running: { readonly mode: NodeMode; readonly part: T } | undefined
  #refusal: ModeRefusal | undefined
  #error = ''

  constructor(options: ModeKeeperOptions<T>) {
    this.#options = options
    this.#loop = new Loop({
      clock: options.clock,
      run: () => this.#look(),
      onError: error => {
        this.#error = errorText(error)
        options.onChange()
      },
      everyMilliseconds: LOOK_MILLISECONDS,
    })
    this.#loop.wake()
  }

  get mode(): NodeMode | undefined {
    return this.#running?.mode
  }

  get part(): T | undefined {
    return this.#running?.part
  }

  get problems(): readonly string[] {
    const refusal = this.#refusal === undefined ? [] : [this.#refusal.message]
    return this.#error === '' ? refusal : [...refusal, this.#error]
  }

  /** Something that the mode is decided by has changed. */
  wake(): void {
    this.#loop.wake()
  }

  async close(): Promise<void> {
    await this.#loop.close()
    await this.#running?.part.close()
  }

  async #look(): Promise<void> {
    const { input, start, onChange, log } = this.#options
    const { mode, refusal } = decideMode(input())
    this.#tell(refusal)
    if (mode === undefined || mode === this.#running?.mode) return
    await this.#running?.part.close()
    this.#running = undefined
    this.#running = { mode, part: await start(mode) }
    this.#error = ''
    log.info({ state: mode }, 'mode of the node')
    onChange()
  }

  #tell(refusal: ModeRefusal | undefined): void {
    const { onRefusal, onChange, log } = this.#options
    if (refusal?.message === this.#refusal?.message) return
    this.#refusal = refusal
    if (refusal !== undefined) {
      log.warn({ detail: refusal.message }, 'problem')
      onRefusal(refusal)
    }
    onChange()
  }
}
