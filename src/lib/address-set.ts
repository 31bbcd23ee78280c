/**
 * Addresses, each with what it is, asked which of them lie in a prefix: once for each podCIDR, of
 * which there may be thousands, hence by binary search. Pure.
 */
import { type Family, familyOf, hostPrefix, prefixRange } from './ip.ts'

export interface PlacedAddress {
  /** Canonical. */
  readonly address: string
}

export class AddressSet<T extends PlacedAddress> {
  readonly #sorted: Readonly<Record<Family, readonly { readonly value: bigint; readonly item: T }[]>>

  constructor(items: readonly T[]) {
    const entries = items.map(item => ({ value: prefixRange(hostPrefix(item.address)).first, item }))
    const of = (family: Family) =>
      entries
        .filter(({ item }) => familyOf(item.address) === family)
        .sort((a, b) => (a.value < b.value ? -1 : a.value > b.value ? 1 : 0))
    this.#sorted = { ipv4: of('ipv4'), ipv6: of('ipv6') }
  }

  /** The first address inside the prefix that `counts`, if there is any. */
  within(prefix: string, counts: (item: T) => boolean = () => true): T | undefined {
    const { family, first, last } = prefixRange(prefix)
    const sorted = this.#sorted[family]
    for (let index = firstFrom(sorted, first); index < sorted.length; index++) {
      const candidate = sorted[index]
      if (candidate === undefined || candidate.value > last) return undefined
      if (counts(candidate.item)) return candidate.item
    }
    return undefined
  }
}

/** Where in `sorted` (by value) what is not below `value` begins: found by halves. */
function firstFrom(sorted: readonly { readonly value: bigint }[], value: bigint): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle]?.value ?? 0n) < value) low = middle + 1
    else high = middle
  }
  return low
}
