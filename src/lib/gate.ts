/**
 * So many at a time: the others wait for their turn, in the order in which they came. What one of
 * them throws is its own.
 */
export class Gate {
  readonly #most: number
  readonly #waiting: PromiseWithResolvers<void>[] = []
  #running = 0
  #closed = false

  constructor(most: number) {
    this.#most = most
  }

  /** Throws without `action` when the gate is closed before its turn comes. */
  async run<T>(action: () => Promise<T>): Promise<T> {
    if (this.#closed) throw closedError()
    if (this.#running < this.#most) this.#running++
    else {
      const turn = Promise.withResolvers<void>()
      this.#waiting.push(turn)
      await turn.promise
    }
    try {
      return await action()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next.resolve() // whose turn it is takes the place
    }
  }

  /** Those that wait wait no longer, and nobody else is let in; those inside go on. */
  close(): void {
    this.#closed = true
    for (const { reject } of this.#waiting.splice(0)) reject(closedError())
  }
}

function closedError(): Error {
  return new Error('it is being stopped')
}
