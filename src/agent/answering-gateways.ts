/**
 * Which of several gateways answer: asked of the kernel's tables of neighbours every two seconds,
 * with a probe of each, so that one that falls silent is known within some five seconds and one
 * that never was there at once. Of a single gateway nothing is asked, for there is no other way.
 *
 * What follows, with what BGP and BFD know, is decided in gateway-evidence.ts.
 */
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { FAMILIES, familyOf } from '../lib/ip.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { NUD } from '../netlink/constants.ts'
import type { NetworkDoor } from '../netlink/door.ts'
import { probeNeighbour } from '../netlink/neighbour.ts'
import type { Neighbour } from '../netlink/types.ts'
import { type Judged, judgeGateways, type PeerEvidence } from './gateway-evidence.ts'

/** A gateway on a link. */
export interface GatewayOnLink {
  readonly address: string
  readonly isDerived: boolean
  /** Interface index. */
  readonly interface: number
}

export interface AnsweringOptions {
  readonly clock: Clock
  readonly log: Log
  readonly door: NetworkDoor
  readonly onChange: () => void
  /** What BGP and BFD know of peers. */
  readonly peers: () => readonly PeerEvidence[]
}

const EVERY_MILLISECONDS = 2000
/** States of an entry that has a hardware address which nobody has doubted yet. */
const ANSWERING = NUD.REACHABLE | NUD.STALE | NUD.DELAY | NUD.PROBE | NUD.PERMANENT | NUD.NOARP

export class AnsweringGateways {
  readonly #options: AnsweringOptions
  #loop: Loop | undefined
  #wanted: readonly GatewayOnLink[] = []
  #answering: ReadonlySet<string> = new Set()
  #told = ''

  constructor(options: AnsweringOptions) {
    this.#options = options
  }

  /** Those of several gateways that count; says later, by `onChange`, when these are others. */
  among(gateways: readonly GatewayOnLink[]): Judged {
    if (JSON.stringify(gateways) !== JSON.stringify(this.#wanted)) {
      this.#wanted = gateways
      if (gateways.length > 1) this.#look()
    }
    if (gateways.length > 1) this.#loop ??= this.#start()
    return this.#judge()
  }

  /** Those of one family tell nothing of the other's. */
  #judge(): Judged {
    const peers = this.#options.peers()
    const candidates = this.#wanted.map(one => ({ ...one, answers: this.#answering.has(one.address) }))
    const judged = FAMILIES.map(family =>
      judgeGateways(
        candidates.filter(({ address }) => familyOf(address) === family),
        peers,
      ),
    )
    return {
      counting: new Set(judged.flatMap(({ counting }) => [...counting])),
      reasons: new Map(judged.flatMap(({ reasons }) => [...reasons])),
    }
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
        this.#look()
        const counting = [...this.#judge().counting].join()
        if (counting !== this.#told) onChange()
        this.#told = counting
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

export function answers(entry: Neighbour | undefined): boolean {
  return entry !== undefined && (entry.state & ANSWERING) !== 0
}

/** One that is asked for already, or never is, is let alone. */
export function probeOf(gateway: Pick<GatewayOnLink, 'address' | 'interface'>, entry: Neighbour | undefined) {
  if (entry === undefined || (entry.state & NUD.FAILED) !== 0) return [probeNeighbour(gateway)]
  if ((entry.state & (NUD.REACHABLE | NUD.STALE | NUD.DELAY)) === 0) return []
  return [probeNeighbour({ ...gateway, hardwareAddress: entry.hardwareAddress })]
}
