/**
 * The network of a node's pods, as its mode asks for: routes between nodes (agent/), or elastic
 * network interfaces (eni/, loaded only where there is one). Puts together what each stands on;
 * which it is, is decided in eni/mode.ts.
 */
import { join } from 'node:path'
import { writeCniConfig } from '../agent/cni-config.ts'
import { chainedPlugins } from '../agent/cni-plugins.ts'
import { peerEvidence } from '../agent/gateway-evidence.ts'
import { outwardLinksNow } from '../agent/observe.ts'
import type { Agent } from '../agent/reconcile.ts'
import { applySettings } from '../agent/sysctl.ts'
import { AddressStore } from '../cni/address-store.ts'
import { type Attachments, podsOf, takenAddresses, waitingPods } from '../cni/attachments.ts'
import { keepFreeingAddresses } from '../cni/free-addresses.ts'
import { writeInterfacePool } from '../cni/interface-pool-file.ts'
import { keepWiring } from '../cni/keep-wiring.ts'
import { podAddresses } from '../cni/pod-addresses.ts'
import { setInterfaceSysctls } from '../cni/sysctl.ts'
import { keepTellingReadiness } from '../cni/tell-readiness.ts'
import type { Config } from '../config/schema.ts'
import type { InterfaceNode, Plugin } from '../eni/interface-node.ts'
import { modeInput, type SeenByNode } from '../eni/mode.ts'
import { ModeKeeper } from '../eni/mode-keeper.ts'
import { networkOfPods } from '../eni/network-of-pods.ts'
import { firewallConfig } from '../firewall/config.ts'
import { Nft } from '../firewall/nftables.ts'
import { createFirewall } from '../firewall/reconcile.ts'
import type { Drain } from '../host/drain.ts'
import { createENINodeSource, type ENINodeSource } from '../kube/eni-node-source.ts'
import { systemClock } from '../lib/clock.ts'
import { fileStamp } from '../lib/files.ts'
import type { Log } from '../lib/log.ts'
import { Parting } from '../lib/parting.ts'
import type { NodeMode } from '../model/node-mode.ts'
import type { BgpSession } from '../model/session.ts'
import type { Prober } from '../paths/prober.ts'
import { type Cluster, startAgent } from './node-parts.ts'
import { startPaths } from './node-paths.ts'
import { type NodeServices, thisNode } from './node-services.ts'
import type { NodeNetwork } from './node-status.ts'

const clock = systemClock

/** Its parts have times of their own. */
const KEEPER_MILLISECONDS = 4000

/** What runs for a mode. */
interface Part {
  readonly agent?: Agent
  readonly paths?: Prober | undefined
  readonly interfaces?: InterfaceNode
  close(): Promise<void>
}

/** Starts it, and follows the mode of the node from then on. */
export function startNetwork(
  services: NodeServices,
  cluster: Cluster,
  { drain, sessions }: Pick<Around, 'drain' | 'sessions'>,
): NodeNetwork {
  const { config, log, parting, changes } = services
  const { api, view, events } = cluster
  const kubeLog = log.child({ room: 'kube' })
  const source = createENINodeSource({ api, node: config.node, stateDir: config.state, clock, log: kubeLog })
  parting.defer('the ENINode', () => source.close())
  const keeper: ModeKeeper<Part> = new ModeKeeper<Part>({
    clock,
    log: log.child({ room: 'agent' }),
    input: () =>
      modeInput({
        configured: config.mode,
        eniNode: { exists: source.exists, platform: source.current?.spec.platform },
        isRouted: view.current()?.entries.some(entry => entry.node === config.node) === true,
        attached: attachedHere(config.state),
        running: keeper.mode,
      }),
    start: mode => startPart(mode, services, { cluster, source, drain, sessions }),
    onChange: changes.tell,
    onRefusal: ({ reason, message }) => {
      events.record({ regarding: thisNode(config.node), type: 'Warning', reason, message })
    },
  })
  source.onChange(() => keeper.wake())
  view.onChange(() => keeper.wake())
  parting.defer("the network of this node's pods", () => keeper.close(), KEEPER_MILLISECONDS)
  return {
    wake: () => keeper.part?.agent?.wake(),
    get mode() {
      return keeper.mode
    },
    get ready() {
      return running(keeper)?.ready ?? false
    },
    get problems() {
      return [...keeper.problems, ...(running(keeper)?.problems ?? [])]
    },
    get routes() {
      return keeper.part?.agent?.view() ?? []
    },
    get routeRepairs() {
      return keeper.part?.agent?.repairs
    },
    get paths() {
      return keeper.part?.paths
    },
    get interfaces() {
      return keeper.part?.interfaces?.interfaces()
    },
  }
}

function running({ part }: ModeKeeper<Part>): Agent | InterfaceNode | undefined {
  return part?.agent ?? part?.interfaces
}

