/**
 * Holds removals that are more likely a mistake than a wish: most of what stands, at once. A label
 * taken off a node pool, a slice that shrinks, `kubectl delete -f` with the wrong file: each would
 * withdraw and unroute a site within seconds. What is held stays as it was and is named; it goes on
 * when a second whole list says the same after a delay, or at once by the operator's word. The
 * controller decides so about what it publishes, each node about what it sees.
 *
 * Small removals go at once: fewer than `number`, or less than `share` of each group that they are
 * of, those of the last ten minutes included, so that objects deleted one after another by one
 * command are one removal. What is explained (a node that was drained before, a removal that the
 * controller held and released) goes at once and counts for nothing. Pure: times and lists come in
 * as values.
 */

export interface RemovalLimits {
  /** Of a group: from 0 to 1. */
  readonly share: number
  readonly number: number
  readonly delayMilliseconds: number
}

/** What stands: the groups that each thing is of, by its key. */
export type Standing = ReadonlyMap<string, readonly string[]>

export interface HeldRemoval {
  /** Clock.monotonic() milliseconds. */
  readonly since: number
  readonly delayMilliseconds: number
}

export interface RemovalState {
  readonly held: ReadonlyMap<string, HeldRemoval>
  /** What went lately, unexplained: when, and of which groups. */
  readonly recent: ReadonlyMap<string, { readonly at: number; readonly groups: readonly string[] }>
  /** The newest word of the operator that was seen, and when it was. */
  readonly word: string
  readonly wordAt: number
}

export const NO_REMOVALS: RemovalState = {
  held: new Map(),
  recent: new Map(),
  word: '',
  wordAt: Number.NEGATIVE_INFINITY,
}

export interface RemovalInput {
  readonly standing: Standing
  /** Keys of `standing` that are not wanted any more. */
  readonly gone: ReadonlySet<string>
  /** Keys that are wanted now: what went and is among them came back, and is new. */
  readonly wanted?: Pick<ReadonlySet<string>, 'has'>
  readonly explained: ReadonlySet<string>
  readonly now: number
  /** When the last whole list came in. */
  readonly listedAt: number
  /** The newest word of the operator: a time as text, which only grows; empty for none. */
  readonly word: string
  /**
   * Clock.now() milliseconds: how old a word is that is there when this process looks first.
   * Absent: any counts.
   */
  readonly time?: number
  /**
   * Whether the server does not even know the kind: then nothing that is gone was removed by
   * itself.
   */
  readonly isKindUnknown?: boolean
}

export interface RemovalDecision {
  readonly state: RemovalState
  /** Keys of `gone` that stay. */
  readonly kept: ReadonlySet<string>
  /** When to look again, and after a new list; undefined where nothing is held. */
  readonly dueAt: number | undefined
  /**
   * Whether removals went that others would take for a mistake: held and released, or explained.
   */
  readonly released: boolean
}

/** Whether nothing is held, and nothing went lately that may count with what goes next. */
export function isQuiet({ held, recent }: RemovalState): boolean {
  return held.size === 0 && recent.size === 0
}

/** Removals within this time count together. */
const TOGETHER_MILLISECONDS = 600_000
/** How long the operator's word holds for what is removed after it. */
const WORD_MILLISECONDS = 60_000
/** A word of an earlier day, found at the start of a process, was meant for something else. */
const OLD_WORD_MILLISECONDS = 600_000
/** The last of its kind goes when a second list says so: its kind may have been deleted with it. */
const LAST_MILLISECONDS = 5_000

/** Groups that are whole kinds. */
const WHOLE = new Set(['entries', 'peers'])

