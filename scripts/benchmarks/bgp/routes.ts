/**
 * What the benchmark announces: /24 prefixes from 16.0.0.0 on, each with one of the next hops of a
 * LAN, in turn, so that neighbouring prefixes never share their attributes. The same for every
 * sender.
 */
import type { Announcement } from '../../../src/bgp/speaker-types.ts'

/**
 * The sender's and the sink's ends of the wire; next hops are addresses of the same network, so
 * third-party next hops stay.
 */
export const SENDER = { address: '10.9.0.1', asNumber: 65010 } as const
export const SINK = { address: '10.9.255.254', asNumber: 65001 } as const
export const LINK_LENGTH = 16
export const HOLD_SECONDS = 240

export const PREFIX_LENGTH = 24

export interface Workload {
  readonly prefixes: number
  readonly nextHops: number
}

/** The first address of the prefix with this index, as a number. */
export function networkAt(index: number): number {
  return (16 << 24) + index * 256
}

export function prefixAt(index: number): string {
  const network = networkAt(index)
  return `${network >>> 24}.${(network >>> 16) & 255}.${(network >>> 8) & 255}.0/${PREFIX_LENGTH}`
}

export function nextHopAt(index: number, { nextHops }: Workload): string {
  const host = index % nextHops
  return `10.9.${1 + Math.floor(host / 250)}.${1 + (host % 250)}`
}

export function announcementAt(index: number, workload: Workload): Announcement {
  return { prefix: prefixAt(index), nextHop: nextHopAt(index, workload) }
}

/** All of them, with texts as a JSON parser makes them: flat, and one string per next hop. */
export function announcementsOf(workload: Workload): Announcement[] {
  const nextHops = Array.from({ length: workload.nextHops }, (_, host) => nextHopAt(host, workload))
  const text = Buffer.alloc('255.255.255.255/32'.length)
  return Array.from({ length: workload.prefixes }, (_, index) => ({
    prefix: text.toString('latin1', 0, text.write(prefixAt(index), 'latin1')),
    nextHop: nextHops[index % workload.nextHops] ?? '',
  }))
}
