/**
 * What the prober found, as the status interface shows it: counts for each kind of path, never for
 * each target. Pure.
 */
import { present } from '../lib/fields.ts'
import type { PathKindView, PathsView } from '../model/snapshot.ts'
import { summary, type TargetHistory } from './evidence.ts'
import { remedyOf } from './remedies.ts'
import type { PathVerdict } from './verdict.ts'

export function pathsView(report: {
  readonly verdict: PathVerdict
  readonly histories: readonly TargetHistory[]
}): PathsView {
  const { findings, switches } = report.verdict
  return {
    findings: findings.map(finding => ({ ...finding, remedy: remedyOf(finding) })),
    switches,
    kinds: kindViews(report.histories),
  }
}

/** Lost packets alone are no fault; a finding is, and a kind of which all are lost. */
export function isProved({ findings, kinds }: PathsView): boolean {
  return findings.length === 0 && !kinds.some(isLost)
}

/** Probes of several kinds of path together. */
export function totalOf(kinds: readonly PathKindView[]): { readonly sent: number; readonly lost: number } {
  return {
    sent: kinds.reduce((sum, kind) => sum + kind.sent, 0),
    lost: kinds.reduce((sum, kind) => sum + kind.lost, 0),
  }
}

/** Of a switch silence may mean that it sends nothing back: its verdict says whether that is so. */
export function isLost({ kind, sent, lost }: PathKindView): boolean {
  return kind !== 'by-switch' && sent > 0 && lost === sent
}

function kindViews(histories: readonly TargetHistory[]): PathKindView[] {
  const groups = Map.groupBy(histories, ({ target }) => `${target.kind} ${target.lan} ${target.family} ${target.size}`)
  return [...groups.keys()].sort().flatMap(key => {
    const group = groups.get(key) ?? []
    const target = group[0]?.target
    if (target === undefined) return []
    const { kind, lan, family, size } = target
    const { sent, lost, roundTrip } = summary(group)
    const roundTripMilliseconds = roundTrip === undefined ? undefined : Math.round(roundTrip * 1000) / 1000
    return [present<PathKindView>({ kind, lan, family, size, sent, lost, roundTripMilliseconds })]
  })
}
