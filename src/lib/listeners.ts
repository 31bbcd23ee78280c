/**
 * Whom to tell of something: who asks to hear of it, until they have had enough. Pure: nobody is
 * told but who asked.
 */
export class Listeners<Said extends readonly unknown[] = []> {
  readonly #all = new Set<(...said: Said) => void>()

  /** Returns how to stop that. */
  readonly add = (listener: (...said: Said) => void): (() => void) => {
    this.#all.add(listener)
    return () => this.#all.delete(listener)
  }

  /** One that stops another one meanwhile stops it at once; one that comes hears the next time. */
  readonly tell = (...said: Said): void => {
    for (const listener of [...this.#all]) if (this.#all.has(listener)) listener(...said)
  }

  clear(): void {
    this.#all.clear()
  }
}
