/**
 * Which of several gateways answer: asked of the kernel's tables of neighbours every two seconds,
 * with a probe of each, so that one that falls silent is known within some five seconds and one
 * that never was there at once. Of a single gateway nothing is asked, for there is no other way.
 *
 * What follows is decided in gateways.ts: of several those that answer count, all where none does.
 */
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { NUD } from '../netlink/constants.ts'
import type { NetworkDoor } from '../netlink/door.ts'
import { probeNeighbour } from '../netlink/neighbour.ts'
import type { Neighbour } from '../netlink/types.ts'

/** A gateway on a link. */
export interface GatewayOnLink {
  readonly address: string
  /** Interface index. */
  readonly interface: number
}

export interface AnsweringOptions {
  readonly clock: Clock
  readonly log: Log
  readonly door: NetworkDoor
  readonly onChange: () => void
}

const EVERY_MILLISECONDS = 2000
/** States of an entry that has a hardware address which nobody has doubted yet. */
const ANSWERING = NUD.REACHABLE | NUD.STALE | NUD.DELAY | NUD.PROBE | NUD.PERMANENT | NUD.NOARP

export class AnsweringGateways {
  readonly #options: AnsweringOptions
  #loop: Loop | undefined
  #wanted: readonly GatewayOnLink[] = []
  #answering: ReadonlySet<string> = new Set()

  constructor(options: AnsweringOptions) {
    this.#options = options
  }

  /** Those of several gateways that answer; says later, by `onChange`, when these are others. */
  among(gateways: readonly GatewayOnLink[]): ReadonlySet<string> {
    if (JSON.stringify(gateways) === JSON.stringify(this.#wanted)) return this.#answering
    this.#wanted = gateways
    if (gateways.length < 2) {
      this.#answering = new Set()
      return this.#answering
    }
    this.#look()
    this.#loop ??= this.#start()
    return this.#answering
  }

  async close(): Promise<void> {
    await this.#loop?.close()
  }

  #start(): Loop {
    const { clock, log, onChange } = this.#options
    const loop = new Loop({
      clock,
      everyMilliseconds: EVERY_MILLISECONDS,
      run: () => {
        if (this.#wanted.length < 2) return
        const before = [...this.#answering].join()
        this.#look()
        if ([...this.#answering].join() !== before) onChange()
      },
      onError: error => log.warn({ detail: errorText(error) }, 'whether gateways answer cannot be asked'),
    })
    loop.wake()
    return loop
  }

  /** What the table says now, and a probe of each for the next time. */
  #look(): void {
    const kernel = this.#options.door.open()
    try {
      const neighbours = kernel.dumpNeighbours()
      const entryOf = (gateway: GatewayOnLink) =>
        neighbours.find(one => one.address === gateway.address && one.interface === gateway.interface)
      this.#answering = new Set(this.#wanted.filter(one => answers(entryOf(one))).map(({ address }) => address))
      kernel.execute(this.#wanted.flatMap(one => probeOf(one, entryOf(one))))
    } finally {
      kernel.close()
    }
  }
}

function answers(entry: Neighbour | undefined): boolean {
  return entry !== undefined && (entry.state & ANSWERING) !== 0
}

/** One that is asked for already, or never is, is let alone. */
function probeOf(gateway: GatewayOnLink, entry: Neighbour | undefined) {
  if (entry === undefined || (entry.state & NUD.FAILED) !== 0) return [probeNeighbour(gateway)]
  if ((entry.state & (NUD.REACHABLE | NUD.STALE | NUD.DELAY)) === 0) return []
  return [probeNeighbour({ ...gateway, hardwareAddress: entry.hardwareAddress })]
}
