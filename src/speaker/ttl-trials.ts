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

interface Trial {
  readonly minimum: number
  readonly outcome: 'asked' | 'passes' | 'lost'
  readonly cancelNext?: Cancel
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
      if (outcome === 'lost') problems.push(heldProblem(config, minimum))
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
    this.#trials.get(key)?.cancelNext?.()
    this.#trials.delete(key)
  }

  #outcome(key: string, minimum: number): Trial['outcome'] {
    const trial = this.#trials.get(key)
    if (trial?.minimum === minimum) return trial.outcome
    this.#forget(key)
    this.#trials.set(key, { minimum, outcome: 'asked' })
    this.#try(key, minimum)
    return this.#trials.get(key)?.outcome ?? 'asked'
  }

  #try(key: string, minimum: number): void {
    const { speaker, clock, wake } = this.#options
    const isAsked = () => this.#trials.get(key)?.minimum === minimum
    const tell = (passes: boolean | undefined) => {
      if (!isAsked()) return
      const before = this.#trials.get(key)?.outcome
      if (passes === false) {
        const cancelNext = clock.after(AGAIN_MILLISECONDS, () => this.#try(key, minimum))
        this.#trials.set(key, { minimum, outcome: 'lost', cancelNext })
      } else this.#trials.set(key, { minimum, outcome: 'passes' })
      if (this.#trials.get(key)?.outcome !== before) wake()
    }
    // where nobody can try it, it is as it was asked for
    if (speaker.tryTtl === undefined) tell(undefined)
    else speaker.tryTtl(key, minimum, tell)
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

function heldProblem({ key, peerAddress }: PeerConfig, minimum: number): SpeakerProblem {
  const message = `ttlSecurity is not in force: packets of ${peerAddress} come with a TTL below ${minimum}, so the session would not come back; it stays as it was until it is opened anew. Turn TTL security on at the switch (it closes the session once), or take ttlSecurity out`
  return { bgpPeer: key, kind: 'TtlTooLow', message }
}
