/**
 * BFD beside BGP (RFC 5882): keeps the BFD sessions that BGPPeers ask for, lets a lost path take
 * its BGP session down, holds BGP back where the peer waits for BFD, and says what is not up. What
 * is judged of a session is bfd-status.ts; without BFD (`bfd` absent) nothing happens.
 */
import type { Bfd, BfdEvent, BfdSessionConfig, BfdSessionView, SuspendedSession } from '../bfd/bfd-types.ts'
import type { PeerConfig, Speaker } from '../bgp/speaker-types.ts'
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { bfdProblems, NOT_UP_MILLISECONDS, waitsForBfd } from './bfd-status.ts'
import type { SpeakerProblem } from './speaker-problem.ts'

export interface BfdBesideOptions {
  readonly bfd?: Bfd
  readonly speaker: Pick<Speaker, 'failSession' | 'holdSession'>
  /** The interface on which an address is on-link now. */
  readonly linkTo: (address: string) => string | undefined
  readonly clock: Clock
  readonly log: Log
  /** Asks for another `want` soon. */
  readonly wake: () => void
}

/** While BGP waits for BFD. */
const LOOK_MILLISECONDS = 1_000

export class BfdBeside {
  readonly #options: BfdBesideOptions
  readonly #stopListening: () => void
  #peers: readonly PeerConfig[] = []
  #cancelLook: Cancel = () => {}
  #cancelHoldLook: Cancel = () => {}

  /** `former`: sessions that the process before this one left. */
  constructor(options: BfdBesideOptions, former: readonly SuspendedSession[]) {
    this.#options = options
    options.bfd?.resume(former)
    this.#stopListening = options.bfd?.onEvent(event => this.#pathChanged(event)) ?? (() => {})
  }

  viewOf(key: string): BfdSessionView | undefined {
    return this.#options.bfd?.sessions().find(session => session.key === key)
  }

  /** The interface towards each peer that BFD is asked for, by the peer's address. */
  linksTo(peers: readonly BGPPeer[]): ReadonlyMap<string, string> {
    const links = new Map<string, string>()
    for (const { spec } of peers) {
      const link = spec.bfd?.enabled === true ? this.#options.linkTo(spec.peerIP) : undefined
      if (link !== undefined) links.set(spec.peerIP, link)
    }
    return links
  }

  /** Keeps these sessions beside those of `peers`; returns what is not up for a while. */
  want(sessions: readonly BfdSessionConfig[], peers: readonly PeerConfig[]): readonly SpeakerProblem[] {
    const { bfd, clock } = this.#options
    this.#peers = peers
    bfd?.setSessions(sessions)
    this.#hold()
    const views = bfd?.sessions() ?? []
    const problems = bfdProblems(views, clock.now())
    this.#cancelLook()
    const coming = sessions.length - views.filter(({ state }) => state === 'Up').length - problems.length
    if (coming > 0) this.#cancelLook = clock.after(NOT_UP_MILLISECONDS + 1_000, this.#options.wake)
    return problems
  }

  /**
   * RFC 5882 section 4.3.2.2: a switch that keeps our routes for a while is asked to wait for our
   * BFD as long.
   */
  async suspend(peers: readonly PeerConfig[]): Promise<readonly SuspendedSession[]> {
    const { bfd, log } = this.#options
    const kept = peers.filter(({ gracefulRestart }) => gracefulRestart.enabled)
    const seconds = new Map(kept.map(({ key, gracefulRestart }) => [key, gracefulRestart.restartTimeSeconds]))
    const waiting = (await bfd?.suspend(seconds)) ?? []
    for (const { peerAddress } of waiting)
      log.info({ address: peerAddress }, 'BFD session left for the next process; its peer waits')
    return waiting
  }

  /** Nothing is told to BGP from now on. */
  stop(): void {
    this.#stopListening()
    this.#cancelLook()
    this.#cancelHoldLook()
  }

  async close(): Promise<void> {
    await this.#options.bfd?.close()
  }

  /**
   * RFC 5882 section 4.2: a path that was there and went takes the session down at once. A session
   * waits for no BFD, as the peer may speak none; and a peer that takes BFD out of service says
   * nothing about the path.
   */
  #pathChanged(event: BfdEvent): void {
    this.#options.wake()
    if (event.kind === 'down' && !event.administrative) {
      this.#options.speaker.failSession(event.key, { kind: 'bfd-down', reason: event.reason })
    }
    this.#hold()
  }

  /** RFC 5882 section 4.1. */
  #hold(): void {
    const { speaker, clock } = this.#options
    let waiting = false
    for (const { key } of this.#peers) {
      const view = this.viewOf(key)
      const reason = view === undefined ? undefined : waitsForBfd(view)
      waiting ||= reason !== undefined
      speaker.holdSession(key, reason)
    }
    this.#cancelHoldLook()
    // a peer that falls silent, or takes BFD out of service, tells no event
    if (waiting) this.#cancelHoldLook = clock.after(LOOK_MILLISECONDS, () => this.#hold())
  }
}
