/**
 * What a switch must be told for one BGPPeer, in nobody's dialect: the one model that every
 * vendor's file turns into its own words. Made from a BGPPeer, the addresses of its speakers, and
 * the pools. Pure.
 */
import type { BGPPeer } from '../../kube/bgp-peer.ts'
import { blockLengthFor } from '../../lib/address-range.ts'
import { addressBytes, FAMILIES, type Family, familyOf, prefixOf } from '../../lib/ip.ts'

export interface SwitchIntent {
  readonly bgpPeer: string
  readonly switchAs: number
  /** The switch's own address on the LAN. */
  readonly switchAddress: string
  /** Where the switch listens. */
  readonly port: number
  readonly nodesAs: number
  readonly speakers: readonly { readonly node: string; readonly address: string }[]
  /** Of the BGP session: that of `switchAddress`. */
  readonly sessionFamily: Family
  /** What is announced over it. */
  readonly families: readonly Family[]
  readonly pools: readonly SwitchPool[]
  /** IPv4 prefixes come with IPv6 next hops (RFC 8950). */
  readonly extendedNextHop: boolean
  /** TCP MD5: the key, or a placeholder; absent: none. */
  readonly password?: string
  readonly holdTimeSeconds: number
  /**
   * How long the switch keeps the routes of a speaker that restarts; absent: graceful restart is
   * off.
   */
  readonly restartTimeSeconds?: number
  /** RFC 9494; absent: off. */
  readonly longLivedSeconds?: number
  /** Of each family. */
  readonly maximumPrefixes: number
  readonly bfd?: { readonly intervalMilliseconds: number; readonly multiplier: number }
  /** GTSM: hops, 1 for directly connected. */
  readonly ttlSecurity?: number
  /** eBGP over so many hops. */
  readonly multihop?: number
  /** The speakers wait, and the switch dials. */
  readonly dials: boolean
}

export interface SwitchPool {
  readonly cidr: string
  readonly family: Family
  readonly length: number
  /** The mask of a node's block: of exactly this length are the prefixes that the switch takes. */
  readonly blockLength: number
}

/** What stands where the password belongs unless it is asked for. */
export const PASSWORD_PLACEHOLDER = 'REPLACE-WITH-THE-PASSWORD'

export interface IntentInput {
  readonly peer: BGPPeer
  readonly speakers: readonly { readonly node: string; readonly address: string }[]
  readonly podCIDRs: readonly string[]
  readonly podsPerNode: number
  readonly maximumPrefixes: number
  /** The password of the BGPPeer's Secret, where it is to be shown. */
  readonly password?: string
  /** Whether nodes of the LAN have no IPv4 address. */
  readonly ipv6Only: boolean
}

export function intentOf(input: IntentInput): SwitchIntent {
  const { spec, name } = input.peer
  const pools = input.podCIDRs.map(cidr => poolOf(cidr, input.podsPerNode))
  const families = FAMILIES.filter(family => pools.some(pool => pool.family === family))
  const password = spec.authPassword === undefined ? undefined : (input.password ?? PASSWORD_PLACEHOLDER)
  return {
    bgpPeer: name,
    switchAs: spec.peerAsNumber,
    switchAddress: spec.peerIP,
    port: spec.peerPort,
    nodesAs: spec.localAsNumber,
    speakers: input.speakers,
    sessionFamily: familyOf(spec.peerIP),
    families,
    pools,
    extendedNextHop: input.ipv6Only && families.includes('ipv4'),
    holdTimeSeconds: spec.holdTimeSeconds,
    maximumPrefixes: input.maximumPrefixes,
    dials: spec.passive,
    ...(password !== undefined && { password }),
    ...(spec.gracefulRestart.enabled && { restartTimeSeconds: spec.gracefulRestart.restartTimeSeconds }),
    ...(spec.gracefulRestart.enabled &&
      spec.gracefulRestart.longLivedSeconds !== undefined && {
        longLivedSeconds: spec.gracefulRestart.longLivedSeconds,
      }),
    ...(spec.bfd?.enabled === true && {
      bfd: { intervalMilliseconds: spec.bfd.minimumIntervalMilliseconds, multiplier: spec.bfd.multiplier },
    }),
    ...(spec.ttlSecurity !== undefined && { ttlSecurity: spec.ttlSecurity }),
    ...(spec.ebgpMultihop !== undefined && { multihop: spec.ebgpMultihop }),
  }
}

function poolOf(cidr: string, podsPerNode: number): SwitchPool {
  const { family, length } = prefixOf(cidr)
  return { cidr, family, length, blockLength: Math.max(length, blockLengthFor(family, podsPerNode)) }
}

export function isInternal({ switchAs, nodesAs }: SwitchIntent): boolean {
  return switchAs === nodesAs
}

export function poolsOf({ pools }: SwitchIntent, family: Family): readonly SwitchPool[] {
  return pools.filter(pool => pool.family === family)
}

/** The name of the BGPPeer as a part of names on the switch: `TERWAY-EDGE-LAN-A`. */
export function nameOf({ bgpPeer }: Pick<SwitchIntent, 'bgpPeer'>, separator = '-'): string {
  return `TERWAY-EDGE-${bgpPeer}`.toUpperCase().replace(/[^A-Z0-9]+/g, separator)
}

/** GTSM: the TTL that packets from so many hops away arrive with, at least. */
export function leastTtl(hops: number): number {
  return 256 - hops
}

/**
 * The BGP Identifier of a switch that has none: its address, or of IPv6 a number that ends as its
 * address does (RFC 6286: not 0).
 */
export function routerIdOf({ switchAddress, sessionFamily }: SwitchIntent): string {
  if (sessionFamily === 'ipv4') return switchAddress
  const [a = 0, b = 0, c = 0] = addressBytes(switchAddress).slice(-3)
  return `1.${a}.${b}.${c}`
}
