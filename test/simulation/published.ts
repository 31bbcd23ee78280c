/**
 * What the cluster has published, by what the API server stored, in the checker's own words: read
 * from the objects as they are, not by the product's decoders. For invariants.
 */
import type { KubeObject } from '../../src/kube/resources.ts'

export interface Entry {
  readonly node: string
  readonly addresses: readonly string[]
  readonly podCIDRs: readonly string[]
  readonly peers: readonly string[]
}

/** The first entry of each node in the slices, in the order of their numbers. */
export function publishedEntries(slices: readonly KubeObject[]): ReadonlyMap<string, Entry> {
  const serial = ({ metadata }: KubeObject) => Number(metadata.name.replace('routes-', ''))
  const entries = new Map<string, Entry>()
  for (const slice of slices.toSorted((a, b) => serial(a) - serial(b))) {
    for (const entry of (slice as KubeObject & { entries?: readonly Entry[] }).entries ?? [])
      if (!entries.has(entry.node)) entries.set(entry.node, entry)
  }
  return entries
}

export function podCIDRsOf(node: KubeObject | undefined): readonly string[] {
  return (node as { spec?: { podCIDRs?: readonly string[] } } | undefined)?.spec?.podCIDRs ?? []
}

/** The first address of a prefix, and how many it has: enough for blocks of IPv4 pools. */
export function spanOf(prefix: string): { readonly first: number; readonly size: number } {
  const [address = '', length = '32'] = prefix.split('/')
  const first = address.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
  return { first, size: 2 ** (32 - Number(length)) }
}

export function addressText(number: number): string {
  return [24, 16, 8, 0].map(shift => Math.floor(number / 2 ** shift) % 256).join('.')
}

export function overlap(a: string, b: string): boolean {
  const [one, other] = [spanOf(a), spanOf(b)]
  return one.first < other.first + other.size && other.first < one.first + one.size
}
