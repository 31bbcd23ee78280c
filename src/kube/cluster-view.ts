/**
 * What a node knows of the cluster: RouteSlice entries, accepted BGPPeers, and the passwords of those peers it speaks to. Every accepted
 * input is kept in the state folder, so a node that boots with the API out of reach acts on the last good view before any answer.
 *
 * Not ready is not empty: an unsynced cache, an unreadable object or a lost server leave the view as it was. A BGPPeer whose new
 * spec cannot work keeps its last good one here.
 */
import type { Secret } from '../lib/secret.ts'
import type { BGPPeer } from './bgp-peer.ts'
import type { RouteEntry } from './route-slice.ts'

/** A consistent picture; replaced whole, never changed in place. */
export interface ClusterView {
  readonly entries: readonly RouteEntry[]
  readonly peers: readonly BGPPeer[]
  /** The TCP MD5 key of each BGPPeer that has one and whose Secret was read, by BGPPeer name. */
  readonly passwords: ReadonlyMap<string, Secret>
  /** BGPPeers whose Secret or key is missing: why, by BGPPeer name. */
  readonly passwordProblems: ReadonlyMap<string, string>
  /** Where the view comes from: the state folder, or the API server. */
  readonly source: 'state' | 'api'
}

export interface ClusterViewSource {
  /** The newest view; undefined until there is one (first boot, API out of reach). */
  current(): ClusterView | undefined
  onChange(listener: () => void): () => void
  /** Whether the API server answers: for status, never for decisions. */
  readonly contact: {
    readonly server: string
    readonly connected: boolean
    readonly lastContact: number | undefined
    readonly problem: string | undefined
  }
  close(): void
}
