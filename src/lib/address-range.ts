/**
 * Prefixes as ranges of numbers (texts by ip-num), and ranges merged so that a free place is found
 * without looking at each block. Pure.
 */
import { IPv4, IPv6 } from 'ip-num'
import { addressBits, canonicalAddress, type Family } from './ip.ts'

/** All addresses from `first` to `last`, both included. */
export interface AddressRange {
  readonly first: bigint
  readonly last: bigint
}

/** The number of addresses of a block. */
export function blockSize(family: Family, length: number): bigint {
  return 1n << BigInt(addressBits(family) - length)
}

/** The canonical prefix of `length` that begins at `first`. */
export function prefixAt(family: Family, first: bigint, length: number): string {
  const address = family === 'ipv4' ? IPv4.fromNumber(first).toString() : IPv6.fromBigInt(first).toString()
  return `${canonicalAddress(address) ?? address}/${length}`
}

/**
 * The prefix length of the smallest block with room for `pods` addresses: 128 gives /25 of IPv4 and
 * /121 of IPv6.
 */
export function blockLengthFor(family: Family, pods: number): number {
  return addressBits(family) - Math.ceil(Math.log2(pods))
}

/** The same addresses as few ranges in order, none of which touch. */
export function mergeRanges(ranges: readonly AddressRange[]): readonly AddressRange[] {
  const merged: { first: bigint; last: bigint }[] = []
  for (const { first, last } of [...ranges].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0))) {
    const end = merged.at(-1)
    if (end !== undefined && first <= end.last + 1n) {
      if (last > end.last) end.last = last
    } else {
      merged.push({ first, last })
    }
  }
  return merged
}

/**
 * Blocks of `size` addresses inside `pool`, aligned to their size, that have no address in common
 * with `busy` (merged). Lowest first.
 */
export function* freeBlocks(pool: AddressRange, size: bigint, busy: readonly AddressRange[]): Generator<bigint> {
  let first = pool.first
  let next = busy.findIndex(range => range.last >= first)
  if (next < 0) next = busy.length
  while (first + size - 1n <= pool.last) {
    const range = busy[next]
    if (range === undefined || first + size - 1n < range.first) {
      yield first
      first += size
    } else {
      const behind = range.last + 1n
      if (behind > first) first = alignUp(behind, size)
      next++
    }
  }
}

function alignUp(value: bigint, size: bigint): bigint {
  return ((value + size - 1n) / size) * size
}
