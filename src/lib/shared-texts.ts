/**
 * Texts that many values have in common, in memory once. What is parsed from JSON has a copy of its
 * own of each, however often it says the same. Pure.
 */

/** `value`, JSON as it was parsed, with the texts of `known`, to which new ones are added. */
export function withSharedTexts<T>(value: T, known: Map<string, string>): T {
  return shared(value, known) as T
}

/** Adds the texts of `value` to those that are `known`. */
export function noteTexts(value: unknown, known: Map<string, string>): void {
  if (typeof value === 'string') {
    if (!known.has(value)) known.set(value, value)
  } else if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) noteTexts(child, known)
  }
}

function shared(value: unknown, known: Map<string, string>): unknown {
  if (typeof value === 'string') {
    const same = known.get(value)
    if (same === undefined) known.set(value, value)
    return same ?? value
  }
  if (Array.isArray(value)) return value.map(item => shared(item, known))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, shared(child, known)]))
}
