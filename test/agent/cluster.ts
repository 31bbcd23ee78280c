/** A cluster as plain values, and a source of its views that the test steers. */
import type { BGPPeer, BGPPeerSpec } from '../../src/kube/bgp-peer.ts'
import type { ClusterView, ClusterViewSource } from '../../src/kube/cluster-view.ts'
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
    uid: `uid-${name}`,
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
  #view: ClusterView | undefined
  readonly #listeners = new Set<() => void>()
  readonly contact = { server: 'none', connected: false, lastContact: undefined, problem: undefined }

  constructor(entries?: readonly RouteEntry[], peers: readonly BGPPeer[] = []) {
    if (entries !== undefined) this.show(entries, peers)
  }
  current(): ClusterView | undefined {
    return this.#view
  }
  hasEntry(): undefined {}
  show(entries: readonly RouteEntry[], peers: readonly BGPPeer[] = []): void {
    this.#view = { entries, peers, passwords: new Map(), passwordProblems: new Map(), source: 'api' }
    this.#tell()
  }
  vanish(): void {
    this.#view = undefined
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
