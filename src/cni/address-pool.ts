/**
 * Which addresses a pod gets: one of each family that the node's podCIDRs have. Pure: the pool,
 * what is taken and where the last search ended are given, the answer is a value.
 *
 * Round robin: the search goes on behind the address given last, so that a freed address rests for
 * as long as the pool allows and stale neighbour or connection state of other machines does not
 * meet a new pod.
 *
 * A pod's address is routed as /32 or /128, there is no subnet on any link, and the gateway is
 * link-local: nothing of a podCIDR is needed for a gateway. Still left out: the first and last
 * address of an IPv4 podCIDR, because hosts and firewalls that know the prefix treat them as
 * network and broadcast (RFC 919; not in a /31 or /32, RFC 3021), and the first of an IPv6 podCIDR,
 * the subnet-router anycast address (RFC 4291 section 2.6.1; not in a /127 or /128, RFC 6164).
 */
import {
  addressBits,
  addressBytes,
  addressNumber,
  covers,
  type Family,
  familyOf,
  formatAddress,
  prefixRange,
} from '../lib/ip.ts'

/** The last address given out, of each family. */
export type LastGiven = Readonly<Partial<Record<Family, string>>>

export interface AllocationInput {
  /** Canonical prefixes, in the node's order: the family of the first comes first in the result. */
  readonly podCIDRs: readonly string[]
  readonly taken: ReadonlySet<string>
  readonly last: LastGiven
  /** Addresses that the pod asks for; of a family that it does not ask for it gets any. */
  readonly requested: readonly string[]
}

export type Allocation =
  | { readonly kind: 'allocated'; readonly addresses: readonly string[]; readonly last: LastGiven }
  | { readonly kind: 'full'; readonly family: Family; readonly capacity: bigint }
  | { readonly kind: 'refused'; readonly address: string; readonly reason: Refusal }

/** Why a requested address cannot be had. */
export type Refusal = 'taken' | 'outside' | 'reserved' | 'second-of-family'

export function allocate(input: AllocationInput): Allocation {
  const families = familiesOf(input.podCIDRs)
  const requested = new Map<Family, string>()
  for (const address of input.requested) {
    const reason = requested.has(familyOf(address)) ? 'second-of-family' : refusalOf(address, input)
    if (reason !== undefined) return { kind: 'refused', address, reason }
    requested.set(familyOf(address), address)
  }
  const addresses: string[] = []
  const last: Partial<Record<Family, string>> = { ...input.last }
  for (const family of families) {
    const asked = requested.get(family)
    if (asked !== undefined) {
      addresses.push(asked)
      continue
    }
    const ranges = rangesOf(input.podCIDRs, family)
    const found = nextFree(ranges, input.taken, input.last[family])
    if (found === undefined) return { kind: 'full', family, capacity: capacityOf(ranges) }
    addresses.push(found)
    last[family] = found
  }
  return { kind: 'allocated', addresses, last }
}

/** How many pods the podCIDRs have addresses for, in one family. */
export function capacity(podCIDRs: readonly string[], family: Family): bigint {
  return capacityOf(rangesOf(podCIDRs, family))
}

/**
 * How many pods the podCIDRs have addresses for: a pod has one of each family, so the family with
 * fewer says it. Undefined without a podCIDR.
 */
export function podCapacity(podCIDRs: readonly string[]): number | undefined {
  const each = familiesOf(podCIDRs).map(family => capacity(podCIDRs, family))
  return each.length === 0 ? undefined : Math.min(...each.map(Number))
}

/** The families of the podCIDRs, that of the first one first. */
export function familiesOf(podCIDRs: readonly string[]): Family[] {
  return [...new Set(podCIDRs.map(familyOf))]
}

/** Usable addresses as numbers, both ends included. */
interface Range {
  readonly family: Family
  readonly first: bigint
  readonly last: bigint
}

function refusalOf(address: string, input: AllocationInput): Refusal | undefined {
  if (!input.podCIDRs.some(podCIDR => covers(podCIDR, address))) return 'outside'
  const value = addressValue(address)
  const ranges = rangesOf(input.podCIDRs, familyOf(address))
  if (!ranges.some(range => value >= range.first && value <= range.last)) return 'reserved'
  return input.taken.has(address) ? 'taken' : undefined
}

function rangesOf(podCIDRs: readonly string[], family: Family): Range[] {
  return podCIDRs.filter(podCIDR => familyOf(podCIDR) === family).map(usableRange)
}

function usableRange(podCIDR: string): Range {
  const { family, length, first, last } = prefixRange(podCIDR)
  const hostBits = addressBits(family) - length
  const skipFirst = hostBits > 1 ? 1n : 0n
  const skipLast = hostBits > 1 && family === 'ipv4' ? 1n : 0n
  return { family, first: first + skipFirst, last: last - skipLast }
}

function capacityOf(ranges: readonly Range[]): bigint {
  return ranges.reduce((sum, range) => sum + range.last - range.first + 1n, 0n)
}

/**
 * The first free address behind `last`, around to `last` itself. Looks at no more addresses than
 * are taken, plus one.
 */
function nextFree(ranges: readonly Range[], taken: ReadonlySet<string>, last: string | undefined): string | undefined {
  const total = capacityOf(ranges)
  const start = last === undefined ? 0n : positionBehind(ranges, last)
  for (let step = 0n; step < total; step++) {
    const address = addressAt(ranges, (start + step) % total)
    if (!taken.has(address)) return address
  }
  return undefined
}

/**
 * The place of the address behind `last` in the row of all ranges; the start of the row when `last`
 * is in none of them.
 */
function positionBehind(ranges: readonly Range[], last: string): bigint {
  const value = addressValue(last)
  let before = 0n
  for (const range of ranges) {
    if (value >= range.first && value <= range.last) return before + value - range.first + 1n
    before += range.last - range.first + 1n
  }
  return 0n
}

function addressAt(ranges: readonly Range[], position: bigint): string {
  let left = position
  for (const range of ranges) {
    const size = range.last - range.first + 1n
    if (left < size) return valueAddress(range.first + left, range.family)
    left -= size
  }
  throw new Error(`no address at position ${position}`)
}

function addressValue(address: string): bigint {
  return addressNumber(addressBytes(address))
}

function valueAddress(value: bigint, family: Family): string {
  const hex = value.toString(16).padStart(addressBits(family) / 4, '0')
  return formatAddress(new Uint8Array(Buffer.from(hex, 'hex')))
}
