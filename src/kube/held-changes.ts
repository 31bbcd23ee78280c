/**
 * Changes of routing that were taken back because they cost this node its contact with the API
 * server, and how that is found out: changes of the last minute are on trial, and when the server
 * falls silent meanwhile, what was before comes back. Does the server answer again, the changes
 * are held; does it not, it was an outage like any other and they are put in force again. Pure.
 *
 * A held change stays held for as long as the cluster says just that; another one is tried again.
 */
import type { BGPPeer } from './bgp-peer.ts'
import type { RouteEntry } from './route-slice.ts'

/** What routes are made from. */
export interface RoutingObjects {
  readonly entries: readonly RouteEntry[]
  readonly peers: readonly BGPPeer[]
}

/**
 * One object whose change is held: the text of it as it is refused (`gone`: that there is none),
 * and what counts in its place.
 */
export interface Held<T> {
  readonly refused: string
  readonly former?: T
}

export interface HeldChanges {
  /** By node. */
  readonly entries: ReadonlyMap<string, Held<RouteEntry>>
  /** By name. */
  readonly peers: ReadonlyMap<string, Held<BGPPeer>>
}

export const NOTHING_HELD: HeldChanges = { entries: new Map(), peers: new Map() }
const GONE = 'gone'

export function isHolding({ entries, peers }: HeldChanges): boolean {
  return entries.size + peers.size > 0
}

/** The objects with what is held replaced. */
export function withoutHeld<T extends RoutingObjects>(objects: T, held: HeldChanges): T {
  if (!isHolding(held)) return objects
  return {
    ...objects,
    entries: replaced(objects.entries, held.entries, nodeOf).toSorted(byText(nodeOf)),
    peers: replaced(objects.peers, held.peers, nameOf).toSorted(byText(nameOf)),
  }
}

/** What of `held` still is what the cluster says. */
export function stillHeld(objects: RoutingObjects, held: HeldChanges): HeldChanges {
  if (!isHolding(held)) return held
  return {
    entries: lasting(objects.entries, held.entries, nodeOf),
    peers: lasting(objects.peers, held.peers, nameOf),
  }
}

/** Holds every difference between the objects before and after, beside what is held already. */
export function holdChanges(before: RoutingObjects, after: RoutingObjects, held: HeldChanges): HeldChanges {
  return {
    entries: new Map([...held.entries, ...differences(before.entries, after.entries, nodeOf)]),
    peers: new Map([...held.peers, ...differences(before.peers, after.peers, nameOf)]),
  }
}

/** A line for each change that is held. */
export function heldTexts(held: HeldChanges): string[] {
  const text = (what: string, { refused }: Held<unknown>) =>
    `the change of ${what} is held: with it the API server was out of reach from here` +
    (refused === GONE ? ' (it had been removed)' : '')
  return [
    ...[...held.entries].map(([node, one]) => text(`node ${node}${cidrsOf(one.refused)}`, one)),
    ...[...held.peers].map(([name, one]) => text(`BGPPeer ${name}`, one)),
  ]
}

/** Whether routes could differ. */
export function sameRouting(a: RoutingObjects, b: RoutingObjects): boolean {
  return differences(a.entries, b.entries, nodeOf).length + differences(a.peers, b.peers, nameOf).length === 0
}

function cidrsOf(refused: string): string {
  try {
    const value: unknown = JSON.parse(refused)
    const has = typeof value === 'object' && value !== null && 'podCIDRs' in value && Array.isArray(value.podCIDRs)
    return has ? ` (${(value.podCIDRs as unknown[]).join(', ')})` : ''
  } catch {
    return ''
  }
}

const nodeOf = ({ node }: RouteEntry) => node
const nameOf = ({ name }: BGPPeer) => name

function byText<T>(keyOf: (object: T) => string): (a: T, b: T) => number {
  return (a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)
}

function replaced<T>(objects: readonly T[], held: ReadonlyMap<string, Held<T>>, keyOf: (object: T) => string): T[] {
  const present = new Set(objects.map(keyOf))
  const kept = objects.flatMap(object => {
    const one = held.get(keyOf(object))
    if (one === undefined || one.refused !== JSON.stringify(object)) return [object]
    return one.former === undefined ? [] : [one.former]
  })
  const removed = [...held].flatMap(([key, { refused, former }]) =>
    refused === GONE && former !== undefined && !present.has(key) ? [former] : [],
  )
  return [...kept, ...removed]
}

