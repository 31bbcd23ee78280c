/**
 * Metrics: the exact text, and a strict reading of the exposition format (version 0.0.4) that holds
 * for hostile names too.
 */
import { expect, test } from 'bun:test'
import type { BgpSession } from '../../src/model/session.ts'
import { snapshotMetrics } from '../../src/status/metrics.ts'
import { controllerSnapshot, nodeSnapshot, SESSION } from './sample.ts'

interface Family {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: { labels: Record<string, string>; value: number }[]
}

const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"/y

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (LABEL.lastIndex = 0; LABEL.lastIndex < text.length; ) {
    const at = LABEL.lastIndex
    const match = LABEL.exec(text)
    if (match === null) throw new Error(`not a label at ${text.slice(at)}`)
    const [, name = '', value = ''] = match
    if (name in labels) throw new Error(`twice the label ${name}`)
    labels[name] = value.replace(/\\([\\n"])/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped))
    if (LABEL.lastIndex < text.length && text[LABEL.lastIndex++] !== ',') throw new Error(`no comma in ${text}`)
  }
  return labels
}

/** Reads HELP, TYPE, samples, in that order and each family once; throws at anything else. */
function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end')
  const families = new Map<string, Family>()
  const series = new Set<string>()
  let family: Family | undefined
  let help: string[] = []
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line)
    const sample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?\d+(?:\.\d+)?(?:e[+-]\d+)?)$/.exec(line)
    if (comment?.[1] === 'HELP') help = [comment[2] ?? '', comment[3] ?? '']
    else if (comment !== null) {
      const [, , name = '', type = ''] = comment
      if (name !== help[0] || families.has(name)) throw new Error(`TYPE without its HELP, or a family twice: ${line}`)
      family = { name, type, help: help[1] ?? '', samples: [] }
      families.set(name, family)
    } else {
      if (sample === null || family === undefined || sample[1] !== family.name) throw new Error(`not a sample: ${line}`)
      const labels = parseLabels(sample[2] ?? '')
      const key = `${sample[1]} ${JSON.stringify(Object.entries(labels).sort())}`
      if (series.has(key)) throw new Error(`a series twice: ${line}`)
      series.add(key)
      family.samples.push({ labels, value: Number(sample[3]) })
    }
  }
  return families
}

