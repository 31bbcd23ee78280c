/**
 * What the devices that speak BMP say of this speaker's routes: a station for the BGPPeers that ask
 * for it, whose tables are judged once both sides are at rest. Off unless a BGPPeer has `bmp`.
 */
import { Station } from '../bgp/bmp/station.ts'
import { type SwitchVerdict, switchVerdict } from '../bgp/bmp/switch-verdict.ts'
import type { SessionView, Speaker } from '../bgp/speaker-types.ts'
import type { Transport } from '../bgp/tcp/transport-types.ts'
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { ClusterViewSource } from '../kube/cluster-view-types.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { spokenTo } from './desired-peers.ts'
import type { RoutesProof } from './session-status.ts'
import { monitoredRouters, toldProof, unheardText } from './switch-told.ts'

export interface SwitchMonitorOptions {
  /** This node's name. */
  readonly self: string
  readonly view: Pick<ClusterViewSource, 'current' | 'onChange'>
  readonly speaker: Pick<Speaker, 'sessions' | 'advertised' | 'onChange'>
  readonly transport: Transport
  readonly clock: Clock
  readonly log: Log
  /** A proof, or a problem, has changed. */
  readonly changed: () => void
}

export interface SwitchMonitor {
  /** What the device of a BGPPeer told; undefined: it was not asked to tell, or has not. */
  proofOf(bgpPeer: string): RoutesProof | undefined
  /** A line each. */
  problems(): readonly string[]
  close(): void
}

/**
 * Both sides are at rest when nothing has changed for so long: after a session came up a router
 * reports its routes, or that there are none, piece by piece.
 */
const REST_MILLISECONDS = 1000
/**
 * A report that began before the session, or so soon after it, may say for ever that nothing is
 * kept: FRR 8.4 tells what a route is before it knows that its next hop can be reached.
 */
const EARLY_MILLISECONDS = 2000
/** A device that has not reported for so long is a problem. */
const UNHEARD_MILLISECONDS = 60_000

export function createSwitchMonitor(options: SwitchMonitorOptions): SwitchMonitor {
  return new Monitor(options)
}

class Monitor implements SwitchMonitor {
  readonly #options: SwitchMonitorOptions
  readonly #station: Station
  readonly #stops: readonly (() => void)[]
  readonly #verdicts = new Map<string, SwitchVerdict>()
  /** Since when a device is waited for, Clock.monotonic() milliseconds. */
  readonly #unheard = new Map<string, number>()
  /** In which report, of which session, a device had everything: from then on it is believed. */
  readonly #sound = new Map<string, string>()
  #peers: readonly BGPPeer[] = []
  #told = ''
  #cancelJudging: Cancel = () => {}
  #cancelPatience: Cancel = () => {}

  constructor(options: SwitchMonitorOptions) {
    const { view, speaker, transport, clock, log } = options
    this.#options = options
    this.#station = new Station({ clock, log, transport, changed: () => this.#judgeLater() })
    this.#stops = [view.onChange(() => this.#look()), speaker.onChange(() => this.#judgeLater())]
    this.#look()
  }

  proofOf(bgpPeer: string): RoutesProof | undefined {
    const verdict = this.#verdicts.get(bgpPeer)
    return verdict && toldProof(verdict)
  }

  problems(): readonly string[] {
    const ports = [...this.#station.problems].map(
      ([port, reason]) => `BMP: port ${port} cannot be listened on: ${reason}`,
    )
    const late = this.#peers.filter(({ name }) => this.#isLate(name))
    return [...ports, ...late.map(unheardText)]
  }

  close(): void {
    for (const stop of this.#stops) stop()
    this.#cancelJudging()
    this.#cancelPatience()
    this.#station.close()
  }

  #look(): void {
    const { self, view } = this.#options
    const current = view.current()
    if (current === undefined) return
    this.#peers = spokenTo(self, current).filter(({ spec }) => spec.bmp?.enabled === true)
    this.#station.setRouters(monitoredRouters(this.#peers))
    this.#judgeLater()
  }

  #judgeLater(): void {
    if (this.#peers.length === 0 && this.#verdicts.size === 0) return
    this.#watchSilence()
    this.#cancelJudging()
    this.#cancelJudging = this.#options.clock.after(REST_MILLISECONDS, () => this.#judge())
  }

  #judge(): void {
    const { speaker } = this.#options
    const sessions = new Map(speaker.sessions().map(session => [session.key, session]))
    const wanted = new Set(this.#peers.map(({ name }) => name))
    for (const name of this.#verdicts.keys()) if (!wanted.has(name)) this.#verdicts.delete(name)
    for (const { name } of this.#peers) {
      const verdict = this.#verdictOf(name, sessions.get(name))
      if (verdict === undefined) this.#verdicts.delete(name)
      else this.#verdicts.set(name, verdict)
    }
    this.#tell()
  }

  #isLate(key: string): boolean {
    const since = this.#unheard.get(key)
    return since !== undefined && this.#options.clock.monotonic() - since >= UNHEARD_MILLISECONDS
  }

  #verdictOf(key: string, session: SessionView | undefined): SwitchVerdict | undefined {
    const reportsSince = this.#station.reportsSince(key)
    if (session?.state !== 'Established' || session.localAddress === undefined) return undefined
    // it may come back soon; what it told is believed until it is late
    if (reportsSince === undefined) return this.#isLate(key) ? undefined : this.#verdicts.get(key)
    const table = this.#station.tableOf(key, session.localAddress)
    if (table === undefined) return undefined
    const told = this.#options.speaker.advertised(key) ?? []
    const verdict = switchVerdict(new Map(told.map(({ prefix, nextHop }) => [prefix, nextHop])), table)
    const report = `${reportsSince} ${session.since}`
    if (verdict.status === 'kept') this.#sound.set(key, report)
    const believed = this.#sound.get(key) === report || reportsSince > session.since + EARLY_MILLISECONDS
    if (verdict.status !== 'not-kept' || believed) return verdict
    this.#station.askAgain(key)
    return { status: 'unknown', reason: 'the device was asked to report by BMP again' }
  }

  /** Notes which devices are silent, and comes back when their time is up. */
  #watchSilence(): void {
    const { clock } = this.#options
    const now = clock.monotonic()
    const silent = new Set(
      this.#peers.map(({ name }) => name).filter(name => this.#station.reportsSince(name) === undefined),
    )
    for (const name of this.#unheard.keys()) if (!silent.has(name)) this.#unheard.delete(name)
    for (const name of silent) if (!this.#unheard.has(name)) this.#unheard.set(name, now)
    this.#cancelPatience()
    const waiting = [...this.#unheard.values()]
      .map(since => since + UNHEARD_MILLISECONDS - now)
      .filter(left => left > 0)
    if (waiting.length > 0) this.#cancelPatience = clock.after(Math.min(...waiting), () => this.#judge())
  }

  #tell(): void {
    const text = JSON.stringify([[...this.#verdicts], this.problems()])
    if (text === this.#told) return
    this.#told = text
    this.#options.changed()
  }
}
