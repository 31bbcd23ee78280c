/** An invariant that does not hold, at a virtual time. */
export class Violation extends Error {
  override readonly name = 'Violation'
  /**
   * Which invariant: one word per thing, so that a shortened script is known to fail the same way.
   */
  readonly invariant: Invariant
  /** The same without names and numbers: what a shorter script must still come to. */
  get kind(): string {
    return this.message.replace(/[\w.:/,-]*\d[\w.:/,-]*/g, '#').slice(0, 200)
  }

  constructor(invariant: Invariant, message: string) {
    super(`${invariant}: ${message}`)
    this.invariant = invariant
  }
}

export type Invariant =
  | 'one podCIDR, one node'
  | 'freed podCIDRs are given away last'
  | 'a node that returns gets its own back'
  | 'one address, one pod'
  | 'one writer'
  | 'wanted routes only'
  | 'nothing removed because it is unknown'
  | 'entries of nodes that exist stay'
  | 'a node that boots acts on what it knew'
  | 'answers at once'
  | 'convergence'
  | 'rest'
  | 'no exception'
