/**
 * The view that agent, firewall and speaker act on: what the cluster says, without podCIDRs that
 * cover a lifeline (sound-entries.ts) and without changes that cost contact with the API server
 * (held-changes.ts). While a change is on trial it asks the server whether it still answers, by a
 * few small requests; at other times it asks nothing.
 */
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'
import { errorText } from '../lib/errors.ts'
import { comparing, identical, sameItems, sameJson } from '../lib/fields.ts'
import { Listeners } from '../lib/listeners.ts'
import type { Log } from '../lib/log.ts'
import { announcedAnew } from './announced-anew.ts'
import type { SpeakerStatus } from './bgp-peer.ts'
import type { ClusterView, ClusterViewSource } from './cluster-view-types.ts'
import {
  beforeTrial,
  type HeldChanges,
  heldTexts,
  holdChanges,
  isHolding,
  isOnTrial,
  NO_TRIAL,
  NOTHING_HELD,
  type RoutingObjects,
  sameRouting,
  stillHeld,
  type Trial,
  trialAgain,
  trialOfChange,
  trialStep,
  withoutHeld,
  withWays,
} from './held-changes.ts'
import { loadHeld, storeHeld } from './held-state.ts'
import { type Lifeline, type Refusal, refusalText, soundEntries } from './sound-entries.ts'

/** Who knows what this node lives by. */
export interface LifelineSource {
  current(): readonly Lifeline[]
  onChange(listener: () => void): () => void
  /**
   * The API server was silent once: asks now whether the first steps of the way to it still answer.
   */
  probePath(): void
  /** Whether something else than routes of ours explains its silence. */
  pathIsDown(): boolean
  /** Whether all that packets to the API server go by is known, and so covered by no podCIDR. */
  wayIsKnown(): boolean
}

export interface SoundViewOptions {
  readonly source: ClusterViewSource
  /** The name of this node. */
  readonly self: string
  readonly lifelines: LifelineSource
  /**
   * Resolves when the API server has answered anything; rejects when it is silent. Absent: nothing
   * is put on trial.
   */
  readonly ask?: () => Promise<void>
  /** Where held changes are kept. */
  readonly stateDir: string
  /** Absent: the machine's. */
  readonly disk?: Disk
  readonly clock: Clock
  readonly log: Log
  /** Is told what is held, when that begins. */
  readonly onHeld?: (texts: readonly string[]) => void
  /** Other pauses than the usual ones: for tests. */
  readonly askMilliseconds?: { readonly quiet: number; readonly silent: number }
}

export interface SoundView extends ClusterViewSource {
  readonly problems: readonly string[]
}

/** Between two questions, while the server answers (then doubling) and while it does not. */
const ASK_MILLISECONDS = { quiet: 2000, silent: 2000 }
const ASK_AT_MOST_MILLISECONDS = 15_000

export function createSoundView(options: SoundViewOptions): SoundView {
  return new View(options)
}

class View implements SoundView {
  readonly #options: SoundViewOptions
  readonly #listeners = new Listeners()
  readonly #stops: readonly (() => void)[]
  #held = NOTHING_HELD
  /** What the process before had on trial, until there is a view. */
  #left = NOTHING_HELD
  #trial: Trial = NO_TRIAL
  /** Whether the state folder says that something is on trial. */
  #isTrialKept = false
  /** Whether only announcements are taken back. */
  #sparesRoutes = false
  #believed: ClusterView | undefined
  #shown: ClusterView | undefined
  #refused: readonly Refusal[] = []
  #asked = 0
  #cancelAsking: Cancel | undefined

  constructor(options: SoundViewOptions) {
    this.#options = options
    try {
      const { held, onTrial } = loadHeld(options.stateDir, options.disk)
      this.#held = held
      this.#left = onTrial
      this.#isTrialKept = isHolding(onTrial)
    } catch (error) {
      options.log.warn({ file: options.stateDir, reason: errorText(error) }, 'what was held cannot be read')
    }
    this.#stops = [options.source.onChange(() => this.#changed()), options.lifelines.onChange(() => this.#show())]
    this.#changed()
  }

