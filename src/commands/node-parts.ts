/**
 * The parts of a node's process, one function each: takes what it stands on, puts it together, and
 * leaves in `parting` how it is ended (in the reverse order of the start). node.ts says which there
 * are; what they decide is in their rooms.
 */
import type { PeerEvidence } from '../agent/gateway-evidence.ts'
import { createLifelines, type Lifelines } from '../agent/lifelines.ts'
import { type Agent, createAgent } from '../agent/reconcile.ts'
import { createBfd } from '../bfd/bfd.ts'
import { createSpeaker } from '../bgp/speaker.ts'
import { createTransport } from '../bgp/tcp/transport.ts'
import { damageProblems } from '../cni/address-store.ts'
import { keepFreeingAddresses } from '../cni/free-addresses.ts'
import { keepFindingStrayPods } from '../cni/keep-finding-stray-pods.ts'
import { keepWiring } from '../cni/keep-wiring.ts'
import { keepTellingReadiness } from '../cni/tell-readiness.ts'
import { environment } from '../config/environment.ts'
import { firewallConfig } from '../firewall/config.ts'
import { createFirewall } from '../firewall/reconcile.ts'
import { type Drain, prepareDrain } from '../host/drain.ts'
import { linkTo, localAddresses, watchLocalAddresses } from '../host/local-addresses.ts'
import { watchStateFolder } from '../host/state-watch.ts'
import type { KubeApi } from '../kube/api.ts'
import { claimPodCIDRs } from '../kube/claim-pod-cidrs.ts'
import { createKubeApi } from '../kube/client.ts'
import { clusterIdentity } from '../kube/cluster-identity.ts'
import { type ClusterSource, createClusterViewSource } from '../kube/cluster-view.ts'
import { createEventRecorder } from '../kube/event-recorder.ts'
import { createSoundView, type SoundView } from '../kube/sound-view.ts'
import { keepTokenFresh } from '../kube/token-renewal.ts'
import { watchExpiry } from '../kube/watch-expiry.ts'
import { systemClock } from '../lib/clock.ts'
import type { Listeners } from '../lib/listeners.ts'
import type { Expiry } from '../model/snapshot.ts'
import type { Prober } from '../paths/prober.ts'
import { createSpeakerRoom, type SpeakerRoom } from '../speaker/reconcile.ts'
import { openRestartMarker } from '../speaker/restart-marker.ts'
import { createSwitchMonitor } from '../speaker/switch-monitor.ts'
import { joinedProof } from '../speaker/switch-told.ts'
import { servedCertificates } from '../status/credentials.ts'
import { EventLog } from '../status/event-log.ts'
import { type NodeServices, thisNode } from './node-services.ts'
import { removalLimits } from './removal-limits.ts'

/** What the parts know of the cluster, and how they speak to it. */
export interface Cluster {
  readonly api: KubeApi
  /** What agent and speaker act on. */
  readonly view: SoundView
  /** What the API server says, before it is judged. */
  readonly source: ClusterSource
  readonly events: EventLog
  /** Until when its access, and the status interface's certificate, are good. */
  readonly expiries: { readonly all: readonly Expiry[] }
}

const clock = systemClock

/** How long BGP, BFD and the last status may take when this process ends. */
const SPEAKER_MILLISECONDS = 6000

/** Tells of a state folder that cannot be written, and of a file of it that was damaged. */
export function startStateWatch({ config, log, parting, changes, problems }: NodeServices): void {
  const watch = watchStateFolder(config.state, { clock, log: log.child({ room: 'host' }), onChange: changes.tell })
  problems.follow(() => [...watch.problems, ...damageProblems(config.state)])
  parting.defer('the watch of the state folder', () => watch.close())
}

