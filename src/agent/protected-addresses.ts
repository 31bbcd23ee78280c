/**
 * Addresses that no pod route may cover: a route over the gateway or another node would cut this node off from it. Asked once per podCIDR,
 * of which there may be thousands: by binary search. Pure.
 */
import { addressBytes, addressNumber, type Family, familyOf, formatAddress, prefixRange } from '../lib/ip.ts'

export class ProtectedAddresses {
  readonly #sorted: Readonly<Record<Family, readonly { readonly value: bigint; readonly address: string }[]>>

  constructor(addresses: readonly string[]) {
    const entries = addresses.map(address => {
      const bytes = addressBytes(address)
      return { value: addressNumber(bytes), address: formatAddress(bytes) }
    })
    const of = (family: Family) =>
      entries
        .filter(({ address }) => familyOf(address) === family)
        .sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0))
    this.#sorted = { ipv4: of('ipv4'), ipv6: of('ipv6') }
  }

  /** An address inside the prefix, the first one, if there is any. */
  within(prefix: string): string | undefined {
    const { family, first, last } = prefixRange(prefix)
    const sorted = this.#sorted[family]
    let low = 0
    let high = sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((sorted[middle]?.value ?? 0n) < first) low = middle + 1
      else high = middle
    }
    const candidate = sorted[low]
    return candidate !== undefined && candidate.value <= last ? candidate.address : undefined
  }
}
