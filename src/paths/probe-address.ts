/**
 * The address of a podCIDR at which its node answers probes: one that no pod ever gets. That is the
 * first address, which the plugin leaves out of the pool: of an IPv4 podCIDR because hosts take it
 * for the network (RFC 919), of an IPv6 one because it is the subnet-router anycast address
 * (RFC 4291 section 2.6.1), so "the router of that subnet answers" is what it means anyway.
 *
 * A podCIDR of one or two addresses (/31, /32, /127, /128) gives all of them to pods, and has none.
 * Pure.
 */
import { addressBits, familyOf, prefixOf } from '../lib/ip.ts'

/** The probe address of a canonical podCIDR; undefined where pods get every address of it. */
export function probeAddress(podCIDR: string): string | undefined {
  return addressBits(familyOf(podCIDR)) - prefixOf(podCIDR).length > 1 ? podCIDR.split('/')[0] : undefined
}

/** Those of several podCIDRs. */
export function probeAddresses(podCIDRs: readonly string[]): string[] {
  return podCIDRs.flatMap(podCIDR => probeAddress(podCIDR) ?? [])
}
