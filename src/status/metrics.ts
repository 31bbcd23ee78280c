/**
 * A snapshot as Prometheus metrics: the text exposition format 0.0.4. Pure.
 *
 * Base units (seconds, never milliseconds), times as Unix seconds, `_total` only on what counts up.
 * A value that is not known is left out, never zero. Labels are only names that the cluster's owner
 * chose; no peer's message, no error text becomes a label.
 */
import type { BgpSession } from '../model/session.ts'
import type { InterfaceView, PathKindView, PathsView, PoolView, RouteRow, Snapshot } from '../model/snapshot.ts'

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

type Labels = Readonly<Record<string, string>>

interface Sample {
  readonly labels: Labels
  readonly value: number
}

interface Metric {
  /** Without the prefix. */
  readonly name: string
  readonly type: 'gauge' | 'counter'
  readonly help: string
  readonly samples: readonly Sample[]
}

const PREFIX = 'terway_edge_'

/** bgpPeerState of the BGP MIB (RFC 4273 section 4). */
const STATE_NUMBERS: Readonly<Record<string, number>> = {
  Idle: 1,
  Connect: 2,
  Active: 3,
  OpenSent: 4,
  OpenConfirm: 5,
  Established: 6,
}

export function renderMetrics(snapshot: Snapshot): string {
  const metrics = [
    ...processMetrics(snapshot),
    ...clusterMetrics(snapshot),
    ...poolMetrics(snapshot.controller?.pools ?? []),
    ...sessionMetrics(snapshot.sessions),
    ...nodeMetrics(snapshot),
    ...pathMetrics(snapshot.paths),
    ...cloudMetrics(snapshot),
  ]
  return metrics
    .filter(({ samples }) => samples.length > 0)
    .map(renderMetric)
    .join('')
}

/** Elastic network interfaces of this node. */
function interfaceMetrics(interfaces: readonly InterfaceView[]): Metric[] {
  const each = (value: (one: InterfaceView) => number) =>
    interfaces.map(one => ({ labels: { interface: one.id }, value: value(one) }))
  return [
    gauge(
      'interface_present',
      'Whether an elastic network interface for pods is among the links of this node.',
      each(({ link }) => (link === undefined ? 0 : 1)),
    ),
    gauge(
      'interface_addresses',
      'Addresses of an elastic network interface that pods of this node may get.',
      each(({ addresses }) => addresses),
    ),
    gauge(
      'interface_addresses_in_use',
      'Addresses of an elastic network interface that pods of this node have.',
      each(({ inUse }) => inUse),
    ),
  ]
}

/** Elastic network interfaces, as the controller knows them. */
function cloudMetrics({ nodes, controller }: Snapshot): Metric[] {
  const ofCloud = nodes.flatMap(({ name, cloud }) => (cloud === undefined ? [] : [{ name, cloud }]))
  const each = (value: (cloud: (typeof ofCloud)[number]['cloud']) => number) =>
    ofCloud.map(({ name, cloud }) => ({ labels: { node: name }, value: value(cloud) }))
  const calls = Object.entries(controller?.cloud?.calls ?? {})
  return [
    gauge(
      'eni_interfaces',
      'Elastic network interfaces of a node for pods.',
      each(({ interfaces }) => interfaces.length),
    ),
    gauge(
      'eni_capacity_addresses',
      'Pods of a node that there can be addresses for.',
      each(({ capacity }) => capacity),
    ),
    gauge(
      'eni_in_use_addresses',
      'Addresses of a node that pods have, as it last said.',
      each(({ inUse }) => inUse),
    ),
    gauge(
      'eni_idle_addresses',
      'Addresses of a node that are ready for pods, or on the way.',
      each(({ idle }) => idle),
    ),
    gauge(
      'eni_waiting_pods',
      'Pods of a node that wait for an address.',
      each(({ waiting }) => waiting),
    ),
    gauge(
      'cloud_blocked',
      'What is left alone for now because the cloud refused it; the value is always 1.',
      (controller?.cloud?.blocked ?? []).map(({ scope, id, code }) => ({ labels: { scope, id, code }, value: 1 })),
    ),
    {
      name: 'cloud_calls_total',
      type: 'counter',
      help: 'Calls to the cloud since the start, by action.',
      samples: calls.map(([action, value]) => ({ labels: { action }, value })),
    },
  ]
}

