/** Addresses that mean nothing without an interface (RFC 3927, RFC 4291 section 2.5.6). Pure. */
import { covers } from '../lib/ip.ts'

export function isLinkLocal(address: string): boolean {
  return covers('169.254.0.0/16', address) || covers('fe80::/10', address)
}
