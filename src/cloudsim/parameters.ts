/**
 * Reads the flat parameters of a call, strictly: what an action requires must be there, numbers
 * must be in their range, lists numbered from 1 without gaps, and a parameter that the action does
 * not have is refused, which the real cloud would let pass unseen. Pure.
 */
import { demand, Refusal } from './refusal.ts'

export class Parameters {
  readonly #values: Readonly<Record<string, string>>
  readonly #read = new Set<string>()

  constructor(values: Readonly<Record<string, string>>) {
    this.#values = values
  }

  optional(name: string): string | undefined {
    this.#read.add(name)
    const value = this.#values[name]
    return value === '' ? undefined : value
  }
  required(name: string): string {
    const value = this.optional(name)
    demand(value !== undefined, `Missing${name}`, 400, `The input parameter "${name}" is mandatory`)
    return value
  }
  number(name: string, range: { minimum: number; maximum: number }): number | undefined {
    const text = this.optional(name)
    if (text === undefined) return undefined
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    const good = value >= range.minimum && value <= range.maximum
    demand(good, `InvalidParameter.${name}`, 400, `${name} must be ${range.minimum} to ${range.maximum}, not ${text}`)
    return value
  }
  boolean(name: string): boolean | undefined {
    const text = this.optional(name)
    if (text === undefined) return undefined
    demand(text === 'true' || text === 'false', `InvalidParameter.${name}`, 400)
    return text === 'true'
  }
  list(name: string): readonly string[] {
    const values: string[] = []
    for (;;) {
      const value = this.optional(`${name}.${values.length + 1}`)
      if (value === undefined) return values
      values.push(value)
    }
  }
  tags(): Record<string, string> {
    const tags: Record<string, string> = {}
    for (let number = 1; ; number++) {
      const key = this.optional(`Tag.${number}.Key`)
      const value = this.optional(`Tag.${number}.Value`)
      if (key === undefined) {
        demand(number <= 21, 'InvalidTagCount', 400)
        return tags
      }
      tags[key] = value ?? ''
    }
  }
  /** Call when all was read. */
  finish(): void {
    const unread = Object.keys(this.#values).find(name => !this.#read.has(name))
    if (unread !== undefined) throw new Refusal(`InvalidParameter.${unread}`, 400, `no such parameter: ${unread}`)
  }
}
