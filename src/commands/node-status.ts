/**
 * The status interface of a node's process: asks its parts for what they say, and serves it as one
 * snapshot (node-snapshot.ts puts it together).
 */
import { podCapacity } from '../cni/address-pool.ts'
import { AddressStore } from '../cni/address-store.ts'
import { podsOf } from '../cni/attachments.ts'
import { readCniCounts } from '../cni/counts.ts'
import type { Drain } from '../host/drain.ts'
import { systemClock } from '../lib/clock.ts'
import type { NodeMode } from '../model/node-mode.ts'
import type { InterfaceView, RouteRow, Snapshot } from '../model/snapshot.ts'
import type { Prober } from '../paths/prober.ts'
import { pathsView } from '../paths/view.ts'
import type { SpeakerRoom } from '../speaker/reconcile.ts'
import { apiContact } from '../status/api-contact.ts'
import { readStatusCredentials } from '../status/credentials.ts'
import { keepStatusServer } from '../status/keep-serving.ts'
import type { Cluster } from './node-parts.ts'
import type { NodeServices } from './node-services.ts'
import { nodeSnapshot } from './node-snapshot.ts'
import { buildInfo, versionInfo } from './version.ts'

const clock = systemClock

/** What is known of the network of this node's pods. */
export interface NodeNetwork {
  /** Has it look again soon. */
  readonly wake: () => void
  /** Undefined while it is not decided. */
  readonly mode: NodeMode | undefined
  readonly ready: boolean
  readonly problems: readonly string[]
  readonly routes: readonly RouteRow[]
  readonly paths: Prober | undefined
  /** Routes that were put back; undefined where there are none to look after. */
  readonly routeRepairs: number | undefined
  /** Elastic network interfaces for pods. */
  readonly interfaces: readonly InterfaceView[] | undefined
}

/** What the status interface shows. */
export interface Shown {
  readonly cluster: Cluster
  readonly network: NodeNetwork | undefined
  readonly speaker: SpeakerRoom | undefined
  readonly drain: Drain
}

export async function startStatus(services: NodeServices, shown: Shown): Promise<void> {
  const { config, log, parting, changes, problems } = services
  const startedAt = clock.now()
  const readCredentials = () => readStatusCredentials(config.status)
  const credentials = await problems.optional('no status interface', readCredentials)
  if (credentials === undefined) return
  const server = keepStatusServer(
    {
      listen: config.status.listen,
      ...credentials,
      clock,
      log: log.child({ room: 'status' }),
      snapshot: () => snapshotOf(services, shown, startedAt),
      onChange: listener => changes.add(listener),
      advertised: bgpPeer => shown.speaker?.advertised(bgpPeer),
      trace: (bgpPeer, listener) => shown.speaker?.trace(bgpPeer, listener),
    },
    address => log.info({ address }, 'the status interface listens'),
  )
  parting.defer('the status interface', () => server.close())
}

function snapshotOf(
  { config, parts, problems }: NodeServices,
  { cluster, network, speaker, drain }: Shown,
  startedAt: number,
): Snapshot {
  const { view, source, events } = cluster
  const own = view.current()?.entries.find(({ node }) => node === config.node)?.podCIDRs ?? []
  const paths = network?.paths
  return nodeSnapshot({
    version: versionInfo().version,
    build: buildInfo(),
    now: clock.now(),
    startedAt,
    self: config.node,
    view: view.current(),
    heldRemovals: source.heldRemovals,
    api: apiContact(view.contact, cluster.api.counts),
    expiries: cluster.expiries.all,
    ready: network?.ready ?? view.current() !== undefined,
    problems: [
      ...problems.all,
      ...source.problems,
      ...view.problems,
      ...(network?.problems ?? []),
      ...(speaker?.problems() ?? []),
      ...(paths?.report.problems ?? []),
    ],
    routes: network?.routes ?? [],
    sessions: speaker?.sessions() ?? [],
    paths: paths && pathsView(paths.report),
    events: events.rows,
    drained: drain.drained,
    node: {
      pods: parts.agent ? countPods(config.state) : undefined,
      mode: network?.mode,
      interfaces: network?.interfaces,
      podCapacity: podCapacity(own),
      routeRepairs: network?.routeRepairs,
      cni: readCniCounts(config.state),
    },
  })
}

/** Undefined where the file cannot be read: the plugin says so, and `doctor`. */
function countPods(stateDir: string): number | undefined {
  try {
    return podsOf(new AddressStore(stateDir).read())
  } catch {
    return undefined
  }
}
