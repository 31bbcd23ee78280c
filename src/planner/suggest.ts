/**
 * Free ranges: the lowest of a length that overlaps nothing of the network and nothing that has a
 * meaning of its own. Looked for where a reader expects it: for pods in 10.0.0.0/8 first, for
 * Services in 172.16.0.0/12 first, for both of IPv6 in fd00::/8, for a LAN in its data centers.
 * Pure.
 */
import { blockLengthFor, blockSize, freeBlocks, mergeRanges, prefixAt } from '../lib/address-range.ts'
import { type Family, familyOf, prefixRange } from '../lib/ip.ts'
import type { Network } from './network.ts'
import { rangesOf } from './ranges.ts'

export const SUGGESTIONS = ['pods', 'service', 'lan'] as const
export type SuggestionFor = (typeof SUGGESTIONS)[number]

const TEN = '10.0.0.0/8'
const TWELVE = '172.16.0.0/12'
const SIXTEEN = '192.168.0.0/16'

const PLACES: Readonly<Record<Exclude<SuggestionFor, 'lan'>, Readonly<Record<Family, readonly string[]>>>> = {
  pods: { ipv4: [TEN, TWELVE, SIXTEEN], ipv6: ['fd00::/8'] },
  service: { ipv4: [TWELVE, TEN, SIXTEEN], ipv6: ['fd00::/8'] },
}

/** Of RFC 1918, but hosts with Docker have their own use for it. */
const AVOIDED = ['172.17.0.0/16']

/** The lowest free range of `length`, or undefined. */
export function freeRange(
  network: Network,
  family: Family,
  length: number,
  purpose: SuggestionFor = 'pods',
): string | undefined {
  return freeRanges(network, { family, length, purpose, count: 1 })[0]
}

export interface Wanted {
  readonly purpose: SuggestionFor
  readonly family: Family
  readonly length: number
  /** How many ranges at most. */
  readonly count: number
}

/** Free ranges in the order of preference. */
export function freeRanges(network: Network, { purpose, family, length, count }: Wanted): readonly string[] {
  const ranges = rangesOf(network).filter(({ kind }) => purpose !== 'lan' || kind !== 'data-center')
  const taken = [...ranges.map(({ cidr }) => cidr), ...AVOIDED].filter(cidr => familyOf(cidr) === family)
  const busy = mergeRanges(taken.map(cidr => prefixRange(cidr)))
  const found: string[] = []
  for (const place of placesFor(network, purpose, family)) {
    const range = prefixRange(place)
    if (length < range.length) continue
    for (const first of freeBlocks(range, blockSize(family, length), busy)) {
      if (found.length === count) return found
      found.push(prefixAt(family, first, length))
    }
  }
  return found
}

function placesFor(network: Network, purpose: SuggestionFor, family: Family): readonly string[] {
  if (purpose !== 'lan') return PLACES[purpose][family]
  return network.dataCenters.flatMap(({ cidrs }) => cidrs).filter(cidr => familyOf(cidr) === family)
}

/** The length of a pool with a block of `podsPerNode` for each of `nodes` nodes. */
export function poolLength(family: Family, nodes: number, podsPerNode: number): number {
  return blockLengthFor(family, podsPerNode) - Math.ceil(Math.log2(Math.max(nodes, 1)))
}
