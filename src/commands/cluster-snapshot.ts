/**
 * The cluster as a controller would show it, read from the API server by an administrator at a
 * desk: nodes, BGPPeers with what their speakers report, problems, Events. Reads once and changes
 * nothing; what only a node knows (messages, timers, its kernel) is asked there.
 */

import { parseConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { decide } from '../controller/decide.ts'
import type { Lease } from '../controller/lease.ts'
import { nodeFacts, reduceNode } from '../controller/nodes.ts'
import { NO_MEMORY } from '../controller/pod-cidr.ts'
import { clusterRows } from '../controller/view.ts'
import type { KubeApi } from '../kube/api.ts'
import type { BGPPeerObject } from '../kube/bgp-peer.ts'
import { withReadableStatus } from '../kube/bgp-peer-status.ts'
import { NO_REMOVALS } from '../kube/mass-removal.ts'
import {
  BGP_PEERS,
  CONTROLLER_LEASE,
  EVENTS,
  type KubeObject,
  LEASES,
  NODES,
  type Node,
  ROUTE_SLICES,
} from '../kube/resources.ts'
import type { RouteSlice } from '../kube/route-slice.ts'
import { systemClock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { present } from '../lib/fields.ts'
import { timestamp } from '../lib/timestamp.ts'
import { type Advice, remediesOf } from '../model/problems.ts'
import type { EventRow, Snapshot } from '../model/snapshot.ts'
import { shownPlan } from '../planner/beside.ts'
import { forecastPools } from '../planner/forecast.ts'
import { planProblems, withPlan } from './controller-snapshot.ts'
import { type ControllerDocuments, controllerDocuments, withCluster } from './observe-cluster.ts'
import { buildInfo, versionInfo } from './version.ts'

/** Throws a UserError, or `ApiError` where the API server refuses. */
export function clusterSnapshot(kubeconfig: string): Promise<Snapshot> {
  return withCluster(kubeconfig, readCluster)
}

async function readCluster(api: KubeApi): Promise<Snapshot> {
  const [nodeObjects, peers, slices, { network, plan }, events, { leader, advice }] = await Promise.all([
    api.list<Node>(NODES),
    api.list<BGPPeerObject>(BGP_PEERS),
    api.list<RouteSlice>(ROUTE_SLICES),
    controllerDocuments(api).catch((): ControllerDocuments => ({})),
    readEvents(api),
    readLeader(api),
  ])
  const now = timestamp(systemClock.now())
  const nodes = nodeObjects.map(node => nodeFacts(reduceNode(node)))
  const decision = decide({ ...(network ?? NO_NETWORK), edgeNodes: undefined }, false, {
    nodes,
    peers: peers.map(object => withReadableStatus(object)),
    slices,
    secret: () => undefined,
    now,
    memory: NO_MEMORY,
    apiServers: [],
    removals: {
      state: NO_REMOVALS,
      limits: { share: 1, number: Number.POSITIVE_INFINITY, delayMilliseconds: 0 },
      at: 0,
      listedAt: 0,
      drained: new Set(),
    },
  })
  const rows = clusterRows(nodes, decision)
  const shown = plan === undefined ? undefined : shownPlan(plan, 'network.yaml of the controller')
  return present<Snapshot>({
    version: versionInfo().version,
    build: buildInfo(),
    role: 'controller',
    time: now,
    startedAt: now,
    ready: true,
    problems: [...rows.problems, ...advice.map(({ problem }) => problem), ...planProblems(shown)],
    remedies: remediesOf([...rows.advice, ...advice]),
    api: { server: api.server, connected: true, lastContact: now },
    nodes: rows.nodes,
    lans: rows.lans,
    sessions: rows.sessions,
    heldRemovals: undefined,
    expiries: undefined,
    routes: [],
    paths: undefined,
    events,
    node: undefined,
    controller: present<NonNullable<Snapshot['controller']>>({
      leader,
      isLeader: false,
      ...withPlan(shown, {
        rows: {
          ...rows,
          pools: network === undefined ? [] : forecastPools(rows.pools, rows.createdAt, systemClock.now()),
        },
        network: network ?? NO_NETWORK,
        now: systemClock.now(),
      }),
      leaderChanges: undefined,
      cloud: undefined,
    }),
  })
}

/** A Lease that nobody renews for so long, by the clock of this desk, has no holder. */
const SILENT_MILLISECONDS = 120_000

/** Who leads; undefined: nobody, or (with what to do) not known. */
async function readLeader(
  api: KubeApi,
): Promise<{ readonly leader: string | undefined; readonly advice: readonly Advice[] }> {
  try {
    const { holderIdentity, renewTime } = (await api.get<Lease>(LEASES, CONTROLLER_LEASE, 'kube-system'))?.spec ?? {}
    const isSilent = systemClock.now() - Date.parse(renewTime ?? '') > SILENT_MILLISECONDS
    return { leader: isSilent || holderIdentity === '' ? undefined : holderIdentity, advice: [] }
  } catch (error) {
    const problem = `who leads is not known, the Lease ${CONTROLLER_LEASE} cannot be read: ${errorText(error)}`
    const remedy = 'use a kubeconfig that may get leases of coordination.k8s.io in kube-system'
    return { leader: undefined, advice: [{ problem, remedy }] }
  }
}

/** Without the rights to read it, ranges are not judged. */
const NO_NETWORK: Config['network'] = parseConfig('', 'the defaults').network

interface KubeEventObject extends KubeObject {
  readonly type?: string
  readonly reason?: string
  readonly message?: string
  readonly count?: number
  readonly firstTimestamp?: string
  readonly lastTimestamp?: string
  readonly source?: { readonly component?: string; readonly host?: string }
  readonly involvedObject?: { readonly kind?: string; readonly name?: string }
}

/** Those that nodes and controllers of ours recorded, newest first. */
async function readEvents(api: KubeApi): Promise<EventRow[]> {
  const all = await api.list<KubeEventObject>(EVENTS)
  return all
    .filter(({ source }) => source?.component?.startsWith('terway-edge') === true)
    .map(
      (event): EventRow => ({
        time: event.lastTimestamp ?? event.firstTimestamp ?? event.metadata.creationTimestamp ?? '',
        type: event.type === 'Warning' ? 'Warning' : 'Normal',
        reason: event.reason ?? '',
        object: `${event.involvedObject?.kind ?? ''}/${event.involvedObject?.name ?? ''}`,
        message: `${event.message ?? ''}${(event.count ?? 1) > 1 ? ` (${event.count} times)` : ''}`,
      }),
    )
    .toSorted((a, b) => (a.time < b.time ? 1 : -1))
}