export function holdRemovals(state: RemovalState, input: RemovalInput, limits: RemovalLimits): RemovalDecision {
  const { standing, gone, explained, now, word } = input
  const hasSpoken = word > state.word
  const wordAt = hasSpoken && !isOfOld(state, input) ? now : state.wordAt
  const isConfirmed = now - wordAt < WORD_MILLISECONDS
  // what went may still stand, where it could not be carried out yet; what came back did not go
  const isLately = ([key, { at }]: readonly [string, { readonly at: number }]) =>
    input.wanted?.has(key) !== true && (standing.has(key) ? gone.has(key) : now - at < TOGETHER_MILLISECONDS)
  const recent = new Map([...state.recent].filter(isLately))
  const before = new Map([...state.held].filter(([key]) => gone.has(key) && standing.has(key)))
  const open = [...gone].filter(key => standing.has(key) && !before.has(key) && !recent.has(key) && !explained.has(key))
  const tripped = isConfirmed
    ? new Map<string, number>()
    : trippedGroups(open, { standing, held: before, recent }, limits)

  const held = new Map<string, HeldRemoval>()
  let released = false
  for (const [key, { since, delayMilliseconds }] of before) {
    const delay = input.isKindUnknown ? limits.delayMilliseconds : delayMilliseconds
    const isOver = now - since >= delay && input.listedAt - since >= delay
    if (isConfirmed || isOver || explained.has(key)) {
      released = true
      recent.set(key, { at: now, groups: [] })
    } else held.set(key, { since, delayMilliseconds: delay })
  }
  for (const key of open) {
    const groups = standing.get(key) ?? []
    const delays = groups.flatMap(group => tripped.get(group) ?? [])
    if (delays.length > 0) held.set(key, { since: now, delayMilliseconds: Math.max(...delays) })
    else {
      recent.set(key, { at: now, groups: isConfirmed ? [] : groups })
      if (isConfirmed) released = true
    }
  }
  const meant = [...gone].filter(key => explained.has(key))
  const alone = { standing, held: new Map(), recent: new Map() }
  const isMeantMass = meant.length > 0 && trippedGroups(meant, alone, limits).size > 0
  const dues = [...held.values()].map(({ since, delayMilliseconds }) => since + delayMilliseconds)
  return {
    state: { held, recent, word: hasSpoken ? word : state.word, wordAt },
    kept: new Set(held.keys()),
    dueAt: dues.length === 0 ? undefined : Math.min(...dues),
    released: released || isMeantMass,
  }
}

function isOfOld(state: RemovalState, { word, time }: RemovalInput): boolean {
  return state.word === '' && time !== undefined && Math.abs(time - Date.parse(word)) > OLD_WORD_MILLISECONDS
}

/** Groups that would lose too much, with the delay that this asks for. */
function trippedGroups(
  open: readonly string[],
  from: Pick<RemovalState, 'held' | 'recent'> & { readonly standing: Standing },
  limits: RemovalLimits,
): Map<string, number> {
  const { standing, held, recent } = from
  if (open.length === 0) return new Map()
  const totals = new Map<string, number>()
  const removed = new Map<string, number>()
  const count = (counts: Map<string, number>, groups: readonly string[]) => {
    for (const group of groups) counts.set(group, (counts.get(group) ?? 0) + 1)
  }
  for (const groups of standing.values()) count(totals, groups)
  for (const [key, { groups }] of recent) {
    count(removed, groups)
    if (!standing.has(key)) count(totals, groups)
  }
  for (const key of [...open, ...held.keys()]) count(removed, standing.get(key) ?? [])
  const tripped = new Map<string, number>()
  for (const [group, number] of removed) {
    const total = totals.get(group) ?? 0
    if (number >= limits.number && number >= limits.share * total) tripped.set(group, limits.delayMilliseconds)
    else if (WHOLE.has(group) && number === total)
      tripped.set(group, Math.min(LAST_MILLISECONDS, limits.delayMilliseconds))
  }
  return tripped
}

/** What is held, for people: when it goes on (a time to the minute), and how it goes at once. */
export function heldText(names: readonly string[], goesOn: string): string {
  const shown = names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ')
  return `the removal of ${shown} is held and nothing changes: it goes on after ${goesOn} and a second look; at once: terway-edge confirm --kubeconfig FILE`
}

/** `2026-11-27T13:41Z`: a time to the minute, rounded up, so that the text stays the same. */
export function toTheMinute(milliseconds: number): string {
  return `${new Date(Math.ceil(milliseconds / 60_000) * 60_000).toISOString().slice(0, 16)}Z`
}
