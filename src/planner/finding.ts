/**
 * What the planner has to say: a problem (the network cannot work so), a warning (it works until
 * something happens), a note (what cannot be seen from here, or is good to know). Each with the
 * ranges or values that it is about and a way out. Pure.
 */

export type Severity = 'problem' | 'warning' | 'note'

/** A value and where it stands in the document. */
export interface Place {
  readonly path: string
  readonly value: string
}

export interface Finding {
  readonly severity: Severity
  /** A name for programs and for the documentation, such as `service-overlaps-pods`. */
  readonly rule: string
  readonly message: string
  /** What it is about; of an overlap both ranges. */
  readonly places: readonly Place[]
  readonly wayOut: string
}

const ORDER: Readonly<Record<Severity, number>> = { problem: 0, warning: 1, note: 2 }

/** Problems first; otherwise as they were found. */
export function inOrder(findings: readonly Finding[]): readonly Finding[] {
  return [...findings].sort((a, b) => ORDER[a.severity] - ORDER[b.severity])
}
