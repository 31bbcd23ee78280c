/**
 * Changes on trial: taken back when the API server falls silent, held when it answers again, put
 * back when it was an outage.
 */
import { describe, expect, test } from 'bun:test'
import {
  GRACE_MILLISECONDS,
  heldTexts,
  holdChanges,
  NO_TRIAL,
  NOTHING_HELD,
  sameRouting,
  stillHeld,
  type Trial,
  trialOfChange,
  trialStep,
  withoutHeld,
  withWays,
} from '../../src/kube/held-changes.ts'
import { entry } from '../support/cluster.ts'

const SELF = entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan'])
const OTHER = entry('edge-2', ['172.16.0.12'], ['10.0.2.0/25'], ['lan'])
const BAD = entry('edge-3', ['172.16.0.13'], ['198.51.100.0/28'], ['lan'])
const BEFORE = { entries: [SELF, OTHER] }

/**
 * Walks through what the server does: `+` answers, `-` is silent, `c` the objects change, `w` a
 * minute passes, `i` it is silent for a reason, and whether nothing of the change can be to blame.
 */
function walk(script: string, harmless = false): { verdicts: string; trial: Trial } {
  let trial: Trial = { ...NO_TRIAL, answeredAt: 0 }
  let at = 1000
  const verdicts: string[] = []
  for (const what of script) {
    at += what === 'w' ? GRACE_MILLISECONDS : 5000
    if (what === 'w') continue
    if (what === 'c') {
      trial = trialOfChange(trial, BEFORE, at)
      continue
    }
    const [next, verdict] = trialStep(trial, { answered: what === '+', innocent: what === 'i', harmless, at })
    trial = next
    verdicts.push({ 'go on': '.', 'take back': 'T', 'try again': 'A', hold: 'H', 'put back': 'P' }[verdict])
  }
  return { verdicts: verdicts.join(''), trial }
}

test.each([
  ['the server answers', 'c++++', '....'],
  ['it falls silent with a change, twice, and answers with what was before', 'c+---+---+', '...TA..TH'],
  ['an outage that is over when the change is taken back holds nothing', 'c+---+++++w+---', '...TA........'],
  ['a second outage long after the first holds nothing', 'c+---+++++w+c---+', '...TA.......TA'],
  ['it is silent with what was before too', 'c----------', '..T...P...'],
  ['nothing changed', '------', '......'],
  ['the change is long ago', 'c+w+---', '.....'],
  ['it is silent and the link is down', 'c--iiii', '......'],
  ['two lost tries are no silence', 'c--+--+', '......'],
  ['an outage that is over, then a change', 'c---------+c---+', '..T...P.....TA'],
  ['a change in an outage', '---c----', '.......'],
])('%s', (_what, script, verdicts) => {
  expect(walk(script).verdicts).toBe(verdicts)
})

test('a change of which nothing can be to blame is soon proven', () => {
  expect(walk('c++---', true).verdicts).toBe('.....')
  expect(walk('c++---').verdicts).toBe('....T')
  expect(walk('c+---', true).verdicts).toBe('...T')
})

describe('what is held', () => {
  const after = { entries: [SELF, BAD] }
  const held = holdChanges(BEFORE, after, NOTHING_HELD)

  test('what was before stands in its place: added, removed and changed objects', () => {
    expect(withoutHeld(after, held)).toEqual(BEFORE)
    expect(heldTexts(held).join('\n')).toContain('node edge-3 (198.51.100.0/28)')
  })

  test('it lasts for as long as the cluster says just that', () => {
    expect(stillHeld(after, held)).toEqual(held)
    const mended = { ...BAD, podCIDRs: ['10.0.3.0/25'] }
    const next = { entries: [SELF, OTHER, mended] }
    expect(withoutHeld(next, stillHeld(next, held))).toEqual({ entries: [SELF, OTHER, mended] })
    expect(stillHeld(BEFORE, held)).toEqual(NOTHING_HELD)
  })

  test('who selects a node is never on trial: an outage costs no session', () => {
    const before = { entries: [{ ...SELF, peers: [] }, OTHER] }
    expect(sameRouting(before, BEFORE)).toBe(true)
    const moved = { ...OTHER, addresses: ['172.16.0.22'], peers: ['lan', 'other'] }
    const tried = withWays({ entries: [SELF, moved] }, before)
    expect(tried).toEqual({ entries: [SELF, { ...OTHER, peers: ['lan', 'other'] }] })
  })
})