test('the metrics of a controller, word for word', () => {
  const { startedAt: _, ...snapshot } = controllerSnapshot({ lans: [], events: [], sessions: [SESSION] })
  const text = snapshotMetrics({ ...snapshot, startedAt: '2026-03-01T10:00:00.250Z' })
  expect(text).toBe(`\
# HELP terway_edge_build_info Version, build and role of this process; the value is always 1.
# TYPE terway_edge_build_info gauge
terway_edge_build_info{role="controller",version="0.1.0"} 1
# HELP terway_edge_start_time_seconds When this process started, in seconds since the Unix epoch.
# TYPE terway_edge_start_time_seconds gauge
terway_edge_start_time_seconds 1772359200.25
# HELP terway_edge_ready Whether this process does its whole job: 1 yes, 0 no (/readyz gives the reasons).
# TYPE terway_edge_ready gauge
terway_edge_ready 1
# HELP terway_edge_problems Problems that the status page lists now.
# TYPE terway_edge_problems gauge
terway_edge_problems 0
# HELP terway_edge_api_connected Whether the Kubernetes API server answers: 1 yes, 0 no.
# TYPE terway_edge_api_connected gauge
terway_edge_api_connected 1
# HELP terway_edge_api_last_contact_timestamp_seconds When the Kubernetes API server last answered, in seconds since the Unix epoch.
# TYPE terway_edge_api_last_contact_timestamp_seconds gauge
terway_edge_api_last_contact_timestamp_seconds 1772366398
# HELP terway_edge_nodes Nodes that this process knows.
# TYPE terway_edge_nodes gauge
terway_edge_nodes 3
# HELP terway_edge_nodes_with_problem Nodes with a problem, such as a pod CIDR that is missing or overlaps another.
# TYPE terway_edge_nodes_with_problem gauge
terway_edge_nodes_with_problem 1
# HELP terway_edge_leader Whether this controller holds the lease and does the work: 1 yes, 0 no.
# TYPE terway_edge_leader gauge
terway_edge_leader 1
# HELP terway_edge_pod_cidr_pool_blocks Blocks of a pool, each the pod CIDR of one node.
# TYPE terway_edge_pod_cidr_pool_blocks gauge
terway_edge_pod_cidr_pool_blocks{pod_cidr="10.0.0.0/16"} 512
# HELP terway_edge_pod_cidr_pool_blocks_used Blocks of a pool that are taken.
# TYPE terway_edge_pod_cidr_pool_blocks_used gauge
terway_edge_pod_cidr_pool_blocks_used{pod_cidr="10.0.0.0/16"} 2
# HELP terway_edge_bgp_session_established Whether a BGP session is Established: 1 yes, 0 no or its speaker is not heard.
# TYPE terway_edge_bgp_session_established gauge
terway_edge_bgp_session_established{bgp_peer="lan-a",node="edge-1",peer_ip="172.16.0.1",reporter="controller"} 1
# HELP terway_edge_bgp_session_heard Whether the speaker of a BGP session is heard: 1 yes, 0 no, so that nobody knows its state.
# TYPE terway_edge_bgp_session_heard gauge
terway_edge_bgp_session_heard{bgp_peer="lan-a",node="edge-1",peer_ip="172.16.0.1",reporter="controller"} 1
# HELP terway_edge_bgp_session_state State of a BGP session as RFC 4273 numbers it: 1 Idle, 2 Connect, 3 Active, 4 OpenSent, 5 OpenConfirm, 6 Established.
# TYPE terway_edge_bgp_session_state gauge
terway_edge_bgp_session_state{bgp_peer="lan-a",node="edge-1",peer_ip="172.16.0.1",reporter="controller"} 6
# HELP terway_edge_bgp_session_state_since_timestamp_seconds When a BGP session entered its state, in seconds since the Unix epoch.
# TYPE terway_edge_bgp_session_state_since_timestamp_seconds gauge
terway_edge_bgp_session_state_since_timestamp_seconds{bgp_peer="lan-a",node="edge-1",peer_ip="172.16.0.1",reporter="controller"} 1772362800
# HELP terway_edge_bgp_session_flaps_total How often a BGP session left Established.
# TYPE terway_edge_bgp_session_flaps_total counter
terway_edge_bgp_session_flaps_total{bgp_peer="lan-a",node="edge-1",peer_ip="172.16.0.1",reporter="controller"} 3
# HELP terway_edge_bgp_session_advertised_prefixes Prefixes that are advertised to the peer now.
# TYPE terway_edge_bgp_session_advertised_prefixes gauge
terway_edge_bgp_session_advertised_prefixes{bgp_peer="lan-a",node="edge-1",peer_ip="172.16.0.1",reporter="controller"} 2
# HELP terway_edge_bgp_session_received_prefixes Prefixes that the peer advertises now; none of them is imported.
# TYPE terway_edge_bgp_session_received_prefixes gauge
terway_edge_bgp_session_received_prefixes{bgp_peer="lan-a",node="edge-1",peer_ip="172.16.0.1",reporter="controller"} 1
# HELP terway_edge_bgp_session_hold_time_seconds Hold time that both ends agreed on; 0 means that neither watches the other.
# TYPE terway_edge_bgp_session_hold_time_seconds gauge
terway_edge_bgp_session_hold_time_seconds{bgp_peer="lan-a",node="edge-1",peer_ip="172.16.0.1",reporter="controller"} 90
`)
})

test('every family has a help text and a type, counters end in _total, and all read back', () => {
  for (const snapshot of [controllerSnapshot(), nodeSnapshot()]) {
    const families = [...parseExposition(snapshotMetrics(snapshot)).values()]
    expect(families.length).toBeGreaterThan(15)
    for (const { name, type, help } of families) {
      expect(name).toStartWith('terway_edge_')
      expect([name, type]).toEqual([name, name.endsWith('_total') ? 'counter' : 'gauge'])
      expect([name, /^[A-Z].*\.$/.test(help)]).toEqual([name, true])
      expect([name, /_(milliseconds|minutes|bytes_mb)$/.test(name)]).toEqual([name, false])
    }
  }
})

