/**
 * The snapshot of a node: what its agent, its speaker room and its view of the cluster say, as the
 * status interface shows it. Pure.
 */
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { ClusterView } from '../kube/cluster-view-types.ts'
import { lanView } from '../kube/lan-view.ts'
import type { RouteEntry } from '../kube/route-slice.ts'
import { present, type Said } from '../lib/fields.ts'
import { timestamp } from '../lib/timestamp.ts'
import { clockProblems, expiryProblems, pathProblems, remediesOf, sessionProblems } from '../model/problems.ts'
import type { BgpSession } from '../model/session.ts'
import type { ApiContact, EventRow, Expiry, NodeView, PathsView, RouteRow, Snapshot } from '../model/snapshot.ts'

export interface NodeSnapshotInput {
  readonly version: string
  readonly build: Snapshot['build']
  /** Clock.now() milliseconds. */
  readonly now: number
  readonly startedAt: number
  readonly self: string
  readonly view: ClusterView | undefined
  readonly api: ApiContact
  readonly heldRemovals: number
  readonly expiries: readonly Expiry[]
  readonly ready: boolean
  readonly problems: readonly string[]
  readonly routes: readonly RouteRow[]
  readonly sessions: readonly BgpSession[]
  /** Undefined where paths are not measured. */
  readonly paths: PathsView | undefined
  readonly events: readonly EventRow[]
  readonly drained: boolean
  /** What its rooms say of the node, shown as it is. */
  readonly node: Omit<Said<OfNode>, FromView>
}

type OfNode = NonNullable<Snapshot['node']>
/** What the cluster view says of it. */
type FromView = 'name' | 'addresses' | 'podCIDRs' | 'viewSource'

export function nodeSnapshot(input: NodeSnapshotInput): Snapshot {
  const { view, self } = input
  const entries = view?.entries ?? []
  const peers = view?.peers ?? []
  const own = entries.find(entry => entry.node === self)
  const advice = [...sessionProblems(input.sessions), ...pathProblems(input.paths)]
  const drained = input.drained ? ['drained: nothing is announced from here until the service is restarted'] : []
  return present<Snapshot>({
    version: input.version,
    build: input.build,
    role: 'node',
    time: timestamp(input.now),
    startedAt: timestamp(input.startedAt),
    ready: input.ready,
    problems: [
      ...input.problems,
      ...advice.map(({ problem }) => problem),
      ...clockProblems(input.api),
      ...expiryProblems(input.expiries, input.now),
      ...drained,
    ],
    remedies: remediesOf(advice),
    api: input.api,
    heldRemovals: input.heldRemovals,
    expiries: input.expiries,
    nodes: entries.map(entry => nodeView(entry, peers)),
    lans: peers.map(({ name, spec }) => {
      const nodes = entries.filter(entry => entry.peers.includes(name)).map(({ node }) => node)
      return lanView(name, spec, { nodes, problem: undefined }) // the controller says it
    }),
    sessions: input.sessions,
    paths: input.paths,
    routes: input.routes,
    events: input.events,
    controller: undefined,
    node: present<OfNode>({
      ...input.node,
      name: self,
      addresses: own?.addresses ?? [],
      podCIDRs: own?.podCIDRs ?? [],
      viewSource: view?.source ?? 'none',
    }),
  })
}

const ONLY_THE_CONTROLLER_KNOWS = { ready: undefined, problem: undefined, cloud: undefined } as const

function nodeView(entry: RouteEntry, peers: readonly BGPPeer[]): NodeView {
  return present<NodeView>({
    name: entry.node,
    addresses: entry.addresses,
    podCIDRs: entry.podCIDRs,
    peers: entry.peers,
    speakerOf: peers.filter(({ spec }) => spec.localSpeakers.includes(entry.node)).map(({ name }) => name),
    ...ONLY_THE_CONTROLLER_KNOWS,
  })
}
