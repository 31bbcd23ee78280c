/**
 * The end of a process between any two of its effects: each effect asks first, and when the time
 * has come it is not done, nor anything after it.
 */
import type { Process } from './process.ts'

/** Thrown into a process that has died: nothing that catches it can have an effect any more. */
export class Dead extends Error {
  override readonly name = 'Dead'
}

export class Mortal {
  readonly #process: Process
  readonly #onDeath: () => void
  #effectsLeft = Number.POSITIVE_INFINITY
  /** Effects so far. */
  effects = 0

  constructor(process: Process, onDeath: () => void) {
    this.#process = process
    this.#onDeath = onDeath
  }

  readonly gate = (): void => {
    if (!this.#process.alive) throw new Dead()
    this.effects++
    if (this.#effectsLeft-- > 0) return
    this.die()
    throw new Dead()
  }

  dieAfter(effects: number): void {
    this.#effectsLeft = effects
  }

  die(): void {
    if (!this.#process.alive) return
    this.#process.kill()
    this.#onDeath()
  }
}
