/**
 * Merges prefixes that lead the same way without changing what they cover: two halves become the
 * whole, what lies inside another goes. Never covers an address that the input did not, and leaves
 * alone what overlaps a prefix that leads elsewhere (the longest match decides there). Pure.
 */
import { addressBits, formatPrefix, type PrefixRange, prefixOf, prefixRange } from './ip.ts'

interface AddressRange extends PrefixRange {
  readonly prefix: string
}

/**
 * Fewer prefixes that cover what `prefixes` cover. `others` are the prefixes that lead elsewhere.
 * Both families at once; sorted by family and address. Never makes a default route.
 */
export function mergePrefixes(prefixes: readonly string[], others: readonly string[] = []): string[] {
  const all = [
    ...prefixes.map(prefix => ({ ...prefixRange(prefix), prefix, ours: true })),
    ...others.map(prefix => ({ ...prefixRange(prefix), prefix, ours: false })),
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

/**
 * Ranges of ours that overlap one of the others. In order of place, what is open when a range
 * begins holds it whole.
 */
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
  const size = 1n << BigInt(addressBits(a.family) - a.length + 1)
  if (a.last + 1n !== b.first || a.first % size !== 0n) return undefined
  const length = a.length - 1
  const bytes = prefixOf(a.prefix).bytes
  return { prefix: formatPrefix({ bytes, length }), family: a.family, length, first: a.first, last: b.last }
}
