/** Whom to tell that something changed. Pure: nobody is told but who asked for it. */
export class Changes {
  readonly #listeners = new Set<() => void>()

  readonly tell = (): void => {
    for (const listener of [...this.#listeners]) listener()
  }

  /** Returns how to stop that. */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
