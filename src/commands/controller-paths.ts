/**
 * Paths from the VPC: while this controller leads, it asks two nodes of each LAN in turn and
 * answers theirs, at the address of its host. Nodes know it by a word on a RouteSlice; another
 * controller is not answered by them and asks nothing.
 */
import type { Config } from '../config/schema.ts'
import type { Controller } from '../controller/reconcile.ts'
import type { EventRecorder } from '../kube/api.ts'
import { checksOn, VPC } from '../kube/path-check.ts'
import type { RouteEntry } from '../kube/route-slice.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { memoLast } from '../lib/memo.ts'
import type { Parting } from '../lib/parting.ts'
import type { PathsView } from '../model/snapshot.ts'
import { startProber } from '../paths/prober.ts'
import { sourceAddresses } from '../paths/source-address.ts'
import { NOWHERE, type Stand, standOfController } from '../paths/stand.ts'
import { pathsView } from '../paths/view.ts'
import { answerChecks } from './answer-checks.ts'

export interface ControllerPathsOptions {
  readonly controller: Controller
  readonly config: Config['paths']
  readonly events: EventRecorder
  readonly log: Log
  readonly parting: Parting
  readonly onChange: () => void
}

/** As many as a node sends to other LANs, times this: it looks after all of them. */
const FAR_PACKETS = 5

/** What it proved; undefined where paths are not measured, or another controller leads. */
export function startControllerPaths(options: ControllerPathsOptions): () => PathsView | undefined {
  const { controller, config, events, log, parting, onChange } = options
  if (!config.enabled) return () => undefined
  const prober = startProber({
    clock: systemClock,
    log,
    stand: standing(controller),
    mtu: () => undefined,
    port: config.port,
    budget: { lanPacketsPerMinute: 0, farPacketsPerMinute: FAR_PACKETS * config.farPacketsPerMinute },
  })
  parting.defer('paths', () => prober.close())
  const checks = answerChecks({
    events,
    log,
    who: () => ({ node: 'controller', lan: VPC }),
    asked: () => (controller.leadership().isLeader ? checksOn(controller.bgpPeers.objects.values()) : new Map()),
    uidOf: bgpPeer => controller.bgpPeers.objects.get(bgpPeer)?.metadata.uid,
    port: config.port,
    mtu: () => undefined,
    stand: bgpPeers => standIn(controller, bgpPeers),
  })
  parting.defer('checks that are asked for', () => checks.close())
  parting.defer('paths', prober.onChange(onChange))
  parting.defer(
    'paths',
    controller.onChange(() => prober.wake()),
  )
  parting.defer(
    'checks that are asked for',
    controller.bgpPeers.onChange(() => checks.wake()),
  )
  return () => {
    const { report } = prober
    return controller.leadership().isLeader ? pathsView(report) : undefined
  }
}

/** Where the controller stands: the same object while nothing of it has changed. */
function standing(controller: Controller): () => Stand {
  const podCIDRsOf = memoLast((entries: readonly RouteEntry[]) => entries.flatMap(({ podCIDRs }) => podCIDRs))
  const standAt = memoLast((entries: readonly RouteEntry[], ...own: string[]) => standOfController(own, entries))
  return () => {
    if (!controller.leadership().isLeader) return NOWHERE
    const entries = controller.entries()
    return standAt(entries, ...sourceAddresses(podCIDRsOf(entries)))
  }
}

/** Of the nodes in the LANs of these BGPPeers. */
function standIn(controller: Controller, bgpPeers: readonly string[]): Stand {
  if (!controller.leadership().isLeader) return NOWHERE
  const entries = controller.entries().filter(({ peers }) => peers.some(peer => bgpPeers.includes(peer)))
  return standOfController(sourceAddresses(entries.flatMap(({ podCIDRs }) => podCIDRs)), entries)
}
