/**
 * Reads fields out of an untrusted object and gathers every problem with its path, so that a
 * decoder is a flat list of fields and a user sees all mistakes at once. A reader returns undefined
 * for what is wrong; the caller looks at `problems` once, at the end. Knows no document: fields,
 * their ranges and their defaults are the decoder's. Pure.
 */
import type { Problem } from '../lib/errors.ts'
import { canonicalAddress } from '../lib/ip.ts'

export type Fields = Readonly<Record<string, unknown>>

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export class SpecReader {
  readonly problems: Problem[] = []
  readonly #fields: Fields
  readonly #path: string

  constructor(fields: Fields, path: string, problems?: Problem[]) {
    this.#fields = fields
    this.#path = path
    if (problems !== undefined) this.problems = problems
  }

  problem(field: string, message: string): undefined {
    this.problems.push({ path: field === '' ? this.#path : `${this.#path}.${field}`, message })
    return undefined
  }
  /** Null counts as absent, as it does in JSON merge patches. */
  value(field: string): unknown {
    return Object.hasOwn(this.#fields, field) ? (this.#fields[field] ?? undefined) : undefined
  }
  /** Whether the field is there; a problem when not. */
  required(field: string): boolean {
    if (this.value(field) !== undefined) return true
    this.problem(field, 'is required')
    return false
  }
  text(field: string): string | undefined {
    const value = this.value(field)
    if (value === undefined || typeof value === 'string') return value
    return this.problem(field, `must be a text, not ${shown(value)}`)
  }
  boolean(field: string): boolean | undefined {
    const value = this.value(field)
    if (value === undefined || typeof value === 'boolean') return value
    return this.problem(field, `must be true or false, not ${shown(value)}`)
  }
  /** A whole number in `range`; `unit` follows the numbers in the message. */
  integer(field: string, range: { minimum: number; maximum: number; unit?: string }): number | undefined {
    const value = this.value(field)
    if (value === undefined) return undefined
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= range.minimum && value <= range.maximum)
      return value
    const unit = range.unit === undefined ? '' : ` ${range.unit}`
    return this.problem(field, `must be ${range.minimum} to ${range.maximum}${unit}, not ${shown(value)}`)
  }
  /** An IPv4 or IPv6 address, made canonical. */
  address(field: string): string | undefined {
    const text = this.text(field)
    if (text === undefined) return undefined
    const address = canonicalAddress(text.trim())
    if (address !== undefined) return address
    const hint = text.includes('/')
      ? '; remove the prefix length'
      : text.includes('%')
        ? '; zones are not supported'
        : ''
    return this.problem(field, `${shown(text)} is not an IPv4 or IPv6 address${hint}`)
  }
  texts(field: string): readonly string[] | undefined {
    const value = this.value(field)
    if (value === undefined) return undefined
    if (!Array.isArray(value)) return this.problem(field, `must be a list of texts, not ${shown(value)}`)
    for (const [index, item] of value.entries()) {
      if (typeof item !== 'string') this.problem(`${field}[${index}]`, `must be a text, not ${shown(item)}`)
    }
    return value.filter(item => typeof item === 'string')
  }
  /** A reader of a nested object, whose problems are gathered here too. */
  nested(field: string): SpecReader | undefined {
    const value = this.value(field)
    if (value === undefined) return undefined
    if (!isFields(value)) return this.problem(field, `must be an object, not ${shown(value)}`)
    return new SpecReader(value, `${this.#path}.${field}`, this.problems)
  }
}

/** A value as a message shows it. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
