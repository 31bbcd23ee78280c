/**
 * A simulated machine: a kernel and a disk, and on them the product's own parts of a node as
 * commands/node-parts.ts puts them together. Power, crashes, a cloned disk.
 */
import { type Agent, createAgent } from '../../src/agent/reconcile.ts'
import { keepTellingReadiness } from '../../src/cni/tell-readiness.ts'
import { claimPodCIDRs } from '../../src/kube/claim-pod-cidrs.ts'
import { createKubeApiOver } from '../../src/kube/client.ts'
import { type ClusterSource, createClusterViewSource } from '../../src/kube/cluster-view.ts'
import type { Lifeline } from '../../src/kube/sound-entries.ts'
import { createSoundView, type LifelineSource, type SoundView } from '../../src/kube/sound-view.ts'
import { RT_SCOPE, RT_TABLE, RTPROT } from '../../src/netlink/constants.ts'
import type { NetworkDoor } from '../../src/netlink/door.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'
import type { ApiNetwork } from './api-network.ts'
import type { Bus } from './bus.ts'
import { SimDisk } from './disk.ts'
import { SimKernel } from './kernel.ts'
import { kernelWire } from './kernel-wire.ts'
import { Mortal } from './mortal.ts'
import { Process } from './process.ts'
import { hashText, Random } from './random.ts'
import type { Levels, Shape } from './script.ts'
import { gatewayOf, type NodePlace, PROTOCOL, peerNumbers } from './topology.ts'

const UPLINK = 2
const STATE = '/state'
const REACH_MILLISECONDS = 3000

export interface MachineOptions {
  readonly bus: Bus
  readonly seed: number
  readonly place: NodePlace
  readonly shape: Shape
  readonly network: ApiNetwork
  readonly levels: () => Levels
  /** Who answers ARP in a LAN now. */
  readonly answers: (lan: number, address: string) => boolean
  /** The process died by itself: when it is to come back. */
  readonly onDeath: (machine: Machine) => void
  /** A new kernel, before anything happens in it. */
  readonly onKernel: (machine: Machine, kernel: SimKernel) => void
}

interface Running {
  readonly process: Process
  readonly mortal: Mortal
  readonly agent: Agent
  readonly source: ClusterSource
  readonly view: SoundView
}

export class Machine {
  readonly place: NodePlace
  disk: SimDisk
  kernel = new SimKernel()
  isOn = false
  /** While its netlink watch hears nothing. */
  isDeaf = false
  /** Processes beside the node's own: they end with the machine. */
  readonly plugins = new Set<Process>()
  readonly #options: MachineOptions
  #running: Running | undefined
  #lost: (() => void)[] = []
  #boots = 0
  #starts = 0

  constructor(options: MachineOptions) {
    this.#options = options
    this.disk = new SimDisk(() => options.bus.now)
    this.place = options.place
  }

  get bus(): Bus {
    return this.#options.bus
  }
  get bootId(): string {
    return `boot-${this.place.name}-${this.#boots}`
  }
  get running(): Running | undefined {
    return this.#running
  }

  /** Power on: a kernel that knows nothing but what the system's own configuration says. */
  boot(): void {
    const { place, shape, answers, onKernel } = this.#options
    this.isOn = true
    this.isDeaf = false
    this.#boots++
    const kernel = new SimKernel()
    this.kernel = kernel
    onKernel(this, kernel)
    kernel.answers = address => answers(place.lan, address)
    const link = { kind: '', mtu: 1500, up: true, carrier: true }
    kernel.addLink({ ...link, index: 1, name: 'lo', loopback: true, address: '00:00:00:00:00:00', mtu: 65536 })
    kernel.addLink({ ...link, index: UPLINK, name: 'eth0', loopback: false, address: '02:00:00:00:00:02' })
    kernel.addAddress(1, '127.0.0.1', 8)
    kernel.addAddress(UPLINK, place.address, 24)
    this.addDefaultRoute()
    for (const [path, value] of settingsAtBoot(this.bootId)) this.disk.settings.set(path, value)
    for (const which of peerNumbers(shape)) kernel.probe(gatewayOf(place.lan, which), UPLINK)
    this.start()
  }

  /** As dhcp does after a link came up. */
  addDefaultRoute(): void {
    this.kernel.writeRoute(
      {
        destination: '0.0.0.0/0',
        table: RT_TABLE.MAIN,
        protocol: RTPROT.BOOT,
        scope: RT_SCOPE.UNIVERSE,
        type: 'unicast',
        priority: 0,
        nextHops: [{ gateway: gatewayOf(this.place.lan, 0), interface: UPLINK }],
      },
      'add',
    )
  }

  /** Whether it has had routes of its own for so long, and stored why. */
  knowsItsPlace(milliseconds: number): boolean {
    const { process } = this.#running ?? {}
    if (process === undefined || this.disk.isFull) return false
    const isStored =
      this.disk.textOf(`${STATE}/cluster.json`)?.includes(`"node":"${this.place.name}","addresses"`) === true
    return isStored && process.clock.monotonic() > milliseconds && this.disk.quietFor(milliseconds)
  }

