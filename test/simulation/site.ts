/**
 * A whole site in one value: API server, controllers, machines with their pods, built from a
 * script's shape, and what comes back by itself there (processes that died, heartbeats). Who does
 * things to it is happenings.ts; world.ts plays it.
 */
import bgpPeers from '../../config/crd-bgppeers.yaml' with { type: 'text' }
import eniNodes from '../../config/crd-eninodes.yaml' with { type: 'text' }
import routeSlices from '../../config/crd-routeslices.yaml' with { type: 'text' }
import type { KubeObject } from '../../src/kube/resources.ts'
import { timestamp } from '../../src/lib/timestamp.ts'
import { parseYaml } from '../../src/lib/yaml.ts'
import { ApiNetwork } from './api-network.ts'
import { isRefusal, SimApiServer } from './api-server.ts'
import { Bus, type Owner } from './bus.ts'
import { Invariants } from './invariants.ts'
import type { SimKernel } from './kernel.ts'
import { Machine } from './machine.ts'
import { Pods } from './pods.ts'
import { worldMilliseconds } from './process.ts'
import { Replica } from './replica.ts'
import { CALM, type Levels, type Script } from './script.ts'
import { nodeObject, peerObject, withHeartbeat } from './site-objects.ts'
import { gatewayOf, nodesOf, PROTOCOL, peerName, peerNumbers } from './topology.ts'
import { Trace } from './trace.ts'
import { Violation } from './violation.ts'

const HEARTBEAT_MILLISECONDS = 300_000
/** When a process that died by itself is started again, where nothing else is said. */
const RESTART_MILLISECONDS = 1000
/** What only a controller that leads may write. */
const LEADERS = /\/(?:nodes|routeslices|bgppeers|configmaps)(?:\/|$)/

export class Site {
  readonly bus = new Bus()
  readonly script: Script
  readonly trace: Trace
  readonly server: SimApiServer
  readonly network: ApiNetwork
  readonly machines: readonly Machine[]
  readonly replicas: readonly Replica[]
  readonly invariants: Invariants
  /** Whoever does things to the site: entries of the bus that no process has. */
  readonly people: Owner = { name: 'world', alive: true }
  /** Nodes that were ever switched on. */
  readonly joined = new Set<string>()
  /** Gateways that answer nobody. */
  readonly silent = new Set<string>()
  /** When a process that dies comes back, by its name. */
  readonly back = new Map<string, number>()
  /** All faults have ended. */
  isQuiet = false
  #levels: Levels
  readonly #pods: ReadonlyMap<Machine, Pods>
  /** Who has each address. */
  readonly #addressed = new Map<string, string>()

  constructor(script: Script, options: { readonly isTold: boolean }) {
    this.script = script
    this.#levels = script.levels
    const { bus } = this
    const { shape, levels } = script
    this.trace = new Trace(() => bus.now, options)
    this.server = new SimApiServer(() => worldMilliseconds(bus))
    for (const text of [bgpPeers, routeSlices, eniNodes])
      this.server.put('customresourcedefinitions', parseYaml(text, 'a CRD') as KubeObject)
    this.server.pageSize = levels.pageSize
    this.network = new ApiNetwork(bus, this.server, levels.network)
    const blockSize = 2 ** Math.ceil(Math.log2(shape.podsPerNode))
    const poolSize = 2 ** (32 - Number(shape.pool.split('/')[1]))
    this.invariants = new Invariants(this.server, () => bus.now, { blocks: poolSize / blockSize, blockSize })
    this.machines = this.#buildMachines()
    this.#pods = new Map(this.machines.map(machine => [machine, this.#buildPods(machine)]))
    this.replicas = this.#buildReplicas()
    this.#listen()
  }

  podsOf(machine: Machine): Pods | undefined {
    return this.#pods.get(machine)
  }
  machine(name: string): Machine {
    const machine = this.machines.find(({ place }) => place.name === name)
    if (machine === undefined) throw new Error(`there is no machine ${name}`)
    return machine
  }
  mortal(name: string): Machine | Replica {
    return this.replicas.find(replica => replica.name === name) ?? this.machine(name)
  }

  /** A kubelet registers its Node, if there is none. */
  register(name: string): void {
    if (this.server.object('nodes', name) === undefined) this.server.put('nodes', nodeObject(this.machine(name).place))
  }

  /** The BGPPeers of a LAN, those that are missing. */
  putPeers(lan: number): void {
    for (const which of peerNumbers(this.script.shape)) {
      if (this.server.object('bgppeers', peerName(lan, which)) === undefined)
        this.server.put('bgppeers', peerObject(lan, which))
    }
  }

