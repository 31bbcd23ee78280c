/**
 * The snapshot of a node: what its agent, its speaker room and its view of the cluster say, as the
 * status interface shows it. Pure.
 */
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { ClusterView } from '../kube/cluster-view-types.ts'
import type { RouteEntry } from '../kube/route-slice.ts'
import { timestamp } from '../lib/timestamp.ts'
import type { NodeMode } from '../model/node-mode.ts'
import { sessionProblems } from '../model/problems.ts'
import type { BgpSession } from '../model/session.ts'
import type {
  ApiContact,
  EventRow,
  InterfaceView,
  LanView,
  NodeView,
  PathsView,
  RouteRow,
  Snapshot,
} from '../model/snapshot.ts'

export interface NodeSnapshotInput {
  readonly version: string
  /** Clock.now() milliseconds. */
  readonly now: number
  readonly startedAt: number
  readonly self: string
  readonly view: ClusterView | undefined
  readonly api: ApiContact
  readonly heldRemovals: number
  readonly ready: boolean
  readonly problems: readonly string[]
  readonly routes: readonly RouteRow[]
  readonly sessions: readonly BgpSession[]
  /** Undefined where paths are not measured. */
  readonly paths: PathsView | undefined
  readonly events: readonly EventRow[]
  readonly drained: boolean
  /** Undefined while it is not decided. */
  readonly mode: NodeMode | undefined
  /** Undefined where its pods have no such interfaces. */
  readonly interfaces: readonly InterfaceView[] | undefined
  /** How many pods have an address from here; undefined where that is not known. */
  readonly pods: number | undefined
}

export function nodeSnapshot(input: NodeSnapshotInput): Snapshot {
  const { view, self } = input
  const entries = view?.entries ?? []
  const peers = view?.peers ?? []
  const own = entries.find(entry => entry.node === self)
  const lost = (input.paths?.findings ?? []).map(({ message }) => message)
  const drained = input.drained ? ['drained: nothing is announced from here until the service is restarted'] : []
  return {
    version: input.version,
    role: 'node',
    time: timestamp(input.now),
    startedAt: timestamp(input.startedAt),
    ready: input.ready,
    problems: [...input.problems, ...sessionProblems(input.sessions), ...lost, ...drained],
    api: input.api,
    heldRemovals: input.heldRemovals,
    nodes: entries.map(entry => nodeView(entry, peers)),
    lans: peers.map(peer => lanView(peer, entries)),
    sessions: input.sessions,
    ...(input.paths !== undefined && { paths: input.paths }),
    routes: input.routes,
    events: input.events,
    node: {
      name: self,
      addresses: own?.addresses ?? [],
      podCIDRs: own?.podCIDRs ?? [],
      viewSource: view?.source ?? 'none',
      ...(input.pods !== undefined && { pods: input.pods }),
      ...(input.mode !== undefined && { mode: input.mode }),
      ...(input.interfaces !== undefined && { interfaces: input.interfaces }),
    },
  }
}

function nodeView(entry: RouteEntry, peers: readonly BGPPeer[]): NodeView {
  return {
    name: entry.node,
    addresses: entry.addresses,
    podCIDRs: entry.podCIDRs,
    peers: entry.peers,
    speakerOf: peers.filter(({ spec }) => spec.localSpeakers.includes(entry.node)).map(({ name }) => name),
  }
}

function lanView({ name, spec }: BGPPeer, entries: readonly RouteEntry[]): LanView {
  return {
    bgpPeer: name,
    localAsNumber: spec.localAsNumber,
    peerIP: spec.peerIP,
    peerAsNumber: spec.peerAsNumber,
    ...(spec.gateway !== undefined && { gateway: spec.gateway }),
    nodeSelector: spec.nodeSelector,
    speakers: spec.localSpeakers,
    nodes: entries.filter(({ peers }) => peers.includes(name)).map(({ node }) => node),
  }
}
