/**
 * TTL security that a BGPPeer asks for while its session is up is tried on that session first: a
 * switch that does not send with TTL 255 would never be heard again. Until its packets pass, the
 * session stays as it was, and that is said.
 */
import { hopLimits } from '../bgp/machine/peer-settings.ts'
import type { PeerConfig, Speaker } from '../bgp/speaker-types.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { SpeakerProblem } from './speaker-problem.ts'

export interface TtlTrialsOptions {
  readonly speaker: Pick<Speaker, 'sessions' | 'tryTtl'>
  readonly clock: Clock
  /** The peers are to be looked at again. */
  readonly wake: () => void
}

/** What is tried of one peer until it, or what it asks for, changes. */
interface Trial {
  readonly minimum: number
  outcome: 'asked' | 'passes' | 'lost' | 'unknown'
  /** Ends the one that runs. */
  end?: Cancel
  cancelNext?: Cancel
}

/** The switch may have been changed meanwhile. */
const AGAIN_MILLISECONDS = 60_000

export class TtlTrials {
  readonly #options: TtlTrialsOptions
  /** By BGPPeer. */
  readonly #trials = new Map<string, Trial>()

  constructor(options: TtlTrialsOptions) {
    this.#options = options
  }

  /** The peers as they can be now, by what is in force (`former`), and what is held of them. */
  hold(
    wanted: readonly PeerConfig[],
    former: ReadonlyMap<string, PeerConfig>,
  ): { readonly peers: readonly PeerConfig[]; readonly problems: readonly SpeakerProblem[] } {
    const { speaker } = this.#options
    const up = new Set(speaker.sessions().flatMap(({ key, state }) => (state === 'Established' ? [key] : [])))
    const problems: SpeakerProblem[] = []
    for (const key of this.#trials.keys()) if (!wanted.some(config => config.key === key)) this.#forget(key)
    const peers = wanted.map(config => {
      const before = former.get(config.key)
      const minimum = up.has(config.key) && before !== undefined ? raisedMinimum(before, config) : undefined
      if (before === undefined || minimum === undefined) {
        this.#forget(config.key)
        return config
      }
      const outcome = this.#outcome(config.key, minimum)
      if (outcome === 'passes') return config
      if (outcome !== 'asked') problems.push(heldProblem(config, minimum, outcome))
      const { ttlSecurity: _, ebgpMultihop: __, ...rest } = config
      return {
        ...rest,
        ...(before.ttlSecurity !== undefined && { ttlSecurity: before.ttlSecurity }),
        ...(before.ebgpMultihop !== undefined && { ebgpMultihop: before.ebgpMultihop }),
      }
    })
    return { peers, problems }
  }

  close(): void {
    for (const key of [...this.#trials.keys()]) this.#forget(key)
  }

  #forget(key: string): void {
    const trial = this.#trials.get(key)
    this.#trials.delete(key)
    trial?.cancelNext?.()
    trial?.end?.()
  }

  #outcome(key: string, minimum: number): Trial['outcome'] {
    const known = this.#trials.get(key)
    if (known?.minimum === minimum) return known.outcome
    this.#forget(key)
    const trial: Trial = { minimum, outcome: 'asked' }
    this.#trials.set(key, trial)
    this.#try(key, trial)
    return trial.outcome
  }

  #try(key: string, trial: Trial): void {
    const { speaker, clock, wake } = this.#options
    const tell = (passes: boolean | undefined) => {
      if (this.#trials.get(key) !== trial) return
      const before = trial.outcome
      trial.outcome = passes === undefined ? 'unknown' : passes ? 'passes' : 'lost'
      if (passes !== true) trial.cancelNext = clock.after(AGAIN_MILLISECONDS, () => this.#try(key, trial))
      if (trial.outcome !== before) wake()
    }
    // where nobody can try it, it is as it was asked for
    if (speaker.tryTtl === undefined) tell(true)
    else trial.end = speaker.tryTtl(key, trial.minimum, tell)
  }
}

/** The least TTL that would be taken, where that is more than now, of a peer that stays itself. */
function raisedMinimum(before: PeerConfig, after: PeerConfig): number | undefined {
  const same =
    before.peerAddress === after.peerAddress && before.peerAs === after.peerAs && before.localAs === after.localAs
  const { minimumTtl = 0 } = hopLimits(before)
  const { minimumTtl: wanted = 0 } = hopLimits(after)
  return same && wanted > minimumTtl ? wanted : undefined
}

function heldProblem({ key, peerAddress }: PeerConfig, minimum: number, outcome: 'lost' | 'unknown'): SpeakerProblem {
  const remedy =
    'it stays as it was until it is opened anew. Turn TTL security on at the switch (it closes the session once), or take ttlSecurity out'
  return outcome === 'lost'
    ? {
        bgpPeer: key,
        kind: 'TtlTooLow',
        message: `ttlSecurity is not in force: packets of ${peerAddress} come with a TTL below ${minimum}, so the session would not come back; ${remedy}`,
      }
    : {
        bgpPeer: key,
        kind: 'TtlNotKnown',
        message: `ttlSecurity is not in force: whether packets of ${peerAddress} come with a TTL of ${minimum} could not be tried on the session; ${remedy}`,
      }
}
