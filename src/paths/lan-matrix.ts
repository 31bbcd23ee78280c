/**
 * What the reports of a check of the whole cluster come to: for each LAN, and the VPC, how packets
 * fare from there to each other and within. Pure.
 */

import type { CheckReport } from '../kube/path-check.ts'
import { assertNever } from '../lib/assert.ts'
import { FAMILY_NAMES } from '../lib/ip.ts'
import type { PathKindView } from '../model/snapshot.ts'
import { isLost, totalOf } from './view.ts'

/** From one LAN to another, or within one. */
export interface LanPair {
  readonly from: string
  readonly to: string
  /** `lost`: of some family or size nothing came back to somebody who asked. */
  readonly state: 'good' | 'lossy' | 'lost' | 'not asked' | 'no answer'
  readonly sent: number
  readonly lost: number
  /** The median of small packets, in milliseconds; of several who asked the largest. */
  readonly roundTripMilliseconds?: number
  /** What is lost altogether: `IPv6`, `full size`, `switch`. */
  readonly missing: readonly string[]
}

/** A pair for each two of `places`; those from where nobody answered say so. */
export function lanPairs(reports: readonly CheckReport[], places: readonly string[]): LanPair[] {
  return places.flatMap(from => {
    const own = reports.filter(({ lan }) => lan === from)
    return places.map(to => (own.length === 0 ? unanswered(from, to) : pairOf(own, from, to)))
  })
}

function unanswered(from: string, to: string): LanPair {
  return { from, to, state: 'no answer', sent: 0, lost: 0, missing: [] }
}

function pairOf(reports: readonly CheckReport[], from: string, to: string): LanPair {
  const rows = reports.flatMap(({ paths }) => paths.kinds.filter(row => leadsTo(row, from, to)))
  // of a switch silence may mean that it sends nothing back: its verdict says whether that is so
  const refusing = from === to && reports.some(({ paths }) => paths.switches.some(({ status }) => status === 'False'))
  const missing = [...new Set([...whatIsLost(rows.filter(isLost)), ...(refusing ? ['switch'] : [])])].sort()
  const { sent, lost } = totalOf(rows)
  const times = rows.flatMap(({ size, roundTripMilliseconds }) =>
    size === 'small' ? (roundTripMilliseconds ?? []) : [],
  )
  const state = missing.length > 0 ? 'lost' : sent === 0 ? 'not asked' : lost > 0 ? 'lossy' : 'good'
  const slowest = times.length === 0 ? {} : { roundTripMilliseconds: Math.max(...times) }
  return { from, to, state, sent, lost, missing, ...slowest }
}

function leadsTo({ kind, lan }: PathKindView, from: string, to: string): boolean {
  if (from === to) return kind === 'direct'
  return lan === to && (kind === 'far' || kind === 'vpc')
}

/** Where small packets are lost, those of full size need no mention. */
function whatIsLost(rows: readonly PathKindView[]): string[] {
  const small = new Set(rows.filter(({ size }) => size === 'small').map(({ family }) => family))
  return rows
    .filter(({ size, family }) => size === 'small' || !small.has(family))
    .map(({ family, size }) => `${FAMILY_NAMES[family]}${size === 'full' ? ' full size' : ''}`)
}

/** In few words, for a cell of a table. */
export function pairText({ state, sent, lost, missing, roundTripMilliseconds }: LanPair): string {
  switch (state) {
    case 'good':
      return roundTripMilliseconds === undefined ? 'ok' : `${roundTripMilliseconds.toFixed(1)} ms`
    case 'lossy':
      return `${sent - lost} of ${sent}`
    case 'lost':
      return lost === sent ? 'LOST' : `LOST: ${missing.join(', ')}`
    case 'not asked':
      return '-'
    case 'no answer':
      return '?'
    default:
      return assertNever(state)
  }
}