function lasting<T>(
  objects: readonly T[],
  held: ReadonlyMap<string, Held<T>>,
  keyOf: (object: T) => string,
): ReadonlyMap<string, Held<T>> {
  const texts = new Map(objects.map(object => [keyOf(object), JSON.stringify(object)]))
  return new Map([...held].filter(([key, { refused }]) => (texts.get(key) ?? GONE) === refused))
}

function differences<T>(
  before: readonly T[],
  after: readonly T[],
  keyOf: (object: T) => string,
): (readonly [string, Held<T>])[] {
  const former = new Map(before.map(object => [keyOf(object), object]))
  const now = new Map(after.map(object => [keyOf(object), object]))
  const keys = [...new Set([...former.keys(), ...now.keys()])]
  return keys.flatMap(key => {
    const [was, is] = [former.get(key), now.get(key)]
    const refused = is === undefined ? GONE : JSON.stringify(is)
    if (was !== undefined && JSON.stringify(was) === refused) return []
    return [[key, { refused, ...(was !== undefined && { former: was }) }] as const]
  })
}

/** How long a change is on trial. */
export const GRACE_MILLISECONDS = 60_000
/** So many tries in a row without an answer are silence. */
const SILENT_TRIES = 3
/** How long what was before has to bring the answer back. */
const RETURN_MILLISECONDS = 20_000

/** Where the trial stands. Times are Clock.monotonic() milliseconds. */
export interface Trial {
  /** Changes not older than the grace time: what was before each, the oldest first. */
  readonly changes: readonly { readonly at: number; readonly before: RoutingObjects }[]
  /** When the server last answered. */
  readonly answeredAt?: number
  /** Tries in a row without an answer. */
  readonly silent: number
  /** Since when the changes are taken back, on trial themselves. */
  readonly takenBackAt?: number
  /** It is an outage: nothing is on trial until the server answers again. */
  readonly outage: boolean
}

export const NO_TRIAL: Trial = { changes: [], silent: 0, outage: false }

/**
 * The objects changed from `before`. Nothing is tried while the server is silent: nobody could
 * tell.
 */
export function trialOfChange(trial: Trial, before: RoutingObjects, at: number): Trial {
  if (trial.takenBackAt !== undefined || trial.outage || trial.answeredAt === undefined || trial.silent > 0)
    return trial
  return { ...trial, changes: [...recent(trial, at), { at, before }] }
}

export type TrialVerdict = 'go on' | 'take back' | 'hold' | 'put back'

/**
 * The server was asked. `innocent`: something else explains the silence (the link is down, its
 * gateway does not answer), so no change is blamed for it.
 */
export function trialStep(
  trial: Trial,
  { answered, innocent, at }: { readonly answered: boolean; readonly innocent: boolean; readonly at: number },
): readonly [Trial, TrialVerdict] {
  const takenBack = trial.takenBackAt
  if (answered) {
    const settled = { ...trial, answeredAt: at, silent: 0, outage: false }
    if (takenBack === undefined) return [{ ...settled, changes: recent(trial, at) }, 'go on']
    return [{ changes: [], answeredAt: at, silent: 0, outage: false }, 'hold']
  }
  const silent = trial.silent + 1
  if (takenBack !== undefined) {
    if (at - takenBack < RETURN_MILLISECONDS) return [{ ...trial, silent }, 'go on']
    return [over(trial, silent), 'put back']
  }
  if (trial.outage || silent < SILENT_TRIES) return [{ ...trial, silent }, 'go on']
  if (innocent || trial.changes.length === 0) return [over(trial, silent), 'go on']
  return [{ ...trial, silent, takenBackAt: at }, 'take back']
}

/**
 * Whether the server is to be asked: while a change is on trial, and until an outage that began in
 * one is over.
 */
export function isOnTrial(trial: Trial): boolean {
  return trial.changes.length > 0 || trial.takenBackAt !== undefined || (trial.outage && trial.silent > 0)
}

/** What was before all changes on trial. */
export function beforeTrial(trial: Trial): RoutingObjects | undefined {
  return trial.changes[0]?.before
}

function recent({ changes, silent }: Trial, at: number): Trial['changes'] {
  return silent > 0 ? changes : changes.filter(change => at - change.at < GRACE_MILLISECONDS)
}

function over({ answeredAt }: Trial, silent: number): Trial {
  return { changes: [], silent, outage: true, ...(answeredAt !== undefined && { answeredAt }) }
}
