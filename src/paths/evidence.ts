/**
 * What became of probes, target by target, and what one target's last probes say. Pure.
 *
 * One lost packet is no news: a target fails when several probes in a row were lost, over some
 * seconds, and none that was sent after the first of them came back, by every pair of ports. Where
 * one pair of ports never comes back and the others do, one member of an ECMP set is broken. What
 * nobody asked for a while is unknown, not good.
 */
import { type PathTarget, targetKey } from './targets.ts'

export interface ProbeOutcome {
  /** Milliseconds that never go back, when the question was sent. */
  readonly at: number
  /** Which of the fixed pairs of ports it used. */
  readonly ports: number
  /** Milliseconds until the answer; undefined: none came in time. */
  readonly roundTrip: number | undefined
  /**
   * No answer, but the kernel there said that nobody listens: packets go there and back while its
   * process is away (a restart, an upgrade).
   */
  readonly refused?: boolean
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

const KEPT = 24
/** So many losses in a row make a failure, */
const LOSSES = 3
/**
 * over so many milliseconds: a busy machine may keep its process waiting for a few seconds, and
 * nothing is wrong with the path.
 */
const FAILING_MILLISECONDS = 5000
/** Pairs of ports that probes of one path take turns with. */
export const PORT_PAIRS = 4

/**
 * Losses of one pair of ports that make it a dead one: a line that loses two of a hundred packets
 * has so many in a row about once in a million.
 */
export const DEAD_AFTER = 4

/** Above this share of losses of the other pairs, none is blamed. */
const OTHERS_LOSE = 0.125

export type TargetState = 'good' | 'failing' | 'partly' | 'unanswered' | 'unknown'

export function isLoss({ roundTrip, refused }: ProbeOutcome): boolean {
  return roundTrip === undefined && refused !== true
}

/** Adds an outcome. */
export function withOutcome(evidence: Evidence, target: PathTarget, outcome: ProbeOutcome): Evidence {
  const key = targetKey(target)
  const before = evidence.get(key)
  const outcomes = [...(before?.outcomes ?? []), outcome].slice(-KEPT)
  const answeredAt = isLoss(outcome) ? before?.answeredAt : outcome.at + (outcome.roundTrip ?? 0)
  return new Map(evidence).set(key, { target, outcomes, answeredAt })
}

/**
 * The answer to a question that counts as lost came after all: somebody was slow, nothing is lost.
 * What is not kept any more stays as it is.
 */
export function withLateAnswer(
  evidence: Evidence,
  target: PathTarget,
  { at, ports, roundTrip }: ProbeOutcome,
): Evidence {
  const key = targetKey(target)
  const before = evidence.get(key)
  const place = before?.outcomes.findIndex(one => one.at === at && one.ports === ports && isLoss(one)) ?? -1
  if (before === undefined || place < 0) return evidence
  const outcomes = before.outcomes.with(place, { at, ports, roundTrip })
  const answeredAt = Math.max(before.answeredAt ?? 0, at + (roundTrip ?? 0))
  return new Map(evidence).set(key, { ...before, outcomes, answeredAt })
}

/** Forgets targets that are no longer to be measured. */
export function keepTargets(evidence: Evidence, keys: ReadonlySet<string>): Evidence {
  const gone = [...evidence.keys()].filter(key => !keys.has(key))
  return gone.length === 0 ? evidence : new Map([...evidence].filter(([key]) => keys.has(key)))
}

export interface StateInput {
  readonly now: number
  readonly staleMilliseconds: number
  /** Over how long losses in a row make a failure; absent: five seconds. */
  readonly failingMilliseconds?: number
}

/**
 * `unanswered`: it never answered at all; whether something is broken, or nobody answers probes
 * there, other evidence has to say. `unknown`: nothing recent, by `staleMilliseconds`.
 */
export function stateOf(
  history: TargetHistory | undefined,
  { now, staleMilliseconds, failingMilliseconds = FAILING_MILLISECONDS }: StateInput,
): TargetState {
  const recent = history?.outcomes.filter(({ at }) => now - at <= staleMilliseconds) ?? []
  const last = recent.at(-1)
  if (history === undefined || last === undefined) return 'unknown'
  if (hasFailed(recent, now, failingMilliseconds)) return history.answeredAt === undefined ? 'unanswered' : 'failing'
  if (recent.every(isLoss)) return 'unknown'
  return deadPorts(recent).length > 0 ? 'partly' : 'good'
}

/** Whether the last probe was lost: then it is asked again soon, without waiting for its turn. */
export function isDoubtful(history: TargetHistory | undefined): boolean {
  const last = history?.outcomes.at(-1)
  return last !== undefined && isLoss(last)
}

function lastLosses(outcomes: readonly ProbeOutcome[]): readonly ProbeOutcome[] {
  return outcomes.slice(outcomes.findLastIndex(outcome => !isLoss(outcome)) + 1)
}

/** When the first of the last losses in a row was sent; undefined where the last one came back. */
export function lostSince({ outcomes }: TargetHistory): number | undefined {
  return lastLosses(outcomes)[0]?.at
}

/**
 * Whether one that was sent at `since` or later was answered. That nobody listens does not count:
 * a kernel says so about once a second (`icmp_ratelimit`), to one path and not to the next.
 */
export function answeredSince(history: TargetHistory | undefined, since: number): boolean {
  return history?.outcomes.some(({ at, roundTrip }) => at >= since && roundTrip !== undefined) === true
}

/** Whether the last losses in a row make a failure. */
export function hasFailed(
  outcomes: readonly ProbeOutcome[],
  now: number,
  failingMilliseconds: number = FAILING_MILLISECONDS,
): boolean {
  const lost = lastLosses(outcomes)
  return lost.length >= LOSSES && now - (lost[0]?.at ?? now) >= failingMilliseconds
}

const LOSSY_MILLISECONDS = 180_000
const LOSSY_SHARE = 0.25
const LOSSY_TIMES = 6
/** So many answers in a row, over all targets, and it is over. */
const CALM_ANSWERS = 10

/**
 * Whether many probes get lost here and there on paths of one kind: of those that follow an answer,
 * so that an outage counts once however long it is.
 */
export function isLossy(histories: readonly TargetHistory[], now: number): boolean {
  const recent = histories.map(({ outcomes }) => outcomes.filter(({ at }) => now - at <= LOSSY_MILLISECONDS))
  const after = recent.flatMap(outcomes =>
    outcomes.slice(1).filter((_, index) => outcomes[index]?.roundTrip !== undefined),
  )
  const last = recent
    .flat()
    .toSorted((a, b) => a.at - b.at)
    .slice(-CALM_ANSWERS)
  const lost = after.filter(isLoss).length
  return lost >= LOSSY_TIMES && lost >= LOSSY_SHARE * after.length && last.some(isLoss)
}

/**
 * Pairs of ports of which every probe was lost, several, while others came back in between: an
 * outage that is over is no reason to blame one. Where the others lose many as well, the line does,
 * and chance picked the one.
 */
function deadPorts(outcomes: readonly ProbeOutcome[]): number[] {
  const byPorts = Map.groupBy(outcomes.keys(), at => outcomes[at]?.ports ?? 0)
  const others = [...Map.groupBy(outcomes, ({ ports }) => ports).values()].filter(list => !list.every(isLoss)).flat()
  if (others.filter(isLoss).length > others.length * OTHERS_LOSE) return []
  const answered = (from: number, to: number) =>
    outcomes.slice(from, to).some(({ roundTrip }) => roundTrip !== undefined)
  return [...byPorts].flatMap(([ports, places]) => {
    const last = places.slice(-DEAD_AFTER)
    const isDead =
      last.length === DEAD_AFTER &&
      places.every(at => outcomes[at] !== undefined && isLoss(outcomes[at])) &&
      last.slice(1).every((at, index) => answered(last[index] ?? at, at))
    return isDead ? [ports] : []
  })
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
    lost: outcomes.filter(isLoss).length,
    roundTrip: times[Math.floor(times.length / 2)],
  }
}
