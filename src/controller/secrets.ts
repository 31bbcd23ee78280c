/**
 * Watches the Secrets that BGPPeers name, each by its own name: the controller needs rights to no
 * other Secret. Only whether they can be used matters here; the passwords go nowhere.
 */
import type { Cache, KubeApi } from '../kube/api.ts'
import { PASSWORD_NAMESPACE } from '../kube/bgp-password.ts'
import type { BGPPeerObject } from '../kube/bgp-peer.ts'
import { decodeBGPPeer } from '../kube/decode-bgp-peer.ts'
import type { SecretAnswer } from '../kube/merge-cluster.ts'
import { type KubeSecret, SECRETS } from '../kube/resources.ts'

export class PasswordSecrets {
  readonly #api: KubeApi
  readonly #onChange: () => void
  readonly #caches = new Map<string, Cache<KubeSecret>>()

  constructor(api: KubeApi, onChange: () => void) {
    this.#api = api
    this.#onChange = onChange
  }

  /** Watches exactly what `peers` name. Whether all have answered. */
  watch(peers: readonly BGPPeerObject[]): boolean {
    const needed = new Set(peers.map(secretName).filter(name => name !== undefined))
    for (const [name, cache] of this.#caches) {
      if (needed.has(name)) continue
      cache.close()
      this.#caches.delete(name)
    }
    for (const name of needed) {
      if (this.#caches.has(name)) continue
      const options = { namespace: PASSWORD_NAMESPACE, fieldSelector: `metadata.name=${name}` }
      const cache = this.#api.cache<KubeSecret>(SECRETS, options)
      cache.onChange(this.#onChange)
      this.#caches.set(name, cache)
    }
    return [...this.#caches.values()].every(cache => cache.synced || cache.problem !== undefined)
  }

  answer(name: string): SecretAnswer | undefined {
    const cache = this.#caches.get(name)
    if (cache?.synced) return { object: cache.objects.get(`${PASSWORD_NAMESPACE}/${name}`) }
    if (cache?.problem === undefined) return undefined
    const advice = `terway-edge manifests --part rbac --bgp-secret ${name}=SPEAKERS gives the right to`
    return { problem: `Secret ${PASSWORD_NAMESPACE}/${name} cannot be read: ${cache.problem} (${advice})` }
  }

  close(): void {
    for (const cache of this.#caches.values()) cache.close()
  }
}

function secretName(object: BGPPeerObject): string | undefined {
  const decoded = decodeBGPPeer(object)
  return 'peer' in decoded ? decoded.peer.spec.authPassword?.secretKeyRef.name : undefined
}
