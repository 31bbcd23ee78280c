/**
 * The snapshot of a controller: what it says of the cluster and of nodes of the cloud, as the
 * status interface shows it. Pure.
 */
import type { Config } from '../config/schema.ts'
import type { ControllerView } from '../controller/reconcile.ts'
import { type SeenSessions, withHistory } from '../controller/session-history.ts'
import type { ClusterRows } from '../controller/view.ts'
import type { EniControllerView } from '../eni/controller-reconcile.ts'
import { cloudView, withCloudNodes } from '../eni/controller-view.ts'
import type { ApiCounts } from '../kube/api.ts'
import { present } from '../lib/fields.ts'
import { timestamp } from '../lib/timestamp.ts'
import { clockProblems, expiryProblems, pathProblems, remediesOf } from '../model/problems.ts'
import type { EventRow, Expiry, PathsView, PlanView, PoolView, Snapshot } from '../model/snapshot.ts'
import { besidePlan, type ShownPlan } from '../planner/beside.ts'
import { forecastPools } from '../planner/forecast.ts'
import { apiContact } from '../status/api-contact.ts'

export interface ControllerSnapshotInput {
  readonly version: string
  readonly build: Snapshot['build']
  /** RFC 3339. */
  readonly startedAt: string
  /** Clock.now() milliseconds. */
  readonly now: number
  readonly view: ControllerView
  /** What was seen of sessions. */
  readonly seen: SeenSessions
  /** `network` of the configuration. */
  readonly network: Config['network']
  /** Undefined where none was given. */
  readonly plan: ShownPlan | undefined
  /** From the VPC; undefined where they are not measured here. */
  readonly paths: PathsView | undefined
  /** Undefined where there are no nodes of the cloud. */
  readonly cloud: EniControllerView | undefined
  readonly counts: ApiCounts | undefined
  readonly expiries: readonly Expiry[]
  readonly events: readonly EventRow[]
}

export function controllerSnapshot(input: ControllerSnapshotInput): Snapshot {
  const { view, now } = input
  const api = apiContact(view.contact, input.counts)
  const cloud = cloudView(input.cloud)
  const ofPaths = pathProblems(input.paths, 'from the VPC: ')
  const pools = forecastPools(view.pools, view.createdAt, now)
  return present<Snapshot>({
    version: input.version,
    build: input.build,
    role: 'controller',
    time: timestamp(now),
    startedAt: input.startedAt,
    ready: view.ready,
    problems: [
      ...view.problems,
      ...planProblems(input.plan),
      ...(input.cloud?.problems ?? []),
      ...ofPaths.map(({ problem }) => problem),
      ...clockProblems(api),
      ...expiryProblems(input.expiries, now),
    ],
    remedies: remediesOf([...view.advice, ...ofPaths]),
    api,
    nodes: withCloudNodes(view.nodes, input.cloud),
    lans: view.lans,
    sessions: withHistory(view.sessions, input.seen),
    heldRemovals: view.heldRemovals,
    expiries: input.expiries,
    routes: [],
    paths: input.paths,
    node: undefined,
    events: input.events,
    controller: present<NonNullable<Snapshot['controller']>>({
      leader: view.leader,
      isLeader: view.isLeader,
      leaderChanges: view.leaderChanges,
      ...withPlan(input.plan, { rows: { ...view, pools }, network: input.network, now }),
      cloud,
    }),
  })
}

/** Pools, and the plan beside them where there is one. */
export function withPlan(
  plan: ShownPlan | undefined,
  {
    rows: { pools, lans, nodes },
    network,
    now,
  }: {
    rows: Pick<ClusterRows, 'lans' | 'nodes'> & { readonly pools: readonly PoolView[] }
    network: Config['network']
    now: number
  },
): { readonly pools: readonly PoolView[]; readonly plan: PlanView | undefined } {
  if (plan === undefined || 'problem' in plan) return { pools, plan: undefined }
  return besidePlan(plan.network, { cluster: { controller: network, lans, nodes }, pools, now })
}

export function planProblems(plan: ShownPlan | undefined): readonly string[] {
  return plan !== undefined && 'problem' in plan ? [plan.problem] : []
}