function processMetrics({ version, role, startedAt, ready, problems, api, heldRemovals }: Snapshot): Metric[] {
  return [
    gauge('build_info', 'Version and role of this process; the value is always 1.', [
      { labels: { role, version }, value: 1 },
    ]),
    gauge('start_time_seconds', 'When this process started, in seconds since the Unix epoch.', at({}, startedAt)),
    gauge('ready', 'Whether this process does its whole job: 1 yes, 0 no (/readyz gives the reasons).', flag(ready)),
    gauge('problems', 'Problems that the status page lists now.', one(problems.length)),
    gauge(
      'removals_held',
      'Removals of nodes and BGPPeers that are held as a likely mistake (terway-edge confirm lets them go).',
      heldRemovals === undefined ? [] : one(heldRemovals),
    ),
    gauge('api_connected', 'Whether the Kubernetes API server answers: 1 yes, 0 no.', flag(api.connected)),
    gauge(
      'api_last_contact_timestamp_seconds',
      'When the Kubernetes API server last answered, in seconds since the Unix epoch.',
      at({}, api.lastContact),
    ),
  ]
}

function clusterMetrics({ nodes, lans, controller }: Snapshot): Metric[] {
  return [
    gauge('nodes', 'Nodes that this process knows.', one(nodes.length)),
    gauge(
      'nodes_with_problem',
      'Nodes with a problem, such as a pod CIDR that is missing or overlaps another.',
      one(nodes.filter(node => node.problem !== undefined).length),
    ),
    gauge(
      'bgp_peer_nodes',
      'Nodes that a BGPPeer selects, whose pod CIDRs its speakers announce.',
      lans.map(lan => ({ labels: { bgp_peer: lan.bgpPeer }, value: lan.nodes.length })),
    ),
    gauge(
      'bgp_peer_problem',
      'Whether a BGPPeer has a problem that keeps it from working as written: 1 yes, 0 no.',
      lans.map(lan => ({ labels: { bgp_peer: lan.bgpPeer }, value: lan.problem === undefined ? 0 : 1 })),
    ),
    gauge(
      'leader',
      'Whether this controller holds the lease and does the work: 1 yes, 0 no.',
      controller === undefined ? [] : flag(controller.isLeader),
    ),
  ]
}

function poolMetrics(pools: readonly PoolView[]): Metric[] {
  const each = (value: (pool: PoolView) => number) =>
    pools.map(pool => ({ labels: { pod_cidr: pool.podCIDR }, value: value(pool) }))
  return [
    gauge(
      'pod_cidr_pool_blocks',
      'Blocks of a pool, each the pod CIDR of one node.',
      each(pool => pool.blocks),
    ),
    gauge(
      'pod_cidr_pool_blocks_used',
      'Blocks of a pool that are taken.',
      each(pool => pool.used),
    ),
  ]
}

function sessionMetrics(sessions: readonly BgpSession[]): Metric[] {
  const heard = sessions.filter(({ state }) => state !== 'unknown')
  const labels = ({ bgpPeer, node, peerIP }: BgpSession): Labels => ({ bgp_peer: bgpPeer, node, peer_ip: peerIP })
  const each = (value: (session: BgpSession) => number | undefined, of: readonly BgpSession[] = heard): Sample[] =>
    of.flatMap(session => {
      const number = value(session)
      return number === undefined ? [] : [{ labels: labels(session), value: number }]
    })
  return [
    gauge(
      'bgp_session_established',
      'Whether a BGP session is Established: 1 yes, 0 no or its speaker is not heard.',
      each(({ state }) => (state === 'Established' ? 1 : 0), sessions),
    ),
    gauge(
      'bgp_session_heard',
      'Whether the speaker of a BGP session is heard: 1 yes, 0 no, so that nobody knows its state.',
      each(({ state }) => (state === 'unknown' ? 0 : 1), sessions),
    ),
    gauge(
      'bgp_session_state',
      'State of a BGP session as RFC 4273 numbers it: 1 Idle, 2 Connect, 3 Active, 4 OpenSent, 5 OpenConfirm, 6 Established.',
      each(({ state }) => STATE_NUMBERS[state]),
    ),
    gauge(
      'bgp_session_state_since_timestamp_seconds',
      'When a BGP session entered its state, in seconds since the Unix epoch.',
      each(({ since }) => unixSeconds(since)),
    ),
    {
      name: 'bgp_session_flaps_total',
      type: 'counter',
      help: 'How often a BGP session left Established.',
      samples: each(({ flaps }) => flaps, sessions),
    },
    gauge(
      'bgp_session_advertised_prefixes',
      'Prefixes that are advertised to the peer now.',
      each(({ advertisedPrefixes }) => advertisedPrefixes),
    ),
    gauge(
      'bgp_session_not_announced_prefixes',
      'Prefixes that an established session cannot announce, such as those of a family that the peer did not agree to.',
      each(({ notAnnouncedPrefixes }) => notAnnouncedPrefixes),
    ),
    gauge(
      'bgp_session_received_prefixes',
      'Prefixes that the peer advertises now; none of them is imported.',
      each(({ receivedPrefixes }) => receivedPrefixes),
    ),
    gauge(
      'bgp_session_hold_time_seconds',
      'Hold time that both ends agreed on; 0 means that neither watches the other.',
      each(({ holdTimeSeconds }) => holdTimeSeconds),
    ),
    gauge(
      'bfd_session_up',
      'Whether the BFD session beside a BGP session is Up: 1 yes, 0 no; absent where none is asked for.',
      each(({ bfd }) => bfd && (bfd.state === 'Up' ? 1 : 0)),
    ),
    gauge(
      'bfd_session_state_since_timestamp_seconds',
      'When a BFD session entered its state, in seconds since the Unix epoch.',
      each(({ bfd }) => bfd && unixSeconds(bfd.since)),
    ),
    gauge(
      'bfd_session_detection_time_seconds',
      'Without a packet of the peer for so long its BFD session goes down; absent while it is not heard.',
      each(({ bfd }) => bfd?.detectionTimeMilliseconds && bfd.detectionTimeMilliseconds / 1000),
    ),
  ]
}

