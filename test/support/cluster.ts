/** A cluster as plain values, and a source of its views that the test steers. */
import type { BGPPeer, BGPPeerSpec, SpeakerStatus } from '../../src/kube/bgp-peer.ts'
import type { ClusterView, ClusterViewSource } from '../../src/kube/cluster-view-types.ts'
import type { RouteEntry } from '../../src/kube/route-slice.ts'

export function entry(
  node: string,
  addresses: readonly string[],
  podCIDRs: readonly string[],
  peers: readonly string[],
): RouteEntry {
  return { node, addresses, podCIDRs, peers }
}

export function bgpPeer(name: string, spec: Pick<BGPPeerSpec, 'peerIP'> & Partial<BGPPeerSpec>): BGPPeer {
  return {
    name,
    uid: `uid-of-${name}`,
    generation: 1,
    spec: {
      localSpeakers: ['edge-1'],
      localAsNumber: 65010,
      peerAsNumber: 65001,
      nodeSelector: 'all()',
      peerPort: 179,
      holdTimeSeconds: 90,
      connectRetrySeconds: 30,
      gracefulRestart: { enabled: true, restartTimeSeconds: 600 },
      passive: false,
      communities: [],
      largeCommunities: [],
      ...spec,
    },
  }
}

/** A source that shows what it is given. */
export class PlainView implements ClusterViewSource {
  /** What `hasEntry` says. */
  seen: boolean | undefined
  /** What `entryOf` says. */
  entry: SpeakerStatus | undefined
  #view: ClusterView | undefined
  readonly #listeners = new Set<() => void>()
  readonly contact = { server: 'none', connected: false, lastContact: undefined, problem: undefined }

  constructor(entries?: readonly RouteEntry[], peers: readonly BGPPeer[] = []) {
    if (entries !== undefined) this.show(entries, peers)
  }
  static of(view: ClusterView | undefined): PlainView {
    const source = new PlainView()
    source.showView(view)
    return source
  }
  current(): ClusterView | undefined {
    return this.#view
  }
  entryOf(): SpeakerStatus | undefined {
    return this.entry
  }
  hasEntry(): boolean | undefined {
    return this.seen
  }
  show(entries: readonly RouteEntry[], peers: readonly BGPPeer[] = []): void {
    this.showView({ entries, peers, passwords: new Map(), passwordProblems: new Map(), source: 'api' })
  }
  /** Shows a whole view, or none. */
  showView(view: ClusterView | undefined): void {
    this.#view = view
    this.#tell()
  }
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
  close(): void {}
  #tell(): void {
    for (const listener of this.#listeners) listener()
  }
}
