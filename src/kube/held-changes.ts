/**
 * Changes of routing that were taken back because they cost this node its contact with the API
 * server, and how that is found out: changes of the last minute are on trial, and when the server
 * falls silent meanwhile, what was before comes back. Does the server answer again, the changes are
 * tried once more, for a short outage looks just so; does it fall silent again, they are held. Does
 * it not answer with what was before either, it was an outage like any other and they are put in
 * force again. Pure.
 *
 * On trial are podCIDRs and the nodes that they lead to: a packet on the way to the server, or its
 * answer, is led astray by these alone. BGPPeers are not: an outage may cost no session. Where all
 * that is on the way is known, and so covered by no podCIDR, no route is taken back but what was
 * announced (announced-anew.ts).
 *
 * A held change stays held for as long as the cluster says just that; another one is tried again.
 */
import { type FieldTable, fieldsOf, pickFields } from '../lib/fields.ts'
import type { RouteEntry } from './route-slice.ts'

/** What routes are made from, as far as it can be on trial. */
export interface RoutingObjects {
  readonly entries: readonly RouteEntry[]
}

/**
 * One object whose change is held: the text of it as it is refused (`gone`: that there is none),
 * and what counts in its place.
 */
export interface HeldChange<T> {
  readonly refused: string
  readonly former?: T
}

export interface HeldChanges {
  /** By node. */
  readonly entries: ReadonlyMap<string, HeldChange<RouteEntry>>
}

export const NOTHING_HELD: HeldChanges = { entries: new Map() }
const GONE = 'gone'

export function isHolding({ entries }: HeldChanges): boolean {
  return entries.size > 0
}

/** The objects with what is held replaced. */
export function withoutHeld<T extends RoutingObjects>(objects: T, held: HeldChanges): T {
  if (!isHolding(held)) return objects
  const present = new Set(objects.entries.map(({ node }) => node))
  const kept = objects.entries.flatMap(entry => {
    const one = held.entries.get(entry.node)
    if (one === undefined || one.refused !== waysText(entry)) return [entry]
    return one.former === undefined ? [] : [withWaysOf(entry, one.former)]
  })
  const removed = [...held.entries].flatMap(([node, { refused, former }]) =>
    refused === GONE && former !== undefined && !present.has(node) ? [former] : [],
  )
  return { ...objects, entries: [...kept, ...removed].toSorted((a, b) => (a.node < b.node ? -1 : 1)) }
}

/** What of `held` still is what the cluster says. */
export function stillHeld({ entries }: RoutingObjects, held: HeldChanges): HeldChanges {
  if (!isHolding(held)) return held
  const texts = new Map(entries.map(entry => [entry.node, waysText(entry)]))
  return { entries: new Map([...held.entries].filter(([node, { refused }]) => (texts.get(node) ?? GONE) === refused)) }
}

/**
 * Holds every difference between the objects before and after, of `nodes` alone where they are
 * named, beside what is held already.
 */
export function holdChanges(
  before: RoutingObjects,
  after: RoutingObjects,
  held: HeldChanges,
  nodes?: readonly string[],
): HeldChanges {
  const found = differences(before, after).filter(([node]) => nodes === undefined || nodes.includes(node))
  return { entries: new Map([...held.entries, ...found]) }
}

/** A line for each change that is held. */
export function heldTexts({ entries }: HeldChanges): string[] {
  return [...entries].map(([node, { refused }]) => {
    const gone = refused === GONE ? ' (it had been removed)' : ''
    return `the change of node ${node}${cidrsOf(refused)} is held: with it the API server was out of reach from here${gone}`
  })
}

/** Whether packets would go other ways. */
export function sameRouting(a: RoutingObjects, b: RoutingObjects): boolean {
  return differences(a, b).length === 0
}

/** The objects with the ways of `former`, while that is tried. */
export function withWays<T extends RoutingObjects>(objects: T, former: RoutingObjects): T {
  return withoutHeld(objects, holdChanges(former, objects, NOTHING_HELD))
}

