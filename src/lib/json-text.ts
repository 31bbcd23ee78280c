/**
 * JSON for people at a terminal too: what could steer it or turn the direction of writing is
 * escaped, as JSON allows. Pure.
 */

/**
 * DEL, C1, line separators, and the marks of the Unicode Bidirectional Algorithm; JSON itself
 * escapes C0.
 */
const STEERING = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/** `JSON.stringify`, in plain characters only. */
export function jsonText(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(
    STEERING,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
