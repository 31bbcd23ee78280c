/**
 * A whole site in one value: API server, controllers, machines, and whoever does things to them. It
 * plays a script: one entry of the bus after another, invariants after each.
 */
import type { KubeObject } from '../../src/kube/resources.ts'
import { ApiNetwork } from './api-network.ts'
import { type Backup, isRefusal, SimApiServer } from './api-server.ts'
import { Bus, type Owner } from './bus.ts'
import { Invariants } from './invariants.ts'
import { Machine } from './machine.ts'
import { whatIsWrong } from './oracle.ts'
import { Pods } from './pods.ts'
import { worldTime } from './process.ts'
import { hashText } from './random.ts'
import { Replica } from './replica.ts'
import { CALM, type Event, type Levels, type Script } from './script.ts'
import { gatewayOf, nodesOf, PROTOCOL, peerName, peerNumbers } from './topology.ts'
import { Violation } from './violation.ts'

const HEARTBEAT_MILLISECONDS = 300_000
/**
 * What costs a node its contact with the API server: one of these is no reason to hold anything.
 */
const LOSSES: ReadonlySet<string> = new Set(['api-down', 'cut', 'flap'])
/** A process that was to die at its next effect, and has none, dies all the same. */
const LAST_BREATH_MILLISECONDS = 20_000
const LOOK_MILLISECONDS = 5_000
/** What was stored so long ago is on the medium. */
const KNOWN_MILLISECONDS = 60_000
/** A route deleted by hand is back, and a Node that registers is routed everywhere. */
const ROUTE_BACK_MILLISECONDS = 500
const JOINED_MILLISECONDS = 10_000

export interface Outcome {
  /** Of everything that happened, in order. */
  readonly trace: string
  readonly violation: Violation | undefined
  /** Virtual milliseconds that were simulated. */
  readonly simulatedMilliseconds: number
  readonly nodeMilliseconds: number
  readonly steps: number
  /** The last of what happened, where it was asked for. */
  readonly lines: readonly string[]
}

export class World {
  readonly bus = new Bus()
  readonly server: SimApiServer
  readonly network: ApiNetwork
  readonly machines: readonly Machine[]
  readonly replicas: readonly Replica[]
  readonly #pods: ReadonlyMap<Machine, Pods>
  /** Who has each address. */
  readonly #addressed = new Map<string, string>()
  #podSerial = 0
  readonly invariants: Invariants
  readonly #script: Script
  readonly #self: Owner = { name: 'world', alive: true }
  readonly #silent = new Set<string>()
  readonly #isTold: boolean
  readonly #lines: string[] = []
  #levels: Levels
  #trace = 0x811c9dc5
  #backup: Backup | undefined
  #back = new Map<string, number>()
  #work = 0
  #isQuiet = false
  #nodeMilliseconds = 0

  constructor(script: Script, options: { readonly isTold?: boolean } = {}) {
    this.#script = script
    this.#isTold = options.isTold ?? false
    this.#levels = script.levels
    const { bus } = this
    const { shape, seed, levels } = script
    this.server = new SimApiServer(() => worldTime(bus))
    this.server.pageSize = levels.pageSize
    this.network = new ApiNetwork(bus, this.server, levels.network)
    const blockSize = 2 ** Math.ceil(Math.log2(shape.podsPerNode))
    const poolSize = 2 ** (32 - Number(shape.pool.split('/')[1]))
    this.invariants = new Invariants(this.server, () => bus.now, { blocks: poolSize / blockSize, blockSize })
    const shared = { bus, seed, shape, network: this.network, levels: () => this.#levels }
    this.machines = nodesOf(shape).map(
      place =>
        new Machine({
          ...shared,
          place,
          answers: (lan, address) => this.#answers(lan, address),
          onDeath: machine => this.#comeBack(machine.place.name, () => machine.start()),
          onKernel: (machine, kernel) => {
            kernel.onRoute = (change, route, byRequest) => {
              if (!byRequest) return
              if (route.protocol === PROTOCOL)
                this.#note(
                  `${machine.place.name} ${change} ${route.destination} ${route.nextHops.map(hop => hop.gateway).join()}`,
                  true,
                )
              this.invariants.route(machine, change, route)
            }
          },
        }),
    )
    this.#pods = new Map(
      this.machines.map(machine => [
        machine,
        new Pods({
          machine,
          seed,
          onPod: (node, pod, addresses) => this.#podHas(node, pod, addresses),
          onGone: pod => {
            for (const [address, one] of this.#addressed) if (one === pod) this.#addressed.delete(address)
          },
        }),
      ]),
    )
    this.replicas = Array.from(
      { length: shape.controllers },
      (_, index) =>
        new Replica({
          ...shared,
          name: `c${index}`,
          onDeath: replica => this.#comeBack(replica.name, () => replica.start()),
        }),
    )
    this.network.onSend = (process, { method, path }) => {
      const replica = method === 'GET' ? undefined : this.replicas.find(({ name }) => name === process)
      const isLeaders = /\/(?:nodes|routeslices|bgppeers|configmaps)(?:\/|$)/.test(path)
      if (replica !== undefined && isLeaders) this.invariants.writes(replica, `${method} ${path}`)
    }
    this.network.onRequest = (process, { method, path }, answer) => {
      const isWork = method !== 'GET' && !path.includes('/leases')
      this.#note(`${process} ${method} ${path} ${answer.code}`, isWork && !isRefusal(answer))
    }
  }

