/**
 * Free ranges: the lowest of a length that overlaps nothing of the network and nothing that has a
 * meaning of its own. Looked for where a reader expects it: for pods in 10.0.0.0/8 first, for
 * Services in 172.16.0.0/12 first, for both of IPv6 in fd00::/8, for a LAN in its data centers.
 * Pure.
 */
import { blockLengthFor, blockSize, freeBlocks, mergeRanges, prefixAt } from '../lib/address-range.ts'
import { addressBits, type Family, familyOf, prefixRange } from '../lib/ip.ts'
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

/** Lengths where nothing says otherwise: 4,096 Services, 253 hosts. */
const LENGTHS: Readonly<Record<Exclude<SuggestionFor, 'pods'>, Readonly<Record<Family, number>>>> = {
  service: { ipv4: 20, ipv6: 112 },
  lan: { ipv4: 24, ipv6: 64 },
}

export interface LengthWanted {
  readonly purpose: SuggestionFor
  readonly family: Family
  /** By the operator. */
  readonly asked?: number
  /** Of a pool: how many it is for. */
  readonly nodes: number
  readonly podsPerNode: number
}

/** The length of the range to look for; a problem where there is no such prefix. */
export function lengthOf({ purpose, family, asked, nodes, podsPerNode }: LengthWanted): number | { problem: string } {
  const bits = addressBits(family)
  const length = asked ?? (purpose === 'pods' ? poolLength(family, nodes, podsPerNode) : LENGTHS[purpose][family])
  if (length >= 1 && length <= bits) return length
  return { problem: `there is no prefix of /${length}: ask for fewer nodes, or give --length up to ${bits}` }
}

/** The length of a pool with a block of `podsPerNode` for each of `nodes` nodes. */
export function poolLength(family: Family, nodes: number, podsPerNode: number): number {
  return blockLengthFor(family, podsPerNode) - Math.ceil(Math.log2(Math.max(nodes, 1)))
}
