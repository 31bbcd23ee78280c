/**
 * What a script does to a site: people, faults and misfortune, one event at a time, and how each
 * fault ends.
 */
import type { Backup } from './api-server.ts'
import type { Machine } from './machine.ts'
import type { Event } from './script.ts'
import type { Site } from './site.ts'
import { cordoned, relabelled } from './site-objects.ts'
import { gatewayOf, PROTOCOL, peerName, peerNumbers } from './topology.ts'
import { Violation } from './violation.ts'

/** A process that was to die at its next effect, and has none, dies all the same. */
const LAST_BREATH_MILLISECONDS = 20_000
/** From cordoned to deleted. */
const DRAIN_MILLISECONDS = 10_000
/** After a backup came back, kubelets register the Nodes that are missing. */
const NOTICED_MILLISECONDS = 30_000
/** What was stored so long ago is on the medium. */
const STORED_MILLISECONDS = 60_000
/** When a machine that knew its place has routes again, whoever answers. */
const AUTONOMY_MILLISECONDS = 10_000

type EventOf<Do extends Event['do']> = Extract<Event, { readonly do: Do }>

export class Happenings {
  readonly #site: Site
  #backup: Backup | undefined
  #podSerial = 0

  constructor(site: Site) {
    this.#site = site
  }

  happen(event: Event): void {
    const { server, network, trace } = this.#site
    trace.note(`* ${JSON.stringify(event)}`)
    switch (event.do) {
      case 'join':
        this.#join(event.node)
        break
      case 'register':
        if (this.#site.machine(event.node).isOn) this.#site.register(event.node)
        break
      case 'relabel':
        this.#relabel(event)
        break
      case 'delete-node':
        this.#deleteNode(event)
        break
      case 'delete-slice':
        this.#deleteSlice(event.nth)
        break
      case 'delete-peer':
        this.#deletePeers(event)
        break
      case 'crash':
        this.#crash(event)
        break
      case 'power':
        this.#cutPower(event)
        break
      case 'cut':
        this.#cut(event)
        break
      case 'cut-watches':
        network.cutWatches(event.process)
        break
      case 'api-down':
        this.#stopServer(event.forMilliseconds)
        break
      case 'compact':
        server.compact()
        network.cutWatches()
        break
      case 'backup':
        this.#backup = server.backup()
        break
      case 'restore':
        this.#restore(event.bump)
        break
      case 'pods':
        this.#callPlugin(event)
        break
      case 'delete-route':
        this.#deleteRoute(event)
        break
      case 'flap':
        this.#flap(event)
        break
      case 'lose-watch':
        this.#loseWatch(event)
        break
      case 'gateway':
        this.#silence(event)
        break
      case 'disk-full':
        this.#fillDisk(event)
        break
      default:
        event satisfies never
    }
  }

  #join(name: string): void {
    const machine = this.#site.machine(name)
    if (machine.isOn) return
    this.#site.joined.add(name)
    machine.boot()
    this.#site.register(name)
  }

