/**
 * Measures paths all the time: answers other nodes' probes, asks a bounded choice of others, and
 * says what the packets prove. Decisions are elsewhere: `targets.ts` which paths there are,
 * `schedule.ts` what is asked when, `evidence.ts` and `verdict.ts` what it means.
 *
 * Nothing depends on it: without a podCIDR, a view or the right to open its sockets it measures
 * nothing and says why. A round in which this process itself was late is void.
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { type Bucket, type Rate, take } from '../lib/token-bucket.ts'
import {
  type Evidence,
  isDoubtful,
  keepTargets,
  PORT_PAIRS,
  type ProbeOutcome,
  stateOf,
  type TargetHistory,
  withLateAnswer,
  withOutcome,
} from './evidence.ts'
import { HEADER_LENGTH, QUESTION_LENGTH } from './packet.ts'
import { due, keysOf, type PathBudget, type Schedule, START, staleAfter } from './schedule.ts'
import { ProbeSockets, type ProbeSocketsOptions, type Witness } from './sockets.ts'
import { NOWHERE, SELF, type Stand } from './stand.ts'
import { type PathTarget, targetKey } from './targets.ts'
import { type PathVerdict, pathVerdict } from './verdict.ts'

/** What it sends and receives by. */
export type ProbeDoor = Pick<ProbeSockets, 'answerAt' | 'ask' | 'witness' | 'close'>

export interface ProberOptions {
  readonly clock: Clock
  readonly log: Log
  /** Where it stands now; asked for when something has changed, and every so often. */
  readonly stand: () => Stand
  /** The MTU of pods; undefined while it is not known. */
  readonly mtu: () => number | undefined
  /** UDP port at which nodes answer. */
  readonly port: number
  readonly budget: PathBudget
  /** Absent: the kernel's sockets. */
  readonly door?: (options: ProbeSocketsOptions) => ProbeDoor
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
/** An answer that comes so late still says that nothing was lost. */
const OVERDUE_MILLISECONDS = 10_000
/** A time-out that fires so late says that this process was late, not that a packet was lost. */
const LATE_MILLISECONDS = 250
/** The kernel is compared at least so often. */
const PREPARE_MILLISECONDS = 15_000

const TO_EACH: Rate = { burst: 20, everyMilliseconds: 200 }
const TO_ALL: Rate = { burst: 400, everyMilliseconds: 5 }
const MOST_ASKERS = 10_000

const NO_VERDICT: PathVerdict = { findings: [], switches: [] }

interface Waiting {
  readonly target: PathTarget
  readonly sentAt: number
  readonly ports: number
  readonly cancel: Cancel
  /** Of one in doubt: whether the kernel of the far end speaks for it. */
  readonly witness: Witness | undefined
}

export function startProber(options: ProberOptions): Prober {
  return new Prober(options)
}

export class Prober {
  readonly #options: ProberOptions
  readonly #sockets: ProbeDoor
  readonly #rounds: Loop
  readonly #preparations: Loop
  readonly #listeners = new Listeners()
  readonly #waiting = new Map<string, Waiting>()
  /** Questions that were lost, or whose answers are late. */
  readonly #overdue = new Map<string, Pick<Waiting, 'target' | 'sentAt' | 'ports'>>()
  readonly #askers = new Map<string, Bucket>()
  #askedByAll: Bucket | undefined
  #stand = NOWHERE
  #schedule: Schedule = START
  #evidence: Evidence = new Map()
  #selfEvidence: Evidence = new Map()
  #lastRound: number | undefined
  #problems: readonly string[] = []
  #verdict = NO_VERDICT
  #told = ''

  constructor(options: ProberOptions) {
    this.#options = options
    const { clock, log, port, door = (sockets: ProbeSocketsOptions): ProbeDoor => new ProbeSockets(sockets) } = options
    this.#sockets = door({
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
    for (const { cancel, witness } of this.#waiting.values()) {
      cancel()
      witness?.close()
    }
    this.#waiting.clear()
    this.#overdue.clear()
    this.#sockets.close()
  }

  /** Takes its stand, and opens its sockets there. */
  async #prepare(): Promise<void> {
    const before = this.#stand
    this.#stand = this.#options.stand()
    const { own, choice, problems } = this.#stand
    if (choice !== before.choice) this.#evidence = keepTargets(this.#evidence, keysOf(choice))
    this.#problems = [...problems, ...(await this.#sockets.answerAt(own))]
    this.#judge()
  }

