/**
 * Merges prefixes that lead the same way without changing what they cover: two halves become the whole, what lies inside another goes.
 * Never covers an address that the input did not, and leaves alone what overlaps a prefix that leads elsewhere (the longest match decides
 * there). Pure.
 */
import { addressBits, type Family, formatPrefix, prefixOf } from '../lib/ip.ts'

/** The addresses of a prefix, first and last, as numbers. */
export interface AddressRange {
  readonly prefix: string
  readonly family: Family
  readonly length: number
  readonly first: bigint
  readonly last: bigint
}

export function rangeOf(prefix: string): AddressRange {
  const { family, bytes, length } = prefixOf(prefix)
  const first = numberOf(bytes)
  return { prefix, family, length, first, last: first + sizeOf(family, length) - 1n }
}

export function numberOf(address: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(address).toString('hex')}`)
}

/**
 * Fewer prefixes that cover what `prefixes` cover. `others` are the prefixes that lead elsewhere. Both families at once; sorted by family
 * and address. Never makes a default route.
 */
export function mergePrefixes(prefixes: readonly string[], others: readonly string[] = []): string[] {
  const all = [
    ...prefixes.map(prefix => ({ ...rangeOf(prefix), ours: true })),
    ...others.map(prefix => ({ ...rangeOf(prefix), ours: false })),
  ].sort(byPlace)
  const entangled = findEntangled(all)
  const stack: AddressRange[] = []
  const kept: AddressRange[] = []
  for (const range of all) {
    if (!range.ours) continue
    if (entangled.has(range)) kept.push(range)
    else push(stack, range)
  }
  return [...new Set([...stack, ...kept].sort(byPlace).map(({ prefix }) => prefix))]
}

/** By family, then where it begins, the larger one first. */
function byPlace(a: AddressRange, b: AddressRange): number {
  if (a.family !== b.family) return a.family === 'ipv4' ? -1 : 1
  if (a.first !== b.first) return a.first < b.first ? -1 : 1
  return a.length - b.length
}

/** Ranges of ours that overlap one of the others. In order of place, what is open when a range begins holds it whole. */
function findEntangled<T extends AddressRange & { readonly ours: boolean }>(sorted: readonly T[]): Set<T> {
  const entangled = new Set<T>()
  const open: T[] = []
  for (const range of sorted) {
    for (let top = open.at(-1); top !== undefined && !holds(top, range); top = open.at(-1)) open.pop()
    for (const outer of open) {
      if (outer.ours === range.ours) continue
      entangled.add(outer.ours ? outer : range)
    }
    open.push(range)
  }
  return entangled
}

function holds(outer: AddressRange, inner: AddressRange): boolean {
  return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last
}

/** Puts the next range in order of place on the stack, joining halves as long as there are any. */
function push(stack: AddressRange[], range: AddressRange): void {
  let next = range
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    if (holds(top, next)) return
    const whole = join(top, next)
    if (whole === undefined) break
    stack.pop()
    next = whole
  }
  stack.push(next)
}

/** The prefix of which `a` and `b` are the lower and the upper half. */
function join(a: AddressRange, b: AddressRange): AddressRange | undefined {
  if (a.family !== b.family || a.length !== b.length || a.length <= 1) return undefined
  if (a.last + 1n !== b.first || a.first % sizeOf(a.family, a.length - 1) !== 0n) return undefined
  const length = a.length - 1
  const bytes = prefixOf(a.prefix).bytes
  return { prefix: formatPrefix({ bytes, length }), family: a.family, length, first: a.first, last: b.last }
}

function sizeOf(family: Family, length: number): bigint {
  return 1n << BigInt(addressBits(family) - length)
}
