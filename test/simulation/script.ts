/**
 * What one run of the simulation is: the shape of a site, how strong which faults are, and events
 * at their times. A script and its seed say everything, so it can be kept as a file and replays
 * exactly.
 */
import type { NetworkFaults } from './api-network.ts'

export interface Shape {
  /** Nodes of each LAN. */
  readonly lans: readonly number[]
  readonly controllers: number
  readonly pool: string
  readonly podsPerNode: number
  readonly rememberSeconds: number
  readonly removal: { readonly share: number; readonly number: number; readonly delayMilliseconds: number }
  /** Whether LANs name two gateways. */
  readonly twoGateways: boolean
}

/** How strong the faults are that are there all the time until the end of faults. */
export interface Levels {
  readonly network: NetworkFaults
  /** The most that a timer comes late. */
  readonly lateMilliseconds: number
  /** Clocks of machines are off by up to this. */
  readonly clockMilliseconds: number
  readonly pageSize: number
  readonly writeBytes: number
}

export type Happening =
  /** A machine that was off is switched on and its kubelet registers the Node. */
  | { readonly do: 'join'; readonly node: string }
  /** kubectl delete node; the machine goes on. With `drained` it was cordoned before. */
  | { readonly do: 'delete-node'; readonly node: string; readonly drained: boolean }
  /** A kubelet registers its Node, if there is none. */
  | { readonly do: 'register'; readonly node: string }
  /** The process dies after so many more effects, and comes back. */
  | { readonly do: 'crash'; readonly process: string; readonly effects: number; readonly backMilliseconds: number }
  /**
   * The machine loses power and comes back; with `swap`, with the disk of another one that did too.
   */
  | { readonly do: 'power'; readonly node: string; readonly swap?: string; readonly backMilliseconds: number }
  | {
      readonly do: 'cut'
      readonly process: string
      readonly way: 'both' | 'requests' | 'answers'
      readonly refused: boolean
      readonly forMilliseconds: number
    }
  | { readonly do: 'api-down'; readonly forMilliseconds: number }
  | {
      readonly do: 'pods'
      readonly node: string
      readonly verb: 'add' | 'delete' | 'collect'
      /** How many at once. */
      readonly count: number
      /** After which each plugin dies. */
      readonly effects: number
    }
  | { readonly do: 'cut-watches'; readonly process?: string }
  | { readonly do: 'compact' }
  | { readonly do: 'backup' }
  | { readonly do: 'restore'; readonly bump: boolean }
  | { readonly do: 'delete-route'; readonly node: string; readonly nth: number }
  | { readonly do: 'flap'; readonly node: string; readonly forMilliseconds: number }
  | { readonly do: 'lose-watch'; readonly node: string; readonly forMilliseconds: number }
  | { readonly do: 'gateway'; readonly lan: number; readonly which: number; readonly forMilliseconds: number }
  | { readonly do: 'disk-full'; readonly node: string; readonly forMilliseconds: number }
  | { readonly do: 'delete-slice'; readonly nth: number }
  | { readonly do: 'delete-peer'; readonly lan: number; readonly forMilliseconds: number }
  | { readonly do: 'relabel'; readonly node: string; readonly lan: number }

export type Event = { readonly at: number } & Happening

export interface Script {
  readonly seed: number
  readonly shape: Shape
  readonly levels: Levels
  readonly events: readonly Event[]
  /** When all faults end, virtual milliseconds. */
  readonly quietAt: number
  /** How long nothing may happen after it has come to rest. */
  readonly restMilliseconds: number
}

/** No faults at all: how it is once they have ended. */
export const CALM: Levels = {
  network: {
    leastMilliseconds: 1,
    mostMilliseconds: 5,
    late: 0,
    lateMilliseconds: 0,
    unanswered: 0,
    lost: 0,
    errors: 0,
    split: 0,
  },
  lateMilliseconds: 0,
  clockMilliseconds: 0,
  pageSize: 500,
  writeBytes: 0,
}
