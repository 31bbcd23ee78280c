/**
 * Measures paths all the time: answers other nodes' probes, asks a bounded choice of others, and
 * says what the packets prove. Decisions are elsewhere: `targets.ts` which paths there are,
 * `schedule.ts` what is asked when, `evidence.ts` and `verdict.ts` what it means.
 *
 * Nothing depends on it: without a podCIDR, a view or the right to open its sockets it measures
 * nothing and says why. A round in which this process itself was late is void.
 */
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { RouteEntry } from '../kube/route-slice.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { type Bucket, type Rate, take } from '../lib/token-bucket.ts'
import { onLinkInterface } from '../netlink/on-link.ts'
import { Rtnetlink } from '../netlink/rtnetlink.ts'
import { type Evidence, keepTargets, PORT_PAIRS, stateOf, type TargetHistory, withOutcome } from './evidence.ts'
import { applyProbeRouting } from './kernel.ts'
import { HEADER_LENGTH, QUESTION_LENGTH } from './packet.ts'
import { probeAddresses } from './probe-address.ts'
import { marksOf, probeRouting } from './probe-routes.ts'
import { due, keysOf, type PathBudget, type Schedule, START, staleAfter } from './schedule.ts'
import { ProbeSockets } from './sockets.ts'
import { type PathChoice, type PathTarget, pathChoice, targetKey } from './targets.ts'
import { type PathVerdict, pathVerdict } from './verdict.ts'

export interface ProberOptions {
  readonly clock: Clock
  readonly log: Log
  /** The name of this node. */
  readonly self: string
  /** What is known of the cluster now; undefined while nothing is. */
  readonly view: () => { readonly entries: readonly RouteEntry[]; readonly peers: readonly BGPPeer[] } | undefined
  /** The MTU of pods; undefined while it is not known. */
  readonly mtu: () => number | undefined
  /** rtm_protocol of our routes. */
  readonly protocol: number
  /** UDP port at which nodes answer. */
  readonly port: number
  readonly budget: PathBudget
  /** Whether packets are handed to the switch too. */
  readonly bySwitch: boolean
}

/** What the prober has to say. */
export interface PathsReport {
  readonly verdict: PathVerdict
  /** Why nothing, or not all, is measured. */
  readonly problems: readonly string[]
  readonly histories: readonly TargetHistory[]
}

const ROUND_MILLISECONDS = 1000
/**
 * An answer that takes longer is a loss: four times the round trip of a line around half the earth.
 */
const ANSWER_MILLISECONDS = 800
/** A time-out that fires so late says that this process was late, not that a packet was lost. */
const LATE_MILLISECONDS = 250
/** The kernel is compared at least so often. */
const PREPARE_MILLISECONDS = 15_000

const TO_EACH: Rate = { burst: 20, everyMilliseconds: 200 }
const TO_ALL: Rate = { burst: 400, everyMilliseconds: 5 }
const MOST_ASKERS = 10_000

const SELF = 'self'
const NO_CHOICE: PathChoice = { direct: [], bySwitch: [], far: [] }
const NO_VERDICT: PathVerdict = { findings: [], switches: [] }

interface Waiting {
  readonly target: PathTarget
  readonly sentAt: number
  readonly ports: number
  readonly cancel: Cancel
}

export function startProber(options: ProberOptions): Prober {
  return new Prober(options)
}

export class Prober {
  readonly #options: ProberOptions
  readonly #sockets: ProbeSockets
  readonly #rounds: Loop
  readonly #preparations: Loop
  readonly #listeners = new Listeners()
  readonly #waiting = new Map<string, Waiting>()
  readonly #askers = new Map<string, Bucket>()
  #askedByAll: Bucket | undefined
  #known: ReadonlySet<string> = new Set()
  #own: readonly string[] = []
  #marks: ReadonlyMap<string, number> = new Map()
  #choice = NO_CHOICE
  #schedule: Schedule = START
  #evidence: Evidence = new Map()
  #selfEvidence: Evidence = new Map()
  #portTurn = 0
  #lastRound: number | undefined
  #problems: readonly string[] = []
  #verdict = NO_VERDICT
  #told = ''