/** The pods of this node; undefined where their records cannot be read. */
function attachedHere(state: string): SeenByNode['attached'] {
  try {
    const attachments = new AddressStore(state).read()
    const onInterfaces = attachments.records.some(record => record.interface !== undefined)
    return { pods: podsOf(attachments), onInterfaces }
  } catch {
    return undefined
  }
}

interface Around {
  readonly cluster: Cluster
  readonly source: ENINodeSource
  readonly drain: Drain
  /** BGP's, once there is a speaker. */
  readonly sessions: () => readonly BgpSession[]
}

async function startPart(mode: NodeMode, services: NodeServices, around: Around): Promise<Part> {
  const parting = new Parting({ clock, log: services.log })
  const own = { ...services, parting }
  const close = () => parting.end()
  if (mode !== 'route') return { interfaces: await startInterfaces(own, around), close }
  around.source.forget()
  const { view, source } = around.cluster
  const peers = () => peerEvidence(view.current()?.peers ?? [], name => source.wasEstablished(name), around.sessions())
  const agent = await startAgent(own, around.cluster, peers)
  const measure = () => startPaths(own, around.cluster, agent)
  return { agent, paths: await services.problems.optional('paths are not measured', measure), close }
}

async function startInterfaces(services: NodeServices, { cluster, source, drain }: Around): Promise<InterfaceNode> {
  const { config, log, parting, changes, problems } = services
  const { InterfaceNode } = await import('../eni/interface-node.ts')
  const { InstanceMetadata } = await import('../eni/metadata.ts')
  const { state } = config
  let instance: InstanceType<typeof InstanceMetadata> | undefined
  const interfaces = new InterfaceNode({
    clock,
    log: log.child({ room: 'agent' }),
    source,
    api: cluster.api,
    events: cluster.events,
    plugin: pluginOf(config, log),
    numbers: { protocol: config.route.protocol, ...config.eni },
    routeTable: config.route.table,
    settings: ({ primaries, interfaces: names, ipv6 }) => {
      for (const name of names) setInterfaceSysctls('ipv6', name, { accept_ra: 0 })
      return applySettings({ uplinks: primaries, ipv6 }, { stateDir: state }).problems
    },
    nftables: () => Nft.find(),
    metadata: {
      file: join(state, 'eni-gateways.json'),
      ask: (platform, mac) => {
        instance ??= new InstanceMetadata(platform)
        return instance.gateways(mac)
      },
    },
    left: () => drain.drained,
  })
  const firewall = createFirewall({
    clock,
    log: log.child({ room: 'firewall' }),
    config: { ...firewallConfig(config), masquerade: false }, // the addresses are the VPC's own
  })
  parting.defer('the firewall', () => firewall.close())
  const cni = { clock, log: log.child({ room: 'cni' }) }
  const freeing = keepFreeingAddresses(state, cni)
  parting.defer('freeing of addresses', () => freeing.close())
  const wiring = keepWiring(state, { ...cni, onChange: changes.tell })
  problems.follow(() => wiring.problems)
  parting.defer("pods' wiring", () => wiring.close())
  const telling = keepTellingReadiness(state, { node: interfaces, ...cni })
  parting.defer('readiness for the CNI plugin', () => telling.close())
  const tellFirewall = () => {
    const known = networkOfPods({ vpcCIDRs: config.network.vpcCIDRs, interfaces: source.current?.status.interfaces })
    if (known !== undefined) firewall.want({ ...known, uplinks: outwardLinksNow(config.route) })
  }
  tellFirewall()
  parting.defer('the firewall', source.onChange(tellFirewall))
  interfaces.onChange(changes.tell)
  parting.defer('elastic network interfaces', () => interfaces.close())
  return interfaces
}

function pluginOf({ state, cni }: Config, log: Log): Plugin {
  const store = new AddressStore(state)
  const { confDir, binDir, mtu, allowSourceAddresses } = cni
  return {
    stamp: () => fileStamp(store.file),
    attached: () => attachedOf(store.read()),
    writePool: pool => writeInterfacePool(state, pool),
    locked: action => store.update(() => ({ result: action() })),
    offer: uplinkMtu => {
      const bytes = mtu === 'auto' ? uplinkMtu : mtu
      const chained = chainedPlugins(binDir)
      const own = { podCIDRs: undefined, stateDir: state, allowSourceAddresses }
      const written = { ...own, chained, ...(bytes !== undefined && { mtu: bytes }) }
      if (writeCniConfig(confDir, written)) log.info({ file: confDir }, 'CNI configuration written')
    },
  }
}

function attachedOf(attachments: Attachments): ReturnType<Plugin['attached']> {
  const addressed = podAddresses(attachments)
  return {
    addressed,
    addresses: takenAddresses(attachments), // whatever they are of
    pods: attachments.records.filter(record => record.interface !== undefined).length,
    waiting: waitingPods(attachments, clock.now()).length,
    freed: attachments.freed,
  }
}