  #relabel({ node: name, lan }: EventOf<'relabel'>): void {
    const { server } = this.#site
    const node = server.object('nodes', name)
    if (node !== undefined) server.put('nodes', relabelled(node, lan))
  }

  #deleteNode({ node: name, drained }: EventOf<'delete-node'>): void {
    const { bus, people, server } = this.#site
    const node = server.object('nodes', name)
    if (node !== undefined && drained) server.put('nodes', cordoned(node))
    bus.post(people, drained ? DRAIN_MILLISECONDS : 0, 'delete', () => {
      server.take('nodes', name)
    })
  }

  #deleteSlice(nth: number): void {
    const { server, invariants } = this.#site
    const slices = server.collection('routeslices')
    const slice = slices[nth % Math.max(1, slices.length)]
    if (slice !== undefined) invariants.byHuman(() => server.take('routeslices', slice.metadata.name))
  }

  #deletePeers({ lan, forMilliseconds }: EventOf<'delete-peer'>): void {
    const { server, script } = this.#site
    for (const which of peerNumbers(script.shape)) server.take('bgppeers', peerName(lan, which))
    this.#site.later(forMilliseconds, () => this.#site.putPeers(lan))
  }

  #crash({ process, effects, backMilliseconds }: EventOf<'crash'>): void {
    const { bus, people, back } = this.#site
    const victim = this.#site.mortal(process)
    back.set(process, backMilliseconds)
    victim.dieAfter(effects)
    bus.post(people, LAST_BREATH_MILLISECONDS + effects, 'last breath', () => {
      if (back.has(process)) victim.die()
    })
  }

  #cutPower({ node, swap, backMilliseconds }: EventOf<'power'>): void {
    const names = [node, ...(swap === undefined || swap === node ? [] : [swap])]
    const machines = names.map(name => this.#site.machine(name))
    const wereOn = machines.filter(({ isOn }) => isOn)
    const isSwapped = machines.length === 2 && wereOn.length === 2
    const known = new Map(wereOn.map(machine => [machine, !isSwapped && machine.knowsItsPlace(STORED_MILLISECONDS)]))
    for (const machine of wereOn) {
      this.#site.podsOf(machine)?.lose()
      machine.cutPower()
    }
    const [one, other] = machines
    if (one !== undefined && other !== undefined && isSwapped) [one.disk, other.disk] = [other.disk, one.disk]
    for (const machine of wereOn) {
      this.#site.later(backMilliseconds, () => {
        if (machine.isOn) return
        machine.boot()
        if (known.get(machine) === true) this.#expectAutonomy(machine)
        this.#site.register(machine.place.name)
      })
    }
  }

  /** Ten seconds after a boot routes of ours are there, whether or not the API server answers. */
  #expectAutonomy(machine: Machine): void {
    const { bus, people } = this.#site
    const { kernel } = machine
    bus.post(people, AUTONOMY_MILLISECONDS, 'has booted', () => {
      if (machine.kernel !== kernel || machine.running === undefined || machine.disk.isFull) return
      if (kernel.links.some(({ up }) => !up)) return
      if (!kernel.routes.some(({ protocol }) => protocol === PROTOCOL))
        throw new Violation(
          'a node that boots acts on what it knew',
          `${machine.place.name} has no routes 10 s after its boot`,
        )
    })
  }

  #cut({ process, way, refused, forMilliseconds }: EventOf<'cut'>): void {
    const { cuts } = this.#site.network
    const cut = { requests: way !== 'answers', answers: way !== 'requests', refused: refused && way === 'both' }
    cuts.set(process, cut)
    this.#site.later(forMilliseconds, () => {
      if (cuts.get(process) === cut) cuts.delete(process)
    })
  }

  #stopServer(forMilliseconds: number): void {
    const { network } = this.#site
    network.isDown = true
    network.cutWatches()
    this.#site.later(forMilliseconds, () => {
      network.isDown = false
    })
  }

  #restore(bump: boolean): void {
    const { network, server, invariants, joined } = this.#site
    if (this.#backup === undefined) return
    network.cutWatches()
    server.restore(this.#backup, { bump })
    invariants.restored()
    for (const name of joined) {
      if (this.#site.machine(name).isOn) this.#site.later(NOTICED_MILLISECONDS, () => this.#site.register(name))
    }
  }

  #callPlugin({ node, verb, count, effects }: EventOf<'pods'>): void {
    const pods = this.#site.podsOf(this.#site.machine(node))
    if (pods === undefined) return
    if (verb === 'collect') pods.collect(effects)
    for (let index = 0; index < count && verb !== 'collect'; index++) {
      const pod = pods.running[0]
      if (verb === 'add') pods.add(`pod-${this.#podSerial++}`, effects)
      else if (pod !== undefined) pods.del(pod, effects)
    }
  }

  #deleteRoute({ node, nth }: EventOf<'delete-route'>): void {
    const { kernel } = this.#site.machine(node)
    const ours = kernel.routes.filter(({ protocol }) => protocol === PROTOCOL)
    const route = ours[nth % Math.max(1, ours.length)]
    if (route !== undefined) kernel.removeByHand(route)
  }

  #flap({ node, forMilliseconds }: EventOf<'flap'>): void {
    const { cuts } = this.#site.network
    this.#site.machine(node).flap(false)
    cuts.set(node, { requests: true, answers: true, refused: true })
    this.#site.later(forMilliseconds, () => {
      this.#site.machine(node).flap(true)
      cuts.delete(node)
    })
  }

  #loseWatch({ node, forMilliseconds }: EventOf<'lose-watch'>): void {
    const machine = this.#site.machine(node)
    machine.isDeaf = true
    this.#site.later(forMilliseconds, () => machine.loseWatch())
  }

  #silence({ lan, which, forMilliseconds }: EventOf<'gateway'>): void {
    const { silent } = this.#site
    const address = gatewayOf(lan, which)
    silent.add(address)
    this.#site.later(forMilliseconds, () => silent.delete(address))
  }

  #fillDisk({ node, forMilliseconds }: EventOf<'disk-full'>): void {
    const { disk } = this.#site.machine(node)
    disk.isFull = true
    this.#site.later(forMilliseconds, () => {
      disk.isFull = false
    })
  }
}