const ROUTE_STATES: readonly RouteRow['state'][] = ['present', 'missing', 'failed']
const VIEW_SOURCES = ['api', 'state', 'none'] as const

/** What only a node has. */
function nodeMetrics({ role, routes, node }: Snapshot): Metric[] {
  if (role !== 'node') return []
  return [
    gauge(
      'routes',
      'Routes that this node should have, by what the kernel says: present, missing (not yet there), failed (the kernel refused).',
      ROUTE_STATES.map(state => ({
        labels: { state },
        value: routes.filter(route => route.state === state).length,
      })),
    ),
    gauge(
      'view_source',
      'Where the view of the cluster comes from: api, state (the last one that was accepted, kept on disk) or none; 1 marks it.',
      node === undefined
        ? []
        : VIEW_SOURCES.map(source => ({ labels: { source }, value: source === node.viewSource ? 1 : 0 })),
    ),
    gauge('pods', 'Pods on this node that have an address from here.', one(node?.pods)),
    ...interfaceMetrics(node?.interfaces ?? []),
  ]
}

/** For each kind of path to each LAN, never for each target: names are in Events and status. */
function pathMetrics(paths: PathsView | undefined): Metric[] {
  if (paths === undefined) return []
  const labels = ({ kind, lan, family, size }: PathKindView): Labels => ({ kind, lan, family, size })
  return [
    gauge(
      'path_probes_lost_ratio',
      'Share of the last probes of a kind of path that were lost: 0 none, 1 all.',
      paths.kinds.map(kind => ({ labels: labels(kind), value: kind.sent === 0 ? 0 : kind.lost / kind.sent })),
    ),
    gauge(
      'path_round_trip_seconds',
      'Median round trip of the last answered probes of a kind of path.',
      paths.kinds.flatMap(kind =>
        kind.roundTripMilliseconds === undefined
          ? []
          : [{ labels: labels(kind), value: kind.roundTripMilliseconds / 1000 }],
      ),
    ),
    gauge(
      'path_findings',
      'Faults that packets proved now, as the status page lists them.',
      one(paths.findings.length),
    ),
    gauge(
      'path_switch_verified',
      'Whether packets proved that the switch of a BGPPeer holds the routes: 1 yes, 0 no; absent while nobody can tell.',
      paths.switches.flatMap(({ bgpPeer, via, status }) =>
        status === 'Unknown' ? [] : [{ labels: { bgp_peer: bgpPeer, via }, value: status === 'True' ? 1 : 0 }],
      ),
    ),
  ]
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name, type: 'gauge', help, samples }
}

function one(value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ labels: {}, value }]
}

function flag(value: boolean): Sample[] {
  return one(value ? 1 : 0)
}

function at(labels: Labels, time: string | undefined): Sample[] {
  const value = unixSeconds(time)
  return value === undefined ? [] : [{ labels, value }]
}

function unixSeconds(time: string | undefined): number | undefined {
  const milliseconds = Date.parse(time ?? '')
  return Number.isNaN(milliseconds) ? undefined : milliseconds / 1000
}

function renderMetric({ name, type, help, samples }: Metric): string {
  const full = PREFIX + name
  const lines = samples.map(({ labels, value }) => `${full}${renderLabels(labels)} ${value}\n`)
  return `# HELP ${full} ${escapeHelp(help)}\n# TYPE ${full} ${type}\n${lines.join('')}`
}

function renderLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"')
}
