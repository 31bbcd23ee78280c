/**
 * Gateways of routes at which nobody answers: asked of the kernel's table of neighbours every six
 * seconds, with a probe of each. It changes no route, for there may be no other way; but a gateway
 * that nobody has is worth a word.
 */
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import type { NetworkDoor } from '../netlink/door.ts'
import { answers, probeOf } from './answering-gateways.ts'
import type { UsedGateway } from './desired-routes.ts'

export interface SilentOptions {
  readonly clock: Clock
  readonly log: Log
  readonly door: NetworkDoor
  /** Others are silent than before. */
  readonly onChange: () => void
}

const EVERY_MILLISECONDS = 6000
/** No answer for so long is no table that fills, but nobody there. */
const SILENT_MILLISECONDS = 10_000

export class SilentGateways {
  readonly #options: SilentOptions
  readonly #loop: Loop
  #used: readonly UsedGateway[] = []
  /** When each was heard last, or asked for the first time (Clock.monotonic() milliseconds). */
  readonly #heard = new Map<string, number>()
  #silent: readonly UsedGateway[] = []

  constructor(options: SilentOptions) {
    this.#options = options
    const { clock, log, onChange } = options
    this.#loop = new Loop({
      clock,
      everyMilliseconds: EVERY_MILLISECONDS,
      run: () => {
        const before = JSON.stringify(this.#silent)
        this.#look()
        if (JSON.stringify(this.#silent) !== before) onChange()
      },
      onError: error => log.warn({ detail: errorText(error) }, 'whether gateways answer cannot be asked'),
    })
  }

  /**
   * Those of the gateways that routes go by at which nobody answered for a while; says later, by
   * `onChange`, when these are others.
   */
  among(used: readonly UsedGateway[]): readonly UsedGateway[] {
    if (JSON.stringify(used) !== JSON.stringify(this.#used)) {
      this.#used = used
      this.#loop.wake()
    }
    return this.#silent
  }

  async close(): Promise<void> {
    await this.#loop.close()
  }

  #look(): void {
    if (this.#used.length === 0) {
      this.#heard.clear()
      this.#silent = []
      return
    }
    const now = this.#options.clock.monotonic()
    const kernel = this.#options.door.open()
    try {
      const neighbours = kernel.dumpNeighbours()
      const entryOf = ({ address, interface: index }: UsedGateway) =>
        neighbours.find(one => one.address === address && one.interface === index)
      const keys = new Set(this.#used.map(keyOf))
      for (const key of this.#heard.keys()) if (!keys.has(key)) this.#heard.delete(key)
      for (const one of this.#used) {
        if (answers(entryOf(one)) || !this.#heard.has(keyOf(one))) this.#heard.set(keyOf(one), now)
      }
      kernel.execute(this.#used.flatMap(one => probeOf(one, entryOf(one))))
    } finally {
      kernel.close()
    }
    this.#silent = this.#used.filter(one => now - (this.#heard.get(keyOf(one)) ?? now) >= SILENT_MILLISECONDS)
  }
}

function keyOf({ address, interface: index }: UsedGateway): string {
  return `${address} ${index}`
}