test('a node tells of its routes and where its view comes from; a controller of neither', () => {
  const node = parseExposition(snapshotMetrics(nodeSnapshot()))
  expect(node.get('terway_edge_routes')?.samples).toEqual([
    { labels: { state: 'present' }, value: 1 },
    { labels: { state: 'missing' }, value: 0 },
    { labels: { state: 'failed' }, value: 1 },
  ])
  expect(node.get('terway_edge_view_source')?.samples.map(({ labels, value }) => [labels.source, value])).toEqual([
    ['api', 0],
    ['state', 1],
    ['none', 0],
  ])
  expect(node.get('terway_edge_pods')?.samples).toEqual([{ labels: {}, value: 7 }])
  expect(node.get('terway_edge_api_connected')?.samples).toEqual([{ labels: {}, value: 0 }])
  expect(node.has('terway_edge_leader')).toBe(false)
  const controller = parseExposition(snapshotMetrics(controllerSnapshot()))
  expect(
    ['terway_edge_routes', 'terway_edge_view_source', 'terway_edge_pods'].map(name => controller.has(name)),
  ).toEqual([false, false, false])
})

test('what is not known is left out, never zero', () => {
  const { holdTimeSeconds: _, ...session } = SESSION
  const families = parseExposition(
    snapshotMetrics(nodeSnapshot({ startedAt: 'never', sessions: [{ ...session, state: 'Resting', since: '' }] })),
  )
  const names = [
    'start_time_seconds',
    'api_last_contact_timestamp_seconds',
    'bgp_session_state',
    'bgp_session_state_since_timestamp_seconds',
    'bgp_session_hold_time_seconds',
  ]
  expect(names.filter(name => families.has(`terway_edge_${name}`))).toEqual([])
  expect(families.get('terway_edge_bgp_session_established')?.samples[0]?.value).toBe(0)
})

test('the series of a session whose speaker is not heard stays, and is 0; else only its past is known', () => {
  const families = parseExposition(snapshotMetrics(nodeSnapshot({ sessions: [{ ...SESSION, state: 'unknown' }] })))
  const found = [...families.keys()].filter(name => name.startsWith('terway_edge_bgp_session_'))
  expect(found).toEqual([
    'terway_edge_bgp_session_established',
    'terway_edge_bgp_session_heard',
    'terway_edge_bgp_session_flaps_total',
  ])
  const value = (name: string) => families.get(`terway_edge_bgp_session_${name}`)?.samples[0]?.value
  expect([value('established'), value('heard')]).toEqual([0, 0])
})

test('a name with quotes, backslashes and line ends stays one label', () => {
  const node = 'a"b\\c\nterway_edge_ready 0\\n'
  const families = parseExposition(snapshotMetrics(controllerSnapshot({ sessions: [{ ...SESSION, node }] })))
  expect(families.get('terway_edge_bgp_session_established')?.samples[0]?.labels.node).toBe(node)
  expect(families.get('terway_edge_ready')?.samples).toEqual([{ labels: {}, value: 1 }])
})

test('BFD beside a BGP session: only where it is asked for', () => {
  const text = (bfd: Partial<BgpSession>) => snapshotMetrics({ ...nodeSnapshot(), sessions: [{ ...SESSION, ...bfd }] })
  const up = { state: 'Up', since: '2026-01-02T03:04:05Z', remoteState: 'Up', detectionTimeMilliseconds: 900 } as const
  expect(text({ bfd: up })).toMatch(/^terway_edge_bfd_session_up\{.*\} 1$/m)
  expect(text({ bfd: up })).toMatch(/^terway_edge_bfd_session_detection_time_seconds\{.*\} 0.9$/m)
  expect(text({ bfd: { state: 'Down', since: up.since } })).toMatch(/^terway_edge_bfd_session_up\{.*\} 0$/m)
  expect(text({})).not.toContain('bfd_session_up{')
})