  current(): ClusterView | undefined {
    return this.#shown
  }
  get problems(): readonly string[] {
    const what = this.#sparesRoutes ? 'the newest announcements' : 'changes'
    const trial = this.#trial.takenBackAt === undefined ? [] : [`the API server fell silent: ${what} are taken back`]
    return [...this.#refused.map(refusalText), ...heldTexts(this.#held), ...trial]
  }
  onChange(listener: () => void): () => void {
    return this.#listeners.add(listener)
  }
  entryOf(bgpPeer: string): SpeakerStatus | undefined {
    return this.#options.source.entryOf(bgpPeer)
  }
  hasEntry(bgpPeer: string): boolean | undefined {
    return this.#options.source.hasEntry(bgpPeer)
  }
  get contact(): ClusterViewSource['contact'] {
    return this.#options.source.contact
  }
  close(): void {
    for (const stop of this.#stops) stop()
    this.#cancelAsking?.()
    this.#listeners.clear()
    this.#options.source.close()
  }

  /** The cluster says something else. */
  #changed(): void {
    const { source, clock, self } = this.#options
    const next = source.current()
    const before = this.#believed
    this.#believed = next
    if (next === undefined) return
    const held = stillHeld(next, this.#held)
    if (held.entries.size !== this.#held.entries.size) this.#hold(held)
    // what comes from the API server says that it answers
    if (next.source === 'api') this.#trial = { ...this.#trial, answeredAt: clock.monotonic() }
    const known = before?.entries.some(({ node }) => node === self) === true
    if (before === undefined) this.#tryAgain(withoutHeld(next, held))
    else if (known && !sameRouting(withoutHeld(before, held), withoutHeld(next, held))) {
      this.#trial = trialOfChange(this.#trial, withoutHeld(before, held), clock.monotonic())
      this.#asked = 0
      this.#keep()
      this.#askLater()
    }
    this.#show()
  }

  /** A restart, or a loss of power, is no way around a trial. */
  #tryAgain(first: ClusterView): void {
    const { clock, log } = this.#options
    this.#trial = { ...this.#trial, ...trialAgain(first, this.#left, clock.monotonic()) }
    this.#left = NOTHING_HELD
    if (!isOnTrial(this.#trial)) return
    log.info({}, 'changes that the process before had on trial are on trial again')
    this.#askLater()
  }

  /** Decides anew what is believed, and says so where it differs. */
  #show(): void {
    const believed = this.#believed
    if (believed === undefined) return
    const { self, lifelines, log } = this.#options
    const wanted = this.#inForce(believed)
    const { entries, refused } = soundEntries({ self, ...wanted, lifelines: lifelines.current() })
    const next: ClusterView = { ...wanted, entries, refused }
    const news = refused.filter(one => !this.#refused.some(other => refusalText(other) === refusalText(one)))
    for (const one of news) log.error({ detail: refusalText(one) }, 'a podCIDR is refused')
    this.#refused = refused
    if (this.#shown !== undefined && sameView(this.#shown, next)) return
    this.#shown = next
    this.#tell()
  }

  #inForce(believed: ClusterView): ClusterView {
    const former = this.#trial.takenBackAt === undefined ? undefined : beforeTrial(this.#trial)
    if (former !== undefined && !this.#sparesRoutes) return withWays(believed, former)
    const wanted = withoutHeld(believed, this.#held)
    if (former === undefined) return wanted
    return { ...wanted, unannounced: announcedAnew(this.#options.self, wanted, former) }
  }

  /** Whether nothing that is on trial can lead packets to the server astray. */
  #isHarmless(wayIsKnown: boolean): boolean {
    const former = beforeTrial(this.#trial)
    if (former === undefined || this.#believed === undefined) return true
    const wanted = withoutHeld(this.#believed, this.#held)
    return wayIsKnown && announcedAnew(this.#options.self, wanted, former).length === 0
  }

  /** Holds what was taken back: where that was announcements, nothing but the nodes of these. */
  #holdTakenBack(former: RoutingObjects, believed: ClusterView): void {
    const wanted = withoutHeld(believed, this.#held)
    const anew = new Set(announcedAnew(this.#options.self, wanted, former))
    const blamed = wanted.entries.filter(({ podCIDRs }) => podCIDRs.some(podCIDR => anew.has(podCIDR)))
    const nodes = this.#sparesRoutes ? blamed.map(({ node }) => node) : undefined
    this.#hold(holdChanges(former, wanted, this.#held, nodes))
    for (const detail of heldTexts(this.#held)) this.#options.log.error({ detail }, 'a change is held')
    this.#options.onHeld?.(heldTexts(this.#held))
  }

  #askLater(): void {
    const { ask, clock, askMilliseconds = ASK_MILLISECONDS } = this.#options
    this.#cancelAsking?.()
    this.#cancelAsking = undefined
    if (ask === undefined || !isOnTrial(this.#trial)) return
    const { silent, outage } = this.#trial
    const grown = (outage ? 8 : 1) * (silent > 0 ? askMilliseconds.silent : askMilliseconds.quiet * 2 ** this.#asked)
    this.#cancelAsking = clock.after(Math.min(grown, ASK_AT_MOST_MILLISECONDS), () => {
      this.#asked++
      void ask().then(
        () => this.#answered(true),
        () => this.#answered(false),
      )
    })
  }

  #answered(answered: boolean): void {
    const { clock, lifelines, log } = this.#options
    if (!answered && this.#trial.silent === 0) lifelines.probePath()
    const wayIsKnown = lifelines.wayIsKnown()
    const harmless = this.#isHarmless(wayIsKnown)
    const innocent = !answered && (harmless || lifelines.pathIsDown())
    const before = this.#trial
    const [trial, verdict] = trialStep(before, { answered, innocent, harmless, at: clock.monotonic() })
    const former = beforeTrial(before)
    this.#trial = trial
    if (verdict === 'take back') {
      this.#sparesRoutes = wayIsKnown
      const what = wayIsKnown ? 'what was announced is withdrawn' : 'the former ones come back'
      log.error({}, `the API server fell silent after routes changed: ${what}`)
    }
    if (verdict === 'put back')
      log.warn({}, 'the API server is silent with the former routes too: the new ones are put back')
    if (verdict === 'try again') {
      this.#asked = 0
      log.warn({}, 'the API server answers with the former routes: the new ones are tried once more')
    }
    if (verdict === 'hold' && former !== undefined && this.#believed !== undefined)
      this.#holdTakenBack(former, this.#believed)
    if (verdict !== 'go on') {
      this.#show()
      this.#tell()
    }
    if (this.#isTrialKept && beforeTrial(trial) === undefined) this.#keep()
    this.#askLater()
  }

  #hold(held: HeldChanges): void {
    this.#held = held
    this.#keep()
  }

  /** Stores what is held and on trial. */
  #keep(): void {
    const { stateDir, disk, log } = this.#options
    const before = beforeTrial(this.#trial)
    const onTrial =
      before === undefined || this.#believed === undefined
        ? NOTHING_HELD
        : holdChanges(before, withoutHeld(this.#believed, this.#held), NOTHING_HELD)
    try {
      storeHeld(stateDir, { held: this.#held, onTrial }, disk)
      this.#isTrialKept = isHolding(onTrial)
    } catch (error) {
      const detail = errorText(error)
      if (isHolding(this.#held)) log.error({ detail }, 'what is held cannot be stored: a restart would forget it')
    }
  }

  #tell(): void {
    this.#listeners.tell()
  }
}

const sameView = comparing<ClusterView>({
  entries: sameItems,
  peers: sameItems,
  passwords: identical,
  passwordProblems: identical,
  controllers: sameJson,
  source: identical,
  refused: (a = [], b = []) => sameItems(a, b),
  unannounced: sameJson,
})
