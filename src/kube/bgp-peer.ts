/**
 * BGPPeer (network.openyurt.io/v1alpha1, cluster-scoped): the one object that users configure.
 * `decodeBGPPeer` (decode-bgp-peer.ts) is the door: what is behind it is canonical, in range and
 * complete with defaults; what cannot work comes back as problems that say what to change.
 *
 * Whether the named speakers, Secret and nodes exist is not known here: the controller and the
 * speaker room say that. Pure.
 */
import type { BgpSession, REPORTED } from '../model/session.ts'
import type { SessionSettings } from '../model/session-settings.ts'
import type { Condition, KubeObject } from './resources.ts'

export interface BGPPeerSpec extends SessionSettings {
  readonly localSpeakers: readonly string[]
  readonly localAsNumber: number
  /** Canonical address. */
  readonly peerIP: string
  readonly peerAsNumber: number
  /**
   * Next hop to pods of other ASs, canonical. Absent: peerIP where it is on-link, else the node's
   * default gateway.
   */
  readonly gateway?: string
  /** As written; parse with `parseNodeSelector`. */
  readonly nodeSelector: string
  readonly authPassword?: { readonly secretKeyRef: { readonly name: string; readonly key: string } }
  /**
   * Announces the speaker's own address as next hop, not that of each node; absent: with
   * ebgpMultihop alone.
   */
  readonly nextHopSelf?: boolean
  readonly bfd?: {
    readonly enabled: boolean
    readonly minimumIntervalMilliseconds: number
    readonly multiplier: number
  }
  /** The device reports to the speakers what it has from them (BMP, RFC 7854). */
  readonly bmp?: {
    readonly enabled: boolean
    /** TCP port of the speakers that it connects to. */
    readonly port: number
    /** Where it connects from, canonical; absent: peerIP. */
    readonly address?: string
  }
  /** RFC 1997, as `65001:100` or a well-known name. */
  readonly communities: readonly string[]
  /** RFC 8092, as `65001:1:2`. */
  readonly largeCommunities: readonly string[]
  readonly med?: number
}

/**
 * Names of the IANA registry of well-known communities that make sense on a route that we announce.
 */
export const COMMUNITY_NAMES = [
  'graceful-shutdown',
  'llgr-stale',
  'no-llgr',
  'blackhole',
  'no-export',
  'no-advertise',
  'no-export-subconfed',
  'no-peer',
] as const

/** A BGPPeer that was accepted. */
export interface BGPPeer {
  readonly name: string
  readonly uid: string
  readonly generation: number
  /** RFC 3339. Of two that want the same session the older has it. */
  readonly createdAt?: string
  readonly spec: BGPPeerSpec
}

/**
 * Orders BGPPeers by age, those of one second by name: a new one never takes the session of one
 * that works.
 */
export function compareByAge(a: BGPPeer, b: BGPPeer): number {
  const [x, y] = [a.createdAt ?? '', b.createdAt ?? '']
  if (x !== y) return x < y ? -1 : 1
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

/**
 * The state of one speaker's session in `status.speakers[]`, written by that speaker alone; of one
 * that is not up, no capabilities.
 */
export type SpeakerStatus = Pick<BgpSession, Exclude<keyof typeof REPORTED, 'capabilities'>> &
  Partial<Pick<BgpSession, 'capabilities'>>

export interface BGPPeerStatus {
  readonly conditions?: readonly Condition[]
  readonly speakers?: readonly SpeakerStatus[]
  readonly selectedNodes?: readonly string[]
  /** `established/speakers`, such as `2/2`: the SESSIONS column. */
  readonly sessions?: string
  /** Prefixes announced: the PREFIXES column. */
  readonly prefixes?: number
}

/** A BGPPeer as the API server sends it: its spec is untrusted. */
export interface BGPPeerObject extends KubeObject {
  readonly spec?: unknown
  readonly status?: BGPPeerStatus
}

/** Whose sessions are remembered: a BGPPeer that is made anew under its name is another one. */
export function sessionKey({ name, uid }: Pick<BGPPeer, 'name' | 'uid'>): string {
  return `${name} ${uid}`
}

/** The devices that a BGPPeer names: its switch, and its gateway. */
export function devicesOf({ peerIP, gateway }: Pick<BGPPeerSpec, 'peerIP' | 'gateway'>): readonly string[] {
  return gateway === undefined ? [peerIP] : [peerIP, gateway]
}