export async function startCluster(services: NodeServices): Promise<Cluster> {
  const { config, kubeconfig, log, parts, parting, changes } = services
  const self = config.node
  const kubeLog = log.child({ room: 'kube' })
  const api = createKubeApi({ kubeconfig, clock, log: kubeLog })
  parting.defer('the API client', () => api.close())
  const renewal = keepTokenFresh({ kubeconfig, stateDir: config.state, clock, log: kubeLog })
  parting.defer('token renewal', () => renewal.close())
  const identity = await clusterIdentity(kubeconfig, clock)
  const source = createClusterViewSource({
    api,
    node: self,
    stateDir: config.state,
    clock,
    log: kubeLog,
    ...(identity !== undefined && { cluster: identity }),
    removal: removalLimits(config),
    onHeld: message => {
      events.record({ regarding: thisNode(self), type: 'Warning', reason: 'RemovalHeld', message })
      changes.tell()
    },
  })
  const recorder = createEventRecorder({ api, component: `terway-edge-${parts.command}`, host: self, clock, log })
  const events = new EventLog(clock, recorder)
  parting.defer('Events', () => events.close())
  const lifelines = startLifelines(services, () => source.contact.lastContact)
  const view = createSoundView({
    source,
    self,
    lifelines,
    ask: () => api.reach(REACH_MILLISECONDS),
    stateDir: config.state,
    clock,
    log: kubeLog,
    onHeld: texts => {
      for (const message of texts)
        events.record({ regarding: thisNode(self), type: 'Warning', reason: 'ChangeHeld', message })
    },
  })
  parting.defer('the view of the cluster', () => view.close())
  view.onChange(lifelines.wake)
  view.onChange(changes.tell)
  const expiries = watchExpiry({
    kubeconfig,
    served: servedCertificates(config.status),
    clock,
    log: kubeLog,
    onChange: changes.tell,
  })
  parting.defer('the look at credentials', () => expiries.close())
  parting.defer(
    'podCIDRs told',
    claimPodCIDRs({ api, view: source, node: self, stateDir: config.state, clock, log: kubeLog }),
  )
  return { api, view, source, events, expiries }
}

/** How long the API server has to answer a question that only asks whether it does. */
const REACH_MILLISECONDS = 3000

function startLifelines(
  { config, kubeconfig, log, parting }: NodeServices,
  contactAt: () => number | undefined,
): Lifelines {
  const urls = async () => {
    const { proxy } = await kubeconfig.credentials()
    return [kubeconfig.server, ...(proxy === undefined ? environment.proxies() : [proxy])]
  }
  const { protocol } = config.route
  const lifelines = createLifelines({
    urls,
    contactAt,
    stateDir: config.state,
    protocol,
    serviceCIDRs: config.network.serviceCIDRs,
    clock,
    log: log.child({ room: 'agent' }),
  })
  parting.defer('lifelines', () => lifelines.close())
  return lifelines
}

/** The routes, the firewall, and what the CNI plugin is told. */
export async function startAgent(
  services: NodeServices,
  cluster: Cluster,
  peers: () => readonly PeerEvidence[],
): Promise<Agent> {
  const { view } = cluster
  const { config, log, parting, changes, problems } = services
  const firewall = await problems.optional('the firewall is not looked after', () =>
    createFirewall({ clock, log: log.child({ room: 'firewall' }), config: firewallConfig(config) }),
  )
  parting.defer('the firewall', () => firewall?.close())
  const agent = createAgent({
    clock,
    log: log.child({ room: 'agent' }),
    self: config.node,
    view,
    peers,
    ...(firewall !== undefined && { firewall }),
    config: { protocol: config.route.protocol, table: config.route.table, stateDir: config.state, cni: config.cni },
  })
  agent.onChange(changes.tell)
  startStrayPods(services, cluster)
  const cni = { clock, log: log.child({ room: 'cni' }) }
  const freeing = keepFreeingAddresses(config.state, cni)
  parting.defer('freeing of addresses', () => freeing.close())
  const wiring = keepWiring(config.state, { ...cni, onChange: changes.tell })
  problems.follow(() => wiring.problems)
  parting.defer("pods' wiring", () => wiring.close())
  const telling = keepTellingReadiness(config.state, { node: agent, ...cni })
  parting.defer('readiness for the CNI plugin', () => telling.close())
  parting.defer('the agent', () => agent.close())
  return agent
}

