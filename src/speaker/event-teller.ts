/**
 * Tells of sessions and problems by Events on BGPPeers, and of problems in the log: what is worth
 * one, and when, is events.ts's. Remembers what was told, so that nothing is told twice.
 */
import type { NotAnnounced, PeerConfig, SessionEvent, SessionView } from '../bgp/speaker-types.ts'
import type { EventRecorder } from '../kube/api.ts'
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import {
  admit,
  drainEvent,
  type EventMemory,
  kubeEvent,
  lastingProblems,
  notAnnouncedEvent,
  PROBLEM_LASTS_MILLISECONDS,
  type ProblemMemory,
  problemEvent,
  type SpeakerEvent,
  sessionEvent,
} from './events.ts'
import { isNews, notAnnouncedText } from './not-announced.ts'
import type { SpeakerProblem } from './speaker-problem.ts'

export interface EventTellerOptions {
  /** This node's name. */
  readonly self: string
  readonly events: EventRecorder | undefined
  /** The BGPPeer of a name, as it is in force now. */
  readonly peerOf: (bgpPeer: string) => BGPPeer | undefined
  readonly clock: Clock
  readonly log: Log
  /** A problem may have lasted long enough by now: `problems` is to be called again. */
  readonly wake: () => void
}

export class EventTeller {
  readonly #options: EventTellerOptions
  #memory: EventMemory = new Map()
  #problems: ProblemMemory = new Map()
  /** What was told of prefixes that are not announced, by BGPPeer. */
  readonly #missing = new Map<string, readonly NotAnnounced[]>()
  #cancelWait: Cancel = () => {}

  constructor(options: EventTellerOptions) {
    this.#options = options
  }

  /** Forgets BGPPeers that are not spoken to any more. */
  keep(bgpPeers: ReadonlySet<string>): void {
    for (const key of this.#missing.keys()) if (!bgpPeers.has(key)) this.#missing.delete(key)
  }

  session(event: SessionEvent, config: PeerConfig): void {
    this.#record(sessionEvent(this.#options.self, event, config))
  }

  drain(reason: string, config: PeerConfig): void {
    this.#record(drainEvent(this.#options.self, reason, config))
  }

  /** All problems that there are now; only what lasts is worth an Event. */
  problems(current: readonly SpeakerProblem[]): void {
    const { self, log, clock, wake } = this.#options
    const { memory, lasting, news, waiting } = lastingProblems(this.#problems, current, clock.monotonic())
    this.#problems = memory
    for (const { bgpPeer, message } of news)
      log.warn({ bgpPeer, detail: message }, 'a BGPPeer cannot be served in full')
    for (const problem of lasting) {
      const event = problemEvent(self, problem)
      if (event !== undefined) this.#record(event)
    }
    this.#cancelWait()
    if (waiting) this.#cancelWait = clock.after(PROBLEM_LASTS_MILLISECONDS, wake)
  }

  /** One Event when it begins, not with each session and each node more. */
  missing({ key, state }: SessionView, missing: readonly NotAnnounced[], config: PeerConfig): void {
    if (state !== 'Established') return
    const text = notAnnouncedText(missing)
    const news = text !== undefined && isNews(this.#missing.get(key) ?? [], missing)
    if (news && !this.#record(notAnnouncedEvent(this.#options.self, text, config))) return
    this.#missing.set(key, missing)
  }

  close(): void {
    this.#cancelWait()
  }

  /** Whether it was recorded. */
  #record(event: SpeakerEvent): boolean {
    const { events, clock, peerOf } = this.#options
    const peer = peerOf(event.bgpPeer)
    if (peer === undefined || events === undefined) return false
    const { memory, record } = admit(this.#memory, event, clock.monotonic())
    this.#memory = memory
    if (record) events.record(kubeEvent(event, peer))
    return record
  }
}
