/**
 * A password that cannot be printed by accident: every way of turning it into text gives
 * `[redacted]`. Only `reveal()` gives the text, and it is called where the text is used (the TCP
 * MD5 socket option, the state file of mode 0600), nowhere else. Pure.
 */

const REDACTED = '[redacted]'

export class Secret {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  /** The secret text itself. */
  reveal(): string {
    return this.#text
  }
  equals(other: Secret | undefined): boolean {
    return other !== undefined && other.#text === this.#text
  }
  toString(): string {
    return REDACTED
  }
  toJSON(): string {
    return REDACTED
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED
  }
}
