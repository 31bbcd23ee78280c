/**
 * A node whose pods sit on elastic network interfaces: hands the addresses of its ENINode to the
 * CNI plugin, keeps the datapath, and says what pods have. It allocates nothing and calls no cloud;
 * pods start and stop without it. What it stands on (the plugin's records, the firewall program,
 * the kernel's settings) it is given by whoever puts the node together.
 */
import type { EventRecorder, KubeApi } from '../kube/api.ts'
import type { ENIInterface, ENINode, Platform } from '../kube/eni-node.ts'
import type { ENINodeSource } from '../kube/eni-node-source.ts'
import { ENI_NODES, type ObjectReference } from '../kube/resources.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { pickFields, present } from '../lib/fields.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import type { InterfacePool, PolicyNumbers } from '../model/interface-pool.ts'
import type { InterfaceView } from '../model/snapshot.ts'
import { type Datapath, familiesServed, type PodAddress } from './datapath.ts'
import { GatewaySource } from './gateway-source.ts'
import {
  type GatewaysByMac,
  gatewayDifferences,
  type PrimaryNetwork,
  primaryNetworks,
  withGateways,
} from './gateways.ts'
import { DatapathKeeper, type DatapathPass, namesOf, type SettingsNeeds } from './keep-datapath.ts'
import { ConnectionMarks, type Nftables } from './keep-marks.ts'
import { type Attached, poolOf, reportOf, withoutGateway } from './report.ts'
import { ReportWriter } from './report-writer.ts'

/** What the plugin has recorded, and how it is told. */
export interface Plugin {
  /** Changes whenever the records do. */
  readonly stamp: () => string
  readonly attached: () => Attached & { readonly addressed: readonly PodAddress[] }
  /** Under the lock of the records: nobody gives out afterwards what is not in it. */
  readonly writePool: (pool: InterfacePool) => void
  /** Runs `action` while the plugin gives out and takes back nothing. */
  readonly locked: (action: () => void) => void
  /** Tells the container runtime that pods can be wired. `mtu`: of the primary interface. */
  readonly offer: (mtu: number | undefined) => void
}

export interface InterfaceNodeOptions {
  readonly clock: Clock
  readonly log: Log
  readonly source: ENINodeSource
  readonly api: Pick<KubeApi, 'apply'>
  readonly events: Pick<EventRecorder, 'record'>
  readonly plugin: Plugin
  readonly numbers: PolicyNumbers
  readonly routeTable: number
  readonly settings: (interfaces: SettingsNeeds) => readonly string[]
  readonly nftables: () => Nftables | undefined
  /** What the metadata service says of gateways: where it is kept, and how it is asked. */
  readonly metadata?: {
    readonly file: string
    readonly ask: (platform: Platform, mac: string) => Promise<readonly string[]>
  }
  /** The node was drained for good. */
  readonly left: () => boolean
  /** Path of the network namespace to work in; absent: this one. */
  readonly netns?: string
}

/** How often the plugin's records are looked at. */
const LOOK_MILLISECONDS = 500
/** From InUse in the cloud to a link in the machine. */
const PLUG_MILLISECONDS = 20_000
const NOTHING_SAID: GatewaysByMac = new Map()
const NO_NODE =
  'nothing is known of the interfaces of this node yet: neither the API server nor the state folder has its ENINode'

export class InterfaceNode {
  readonly #options: InterfaceNodeOptions
  readonly #loop: Loop
  readonly #keeper: DatapathKeeper
  readonly #marks: ConnectionMarks
  readonly #writer: ReportWriter
  readonly #gateways: GatewaySource | undefined
  readonly #stop: () => void
  readonly #listeners = new Listeners()
  #stamp = ''
  #seen: ENINode | undefined
  #primaries: readonly PrimaryNetwork[] = []
  /** The ENINode with its gateways, and what that was made from. */
  #served: { readonly from: readonly unknown[]; readonly node: ENINode } | undefined
  #told: readonly string[] = []
  #poolWritten = false
  #waiting = 0
  #pass: DatapathPass = { datapath: undefined, problems: [] }
  #gone: ReadonlySet<string> = new Set()
  /** Links that were not there yet when the cloud said that they are: since when (monotonic). */
  readonly #expected = new Map<string, number>()
  readonly #everSeen = new Set<string>()
  #published = { ready: false, problems: [NO_NODE] as readonly string[], rows: [] as readonly InterfaceView[] }