  constructor(options: ProberOptions) {
    this.#options = options
    const { clock, log, port } = options
    this.#sockets = new ProbeSockets({
      port,
      mayAsk: address => this.#mayAsk(address),
      onAnswer: token => this.#answered(token),
    })
    const onError = (error: unknown) => log.warn({ detail: errorText(error) }, 'paths could not be measured')
    this.#preparations = new Loop({
      clock,
      run: () => this.#prepare(),
      onError,
      everyMilliseconds: PREPARE_MILLISECONDS,
      settleMilliseconds: 100,
    })
    this.#rounds = new Loop({ clock, run: () => this.#round(), onError, everyMilliseconds: ROUND_MILLISECONDS })
    this.#preparations.wake()
    this.#rounds.wake()
  }

  /** To be called when the view has changed. */
  wake(): void {
    this.#preparations.wake()
  }

  get report(): PathsReport {
    return { verdict: this.#verdict, problems: this.#problems, histories: [...this.#evidence.values()] }
  }

  /** Calls `listener` when the verdict or the problems changed. Returns how to stop that. */
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }

  /**
   * Stops measuring and answering. What it needs of the kernel stays, as the process may come back.
   */
  async close(): Promise<void> {
    await Promise.all([this.#rounds.close(), this.#preparations.close()])
    for (const { cancel } of this.#waiting.values()) cancel()
    this.#waiting.clear()
    this.#sockets.close()
  }

  /** Brings the kernel and the sockets to what the view asks for. */
  async #prepare(): Promise<void> {
    const { self, view, protocol, bySwitch } = this.#options
    const { entries, peers } = view() ?? { entries: [], peers: [] }
    const own = probeAddresses(entries.find(({ node }) => node === self)?.podCIDRs ?? [])
    const switches = new Map<string, number>()
    const netlink = Rtnetlink.open()
    const problems: string[] = []
    try {
      for (const { spec } of bySwitch ? peers : []) {
        const index = onLinkInterface(netlink, spec.peerIP)
        if (index !== undefined) switches.set(spec.peerIP, index)
      }
      const loopback = netlink.dumpLinks().find(link => link.loopback)?.index
      if (loopback !== undefined)
        problems.push(...applyProbeRouting(netlink, probeRouting({ own, switches, loopback, protocol }), protocol))
    } finally {
      netlink.close()
    }
    this.#own = own
    this.#known = new Set(entries.flatMap(({ podCIDRs }) => probeAddresses(podCIDRs)))
    this.#marks = marksOf(switches.keys())
    this.#choice = pathChoice({ self, entries, peers, onLink: new Set(switches.keys()) })
    this.#evidence = keepTargets(this.#evidence, keysOf(this.#choice))
    problems.push(...(await this.#sockets.answerAt(own)))
    this.#problems = problems
    this.#judge()
  }

  async #round(): Promise<void> {
    const now = this.#options.clock.monotonic()
    const elapsed = Math.min(now - (this.#lastRound ?? now), 5 * ROUND_MILLISECONDS)
    this.#lastRound = now
    if (this.#own.length === 0) return
    const { schedule, targets } = due({
      choice: this.#choice,
      evidence: this.#evidence,
      schedule: this.#schedule,
      budget: this.#options.budget,
      now,
      elapsed,
    })
    this.#schedule = schedule
    await Promise.all([...this.#selfTargets(), ...targets].map(target => this.#ask(target)))
    this.#judge()
  }

  /** The prober itself, before anybody else is judged by it. */
  #selfTargets(): PathTarget[] {
    const address = this.#own[0]
    const entry = this.#options.view()?.entries.find(({ node }) => node === this.#options.self)
    const podCIDR = entry?.podCIDRs.find(cidr => probeAddresses([cidr])[0] === address)
    if (address === undefined || podCIDR === undefined) return []
    const family = address.includes(':') ? 'ipv6' : 'ipv4'
    return [{ kind: 'direct', size: 'small', family, node: this.#options.self, podCIDR, address, lan: SELF }]
  }

  async #ask(target: PathTarget): Promise<void> {
    const { clock } = this.#options
    const from = this.#own.find(address => address.includes(':') === (target.family === 'ipv6'))
    const mark = target.via === undefined ? 0 : this.#marks.get(target.via)
    if (from === undefined || mark === undefined) return
    const length = this.#lengthOf(target)
    if (length === undefined) return
    const ports = this.#portTurn++ % PORT_PAIRS
    const token = Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex')
    const sentAt = clock.monotonic()
    const cancel = clock.after(ANSWER_MILLISECONDS, () => this.#timedOut(token))
    this.#waiting.set(token, { target, sentAt, ports, cancel })
    await this.#sockets.ask({ address: from, mark, ports }, { token, address: target.address, length })
  }

  /** Octets of UDP payload. Undefined where the full size is not known yet. */
  #lengthOf({ size, family }: PathTarget): number | undefined {
    if (size === 'small') return QUESTION_LENGTH
    const mtu = this.#options.mtu()
    return mtu === undefined ? undefined : mtu - HEADER_LENGTH[family]
  }

  #answered(token: string): void {
    const waiting = this.#waiting.get(token)
    if (waiting === undefined) return
    this.#waiting.delete(token)
    waiting.cancel()
    this.#record(waiting, this.#options.clock.monotonic() - waiting.sentAt)
  }

  #timedOut(token: string): void {
    const waiting = this.#waiting.get(token)
    if (waiting === undefined) return
    this.#waiting.delete(token)
    const late = this.#options.clock.monotonic() - waiting.sentAt - ANSWER_MILLISECONDS
    if (late < LATE_MILLISECONDS) this.#record(waiting, undefined)
  }

  #record({ target, sentAt, ports }: Waiting, roundTrip: number | undefined): void {
    const outcome = { at: sentAt, ports, roundTrip }
    if (target.lan === SELF) this.#selfEvidence = withOutcome(this.#selfEvidence, target, outcome)
    else this.#evidence = withOutcome(this.#evidence, target, outcome)
  }

  #judge(): void {
    const now = this.#options.clock.monotonic()
    const staleMilliseconds = staleAfter(this.#choice, this.#options.budget)
    const [selfTarget] = this.#selfTargets()
    const history = selfTarget === undefined ? undefined : this.#selfEvidence.get(targetKey(selfTarget))
    const self = stateOf(history, { now, staleMilliseconds })
    this.#verdict = pathVerdict({ evidence: this.#evidence, self, now, staleMilliseconds })
    const text = JSON.stringify([this.#verdict, this.#problems])
    if (text === this.#told) return
    this.#told = text
    this.#listeners.tell()
  }

  /** Only the cluster's own nodes are answered, and nobody without limit. */
  #mayAsk(address: string): boolean {
    if (!this.#known.has(address)) return false
    const now = this.#options.clock.monotonic()
    const each = take(this.#askers.get(address), TO_EACH, now)
    const all = take(this.#askedByAll, TO_ALL, now)
    if (each === undefined || all === undefined) return false
    if (this.#askers.size >= MOST_ASKERS) this.#askers.clear()
    this.#askers.set(address, each)
    this.#askedByAll = all
    return true
  }
}
