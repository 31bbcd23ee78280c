/**
 * Whether another program undoes our changes of routes: the same ones are needed pass after pass.
 * From then on they are made more rarely, and an operator is told. Pure.
 */
import type { Change, Plan } from './plan.ts'

/** The changes made last, as one text, and how many passes in a row have made just these. */
export interface Contest {
  readonly changes: string
  readonly passes: number
}

export const NO_CONTEST: Contest = { changes: '', passes: 0 }

/** After so many passes it is no chance. */
const CONTEST_PASSES = 5

/** What is known after a pass that made these changes. */
export function afterPass(contest: Contest, made: readonly Change[]): Contest {
  const changes = made.map(change => `${change.do} ${change.route.destination}`).join()
  return { changes, passes: changes !== '' && changes === contest.changes ? contest.passes + 1 : 0 }
}

export function isContested({ passes }: Contest): boolean {
  return passes >= CONTEST_PASSES
}

export function contestProblems(contest: Contest, { changes }: Plan): string[] {
  if (!isContested(contest) || changes.length === 0) return []
  return ['another program keeps undoing changes of routes: see which one writes to this table (ip monitor route)']
}