  async #round(): Promise<void> {
    const now = this.#options.clock.monotonic()
    const elapsed = Math.min(now - (this.#lastRound ?? now), 5 * ROUND_MILLISECONDS)
    this.#lastRound = now
    const { own, self, choice } = this.#stand
    if (own.length === 0) return
    for (const [token, { sentAt }] of this.#overdue)
      if (now - sentAt > OVERDUE_MILLISECONDS) this.#overdue.delete(token)
    const { schedule, targets } = due({
      choice,
      evidence: this.#evidence,
      schedule: this.#schedule,
      budget: this.#options.budget,
      now,
      elapsed,
    })
    this.#schedule = schedule
    await Promise.all([...(self === undefined ? [] : [self]), ...targets].map(target => this.#ask(target)))
    this.#judge()
  }

  async #ask(target: PathTarget): Promise<void> {
    const { clock } = this.#options
    const from = this.#stand.own.find(address => address.includes(':') === (target.family === 'ipv6'))
    const mark = target.via === undefined ? 0 : this.#stand.marks.get(target.via)
    if (from === undefined || mark === undefined) return
    const length = this.#lengthOf(target)
    if (length === undefined) return
    // each target takes turns of its own, so that all pairs are tried
    const ports = ((this.#historyOf(target)?.outcomes.at(-1)?.ports ?? -1) + 1) % PORT_PAIRS
    const token = Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString('hex')
    const witness = isDoubtful(this.#historyOf(target))
      ? this.#sockets.witness({ address: from, mark }, target.address)
      : undefined
    const sentAt = clock.monotonic()
    const cancel = clock.after(ANSWER_MILLISECONDS, () => this.#timedOut(token))
    this.#waiting.set(token, { target, sentAt, ports, cancel, witness })
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
    if (waiting === undefined) {
      this.#answeredLate(token)
      return
    }
    this.#waiting.delete(token)
    waiting.cancel()
    waiting.witness?.close()
    this.#record(waiting, { roundTrip: this.#options.clock.monotonic() - waiting.sentAt })
  }

  #answeredLate(token: string): void {
    const overdue = this.#overdue.get(token)
    if (overdue === undefined) return
    this.#overdue.delete(token)
    const { target, sentAt: at, ports } = overdue
    const outcome = { at, ports, roundTrip: this.#options.clock.monotonic() - at }
    if (target.lan === SELF) this.#selfEvidence = withLateAnswer(this.#selfEvidence, target, outcome)
    else this.#evidence = withLateAnswer(this.#evidence, target, outcome)
  }

  #timedOut(token: string): void {
    const waiting = this.#waiting.get(token)
    if (waiting === undefined) return
    this.#waiting.delete(token)
    const refused = waiting.witness?.refused() === true
    waiting.witness?.close()
    const late = this.#options.clock.monotonic() - waiting.sentAt - ANSWER_MILLISECONDS
    if (!refused && late >= LATE_MILLISECONDS) return
    this.#record(waiting, { roundTrip: undefined, refused })
    if (!refused) this.#overdue.set(token, waiting)
  }

  #historyOf(target: PathTarget): TargetHistory | undefined {
    return (target.lan === SELF ? this.#selfEvidence : this.#evidence).get(targetKey(target))
  }

  #record({ target, sentAt, ports }: Waiting, came: Pick<ProbeOutcome, 'roundTrip' | 'refused'>): void {
    const outcome = { at: sentAt, ports, ...came }
    if (target.lan === SELF) this.#selfEvidence = withOutcome(this.#selfEvidence, target, outcome)
    else this.#evidence = withOutcome(this.#evidence, target, outcome)
  }

  #judge(): void {
    const now = this.#options.clock.monotonic()
    const { choice, self: mine, inVpc } = this.#stand
    const staleMilliseconds = staleAfter(choice, this.#options.budget)
    const history = mine === undefined ? undefined : this.#historyOf(mine)
    const self = stateOf(history, { now, staleMilliseconds })
    this.#verdict = pathVerdict({
      evidence: this.#evidence,
      self,
      alone: choice.alone,
      inVpc,
      now,
      staleMilliseconds,
    })
    const text = JSON.stringify([this.#verdict, this.#problems])
    if (text === this.#told) return
    this.#told = text
    this.#listeners.tell()
  }

  /** Only the cluster's own are answered, and nobody without limit. */
  #mayAsk(address: string): boolean {
    if (!this.#stand.known.has(address)) return false
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