  /** For what ends a fault: at the end of all faults at the latest. */
  later(milliseconds: number, action: () => void): void {
    this.bus.post(this.people, milliseconds, 'fault ends', () => {
      if (!this.isQuiet) action()
    })
  }

  /** Kubelets say every five minutes that they are there. */
  heartbeats(): void {
    this.bus.post(this.people, HEARTBEAT_MILLISECONDS, 'heartbeats', () => {
      for (const { isOn, place } of this.machines) {
        const node = this.server.object('nodes', place.name)
        if (isOn && node !== undefined)
          this.server.put('nodes', withHeartbeat(node, timestamp(worldMilliseconds(this.bus))))
      }
      this.heartbeats()
    })
  }

  /** All faults end; machines and processes come back. */
  calm(): void {
    this.isQuiet = true
    this.#levels = CALM
    this.network.faults = CALM.network
    this.network.cuts.clear()
    this.network.isDown = false
    this.server.pageSize = CALM.pageSize
    this.silent.clear()
    for (const lan of this.script.shape.lans.keys()) this.putPeers(lan)
    for (const replica of this.replicas) replica.start()
    for (const machine of this.machines) {
      machine.disk.isFull = false
      if (machine.isDeaf) machine.loseWatch()
      if (machine.isOn) {
        machine.flap(true)
        machine.start()
      } else if (this.joined.has(machine.place.name)) machine.boot()
    }
  }

  get #shared() {
    const { bus, network, script } = this
    return { bus, network, seed: script.seed, shape: script.shape, levels: () => this.#levels }
  }

  #buildMachines(): readonly Machine[] {
    return nodesOf(this.script.shape).map(
      place =>
        new Machine({
          ...this.#shared,
          place,
          answers: (lan, address) => this.#answers(lan, address),
          onDeath: machine => this.#comeBack(machine.place.name, () => machine.start()),
          onKernel: (machine, kernel) => this.#listenTo(machine, kernel),
        }),
    )
  }

  #buildPods(machine: Machine): Pods {
    return new Pods({
      machine,
      seed: this.script.seed,
      onPod: (node, pod, addresses) => this.#podHas(node, pod, addresses),
      onGone: pod => {
        for (const [address, one] of this.#addressed) if (one === pod) this.#addressed.delete(address)
      },
    })
  }

  #buildReplicas(): readonly Replica[] {
    return Array.from({ length: this.script.shape.controllers }, (_, index) => {
      const onDeath = (replica: Replica) => this.#comeBack(replica.name, () => replica.start())
      return new Replica({ ...this.#shared, name: `c${index}`, onDeath })
    })
  }

  #listen(): void {
    this.network.onSend = (process, { method, path }) => {
      const replica = method === 'GET' ? undefined : this.replicas.find(({ name }) => name === process)
      if (replica !== undefined && LEADERS.test(path)) this.invariants.writes(replica, `${method} ${path}`)
    }
    this.network.onRequest = (process, { method, path }, answer) => {
      const isWork = method !== 'GET' && !path.includes('/leases') && !isRefusal(answer)
      this.trace.note(`${process} ${method} ${path} ${answer.code}`, { isWork })
    }
  }

  #listenTo(machine: Machine, kernel: SimKernel): void {
    kernel.onRoute = (change, route, byRequest) => {
      if (!byRequest) return
      const gateways = route.nextHops.map(hop => hop.gateway).join()
      if (route.protocol === PROTOCOL)
        this.trace.note(`${machine.place.name} ${change} ${route.destination} ${gateways}`, { isWork: true })
      this.invariants.route(machine, change, route)
    }
  }

  /** Nobody else on the whole site has it, and it is the node's to give. */
  #podHas(node: string, pod: string, addresses: readonly string[]): void {
    this.trace.note(`${node} ${pod} has ${addresses.join()}`)
    for (const address of addresses) {
      const other = this.#addressed.get(address)
      if (other !== undefined)
        throw new Violation('one address, one pod', `${pod} on ${node} got ${address}, which ${other} has`)
      this.#addressed.set(address, pod)
    }
  }

  #comeBack(name: string, start: () => void): void {
    const milliseconds = this.back.get(name) ?? RESTART_MILLISECONDS
    this.back.delete(name)
    this.trace.note(`${name} died`)
    this.bus.post(this.people, milliseconds, `start ${name}`, start)
  }

  /** Who answers ARP in a LAN now. */
  #answers(lan: number, address: string): boolean {
    if (this.silent.has(address)) return false
    if (peerNumbers(this.script.shape).some(which => gatewayOf(lan, which) === address)) return true
    return this.machines.some(({ isOn, place }) => isOn && place.lan === lan && place.address === address)
  }
}
