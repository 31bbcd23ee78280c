/**
 * A snapshot as Prometheus metrics; how values are written, and which units they have, is
 * metric.ts. Pure.
 *
 * Labels are only names that the cluster's owner chose; no peer's message, no error text becomes a
 * label.
 */
import type {
  CniCounts,
  CniOperation,
  InterfaceView,
  PathKindView,
  PathsView,
  PoolView,
  RouteRow,
  Snapshot,
} from '../model/snapshot.ts'
import { at, counter, flag, gauge, type Labels, type Metric, one, renderMetrics } from './metric.ts'
import { sessionMetrics } from './metrics-sessions.ts'

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** The text of everything that a snapshot tells. */
export function snapshotMetrics(snapshot: Snapshot): string {
  return renderMetrics([
    ...processMetrics(snapshot),
    ...clusterMetrics(snapshot),
    ...poolMetrics(snapshot.controller?.pools ?? []),
    ...sessionMetrics(snapshot.sessions, snapshot.role === 'node' ? 'speaker' : 'controller'),
    ...nodeMetrics(snapshot),
    ...pathMetrics(snapshot.paths),
    ...cloudMetrics(snapshot),
  ])
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
    counter(
      'cloud_calls_total',
      'Calls to the cloud since the start, by action.',
      calls.map(([action, value]) => ({ labels: { action }, value })),
    ),
  ]
}

function processMetrics(snapshot: Snapshot): Metric[] {
  const { version, role, build, startedAt, ready, problems, api, heldRemovals, expiries = [] } = snapshot
  return [
    gauge('build_info', 'Version, build and role of this process; the value is always 1.', [
      { labels: { role, version, ...build }, value: 1 },
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
    counter('api_requests_total', 'Requests to the Kubernetes API server.', one(api.requests)),
    counter(
      'api_request_failures_total',
      'Requests to the Kubernetes API server that had no answer or were refused.',
      one(api.failures),
    ),
    gauge(
      'api_clock_ahead_seconds',
      "How far this machine's clock is ahead of the API server's; negative: behind.",
      one(api.clockAheadSeconds),
    ),
    gauge(
      'credential_expiry_timestamp_seconds',
      'When a certificate or token of this process expires, in seconds since the Unix epoch.',
      expiries.flatMap(({ what, at: time }) => at({ credential: what }, time)),
    ),
    gauge(
      'credential_expiry_warning_timestamp_seconds',
      'From when on that expiry is a problem: before it, whoever renews it has time to.',
      expiries.flatMap(({ what, warnFrom }) => at({ credential: what }, warnFrom)),
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
    counter(
      'leader_changes_total',
      'How often another controller became the leader, as this one saw it.',
      one(controller?.leaderChanges),
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
    gauge('pods_capacity', 'Pods of this node that there are addresses for in its pod CIDRs.', one(node?.podCapacity)),
    counter(
      'route_repairs_total',
      'Routes of this node that somebody changed or took away and that were put back.',
      one(node?.routeRepairs),
    ),
    ...cniMetrics(node?.cni),
    ...interfaceMetrics(node?.interfaces ?? []),
  ]
}

/** Calls of the CNI plugin that its server answered. */
function cniMetrics(cni: CniCounts | undefined): Metric[] {
  const each = (value: (one: CniOperation) => number) =>
    Object.entries(cni ?? {}).map(([operation, one]) => ({ labels: { operation }, value: value(one) }))
  return [
    counter(
      'cni_requests_total',
      'Calls of the CNI plugin that its server answered, by operation.',
      each(({ requests }) => requests),
    ),
    counter(
      'cni_request_failures_total',
      'Calls of the CNI plugin that failed, by operation.',
      each(({ failures }) => failures),
    ),
    counter(
      'cni_request_seconds_total',
      'Time that calls of the CNI plugin took, by operation; divided by their number it is their mean.',
      each(({ seconds }) => seconds),
    ),
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
