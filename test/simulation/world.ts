/**
 * Plays a script on a site: one entry of the bus after another, invariants after each; then all
 * faults end, and it must come to what is right, rest there, and answer at once. A run is played
 * once.
 */
import { Happenings } from './happenings.ts'
import { whatIsWrong } from './oracle.ts'
import type { Script } from './script.ts'
import { Site } from './site.ts'
import { PROTOCOL } from './topology.ts'
import { Violation } from './violation.ts'

/**
 * What costs a node its contact with the API server: one of these is no reason to hold anything.
 */
const LOSSES: ReadonlySet<string> = new Set(['api-down', 'cut', 'flap'])
const LOOK_MILLISECONDS = 5_000
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
  readonly #script: Script
  readonly #site: Site
  readonly #happenings: Happenings
  #nodeMilliseconds = 0

  constructor(script: Script, options: { readonly isTold?: boolean } = {}) {
    this.#script = script
    this.#site = new Site(script, { isTold: options.isTold ?? false })
    this.#happenings = new Happenings(this.#site)
  }

  /** Plays the script to its end, or to the first violation. */
  play(): Outcome {
    const { bus, trace } = this.#site
    let violation: Violation | undefined
    try {
      this.#begin()
      this.#playUntil(this.#script.quietAt)
      this.#site.calm()
      this.#converge()
      this.#rest()
      this.#respond()
    } catch (error) {
      violation =
        error instanceof Violation
          ? error
          : new Violation('no exception', error instanceof Error ? (error.stack ?? '') : String(error))
      trace.note(`VIOLATION ${violation.message}`)
    }
    return {
      trace: trace.text,
      violation,
      simulatedMilliseconds: bus.now,
      nodeMilliseconds: this.#nodeMilliseconds,
      steps: bus.delivered,
      lines: trace.lines,
    }
  }

  #begin(): void {
    const site = this.#site
    for (const lan of this.#script.shape.lans.keys()) site.putPeers(lan)
    for (const replica of site.replicas) replica.start()
    for (const event of this.#script.events) {
      site.bus.post(site.people, event.at, `event ${event.do}`, () => {
        if (!site.isQuiet) this.#happenings.happen(event)
      })
    }
    site.heartbeats()
  }

  #playUntil(end: number): void {
    const { bus } = this.#site
    for (let next = bus.nextAt; next !== undefined && next <= end; next = bus.nextAt) this.#step()
    const before = bus.now
    bus.now = Math.max(before, end)
    this.#count(before)
  }

  #step(): void {
    const { bus, trace, invariants, replicas } = this.#site
    const before = bus.now
    const done = bus.step()
    if (done === undefined) return
    this.#count(before)
    trace.step(`${bus.now} ${done.owner} ${done.what}`)
    if (done.owner.startsWith('c')) invariants.leaders(replicas)
  }

  #count(before: number): void {
    const { bus, machines } = this.#site
    if (bus.now > before) this.#nodeMilliseconds += (bus.now - before) * machines.filter(({ isOn }) => isOn).length
  }

  #wrong(): string | undefined {
    const losses = this.#script.events.filter(event => LOSSES.has(event.do)).length
    return whatIsWrong(this.#site, { mayHold: losses > 1 || this.#script.levels.network.lost > 0 })
  }

  /** Within a bound it is as it must be. */
  #converge(): void {
    const { removal, rememberSeconds } = this.#script.shape
    const { now } = this.#site.bus
    const bound = now + 2 * removal.delayMilliseconds + rememberSeconds * 1000 + 300_000
    let wrong: string | undefined
    for (let at = now + LOOK_MILLISECONDS; at <= bound; at += LOOK_MILLISECONDS) {
      this.#playUntil(at)
      wrong = this.#wrong()
      if (wrong === undefined) break
    }
    if (wrong !== undefined) throw new Violation('convergence', wrong)
    this.#playUntil(bound)
  }

  /** From then on nothing is done, and all stays as it is. */
  #rest(): void {
    const { bus, machines, trace } = this.#site
    const writes = () => machines.reduce((sum, { disk }) => sum + disk.writes, 0)
    const before = writes()
    trace.work = 0
    this.#playUntil(bus.now + this.#script.restMilliseconds)
    if (trace.work > 0)
      throw new Violation('rest', `${trace.work} writes to the API server or kernels at rest: ${trace.lastWork}`)
    if (writes() > before) throw new Violation('rest', `${writes() - before} writes to disks at rest`)
    const wrong = this.#wrong()
    if (wrong !== undefined) throw new Violation('convergence', `after it was so already: ${wrong}`)
  }

  /**
   * In the calm a change is carried out soon, not at the next full pass that mends what was missed.
   */
  #respond(): void {
    const { machines, server, joined } = this.#site
    const machine = machines.find(({ isOn, place }) => isOn && server.object('nodes', place.name) !== undefined)
    if (machine === undefined) return
    const ours = machine.kernel.routes.filter(({ protocol }) => protocol === PROTOCOL)
    for (const route of ours) machine.kernel.removeByHand(route)
    this.#soon(ROUTE_BACK_MILLISECONDS, `routes deleted by hand on ${machine.place.name}`)
    const newcomer = machines.find(({ place }) => !joined.has(place.name))
    if (newcomer === undefined) return
    joined.add(newcomer.place.name)
    newcomer.boot()
    this.#site.register(newcomer.place.name)
    this.#soon(JOINED_MILLISECONDS, `node ${newcomer.place.name} joined`)
  }

  #soon(milliseconds: number, what: string): void {
    this.#playUntil(this.#site.bus.now + milliseconds)
    const wrong = this.#wrong()
    if (wrong !== undefined) throw new Violation('answers at once', `${milliseconds} ms after ${what}: ${wrong}`)
  }
}
