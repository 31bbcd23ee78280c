/** Prefixes as they are on the wire, as a value. Pure. */
import type { Family } from '../../lib/ip.ts'

/**
 * Prefixes of one family as they are on the wire (RFC 4271 section 4.3: length octet, address
 * octets, repeated); checked.
 */
export interface Nlri {
  readonly family: Family
  readonly bytes: Uint8Array
  readonly count: number
  /**
   * Four octets before each length are its Path Identifier (RFC 7911 section 3); absent: there are
   * none.
   */
  readonly pathIdentifiers?: true
}
