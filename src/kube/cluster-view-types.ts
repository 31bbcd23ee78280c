/** What a node knows of the cluster, as one consistent picture, and who hands it on. Pure. */
import type { Secret } from '../lib/secret.ts'
import type { BGPPeer, SpeakerStatus } from './bgp-peer.ts'
import type { RouteEntry } from './route-slice.ts'
import type { Refusal } from './sound-entries.ts'

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
  /** Addresses of the leading controller, where it measures paths; absent: none is known. */
  readonly controllers?: readonly string[]
  /** podCIDRs that are not in `entries`, as they are not believed; absent: nobody has judged. */
  readonly refused?: readonly Refusal[]
  /** podCIDRs of `entries` that are announced to nobody for now; absent: none. */
  readonly unannounced?: readonly string[]
}

export interface ClusterViewSource {
  /** The newest view; undefined until there is one (first boot, API out of reach). */
  current(): ClusterView | undefined
  onChange(listener: () => void): () => void
  /**
   * Whether the BGPPeer, as it was last seen, has this node's entry in status.speakers; undefined
   * where nobody can say.
   */
  hasEntry(bgpPeer: string): boolean | undefined
  /** That entry as it was last seen, whoever wrote it. */
  entryOf(bgpPeer: string): SpeakerStatus | undefined
  /** Whether the API server answers: for status, never for decisions. */
  readonly contact: {
    readonly server: string
    readonly connected: boolean
    readonly lastContact: number | undefined
    readonly problem: string | undefined
  }
  close(): void
}
