/**
 * What can be told of JSON that nobody has checked yet: the few questions that small decoders ask.
 * A schema validator would cost more to load than the whole of a CNI ADD. Pure.
 */

export type JsonObject = Readonly<Record<string, unknown>>

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The list when `value` is one and all of it are strings, else undefined. */
export function stringList(value: unknown): readonly string[] | undefined {
  return Array.isArray(value) && value.every(entry => typeof entry === 'string') ? value : undefined
}
