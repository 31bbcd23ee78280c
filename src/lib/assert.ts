/**
 * Checks that a programmer's assumption holds. A failure is a bug of ours, never bad input: bad
 * input is answered with a value (a NOTIFICATION, a condition, a CNI error object) or a
 * `UserError`. Pure.
 */

/** Ends an exhaustive switch: does not compile while a variant is unhandled. */
export function assertNever(value: never): never {
  throw new Error(`unhandled variant: ${JSON.stringify(value)}`)
}

/** Throws when `condition` is false. `what` says what should have been true. */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`)
}
