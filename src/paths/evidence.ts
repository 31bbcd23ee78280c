/**
 * What became of probes, target by target, and what one target's last probes say. Pure.
 *
 * One lost packet is no news: a target fails when several probes in a row were lost and none that
 * was sent after the first of them came back, by every pair of ports. Where one pair of ports never
 * comes back and the others do, one member of an ECMP set is broken. What nobody asked for a while
 * is unknown, not good.
 */
import { type PathTarget, targetKey } from './targets.ts'

export interface ProbeOutcome {
  /** Milliseconds that never go back, when the question was sent. */
  readonly at: number
  /** Which of the fixed pairs of ports it used. */
  readonly ports: number
  /** Milliseconds until the answer; undefined: none came in time. */
  readonly roundTrip: number | undefined
}

export interface TargetHistory {
  readonly target: PathTarget
  /** Newest last, at most `KEPT`. */
  readonly outcomes: readonly ProbeOutcome[]
  /** When an answer came last; undefined: never. */
  readonly answeredAt: number | undefined
}

/** By `targetKey`. */
export type Evidence = ReadonlyMap<string, TargetHistory>

const KEPT = 16
/** So many losses in a row make a failure. */
export const LOSSES = 3
/** Pairs of ports that probes of one path take turns with. */
export const PORT_PAIRS = 4

export type TargetState = 'good' | 'failing' | 'partly' | 'unanswered' | 'unknown'

/** Adds an outcome. */
export function withOutcome(evidence: Evidence, target: PathTarget, outcome: ProbeOutcome): Evidence {
  const key = targetKey(target)
  const before = evidence.get(key)
  const outcomes = [...(before?.outcomes ?? []), outcome].slice(-KEPT)
  const answeredAt = outcome.roundTrip === undefined ? before?.answeredAt : outcome.at + outcome.roundTrip
  return new Map(evidence).set(key, { target, outcomes, answeredAt })
}

/** Forgets targets that are no longer to be measured. */
export function keepTargets(evidence: Evidence, keys: ReadonlySet<string>): Evidence {
  const gone = [...evidence.keys()].filter(key => !keys.has(key))
  return gone.length === 0 ? evidence : new Map([...evidence].filter(([key]) => keys.has(key)))
}

/**
 * `unanswered`: it never answered at all; whether something is broken, or nobody answers probes
 * there, other evidence has to say. `unknown`: nothing recent, by `staleMilliseconds`.
 */
export function stateOf(
  history: TargetHistory | undefined,
  { now, staleMilliseconds }: { readonly now: number; readonly staleMilliseconds: number },
): TargetState {
  const recent = history?.outcomes.filter(({ at }) => now - at <= staleMilliseconds) ?? []
  const last = recent.at(-1)
  if (history === undefined || last === undefined) return 'unknown'
  const lost = lossesInARow(recent)
  if (lost >= LOSSES) return history.answeredAt === undefined ? 'unanswered' : 'failing'
  if (lost === recent.length) return 'unknown'
  return deadPorts(recent).length > 0 ? 'partly' : 'good'
}

/** Whether the last probe was lost: then it is asked again soon, without waiting for its turn. */
export function isDoubtful(history: TargetHistory | undefined): boolean {
  return history !== undefined && history.outcomes.at(-1)?.roundTrip === undefined
}

function lossesInARow(outcomes: readonly ProbeOutcome[]): number {
  const last = outcomes.findLastIndex(({ roundTrip }) => roundTrip !== undefined)
  return outcomes.length - 1 - last
}

/** Pairs of ports of which every probe was lost, at least two, while others came back. */
function deadPorts(outcomes: readonly ProbeOutcome[]): number[] {
  const byPorts = Map.groupBy(outcomes, ({ ports }) => ports)
  const dead = [...byPorts].filter(
    ([, sent]) => sent.length >= 2 && sent.every(({ roundTrip }) => roundTrip === undefined),
  )
  return dead.map(([ports]) => ports)
}

/**
 * Lost of sent, and the median round trip in milliseconds, over what is kept of several targets.
 */
export function summary(histories: Iterable<TargetHistory>): {
  readonly sent: number
  readonly lost: number
  readonly roundTrip: number | undefined
} {
  const outcomes = [...histories].flatMap(history => history.outcomes)
  const times = outcomes.flatMap(({ roundTrip }) => roundTrip ?? []).toSorted((a, b) => a - b)
  return {
    sent: outcomes.length,
    lost: outcomes.length - times.length,
    roundTrip: times[Math.floor(times.length / 2)],
  }
}
