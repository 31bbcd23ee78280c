/**
 * The messages of the BGP Monitoring Protocol (RFC 7854) as values: what a router tells a station
 * of its neighbours and of the routes that it has from each. Only what a station for one's own
 * sessions needs is decoded; the rest is counted. Pure.
 */
import type { Open, Update } from '../codec/message-types.ts'

/**
 * Which of a router's tables a message is about: what it received from the neighbour, what its
 * import policy left of that (L flag), or another one (RFC 8671, RFC 9069).
 */
export type BmpTable = 'pre-policy' | 'post-policy' | 'other'

/** RFC 7854 section 4.2: the neighbour of the router that a message is about. */
export interface BmpPeer {
  /** Canonical. */
  readonly address: string
  readonly asNumber: number
  readonly routerId: string
  readonly table: BmpTable
  /** The A flag: AS numbers in UPDATEs have 2 octets. */
  readonly twoOctetAs: boolean
}

export type BmpMessage =
  /** Section 4.3: who the router is. */
  | { readonly type: 'initiation'; readonly sysName?: string; readonly sysDescr?: string }
  /** Section 4.5. */
  | { readonly type: 'termination'; readonly reason?: number }
  /** Section 4.10: `sent` is the router's OPEN, `received` its neighbour's. */
  | {
      readonly type: 'peer-up'
      readonly peer: BmpPeer
      readonly localAddress: string
      readonly sent?: Open
      readonly received?: Open
    }
  /** Section 4.9. */
  | { readonly type: 'peer-down'; readonly peer: BmpPeer; readonly reason: number }
  /** Section 4.6. `update` absent: it could not be decoded. */
  | { readonly type: 'route-monitoring'; readonly peer: BmpPeer; readonly update?: Update }
  /** Section 4.8: the counters by their number. */
  | { readonly type: 'statistics'; readonly peer: BmpPeer; readonly counters: ReadonlyMap<number, number> }
  /** Of a kind that is not read, or about a neighbour that is none of ours. */
  | { readonly type: 'skipped' }

/** Whole messages, and after them what makes the stream useless. */
export interface BmpFramed {
  readonly messages: readonly Uint8Array[]
  readonly error?: string
}
