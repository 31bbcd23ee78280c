/** What reports of a check of the whole cluster come to, and what of an Event is taken for one. */
import { expect, test } from 'bun:test'
import { CHECK_REPORT, type CheckReport, checkAsked, checkReport } from '../../src/kube/path-check.ts'
import type { PathKindView, PathsView } from '../../src/model/snapshot.ts'
import { lanPairs, pairText } from '../../src/paths/lan-matrix.ts'
import { isProved } from '../../src/paths/view.ts'

function row(kind: PathKindView['kind'], lan: string, more: Partial<PathKindView> = {}): PathKindView {
  return { kind, lan, family: 'ipv4', size: 'small', sent: 8, lost: 0, roundTripMilliseconds: 1.25, ...more }
}

function report(lan: string, kinds: readonly PathKindView[], more: Partial<PathsView> = {}): CheckReport {
  return { asked: 'now/1', node: `node-of-${lan}`, lan, paths: { findings: [], switches: [], kinds, ...more } }
}

function texts(reports: readonly CheckReport[], places: readonly string[]): string[] {
  return lanPairs(reports, places).map(pair => `${pair.from} > ${pair.to}: ${pairText(pair)}`)
}

test('a table of LAN by LAN, and the VPC', () => {
  const a = report('lan-a', [row('direct', 'lan-a'), row('far', 'lan-b', { lost: 8 }), row('vpc', 'VPC', { lost: 3 })])
  const vpc = report('VPC', [row('far', 'lan-a'), row('far', 'lan-b')])
  expect(texts([a, vpc], ['lan-a', 'lan-b', 'VPC'])).toEqual([
    'lan-a > lan-a: 1.3 ms',
    'lan-a > lan-b: LOST',
    'lan-a > VPC: 5 of 8',
    'lan-b > lan-a: ?',
    'lan-b > lan-b: ?',
    'lan-b > VPC: ?',
    'VPC > lan-a: 1.3 ms',
    'VPC > lan-b: 1.3 ms',
    'VPC > VPC: -',
  ])
  expect([a, vpc].map(({ paths }) => isProved(paths))).toEqual([false, true])
})

test('what of it is lost is named: a family, packets of full size, the switch', () => {
  const six = { family: 'ipv6', lost: 8 } as const
  const part = report('lan-a', [
    row('far', 'lan-b'),
    row('far', 'lan-b', six),
    row('far', 'lan-b', { ...six, size: 'full' }),
  ])
  expect(texts([part], ['lan-a', 'lan-b'])[1]).toBe('lan-a > lan-b: LOST: IPv6')
  const large = report('lan-a', [row('far', 'lan-b'), row('far', 'lan-b', { size: 'full', lost: 8 })])
  expect(texts([large], ['lan-a', 'lan-b'])[1]).toBe('lan-a > lan-b: LOST: IPv4 full size')
  const verdict = { bgpPeer: 'lan-a', via: '172.16.0.1', message: '', verified: [], missing: [] }
  const silent = row('by-switch', 'lan-a', { lost: 8 })
  const pair = (status: 'False' | 'Unknown') => {
    const one = report('lan-a', [row('direct', 'lan-a'), silent], { switches: [{ ...verdict, status }] })
    return texts([one], ['lan-a'])[0]
  }
  expect(pair('False')).toBe('lan-a > lan-a: LOST: switch')
  // it may send nothing back to where it came from
  expect(pair('Unknown')).toBe('lan-a > lan-a: 1.3 ms')
})

test('an Event is a report when it has all that a table shows', () => {
  const event = (value: unknown) => ({
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: 'e', annotations: { [CHECK_REPORT]: JSON.stringify(value) } },
  })
  const good = report('lan-a', [row('direct', 'lan-a')])
  expect(checkReport(event(good))).toEqual(good)
  const kinds = [{ ...row('direct', 'lan-a'), sent: 'many' }]
  for (const bad of [null, {}, { ...good, lan: 1 }, { ...good, paths: { ...good.paths, kinds } }])
    expect(checkReport(event(bad))).toBeUndefined()
  expect(checkReport({ apiVersion: 'v1', kind: 'Event', metadata: { name: 'e' } })).toBeUndefined()
})

test('a word is a time and a name', () => {
  const asked = (word: string) =>
    checkAsked({
      apiVersion: '',
      kind: '',
      metadata: { name: 'a', annotations: { 'network.openyurt.io/check': word } },
    })
  expect(asked('2026-11-27T19:50:12Z/1a2b')).toBe('2026-11-27T19:50:12Z/1a2b')
  expect(asked('soon')).toBeUndefined()
})