  /** Plays the script to its end, or to the first violation. */
  play(): Outcome {
    let violation: Violation | undefined
    try {
      this.#begin()
      this.#playUntil(this.#script.quietAt)
      this.#calm()
      this.#converge()
      this.#rest()
      this.#respond()
    } catch (error) {
      violation =
        error instanceof Violation
          ? error
          : new Violation('no exception', error instanceof Error ? (error.stack ?? '') : String(error))
      this.#note(`VIOLATION ${violation.message}`)
    }
    return {
      trace: this.#trace.toString(16).padStart(8, '0'),
      violation,
      simulatedMilliseconds: this.bus.now,
      nodeMilliseconds: this.#nodeMilliseconds,
      steps: this.bus.delivered,
      lines: this.#lines,
    }
  }

  #begin(): void {
    const { shape, events } = this.#script
    shape.lans.forEach((_, lan) => {
      for (const which of peerNumbers(shape)) this.#putPeer(lan, which)
    })
    for (const replica of this.replicas) replica.start()
    for (const event of events) {
      this.bus.post(this.#self, event.at, `event ${event.do}`, () => {
        if (!this.#isQuiet) this.#happen(event)
      })
    }
    this.#heartbeat()
  }

  #playUntil(end: number): void {
    for (let next = this.bus.nextAt; next !== undefined && next <= end; next = this.bus.nextAt) this.#step()
    this.#pass(end)
  }

  #step(): void {
    const before = this.bus.now
    const done = this.bus.step()
    if (done === undefined) return
    this.#count(before)
    this.#hash(`${this.bus.now} ${done.owner} ${done.what}`)
    if (done.owner.startsWith('c')) this.invariants.leaders(this.replicas)
  }

  #pass(end: number): void {
    const before = this.bus.now
    this.bus.now = Math.max(before, end)
    this.#count(before)
  }

  #count(before: number): void {
    if (this.bus.now > before)
      this.#nodeMilliseconds += (this.bus.now - before) * this.machines.filter(({ isOn }) => isOn).length
  }

  /** All faults end; machines and processes come back. */
  #calm(): void {
    this.#isQuiet = true
    this.#levels = CALM
    this.network.faults = CALM.network
    this.network.cuts.clear()
    this.network.isDown = false
    this.server.pageSize = CALM.pageSize
    this.#silent.clear()
    for (const lan of this.#script.shape.lans.keys()) {
      for (const which of peerNumbers(this.#script.shape)) this.#putPeer(lan, which)
    }
    for (const replica of this.replicas) replica.start()
    for (const machine of this.machines) {
      machine.disk.isFull = false
      if (machine.isDeaf) machine.loseWatch()
      if (machine.isOn) {
        machine.flap(true)
        machine.start()
      } else if (this.#joined.has(machine.place.name)) machine.boot()
    }
  }

  #wrong(): string | undefined {
    const { shape, events } = this.#script
    const losses = events.filter(event => LOSSES.has(event.do)).length
    const mayHold = losses > 1 || this.#script.levels.network.lost > 0
    return whatIsWrong({ shape, server: this.server, machines: this.machines, mayHold })
  }

  /** Within a bound it is as it must be. */
  #converge(): void {
    const { removal, rememberSeconds } = this.#script.shape
    const bound = this.bus.now + 2 * removal.delayMilliseconds + rememberSeconds * 1000 + 300_000
    let wrong: string | undefined
    for (let at = this.bus.now + LOOK_MILLISECONDS; at <= bound; at += LOOK_MILLISECONDS) {
      this.#playUntil(at)
      wrong = this.#wrong()
      if (wrong === undefined) break
    }
    if (wrong !== undefined) throw new Violation('convergence', wrong)
    this.#playUntil(bound)
  }

  /** From then on nothing is done, and all stays as it is. */
  #rest(): void {
    this.#work = 0
    const writes = () => this.machines.reduce((sum, { disk }) => sum + disk.writes, 0)
    const before = writes()
    this.#playUntil(this.bus.now + this.#script.restMilliseconds)
    if (this.#work > 0)
      throw new Violation('rest', `${this.#work} writes to the API server or kernels at rest: ${this.#lastWork}`)
    if (writes() > before) throw new Violation('rest', `${writes() - before} writes to disks at rest`)
    const wrong = this.#wrong()
    if (wrong !== undefined) throw new Violation('convergence', `after it was so already: ${wrong}`)
  }

  /**
   * In the calm a change is carried out soon, not at the next full pass that mends what was missed.
   */
  #respond(): void {
    const machine = this.machines.find(
      ({ isOn, place }) => isOn && this.server.object('nodes', place.name) !== undefined,
    )
    if (machine === undefined) return
    const ours = machine.kernel.routes.filter(({ protocol }) => protocol === PROTOCOL)
    for (const route of ours) machine.kernel.removeByHand(route)
    this.#soon(ROUTE_BACK_MILLISECONDS, `routes deleted by hand on ${machine.place.name}`)
    const newcomer = this.machines.find(({ place }) => !this.#joined.has(place.name))
    if (newcomer === undefined) return
    this.#joined.add(newcomer.place.name)
    newcomer.boot()
    this.#register(newcomer.place.name)
    this.#soon(JOINED_MILLISECONDS, `node ${newcomer.place.name} joined`)
  }

  #soon(milliseconds: number, what: string): void {
    this.#playUntil(this.bus.now + milliseconds)
    const wrong = this.#wrong()
    if (wrong !== undefined) throw new Violation('answers at once', `${milliseconds} ms after ${what}: ${wrong}`)
  }

  /** Ten seconds after a boot routes of ours are there, whether or not the API server answers. */
  #expectAutonomy(machine: Machine, wasKnown: boolean): void {
    if (!wasKnown) return
    const { kernel } = machine
    this.bus.post(this.#self, 10_000, 'has booted', () => {
      if (machine.kernel !== kernel || machine.running === undefined || machine.disk.isFull) return
      if (kernel.links.some(({ up }) => !up)) return
      if (!kernel.routes.some(({ protocol }) => protocol === PROTOCOL))
        throw new Violation(
          'a node that boots acts on what it knew',
          `${machine.place.name} has no routes 10 s after its boot`,
        )
    })
  }

  readonly #joined = new Set<string>()
  #lastWork = ''

  #happen(event: Event): void {
    this.#note(`* ${JSON.stringify(event)}`)
    const { bus, network, server, invariants } = this
    switch (event.do) {
      case 'join': {
        const machine = this.#machine(event.node)
        if (machine.isOn) return
        this.#joined.add(event.node)
        machine.boot()
        this.#register(event.node)
        return
      }
      case 'register':
        if (this.#machine(event.node).isOn) this.#register(event.node)
        return
      case 'delete-node': {
        const node = server.object('nodes', event.node)
        if (node !== undefined && event.drained)
          server.put('nodes', { ...node, spec: { ...specOf(node), unschedulable: true } } as KubeObject)
        bus.post(this.#self, event.drained ? 10_000 : 0, 'delete', () => {
          server.take('nodes', event.node)
        })
        return
      }
      case 'crash': {
        const victim = this.#mortal(event.process)
        this.#back.set(event.process, event.backMilliseconds)
        victim.dieAfter(event.effects)
        const effects = event.effects
        bus.post(this.#self, LAST_BREATH_MILLISECONDS + effects, 'last breath', () => {
          if (this.#back.has(event.process)) victim.die()
        })
        return
      }
      case 'power':
        this.#cutPower(event)
        return
      case 'cut': {
        const { way, refused, process } = event
        const cut = { requests: way !== 'answers', answers: way !== 'requests', refused: refused && way === 'both' }
        network.cuts.set(process, cut)
        this.#later(event.forMilliseconds, () => {
          if (network.cuts.get(process) === cut) network.cuts.delete(process)
        })
        return
      }
      case 'api-down':
        network.isDown = true
        network.cutWatches()
        this.#later(event.forMilliseconds, () => {
          network.isDown = false
        })
        return
      case 'pods':
        this.#callPlugin(event)
        return
      case 'cut-watches':
        network.cutWatches(event.process)
        return
      case 'compact':
        server.compact()
        network.cutWatches()
        return
      case 'backup':
        this.#backup = server.backup()
        return
      case 'restore':
        if (this.#backup === undefined) return
        network.cutWatches()
        server.restore(this.#backup, { bump: event.bump })
        invariants.restored()
        for (const name of this.#joined) if (this.#machine(name).isOn) this.#later(30_000, () => this.#register(name))
        return
      case 'delete-route': {
        const { kernel } = this.#machine(event.node)
        const ours = kernel.routes.filter(({ protocol }) => protocol === PROTOCOL)
        const route = ours[event.nth % Math.max(1, ours.length)]
        if (route !== undefined) kernel.removeByHand(route)
        return
      }
      case 'flap':
        this.#machine(event.node).flap(false)
        network.cuts.set(event.node, { requests: true, answers: true, refused: true })
        this.#later(event.forMilliseconds, () => {
          this.#machine(event.node).flap(true)
          network.cuts.delete(event.node)
        })
        return
      case 'lose-watch': {
        const machine = this.#machine(event.node)
        machine.isDeaf = true
        this.#later(event.forMilliseconds, () => machine.loseWatch())
        return
      }
      case 'gateway': {
        const address = gatewayOf(event.lan, event.which)
        this.#silent.add(address)
        this.#later(event.forMilliseconds, () => this.#silent.delete(address))
        return
      }
      case 'disk-full': {
        const { disk } = this.#machine(event.node)
        disk.isFull = true
        this.#later(event.forMilliseconds, () => {
          disk.isFull = false
        })
        return
      }
      case 'delete-slice': {
        const slices = server.collection('routeslices')
        const slice = slices[event.nth % Math.max(1, slices.length)]
        if (slice !== undefined) invariants.byHuman(() => server.take('routeslices', slice.metadata.name))
        return
      }
      case 'delete-peer': {
        for (const which of peerNumbers(this.#script.shape)) server.take('bgppeers', peerName(event.lan, which))
        this.#later(event.forMilliseconds, () => {
          for (const which of peerNumbers(this.#script.shape)) this.#putPeer(event.lan, which)
        })
        return
      }
      case 'relabel': {
        const node = server.object('nodes', event.node)
        if (node === undefined) return
        server.put('nodes', { ...node, metadata: { ...node.metadata, labels: { lan: String(event.lan) } } })
        return
      }
    }
  }

  #callPlugin({ node, verb, count, effects }: Extract<Event, { do: 'pods' }>): void {
    const pods = this.#pods.get(this.#machine(node))
    if (pods === undefined) return
    if (verb === 'collect') pods.collect(effects)
    for (let index = 0; index < count && verb !== 'collect'; index++) {
      const pod = pods.running[0]
      if (verb === 'add') pods.add(`pod-${this.#podSerial++}`, effects)
      else if (pod !== undefined) pods.del(pod, effects)
    }
  }

  /** Nobody else on the whole site has it, and it is the node's to give. */
  #podHas(node: string, pod: string, addresses: readonly string[]): void {
    this.#note(`${node} ${pod} has ${addresses.join()}`)
    for (const address of addresses) {
      const other = this.#addressed.get(address)
      if (other !== undefined)
        throw new Violation('one address, one pod', `${pod} on ${node} got ${address}, which ${other} has`)
      this.#addressed.set(address, pod)
    }
  }

  /** For what ends a fault: at the end of all faults at the latest. */
  #later(milliseconds: number, action: () => void): void {
    this.bus.post(this.#self, milliseconds, 'fault ends', () => {
      if (!this.#isQuiet) action()
    })
  }

  #cutPower({ node, swap, backMilliseconds }: Extract<Event, { do: 'power' }>): void {
    const machines = [node, ...(swap === undefined || swap === node ? [] : [swap])].map(name => this.#machine(name))
    const wereOn = machines.filter(({ isOn }) => isOn)
    const isSwapped = machines.length === 2 && wereOn.length === 2
    const known = new Map(wereOn.map(machine => [machine, !isSwapped && machine.knowsItsPlace(KNOWN_MILLISECONDS)]))
    for (const machine of wereOn) {
      this.#pods.get(machine)?.lose()
      machine.cutPower()
    }
    const [one, other] = machines
    if (one !== undefined && other !== undefined && wereOn.length === 2) [one.disk, other.disk] = [other.disk, one.disk]
    for (const machine of wereOn) {
      this.#later(backMilliseconds, () => {
        if (machine.isOn) return
        machine.boot()
        this.#expectAutonomy(machine, known.get(machine) === true)
        this.#register(machine.place.name)
      })
    }
  }

  #comeBack(name: string, start: () => void): void {
    const milliseconds = this.#back.get(name) ?? 1000
    this.#back.delete(name)
    this.#note(`${name} died`)
    this.bus.post(this.#self, milliseconds, `start ${name}`, start)
  }

  #mortal(name: string): Machine | Replica {
    return this.replicas.find(replica => replica.name === name) ?? this.#machine(name)
  }
  #machine(name: string): Machine {
    const machine = this.machines.find(({ place }) => place.name === name)
    if (machine === undefined) throw new Error(`there is no machine ${name}`)
    return machine
  }

  #answers(lan: number, address: string): boolean {
    if (this.#silent.has(address)) return false
    if (peerNumbers(this.#script.shape).some(which => gatewayOf(lan, which) === address)) return true
    return this.machines.some(({ isOn, place }) => isOn && place.lan === lan && place.address === address)
  }

  #register(name: string): void {
    const { place } = this.#machine(name)
    if (this.server.object('nodes', name) !== undefined) return
    this.server.put('nodes', nodeObject(name, place.address, String(place.lan)))
  }

  #putPeer(lan: number, which: number): void {
    const name = peerName(lan, which)
    if (this.server.object('bgppeers', name) !== undefined) return
    this.server.put('bgppeers', peerObject(lan, which))
  }

  /** Kubelets say every five minutes that they are there. */
  #heartbeat(): void {
    this.bus.post(this.#self, HEARTBEAT_MILLISECONDS, 'heartbeats', () => {
      for (const { isOn, place } of this.machines) {
        const node = this.server.object('nodes', place.name)
        if (!isOn || node === undefined) continue
        const status = { ...statusOf(node), conditions: [ready(worldTime(this.bus))] }
        this.server.put('nodes', { ...node, status } as KubeObject)
      }
      this.#heartbeat()
    })
  }

  #note(line: string, isWork = false): void {
    if (isWork) {
      this.#work++
      this.#lastWork = line
    }
    this.#hash(line)
    if (this.#isTold) this.#lines.push(`${(this.bus.now / 1000).toFixed(3)} ${line}`)
  }

  #hash(line: string): void {
    this.#trace = hashText(line, this.#trace)
  }
}

function specOf(node: KubeObject): object {
  return 'spec' in node && typeof node.spec === 'object' && node.spec !== null ? node.spec : {}
}
function statusOf(node: KubeObject): object {
  return 'status' in node && typeof node.status === 'object' && node.status !== null ? node.status : {}
}

function ready(time: string): object {
  return { type: 'Ready', status: 'True', lastHeartbeatTime: time, lastTransitionTime: '2026-01-01T00:00:00Z' }
}

function nodeObject(name: string, address: string, lan: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { lan } },
    spec: {},
    status: {
      addresses: [{ type: 'InternalIP', address }],
      conditions: [ready('2026-01-01T00:00:00Z')],
    },
  } as KubeObject
}

function peerObject(lan: number, which: number): KubeObject {
  return {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'BGPPeer',
    metadata: { name: peerName(lan, which) },
    spec: {
      localSpeakers: [`n${lan}-0`],
      localAsNumber: 65_000 + lan,
      peerIP: gatewayOf(lan, which),
      peerAsNumber: 65_100,
      nodeSelector: `lan=${lan}`,
    },
  } as KubeObject
}
