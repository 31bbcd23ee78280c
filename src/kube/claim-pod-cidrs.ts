/**
 * A node says which podCIDRs it has, on its own ServiceAccount (node-identity.ts): all that is left
 * of them when a cluster is restored empty. Written when it changed, and again when the API server
 * shows a cluster without any RouteSlice. Never disturbs anything: without the right to (a
 * kubeconfig of an earlier version) it is silent.
 */
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { ApiError, type KubeApi } from './api.ts'
import type { ClusterSource } from './cluster-view.ts'
import { FORMER_POD_CIDRS, NODE_NAMESPACE, SERVICE_ACCOUNTS } from './node-identity.ts'

export interface ClaimOptions {
  readonly api: Pick<KubeApi, 'apply'>
  readonly view: Pick<ClusterSource, 'current' | 'onChange' | 'isForgotten' | 'contact'>
  readonly node: string
  readonly clock: Clock
  readonly log: Log
}

/** The text of the annotation. */
export function claimText(podCIDRs: readonly string[]): string {
  return podCIDRs.length === 0 ? 'none' : podCIDRs.join(',')
}

/** Starts saying it; returns how to stop. */
export function claimPodCIDRs(options: ClaimOptions): () => Promise<void> {
  const { api, view, node, clock, log } = options
  let said: string | undefined
  let wasForgotten = false
  const loop = new Loop({
    clock,
    backoff: { initialMilliseconds: 2_000, maximumMilliseconds: 60_000 },
    run: async () => {
      if (!view.contact.connected) return // the view changes, or says it is forgotten, when it is
      if (view.isForgotten && !wasForgotten) said = undefined
      wasForgotten = view.isForgotten
      const own = view.current()?.entries.find(entry => entry.node === node)
      const text = claimText(own?.podCIDRs ?? [])
      // who had none says so to the first question only: an entry may be withheld for a while
      if (text === said || (text === 'none' && said !== undefined)) return
      const metadata = { name: node, namespace: NODE_NAMESPACE, annotations: { [FORMER_POD_CIDRS]: text } }
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata }
      try {
        await api.apply(SERVICE_ACCOUNTS, account, { fieldManager: 'terway-edge-node', force: true })
      } catch (error) {
        if (!(error instanceof ApiError && (error.status === 403 || error.status === 404))) throw error
        log.debug({ detail: errorText(error) }, 'this node may not say which pod CIDRs it has')
      }
      said = text
    },
    onError: error => log.debug({ detail: errorText(error) }, 'cannot say which pod CIDRs this node has; trying again'),
  })
  const stop = view.onChange(() => loop.wake())
  loop.wake()
  return async () => {
    stop()
    await loop.close()
  }
}
