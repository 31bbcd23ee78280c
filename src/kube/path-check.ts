/**
 * How an operator at a desk has every LAN try every path now, by nothing but the API server: a word
 * on BGPPeers, which nodes hear by the watch that they have anyway, and from each that answers an
 * Event on the BGPPeer that bears what its packets found. Events go away by themselves, and
 * `kubectl describe bgppeer` shows them. Pure.
 */
import { memoByObject } from '../lib/memo.ts'
import type { PathsView } from '../model/snapshot.ts'
import type { KubeObject } from './resources.ts'
import { isFields } from './spec-reader.ts'

/** On BGPPeers: a time (RFC 3339), `/`, and a text that tells this check from others. */
export const CHECK_ASKED = 'network.openyurt.io/check'
/** On the Events that answer: a `CheckReport` as JSON. */
export const CHECK_REPORT = 'network.openyurt.io/check-report'
/** The reason of these Events. */
export const PATHS_CHECKED = 'PathsChecked'

/** Who asks from the VPC, and what its place is called. */
export const VPC = 'VPC'

/** What the packets of one node, or of the controller, found. */
export interface CheckReport {
  /** The word that it answers. */
  readonly asked: string
  readonly node: string
  /** Where it stands: names of BGPPeers, or `VPC`. */
  readonly lan: string
  readonly paths: PathsView
}

/** The word on an object; undefined for none, or none of this form. */
export function checkAsked({ metadata }: KubeObject): string | undefined {
  const word = metadata.annotations?.[CHECK_ASKED]
  return word !== undefined && Number.isNaN(askedAt(word)) ? undefined : word
}

/** The words on those that have one, by their names. */
export function checksOn(objects: Iterable<KubeObject>): ReadonlyMap<string, string> {
  return new Map(
    [...objects].flatMap((object): [string, string][] => {
      const word = checkAsked(object)
      return word === undefined ? [] : [[object.metadata.name, word]]
    }),
  )
}

/** When a check was asked for, in milliseconds as `Clock.now()`; NaN where that cannot be read. */
export function askedAt(word: string): number {
  return Date.parse(word.split('/')[0] ?? '')
}

/** The report that an Event bears; undefined for none that can be read. */
export const checkReport = memoByObject(readReport)

function readReport({ metadata }: KubeObject): CheckReport | undefined {
  try {
    const value: unknown = JSON.parse(metadata.annotations?.[CHECK_REPORT] ?? '')
    return isReport(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isReport(value: unknown): value is CheckReport {
  if (!isFields(value) || !isFields(value.paths)) return false
  const { asked, node, lan, paths } = value
  if (![asked, node, lan].every(isText)) return false
  return (
    listOf(paths.findings, ({ place, message }) => isText(place) && isText(message)) &&
    listOf(paths.switches, ({ bgpPeer, status, message }) => [bgpPeer, status, message].every(isText)) &&
    listOf(paths.kinds, row => {
      const texts = [row.kind, row.lan, row.family, row.size]
      return texts.every(isText) && typeof row.sent === 'number' && typeof row.lost === 'number'
    })
  )
}

function isText(value: unknown): boolean {
  return typeof value === 'string'
}

function listOf(value: unknown, isOne: (one: Readonly<Record<string, unknown>>) => boolean): boolean {
  return Array.isArray(value) && value.every(one => isFields(one) && isOne(one))
}
