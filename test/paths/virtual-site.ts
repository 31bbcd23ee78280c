/**
 * A site in virtual time: every node and the controller run the prober as it is, over a network
 * that is a few lines: packets take a while, some get lost, and a machine whose process is away
 * still has a kernel.
 */
import { silentLog } from '../../src/lib/log.ts'
import { type ProbeDoor, type Prober, startProber } from '../../src/paths/prober.ts'
import type { ProbeSocketsOptions } from '../../src/paths/sockets.ts'
import { type Stand, standOfController } from '../../src/paths/stand.ts'
import { pathChoice } from '../../src/paths/targets.ts'
import type { FakeClock } from '../support/fake-clock.ts'

/** Names of nodes by LAN; the third octet of a pod CIDR is the number of its node. */
export interface SitePlan {
  readonly lans: Readonly<Record<string, readonly string[]>>
  /** Machines that controllers run on, by address. */
  readonly controllers: readonly string[]
}

interface Process {
  readonly prober: Prober
  readonly options: ProbeSocketsOptions
}

export class VirtualSite {
  readonly #clock: FakeClock
  readonly #random: () => number
  readonly #plan: SitePlan
  /** Nodes that are in the cluster. */
  readonly #members = new Set<string>()
  /** By address; a machine that is off is not among them. */
  readonly #machines = new Map<string, Process | undefined>()
  readonly #probers = new Map<string, Prober>()
  /** Addresses that hear nothing for now: their packets wait. */
  readonly #stalled = new Map<string, number>()
  leader: string | undefined
  /** Of how many packets one gets lost. */
  lossOneIn = 500

  constructor(clock: FakeClock, random: () => number, plan: SitePlan) {
    this.#clock = clock
    this.#random = random
    this.#plan = plan
    for (const address of plan.controllers) this.#machines.set(address, undefined)
    for (const node of Object.values(plan.lans).flat()) this.join(node)
  }

  /** The address at which a node answers. */
  addressOf(node: string): string {
    return `10.0.${Object.values(this.#plan.lans).flat().indexOf(node)}.0`
  }

  join(node: string): void {
    this.#members.add(node)
    this.#machines.set(this.addressOf(node), undefined)
  }

  leave(node: string): void {
    this.#members.delete(node)
  }

  /** The process on a machine starts; of a node by its name, of a controller by its address. */
  start(name: string): void {
    const address = this.#plan.controllers.includes(name) ? name : this.addressOf(name)
    let opened: ProbeSocketsOptions | undefined
    const prober = startProber({
      clock: this.#clock,
      log: silentLog,
      stand: () => this.#standOf(name),
      mtu: () => 1500,
      port: 9179,
      budget: { lanPacketsPerMinute: 60, farPacketsPerMinute: 12 },
      door: options => {
        opened = options
        return this.#door(address, options)
      },
    })
    if (opened === undefined) throw new Error('no door')
    this.#machines.set(address, { prober, options: opened })
    this.#probers.set(name, prober)
  }

  /** It ends; its machine stays. */
  async stop(name: string): Promise<void> {
    const address = this.#plan.controllers.includes(name) ? name : this.addressOf(name)
    const prober = this.#probers.get(name)
    this.#machines.set(address, undefined)
    this.#probers.delete(name)
    await prober?.close()
  }

  /** The machine is off. */
  async powerOff(name: string): Promise<void> {
    await this.stop(name)
    this.#machines.delete(this.#plan.controllers.includes(name) ? name : this.addressOf(name))
  }

  /** The process there gets no time for a while: what comes waits. */
  stall(node: string, milliseconds: number): void {
    this.#stalled.set(this.addressOf(node), this.#clock.monotonic() + milliseconds)
  }

  /** The view has changed. */
  wakeAll(): void {
    for (const prober of this.#probers.values()) prober.wake()
  }

  /** What anybody has to say. */
  findings(): string[] {
    return [...this.#probers].flatMap(([name, { report }]) => [
      ...report.verdict.findings.map(({ place, message }) => `${name}: ${place}: ${message}`),
      ...report.problems.map(problem => `${name}: ${problem}`),
    ])
  }

  /** How many packets were sent as questions, and of how many targets something is known. */
  known(name: string): number {
    return this.#probers.get(name)?.report.histories.length ?? 0
  }

  async close(): Promise<void> {
    for (const prober of this.#probers.values()) await prober.close()
  }

  #standOf(name: string): Stand {
    const { lans, controllers } = this.#plan
    const all = Object.entries(lans).flatMap(([lan, nodes]) =>
      nodes.map(node => ({ node, addresses: [], podCIDRs: [`${this.addressOf(node)}/25`], peers: [lan] })),
    )
    const entries = all.filter(({ node }) => this.#members.has(node))
    if (controllers.includes(name)) return standOfController(this.leader === name ? [name] : [], entries)
    const peers = Object.keys(lans).map(lan => ({ name: lan, spec: { peerIP: '172.16.0.1' } }))
    const answering = this.leader === undefined ? [] : [this.leader]
    const address = this.addressOf(name)
    const own = this.#members.has(name) ? [address] : []
    const self = { kind: 'direct', size: 'small', family: 'ipv4', node: name, podCIDR: `${address}/25` } as const
    return {
      own,
      known: new Set([...entries.map(({ node }) => this.addressOf(node)), ...answering]),
      marks: new Map([['172.16.0.1', 1]]),
      choice: pathChoice({
        self: name,
        entries,
        peers: peers as never,
        onLink: new Set(['172.16.0.1']),
        controllers: answering,
      }),
      self: { ...self, address, lan: 'self' },
      inVpc: false,
      problems: [],
    }
  }

  #door(own: string, options: ProbeSocketsOptions): ProbeDoor {
    return {
      answerAt: async () => [],
      ask: async ({ address: from }, { token, address: to }) =>
        this.#travel(to, () => {
          const there = this.#machines.get(to)
          if (there?.options.mayAsk(from) !== true) return
          this.#travel(own, () => {
            if (this.#machines.get(own)?.options === options) options.onAnswer(token)
          })
        }),
      witness: (_, to) => {
        let refused = false
        this.#travel(to, () => {
          if (this.#machines.has(to) && this.#machines.get(to) === undefined)
            this.#travel(own, () => {
              refused = true
            })
        })
        return { refused: () => refused, close: () => {} }
      },
      close: () => {},
    }
  }

  /** Some packets get lost, a few are slow, and a process without time hears them later. */
  #travel(to: string, arrive: () => void): void {
    if (this.#random() * this.lossOneIn < 1) return
    const way = this.#random() < 0.01 ? 350 * this.#random() : 0.2 + 15 * this.#random()
    const wait = Math.max(0, (this.#stalled.get(to) ?? 0) - this.#clock.monotonic())
    this.#clock.after(way + wait, arrive)
  }
}
