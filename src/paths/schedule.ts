/**
 * What to ask now: targets in their turn, as the budget of packets allows, those in doubt at once,
 * and those that fail every so often, so that their return is seen. Pure.
 */
import { type Evidence, hasFailed, isDoubtful, lostSince } from './evidence.ts'
import { farLists, farTarget, lanTarget, type PathChoice, type PathTarget, targetKey } from './targets.ts'

/** Packets that this node sends as questions, however large the cluster is. */
export interface PathBudget {
  readonly lanPacketsPerMinute: number
  readonly farPacketsPerMinute: number
}

export interface Schedule {
  /** Turns taken so far. */
  readonly lanTurn: number
  readonly farTurn: number
  /** Packets saved up. */
  readonly lanCredit: number
  readonly farCredit: number
}

export const START: Schedule = { lanTurn: 0, farTurn: 0, lanCredit: 1, farCredit: 1 }

/** A failing target is asked again after this, whether or not it has its turn. */
const ASK_FAILING_MILLISECONDS = 10_000
/** The most in doubt, and the most failing, that are asked beside those whose turn it is. */
const MOST_BESIDE = 4

export interface Due {
  readonly schedule: Schedule
  readonly targets: readonly PathTarget[]
}

/** `elapsed` and `now` in milliseconds. Never asks one target twice at once. */
export function due(input: {
  readonly choice: PathChoice
  readonly evidence: Evidence
  readonly schedule: Schedule
  readonly budget: PathBudget
  readonly now: number
  readonly elapsed: number
}): Due {
  const { choice, evidence, budget, now, elapsed } = input
  let { lanTurn, farTurn, lanCredit, farCredit } = input.schedule
  lanCredit = Math.min(2, lanCredit + (budget.lanPacketsPerMinute * elapsed) / 60_000)
  farCredit = Math.min(2, farCredit + (budget.farPacketsPerMinute * elapsed) / 60_000)
  const targets = new Map<string, PathTarget>()
  const add = (target: PathTarget | undefined) => {
    if (target !== undefined) targets.set(targetKey(target), target)
  }
  for (const target of beside(evidence, now)) {
    add(target)
    add(controlOf(target, choice))
  }
  for (; lanCredit >= 1; lanCredit--) add(lanTarget(choice, lanTurn++))
  for (; farCredit >= 1; farCredit--) add(suspected(farTarget(choice, farTurn++), evidence))
  return { schedule: { lanTurn, farTurn, lanCredit, farCredit }, targets: [...targets.values()] }
}

function beside(evidence: Evidence, now: number): PathTarget[] {
  const doubtful: PathTarget[] = []
  const failing: PathTarget[] = []
  for (const history of evidence.values()) {
    if (!isDoubtful(history)) continue
    if (!hasFailed(history.outcomes, now)) doubtful.push(history.target)
    else if (now - (history.outcomes.at(-1)?.at ?? 0) >= ASK_FAILING_MILLISECONDS) failing.push(history.target)
  }
  return [...doubtful.slice(0, MOST_BESIDE), ...failing.slice(0, MOST_BESIDE)]
}

/**
 * What is asked beside one in doubt, in the same moment, so that the two can be compared: a small
 * packet beside a full one, the direct way beside that by the switch.
 */
function controlOf(target: PathTarget, { direct }: PathChoice): PathTarget | undefined {
  if (target.size === 'full') return { ...target, size: 'small' }
  return target.kind === 'by-switch' ? direct.find(({ podCIDR }) => podCIDR === target.podCIDR) : undefined
}

/**
 * Where packets of full size are lost on the way to one LAN, the other LANs' next ones are of full
 * size too, until each has been tried: whether it is one line or all of them is known sooner.
 */
function suspected(target: PathTarget | undefined, evidence: Evidence): PathTarget | undefined {
  if (target === undefined || target.size === 'full') return target
  const losses = [...evidence.values()].flatMap(history =>
    history.target.size === 'full' && isBeyond(history.target) ? (lostSince(history) ?? []) : [],
  )
  const full: PathTarget = { ...target, size: 'full' }
  const triedAt = evidence.get(targetKey(full))?.outcomes.at(-1)?.at ?? Number.NEGATIVE_INFINITY
  return triedAt < Math.min(...losses, Number.POSITIVE_INFINITY) && losses.length > 0 ? full : target
}

function isBeyond({ kind }: PathTarget): boolean {
  return kind === 'far' || kind === 'vpc'
}

const LEAST_STALE_MILLISECONDS = 60_000

/**
 * After so long without being asked a target is unknown: two rounds of its kind, at least a minute.
 */
export function staleAfter(choice: PathChoice, budget: PathBudget): number {
  const turns = (count: number, perMinute: number) => (perMinute === 0 ? 0 : (count * 60_000) / perMinute)
  const lan = turns(4 * (choice.direct.length + choice.bySwitch.length), budget.lanPacketsPerMinute)
  const far = turns(8 * farLists(choice).length, budget.farPacketsPerMinute)
  return Math.max(LEAST_STALE_MILLISECONDS, 2 * lan, 2 * far)
}

/** All targets of a choice, small and of full size, by key. */
export function keysOf(choice: PathChoice): ReadonlySet<string> {
  const all = [...choice.direct, ...choice.bySwitch, ...farLists(choice).flat()]
  return new Set(all.flatMap(target => [targetKey(target), targetKey({ ...target, size: 'full' })]))
}