/** Names pods that kept addresses of podCIDRs which are not this node's any more. */
function startStrayPods({ config, parting, changes, problems }: NodeServices, { view, events }: Cluster): void {
  const own = () => view.current()?.entries.find(({ node }) => node === config.node)?.podCIDRs ?? []
  const stray = keepFindingStrayPods(config.state, {
    clock,
    podCIDRs: own,
    onFound: message => {
      events.record({ regarding: thisNode(config.node), type: 'Warning', reason: 'PodsNotRouted', message })
      changes.tell()
    },
  })
  problems.follow(() => stray.problems)
  parting.defer(
    'stray pods',
    view.onChange(() => stray.wake()),
  )
  parting.defer('stray pods', () => stray.close())
}

export async function startSpeaker(
  services: NodeServices,
  { api, view, events }: Cluster,
  paths: () => Prober | undefined,
): Promise<SpeakerRoom> {
  const { config, log, parting, changes, problems } = services
  const marker = await problems.optional('whether this start is a restart is not known', () =>
    openRestartMarker(config.state, clock),
  )
  const bfd = await problems.optional('no BFD', () => createBfd({ clock, log: log.child({ room: 'bfd' }) }))
  const bgp = createSpeaker({
    clock,
    log: log.child({ room: 'bgp' }),
    ...(config.bgp.listenPort > 0 && { listen: { port: config.bgp.listenPort } }),
    restarting: marker?.restarting ?? false,
    rebooted: marker?.rebooted ?? false,
  })
  const monitor = createSwitchMonitor({
    self: config.node,
    view,
    speaker: bgp,
    transport: createTransport({ clock }),
    clock,
    log: log.child({ room: 'speaker' }),
    changed: () => {
      speaker.wake()
      changes.tell()
    },
  })
  problems.follow(() => monitor.problems())
  parting.defer('reports by BMP', () => monitor.close())
  const proved = (bgpPeer: string) => paths()?.report.verdict.switches.find(verdict => verdict.bgpPeer === bgpPeer)
  const speaker = createSpeakerRoom({
    self: config.node,
    view,
    api,
    events,
    marker,
    speaker: bgp,
    ...(bfd !== undefined && { bfd }), // starts when a BGPPeer asks for it
    localAddresses,
    linkTo,
    routesProof: bgpPeer => joinedProof(proved(bgpPeer), monitor.proofOf(bgpPeer)),
    clock,
    log: log.child({ room: 'speaker' }),
  })
  speaker.onChange(changes.tell)
  parting.defer(
    'proof of routes',
    onProof(changes, paths, () => speaker.wake()),
  )
  // a drain that is under way is hurried
  parting.defer('the speaker', () => speaker.close({ mode: 'restart' }), SPEAKER_MILLISECONDS)
  const onChange = () => {
    speaker.wake()
    changes.tell() // a pod may have come or gone
  }
  const watch = () => watchLocalAddresses({ clock, log, onChange })
  const stop = await problems.optional('changed addresses are seen later', watch)
  if (stop !== undefined) parting.defer('the watch of addresses', stop)
  return speaker
}

/** Calls `listener` when what is proved of a switch has changed. Returns how to stop that. */
function onProof(changes: Listeners, paths: () => Prober | undefined, listener: () => void): () => void {
  let told = '[]'
  return changes.add(() => {
    const switches = paths()?.report.verdict.switches ?? []
    const statuses = JSON.stringify(switches.map(({ bgpPeer, status }) => [bgpPeer, status]))
    if (statuses === told) return
    told = statuses
    listener()
  })
}

/** Makes `terway-edge drain` work: what it asks for, and where it is told that it is done. */
export function startDrain({ config, log, changes }: NodeServices, speaker: () => SpeakerRoom | undefined): Drain {
  const forewarnMilliseconds = config.bgp.drainSeconds * 1000
  return prepareDrain({
    stateDir: config.state,
    log,
    leave: () => speaker()?.close({ mode: 'shutdown', reason: 'drained by the operator', forewarnMilliseconds }),
    onDrained: changes.tell,
  })
}
