/**
 * Answers an operator who asks, by a word on BGPPeers, that all paths be tried now
 * (kube/path-check.ts): each word once, one check at a time, and no word that is old. Where the
 * word comes from and where the answer goes is the caller's.
 */
import { askedAt } from '../kube/path-check.ts'
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import type { PathsView } from '../model/snapshot.ts'

export interface ChecksOnDemandOptions {
  readonly clock: Clock
  readonly log: Log
  /** Words that stand on BGPPeers now, by their names. */
  readonly asked: () => ReadonlyMap<string, string>
  /** Tries the paths that are of interest to those BGPPeers. */
  readonly check: (bgpPeers: readonly string[]) => Promise<PathsView>
  /** Tells what came of it: on the first of those BGPPeers, as one word is one question. */
  readonly report: (bgpPeer: string, word: string, paths: PathsView) => void
}

/** One that was asked longer ago is not waited for any more. Clocks may be a minute apart. */
const OLD_MILLISECONDS = 3 * 60_000
/** Words of one check come one after the other, a BGPPeer each. */
const SETTLE_MILLISECONDS = 300
/** Whoever asks again and again, so often and no more. */
const PAUSE_MILLISECONDS = 5000

export class ChecksOnDemand {
  readonly #options: ChecksOnDemandOptions
  readonly #loop: Loop
  readonly #answered = new Set<string>()
  #nextAt = 0

  constructor(options: ChecksOnDemandOptions) {
    this.#options = options
    const { clock, log } = options
    this.#loop = new Loop({
      clock,
      run: () => this.#pass(),
      onError: error => log.warn({ reason: errorText(error) }, 'a check of paths that was asked for failed'),
      settleMilliseconds: SETTLE_MILLISECONDS,
    })
    this.#loop.wake()
  }

  /** To be called when BGPPeers have changed. */
  wake(): void {
    this.#loop.wake()
  }

  close(): Promise<void> {
    return this.#loop.close()
  }

  async #pass(): Promise<void> {
    const { clock, log, asked, check, report } = this.#options
    const now = clock.now()
    const words = [...asked()].filter(([, word]) => Math.abs(now - askedAt(word)) < OLD_MILLISECONDS)
    for (const word of this.#answered) if (!words.some(([, one]) => one === word)) this.#answered.delete(word)
    const [bgpPeer, word] = words.find(([, one]) => !this.#answered.has(one)) ?? []
    if (bgpPeer === undefined || word === undefined) return
    const wait = this.#nextAt - clock.monotonic()
    if (wait > 0) return this.#loop.wake(wait)
    log.info({ name: bgpPeer }, 'an operator asks for a check of all paths')
    this.#answered.add(word)
    this.#nextAt = clock.monotonic() + PAUSE_MILLISECONDS
    report(bgpPeer, word, await check(words.filter(([, one]) => one === word).map(([name]) => name)))
    this.#loop.wake()
  }
}