  constructor(options: InterfaceNodeOptions) {
    this.#options = options
    const { clock, log, numbers, routeTable, settings, source, plugin, netns, nftables } = options
    const where = netns === undefined ? {} : { netns }
    const { metadata } = options
    this.#gateways =
      metadata &&
      new GatewaySource({
        clock,
        log,
        file: metadata.file,
        ask: mac => metadata.ask(this.#seen?.spec.platform ?? 'ecs', mac),
        onChange: () => this.#loop.wake(),
      })
    this.#writer = new ReportWriter({ api: options.api, clock, log })
    this.#marks = new ConnectionMarks({
      clock,
      nftables,
      mark: numbers.marked.mark,
      ...where,
      onProblems: () => this.#loop.wake(),
    })
    this.#keeper = new DatapathKeeper({
      clock,
      log,
      numbers,
      routeTable,
      ...where,
      pods: () => plugin.attached().addressed,
      locked: plugin.locked,
      settings,
      onPass: pass => this.#passed(pass),
    })
    this.#loop = new Loop({
      clock,
      run: () => this.#look(),
      onError: error => this.#publish({ ...this.#published, problems: [errorText(error)] }),
      everyMilliseconds: LOOK_MILLISECONDS,
    })
    this.#stop = source.onChange(() => this.#loop.wake())
    this.#loop.wake()
  }

  /** Whether pods can be wired. */
  get ready(): boolean {
    return this.#published.ready
  }

  /** What an operator should know; empty when all is well. */
  get problems(): readonly string[] {
    return this.#published.problems
  }

  interfaces(): readonly InterfaceView[] {
    return this.#published.rows
  }

  /**
   * Calls `listener` when `ready`, `problems` or `interfaces()` changed. Returns how to stop that.
   */
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  /** Stops; all stays as it is, so that pods go on over an upgrade. */
  async close(): Promise<void> {
    this.#stop()
    this.#gateways?.close()
    await this.#loop.close()
    await Promise.all([this.#keeper.close(), this.#marks.close(), this.#writer.close()])
  }

  #look(): void {
    const { source, plugin, left } = this.#options
    const { current } = source
    if (current === undefined) return
    const node = this.#withGateways(current)
    const stamp = `${plugin.stamp()} ${left()} ${this.#marks.problems.join()}`
    if (node !== this.#seen || !this.#poolWritten) this.#handOn(node)
    else if (stamp === this.#stamp) {
      if (this.#waiting > 0) this.#report(node) // who waits no longer is seen by the time
      return
    } else this.#keeper.wake()
    this.#stamp = stamp
    this.#report(node)
    this.#show(node)
  }

  /** The same object for as long as it says the same. */
  #withGateways(node: ENINode): ENINode {
    const said = this.#gateways?.said ?? NOTHING_SAID
    const from = [node, said, this.#primaries]
    if (from.every((part, index) => part === this.#served?.from[index])) return this.#served?.node ?? node
    this.#tellOfGateways(node, said)
    const served = withGateways(node, said, this.#primaries)
    this.#served = { from, node: served }
    return served
  }

  /** Each difference once. */
  #tellOfGateways(node: ENINode, said: GatewaysByMac): void {
    const messages = gatewayDifferences(node, said)
    const regarding = referenceTo(node)
    for (const message of messages.filter(text => !this.#told.includes(text)))
      this.#options.events.record({ regarding, type: 'Warning', reason: 'GatewayDiffers', message })
    this.#told = messages
  }

  /** The plugin first: what leaves must be given to nobody before it is called released. */
  #handOn(node: ENINode): void {
    const { plugin, numbers } = this.#options
    const pool = poolOf(node, numbers)
    this.#keeper.want(
      node.status.interfaces.map(item => ({
        ...pickFields(item, ['id', 'mac', 'gateways']),
        attached: isAttached(item),
      })),
      familiesServed(pool.dualStack),
    )
    this.#seen = node
    this.#poolWritten = false
    plugin.writePool(pool)
    this.#poolWritten = true
    this.#gateways?.want(node)
  }

  #report(node: ENINode): void {
    if (!this.#poolWritten) return
    const report = reportOf(node, this.#options.plugin.attached(), this.#options.left())
    this.#waiting = report.waiting
    this.#writer.report(node, report)
  }

  #passed(pass: DatapathPass): void {
    this.#pass = pass
    const { datapath } = pass
    if (datapath !== undefined) {
      this.#marks.want(namesOf(datapath))
      this.#notePrimaries(primaryNetworks(datapath.primaries))
      this.#tellOfInterfaces(this.#believedGone(datapath))
      if (this.#poolWritten) this.#options.plugin.offer(datapath.primaries[0]?.link.mtu)
    }
    const node = this.#seen
    if (node !== undefined) this.#show(node)
  }

  #notePrimaries(primaries: readonly PrimaryNetwork[]): void {
    if (Bun.deepEquals(primaries, this.#primaries)) return
    this.#primaries = primaries
    this.#loop.wake()
  }

  /** A machine sees a new interface some seconds after the cloud has attached it. */
  #believedGone({ present, missing }: Datapath): ReadonlySet<string> {
    const now = this.#options.clock.monotonic()
    for (const mac of present.keys()) this.#everSeen.add(mac)
    for (const mac of this.#expected.keys()) if (present.has(mac)) this.#expected.delete(mac)
    const gone = missing.filter(({ mac }) => {
      if (this.#everSeen.has(mac)) return true
      const since = this.#expected.get(mac) ?? now
      this.#expected.set(mac, since)
      return now - since >= PLUG_MILLISECONDS
    })
    return new Set(gone.map(({ id }) => id))
  }

  /** Each once, when it went and when it came back. */
  #tellOfInterfaces(gone: ReadonlySet<string>): void {
    const node = this.#seen
    const { events } = this.#options
    if (node === undefined) return
    const regarding = referenceTo(node)
    for (const id of [...gone].filter(id => !this.#gone.has(id))) {
      const message = `interface ${id} is not among the links of the node: its pods reach nobody until it is back`
      events.record({ regarding, type: 'Warning', reason: 'InterfaceGone', message })
    }
    for (const id of [...this.#gone].filter(id => !gone.has(id))) {
      events.record({ regarding, type: 'Normal', reason: 'InterfaceBack', message: `interface ${id} is there again` })
    }
    this.#gone = gone
  }

  #show(node: ENINode): void {
    const { datapath } = this.#pass
    const { addressed } = this.#options.plugin.attached()
    const rows = node.status.interfaces.map(({ id, mac, vSwitchID, state, addresses, releasing }) =>
      present<InterfaceView>({
        id,
        mac,
        vSwitchID,
        state,
        link: datapath?.present.get(mac)?.name,
        addresses: addresses.length,
        inUse: addressed.filter(pod => pod.mac === mac).length,
        releasing: releasing.length,
      }),
    )
    const ready = this.#published.ready || (this.#poolWritten && datapath !== undefined)
    const closed = withoutGateway(node.status.interfaces)
    this.#publish({ ready, problems: [...this.#pass.problems, ...this.#marks.problems, ...closed], rows })
  }

  #publish(next: { ready: boolean; problems: readonly string[]; rows: readonly InterfaceView[] }): void {
    const before = this.#published
    this.#published = next
    const { log } = this.#options
    for (const detail of next.problems.filter(text => !before.problems.includes(text))) log.warn({ detail }, 'problem')
    for (const detail of before.problems.filter(text => !next.problems.includes(text))) {
      if (detail !== NO_NODE) log.info({ detail }, 'problem is over')
    }
    if (JSON.stringify(before) === JSON.stringify(next)) return
    this.#listeners.tell()
  }
}

/** Whether the cloud says that it is in the machine, or is about to be. */
function isAttached({ state }: ENIInterface): boolean {
  return state === 'InUse' || state === 'Detaching'
}

/** For Events. */
function referenceTo({ name, uid }: Pick<ENINode, 'name' | 'uid'>): ObjectReference {
  return { apiVersion: `${ENI_NODES.group}/${ENI_NODES.version}`, kind: ENI_NODES.kind, name, uid }
}
