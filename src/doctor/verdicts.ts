/**
 * What a check of `doctor` says: a problem keeps pods or sessions from working, a warning is what
 * an operator should know. Pure.
 */

export interface Check {
  readonly name: string
  readonly result: 'ok' | 'warning' | 'problem' | 'skipped'
  readonly detail: string
  /** What to do, for a problem or a warning. */
  readonly remedy?: string
}

export function ok(name: string, detail: string): Check {
  return { name, result: 'ok', detail }
}
export function skipped(name: string, detail: string): Check {
  return { name, result: 'skipped', detail }
}
export function warning(name: string, detail: string, remedy: string): Check {
  return { name, result: 'warning', detail, remedy }
}
export function problem(name: string, detail: string, remedy: string): Check {
  return { name, result: 'problem', detail, remedy }
}
