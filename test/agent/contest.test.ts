/** When changes of routes that are made again and again count as undone by another program. */
import { expect, test } from 'bun:test'
import { afterPass, contestProblems, isContested, NO_CONTEST } from '../../src/agent/contest.ts'
import type { Change } from '../../src/agent/plan.ts'

const added = (destination: string): Change => ({ do: 'add', route: { destination, protocol: 187 } })
const passes = (...made: (readonly Change[])[]) => made.reduce(afterPass, NO_CONTEST)
const plan = { changes: [added('10.0.1.0/25')], conflicts: [], absent: [] }

test('the same changes in a row are a contest; other ones, or a pass without any, begin anew', () => {
  const same = [added('10.0.1.0/25')]
  expect(isContested(passes(same, same, same, same, same))).toBe(false)
  expect(isContested(passes(same, same, same, same, same, same))).toBe(true)
  expect(isContested(passes(same, same, same, [], same, same, same))).toBe(false)
  expect(isContested(passes(same, same, same, [added('10.0.2.0/25')], same, same))).toBe(false)
  expect(isContested(passes([], [], [], [], [], [], []))).toBe(false)
})

test('it is told while changes are needed', () => {
  const same = [added('10.0.1.0/25')]
  const contest = passes(same, same, same, same, same, same)
  expect(contestProblems(contest, plan)).toEqual([expect.stringContaining('another program keeps undoing changes')])
  expect(contestProblems(contest, { ...plan, changes: [] })).toEqual([])
  expect(contestProblems(NO_CONTEST, plan)).toEqual([])
})
