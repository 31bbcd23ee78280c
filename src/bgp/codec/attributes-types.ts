/**
 * The values of path attributes, by RFC name. One entry here makes the compiler ask for one row in
 * the table of attributes.ts. Pure.
 */
import type { Nlri } from './nlri-types.ts'

/** RFC 4271 section 4.3 b) and RFC 5065 section 3. */
export interface AsPathSegment {
  readonly type: 'AS_SET' | 'AS_SEQUENCE' | 'AS_CONFED_SEQUENCE' | 'AS_CONFED_SET'
  readonly asNumbers: readonly number[]
}

export type AsPath = readonly AsPathSegment[]

export interface Aggregator {
  readonly asNumber: number
  /** Dotted. */
  readonly address: string
}

/** RFC 4760 section 3; `nextHop` has 4, 16 or 32 octets. */
export interface MpReach {
  readonly nextHop: Uint8Array
  readonly nlri: Nlri
}

export interface AttributeValues {
  readonly ORIGIN: 'IGP' | 'EGP' | 'INCOMPLETE'
  readonly AS_PATH: AsPath
  /** IPv4, text. */
  readonly NEXT_HOP: string
  readonly MULTI_EXIT_DISC: number
  readonly LOCAL_PREF: number
  readonly ATOMIC_AGGREGATE: true
  readonly AGGREGATOR: Aggregator
  /** Each `high:low` (RFC 1997). */
  readonly COMMUNITIES: readonly string[]
  /** RFC 4456, dotted. */
  readonly ORIGINATOR_ID: string
  readonly CLUSTER_LIST: readonly string[]
  readonly MP_REACH_NLRI: MpReach
  readonly MP_UNREACH_NLRI: Nlri
  /** Each 8 octets as hexadecimal (RFC 4360): passed through. */
  readonly EXTENDED_COMMUNITIES: readonly string[]
  /** Each 20 octets as hexadecimal (RFC 5701): passed through. */
  readonly IPV6_EXTENDED_COMMUNITIES: readonly string[]
  readonly AS4_PATH: AsPath
  readonly AS4_AGGREGATOR: Aggregator
  /** Each `global:local1:local2` (RFC 8092). */
  readonly LARGE_COMMUNITIES: readonly string[]
  /** OTC, an AS number (RFC 9234 section 5). */
  readonly ONLY_TO_CUSTOMER: number
}

export type AttributeName = keyof AttributeValues
