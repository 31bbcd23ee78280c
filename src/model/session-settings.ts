/**
 * What a BGPPeer says of its sessions that BGP takes as it is written: one type for the decoder of
 * the object (kube/decode-bgp-peer.ts) and for BGP (bgp/speaker-types.ts `PeerConfig`). A new field
 * is a line in the type and a line in the table. Pure.
 */
import { type FieldTable, fieldsOf, pickFields } from '../lib/fields.ts'

/** RFC 9234 section 4.1, in lower case. */
export const BGP_ROLES = ['customer', 'peer', 'provider', 'rs-client', 'rs'] as const
export type RoleName = (typeof BGP_ROLES)[number]

export interface SessionSettings {
  readonly peerPort: number
  /** Canonical; absent: this node's own address in the peer's network. */
  readonly sourceAddress?: string
  /** 0: no keepalives; never 1 or 2 (RFC 4271 section 4.2). */
  readonly holdTimeSeconds: number
  readonly connectRetrySeconds: number
  /** RFC 4724. */
  readonly gracefulRestart: {
    readonly enabled: boolean
    readonly restartTimeSeconds: number
    /**
     * RFC 9494: how long the peer may keep our routes as a last resort when the restart time is
     * over; absent: not at all.
     */
    readonly longLivedSeconds?: number
  }
  /** Our role towards an eBGP peer (RFC 9234); absent: none is told and none is asked for. */
  readonly role?: RoleName
  /** TTL of packets to an eBGP peer that is not on a connected network; absent: single hop. */
  readonly ebgpMultihop?: number
  /**
   * GTSM (RFC 5082): the most hops a peer's packets may have made, 1 for directly connected;
   * absent: off.
   */
  readonly ttlSecurity?: number
  /** Waits for the peer to connect, never connects. */
  readonly passive: boolean
}

/**
 * The smallest disturbance that brings a change into force: `none` (only the next connection uses
 * it), `reopen` (the session, gracefully), `replace` (it is another peer: the old one is
 * de-configured).
 */
export type Disturbance = 'none' | 'reopen' | 'replace'

/** What a change of each field asks for. */
export const SESSION_SETTINGS: FieldTable<SessionSettings, Disturbance> = {
  peerPort: 'reopen',
  sourceAddress: 'reopen',
  holdTimeSeconds: 'reopen',
  connectRetrySeconds: 'none',
  gracefulRestart: 'reopen',
  role: 'reopen',
  ebgpMultihop: 'reopen',
  ttlSecurity: 'reopen',
  passive: 'none',
}

/** The settings in a spec that holds more. */
export function sessionSettings(spec: SessionSettings): SessionSettings {
  return pickFields(spec, fieldsOf(SESSION_SETTINGS))
}