/** Whether a field of an entry says where packets go; the order is that of stored texts. */
const ENTRY_FIELDS: FieldTable<RouteEntry, 'way' | 'no way'> = {
  podCIDRs: 'way',
  addresses: 'way',
  node: 'no way',
  peers: 'no way',
  createdAt: 'no way',
}
const WAYS = fieldsOf(ENTRY_FIELDS, 'way')

function waysText(entry: RouteEntry): string {
  return JSON.stringify(pickFields(entry, WAYS))
}

function withWaysOf(entry: RouteEntry, other: RouteEntry): RouteEntry {
  return { ...entry, ...pickFields(other, WAYS) }
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

function differences(before: RoutingObjects, after: RoutingObjects): (readonly [string, HeldChange<RouteEntry>])[] {
  // of thousands most are the very same objects
  const [same, there] = [new Set(before.entries), new Set(after.entries)]
  const former = new Map(before.entries.filter(entry => !there.has(entry)).map(entry => [entry.node, entry]))
  const now = new Map(after.entries.filter(entry => !same.has(entry)).map(entry => [entry.node, entry]))
  return [...new Set([...former.keys(), ...now.keys()])].flatMap(node => {
    const [was, is] = [former.get(node), now.get(node)]
    const refused = is === undefined ? GONE : waysText(is)
    if (was !== undefined && waysText(was) === refused) return []
    return [[node, { refused, ...(was !== undefined && { former: was }) }] as const]
  })
}

/** How long a change is on trial. */
export const GRACE_MILLISECONDS = 60_000
/** How long, where nothing of it can be to blame as far as is known. */
const HARMLESS_MILLISECONDS = 10_000
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
  /** The changes were taken back before, and the server answered then: they are tried once more. */
  readonly isSecond?: boolean
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

/** A process that starts: what another had on trial when it ended is on trial once more. */
export function trialAgain(objects: RoutingObjects, onTrial: HeldChanges, at: number): Trial {
  const before = withoutHeld(objects, onTrial)
  return sameRouting(before, objects) ? NO_TRIAL : { ...NO_TRIAL, changes: [{ at, before }] }
}

export type TrialVerdict = 'go on' | 'take back' | 'try again' | 'hold' | 'put back'

export interface Asked {
  readonly answered: boolean
  /**
   * Something else explains the silence (the link is down, its gateway does not answer), or nothing
   * that was changed can: no change is blamed for it.
   */
  readonly innocent: boolean
  /**
   * Whether nothing that was changed can lead packets to the server astray: all that is on the way
   * is known, and nothing is announced anew. Devices pass on what is announced to them at their
   * own time (by eBGP often 30 s a hop, RFC 4271 section 10).
   */
  readonly harmless: boolean
  readonly at: number
}

/** The server was asked. */
export function trialStep(trial: Trial, { answered, innocent, harmless, at }: Asked): readonly [Trial, TrialVerdict] {
  const takenBack = trial.takenBackAt
  if (answered) {
    const settled = { answeredAt: at, silent: 0, outage: false }
    if (takenBack === undefined) {
      const changes = recent(trial, at, harmless ? HARMLESS_MILLISECONDS : GRACE_MILLISECONDS)
      return [{ ...settled, changes, ...(changes.length > 0 && trial.isSecond && { isSecond: true }) }, 'go on']
    }
    const before = beforeTrial(trial)
    if (trial.isSecond || before === undefined) return [{ ...settled, changes: [] }, 'hold']
    return [{ ...settled, changes: [{ at, before }], isSecond: true }, 'try again']
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

function recent({ changes, silent }: Trial, at: number, grace = GRACE_MILLISECONDS): Trial['changes'] {
  return silent > 0 ? changes : changes.filter(change => at - change.at < grace)
}

function over({ answeredAt }: Trial, silent: number): Trial {
  return { changes: [], silent, outage: true, ...(answeredAt !== undefined && { answeredAt }) }
}
