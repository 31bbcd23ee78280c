/**
 * Paths of a node whose pods are routed: measured all the time, and all at once when an operator
 * asks for it.
 */
import type { Agent } from '../agent/reconcile.ts'
import { systemClock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { removeProbeRouting } from '../paths/kernel.ts'
import { type Prober, startProber } from '../paths/prober.ts'
import { type Stand, standOfNode } from '../paths/stand.ts'
import { lanOf } from '../paths/targets.ts'
import { answerChecks } from './answer-checks.ts'
import type { Cluster } from './node-parts.ts'
import type { NodeServices } from './node-services.ts'

/** Undefined where paths are switched off. */
export function startPaths(services: NodeServices, cluster: Cluster, agent: Agent): Prober | undefined {
  const { config, log, parting, changes } = services
  const { view } = cluster
  const { enabled, port, lanPacketsPerMinute, farPacketsPerMinute } = config.paths
  if (!enabled) {
    leaveNoProbeRoutes(services)
    return undefined
  }
  const stand = () => standNow(services, cluster)
  const prober = startProber({
    clock: systemClock,
    log: log.child({ room: 'paths' }),
    stand,
    mtu: () => agent.podMtu,
    port,
    budget: { lanPacketsPerMinute, farPacketsPerMinute },
  })
  prober.onChange(changes.tell)
  view.onChange(() => prober.wake())
  agent.onChange(() => prober.wake())
  parting.defer('paths', () => prober.close())
  startAnswering(services, cluster, { stand, mtu: () => agent.podMtu })
  return prober
}

function standNow({ config }: NodeServices, { view }: Cluster): Stand {
  const { protocol } = config.route
  const { entries, peers, controllers = [] } = view.current() ?? { entries: [], peers: [] }
  return standOfNode({
    self: config.node,
    view: { entries, peers },
    controllers,
    protocol,
    bySwitch: config.paths.bySwitch,
    prepares: true,
  })
}

function startAnswering(
  { config, log, parting }: NodeServices,
  { view, source, events }: Cluster,
  { stand, mtu }: { readonly stand: () => Stand; readonly mtu: () => number | undefined },
): void {
  const own = () => view.current()?.entries.find(({ node }) => node === config.node)
  const checks = answerChecks({
    events,
    log: log.child({ room: 'paths' }),
    who: () => ({ node: config.node, lan: lanOf(own() ?? { peers: [] }) }),
    asked: () => source.checksAsked,
    uidOf: bgpPeer => view.current()?.peers.find(({ name }) => name === bgpPeer)?.uid,
    port: config.paths.port,
    mtu,
    stand,
  })
  parting.defer('checks that are asked for', () => checks.close())
  parting.defer(
    'checks that are asked for',
    source.onPeersChange(() => checks.wake()),
  )
}

/** What an earlier process made for probes, which nobody looks after now. */
function leaveNoProbeRoutes({ config, log }: NodeServices): void {
  try {
    for (const detail of removeProbeRouting(config.route.protocol)) log.warn({ detail }, 'routes of probes are left')
  } catch (error) {
    log.warn({ detail: errorText(error) }, 'routes of probes are left')
  }
}
