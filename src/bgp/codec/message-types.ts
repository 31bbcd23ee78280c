/**
 * The values of BGP messages: what the codec makes of bytes, and what it makes bytes of. Types
 * only; the functions are in message.ts (`encodeMessage`, `decodeMessage`), message-framer.ts
 * (`MessageFramer`), message-pack.ts (`packUpdates`, `packWithdrawals`, `endOfRib`), nlri.ts
 * (`nlriOf`, `prefixTexts`), errors.ts (`notification`, `describeNotification`).
 *
 * Fields keep the RFC's names in camel case. Byte strings share memory with the input of the
 * decoder. Pure.
 */

import type { Family } from '../../lib/ip.ts'
import type { AttributeValues } from './attributes-types.ts'
import type { Nlri } from './nlri-types.ts'

/**
 * What two speakers agreed on, as far as the meaning of bytes depends on it. Always an explicit
 * argument. Before the OPENs are exchanged nothing is agreed: `INITIAL_CONTEXT` of message.ts.
 */
export interface CodecContext {
  /** Both sides sent the capability: AS numbers in UPDATE have 4 octets (RFC 6793). */
  readonly fourOctetAs: boolean
  /** Messages up to 65535 octets: who receives them has offered it (RFC 8654 section 4). */
  readonly extendedMessages: boolean
  /** The peer has our AS number. */
  readonly ibgp: boolean
  /** The unicast families of the session (RFC 4760). */
  readonly families: readonly Family[]
  /**
   * IPv4 prefixes may have IPv6 next hops: who receives them has offered it (RFC 8950 section 4).
   */
  readonly extendedNextHop: boolean
  /**
   * The families whose prefixes come with Path Identifiers (RFC 7911); absent: none. Only `bgp
   * decode` has some.
   */
  readonly addPath?: readonly Family[]
  /** The peer sent the capability: its ROUTE-REFRESH has a subtype (RFC 7313 section 4). */
  readonly enhancedRouteRefresh?: boolean
  /**
   * Leaves AS_PATH, AS4_PATH, AGGREGATOR and AS4_AGGREGATOR as received instead of merging them
   * (RFC 6793 section 4.2.3).
   */
  readonly keepAs4?: boolean
}

export type Message = Open | Update | Notification | Keepalive | RouteRefresh
export type MessageType = Message['type']

/** RFC 4271 section 4.2. */
export interface Open {
  readonly type: 'OPEN'
  readonly version: number
  /**
   * The AS number that counts: of the 4-octet capability if there is one, else the 2-octet field.
   */
  readonly asNumber: number
  /** Seconds: 0, or 3 and more. */
  readonly holdTime: number
  /** Dotted. */
  readonly bgpIdentifier: string
  /** In the order of the message; `four-octet-as` is among them when present. */
  readonly capabilities: readonly Capability[]
}

/**
 * RFC 4271 section 4.3. Prefixes of other families are in `attributes.MP_REACH_NLRI` and
 * `MP_UNREACH_NLRI`.
 */
export interface Update {
  readonly type: 'UPDATE'
  readonly withdrawn: Nlri
  readonly attributes: PathAttributes
  readonly nlri: Nlri
}

/** RFC 4271 section 4.5. */
export interface Notification {
  readonly type: 'NOTIFICATION'
  readonly code: number
  readonly subcode: number
  readonly data: Uint8Array
}

export interface Keepalive {
  readonly type: 'KEEPALIVE'
}

/**
 * RFC 2918; `subtype` is RFC 7313: 0 request, 1 beginning, 2 end of refresh. Others are to be
 * ignored.
 */
export interface RouteRefresh {
  readonly type: 'ROUTE-REFRESH'
  readonly afi: number
  readonly subtype: number
  readonly safi: number
}

/**
 * Path attributes by their RFC name; absent ones are absent. Attributes without a row in the table
 * are in `unknown`.
 */
export type PathAttributes = Partial<AttributeValues> & { readonly unknown?: readonly UnknownAttribute[] }

export interface UnknownAttribute {
  readonly type: number
  readonly flags: number
  readonly value: Uint8Array
}

export interface AddressFamily {
  readonly afi: number
  readonly safi: number
}

/** RFC 5492; `kind` is the name, also for `SessionView.capabilities`. */
export type Capability =
  | ({ readonly kind: 'multiprotocol' } & AddressFamily)
  | { readonly kind: 'route-refresh' }
  | {
      readonly kind: 'extended-next-hop'
      readonly tuples: readonly (AddressFamily & { readonly nextHopAfi: number })[]
    }
  | { readonly kind: 'extended-message' }
  | { readonly kind: 'role'; readonly role: number }
  | GracefulRestart
  | { readonly kind: 'four-octet-as'; readonly asNumber: number }
  | { readonly kind: 'enhanced-route-refresh' }
  | {
      readonly kind: 'long-lived-graceful-restart'
      readonly families: readonly (AddressFamily & { readonly forwarding: boolean; readonly staleTime: number })[]
    }
  | { readonly kind: 'unknown'; readonly code: number; readonly value: Uint8Array }

/** RFC 4724 section 3, RFC 8538 section 2. */
export interface GracefulRestart {
  readonly kind: 'graceful-restart'
  /** R: the sender has restarted. */
  readonly restarted: boolean
  /** N: the sender keeps routes over NOTIFICATION too (RFC 8538). */
  readonly notification: boolean
  /** Seconds, at most 4095. */
  readonly restartTime: number
  /** F: forwarding state was preserved. */
  readonly families: readonly (AddressFamily & { readonly forwarding: boolean })[]
}

/** RFC 7606 section 2, from mild to severe. */
export type Outcome = 'ok' | 'attribute-discard' | 'treat-as-withdraw' | 'session-reset'

/**
 * What came of decoding. With `attribute-discard` the message is without the bad attributes. With
 * `treat-as-withdraw` all its prefixes are to be withdrawn: `asWithdrawal(message)` of
 * message-update.ts. With `session-reset` send `notification` and close; `message` is then what
 * could be read, for people. `reason` names the RFC and section.
 */
export type Decoded =
  | { readonly outcome: 'ok'; readonly message: Message }
  | { readonly outcome: 'attribute-discard' | 'treat-as-withdraw'; readonly message: Update; readonly reason: string }
  | {
      readonly outcome: 'session-reset'
      readonly message?: Message
      readonly reason: string
      readonly notification: Notification
    }

/** Prefixes that share a next hop and attributes. */
export interface RouteGroup {
  readonly nlri: Nlri
  /**
   * 4 or 16 octets; IPv6 with a link-local address behind it: 32. IPv4 prefixes with 16 or 32: RFC
   * 8950.
   */
  readonly nextHop: Uint8Array
  /** Without NEXT_HOP and MP_REACH_NLRI, which the packer writes. */
  readonly attributes: PathAttributes
}

/**
 * What `MessageFramer.push(chunk)` gives: whole messages (valid until the next push) and, after
 * them, a header error.
 */
export interface Framed {
  readonly messages: readonly Uint8Array[]
  readonly error?: { readonly notification: Notification; readonly reason: string }
}