  /** Power off, without a word to anybody. */
  cutPower(): void {
    this.#running?.process.kill()
    this.#running = undefined
    for (const plugin of this.plugins) plugin.kill()
    this.plugins.clear()
    this.isOn = false
    this.disk.loseCurrent(new Random(this.#options.seed, `${this.place.name} power ${this.#boots}`))
  }

  dieAfter(effects: number): void {
    this.#running?.mortal.dieAfter(effects)
  }
  die(): void {
    this.#running?.mortal.die()
  }

  /** Starts the node's process. */
  start(): void {
    if (!this.isOn || this.#running !== undefined) return
    const { bus, seed, place, shape, network, levels } = this.#options
    const { lateMilliseconds, clockMilliseconds, writeBytes } = levels()
    const name = place.name
    this.#starts++
    const offMilliseconds = clockMilliseconds === 0 ? 0 : (hashText(name) % (2 * clockMilliseconds)) - clockMilliseconds
    const process = new Process(bus, name, seed + this.#starts * 7919, { offMilliseconds, lateMilliseconds })
    const mortal = new Mortal(process, () => {
      this.#running = undefined
      this.#options.onDeath(this)
    })
    const { clock, log } = process
    const disk = this.disk.door(mortal.gate, { writeBytes })
    const api = createKubeApiOver(network.transport(process, mortal.gate), { clock, log })
    const removal = shape.removal
    const source = createClusterViewSource({
      api,
      node: name,
      stateDir: STATE,
      disk,
      clock,
      log,
      cluster: { server: api.server },
      removal,
    })
    const view = createSoundView({
      source,
      self: name,
      lifelines: this.#lifelines(),
      ask: () => api.reach(REACH_MILLISECONDS),
      stateDir: STATE,
      disk,
      clock,
      log,
    })
    claimPodCIDRs({ api, view: source, node: name, stateDir: STATE, disk, clock, log })
    const agent = createAgent({
      clock,
      log,
      self: name,
      view,
      door: this.#door(process, mortal.gate),
      disk,
      config: {
        protocol: PROTOCOL,
        table: RT_TABLE.MAIN,
        stateDir: STATE,
        cni: { confDir: '/cni', binDir: '/nowhere', mtu: 'auto' },
      },
    })
    keepTellingReadiness(STATE, { node: agent, clock, log, disk })
    this.#running = { process, mortal, agent, source, view }
  }

  /** The watch lost messages. */
  loseWatch(): void {
    this.isDeaf = false
    for (const lost of this.#lost) lost()
  }

  flap(up: boolean): void {
    this.kernel.setLink(UPLINK, { up, carrier: up })
    if (up) this.addDefaultRoute()
  }

  #door(process: Process, gate: () => void): NetworkDoor {
    const { bus } = this.#options
    const { kernel } = this
    return {
      open: () => new Rtnetlink(kernelWire(kernel, gate)),
      watch: async ({ kinds, onChange, onNamed, onLost }) => {
        const stop = kernel.watch((kind, of) => {
          if (!process.alive || this.isDeaf || kinds?.includes(kind) === false) return
          bus.post(process, process.random.between(0, 3), `netlink ${kind}`, () => {
            // as the watch of the product does: about what is named there may be nothing more to do
            if (of === undefined || onNamed?.({ kind: 'route', ...of }) !== true) onChange(new Set([kind]))
          })
        })
        const lost = () => {
          if (process.alive) bus.post(process, 1, 'netlink lost', onLost)
        }
        this.#lost.push(lost)
        return {
          close: () => {
            stop()
            this.#lost = this.#lost.filter(other => other !== lost)
          },
        }
      },
    }
  }

  #lifelines(): LifelineSource {
    const { place, shape } = this.#options
    const current: Lifeline[] = [
      { address: '192.0.2.1', what: 'the API server' },
      ...peerNumbers(shape).map(which => ({ address: gatewayOf(place.lan, which), what: 'a gateway of this machine' })),
      { address: place.address, what: 'an address of this machine', own: true },
    ]
    return {
      current: () => current,
      onChange: () => () => {},
      probePath: () => {},
      pathIsDown: () => this.kernel.links.find(link => link.index === UPLINK)?.up !== true,
      wayIsKnown: () => false,
    }
  }
}

function settingsAtBoot(bootId: string): readonly (readonly [string, string])[] {
  const settings = {
    'net/ipv4/ip_forward': '0',
    'net/ipv4/conf/all/rp_filter': '0',
    'net/ipv4/conf/eth0/rp_filter': '1',
    'net/ipv4/conf/eth0/forwarding': '0',
    'kernel/random/boot_id': bootId,
  }
  return Object.entries(settings).map(([name, value]) => [`/proc/sys/${name}`, value])
}
