/**
 * A node says which podCIDRs it has, on its own ServiceAccount (node-identity.ts): all that is left
 * of them when a cluster is restored empty. Written when it changed, and again when the API server
 * shows a cluster without any RouteSlice. What it had last counts, also while the cluster names it
 * no more (others came back before it); that is kept in the state folder, with the node's name: a
 * cloned disk speaks for nobody else. Never disturbs anything: without the right to (a kubeconfig
 * of an earlier version) it is silent.
 */
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'
import { errorText } from '../lib/errors.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import { isObject } from '../lib/json.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { ApiError, type KubeApi } from './api.ts'
import type { ClusterSource } from './cluster-view.ts'
import { FORMER_POD_CIDRS, NODE_NAMESPACE, SERVICE_ACCOUNTS } from './node-identity.ts'

export interface ClaimOptions {
  readonly api: Pick<KubeApi, 'apply'>
  readonly view: Pick<ClusterSource, 'current' | 'onChange' | 'isForgotten' | 'contact'>
  readonly node: string
  readonly stateDir: string
  /** Absent: the machine's. */
  readonly disk?: Disk
  readonly clock: Clock
  readonly log: Log
}

/** The text of the annotation. */
function claimText(podCIDRs: readonly string[]): string {
  return podCIDRs.length === 0 ? 'none' : podCIDRs.join(',')
}

/** Starts saying it; returns how to stop. */
export function claimPodCIDRs(options: ClaimOptions): () => Promise<void> {
  const { api, view, node, clock, log } = options
  const own = () => view.current()?.entries.find(entry => entry.node === node)?.podCIDRs ?? []
  let had = own().length > 0 ? own() : lastHad(options)
  let said: string | undefined
  const keep = () => {
    const now = own()
    if (now.length === 0 || claimText(now) === claimText(had)) return
    had = now
    storeHad(options, now)
  }
  let wasForgotten = false
  const loop = new Loop({
    clock,
    backoff: { initialMilliseconds: 2_000, maximumMilliseconds: 60_000 },
    run: async () => {
      if (!view.contact.connected) return // the view changes, or says it is forgotten, when it is
      if (view.isForgotten && !wasForgotten) said = undefined
      wasForgotten = view.isForgotten
      const text = claimText(had)
      if (text === said) return
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
  if (had.length > 0) storeHad(options, had)
  const stop = view.onChange(() => {
    keep()
    loop.wake()
  })
  loop.wake()
  return async () => {
    stop()
    await loop.close()
  }
}

const FILE = 'pod-cidrs.json'

/** What this node had when it last knew; nothing where the file is of another node, or damaged. */
function lastHad({ stateDir, disk, node }: ClaimOptions): readonly string[] {
  try {
    const stored: unknown = JSON.parse(readFileIfPresent(join(stateDir, FILE), disk) ?? '{}')
    if (!isObject(stored) || stored.node !== node || !Array.isArray(stored.podCIDRs)) return []
    return stored.podCIDRs.filter(podCIDR => typeof podCIDR === 'string')
  } catch {
    return []
  }
}

function storeHad({ stateDir, disk, node, log }: ClaimOptions, podCIDRs: readonly string[]): void {
  try {
    writeFileWhole(join(stateDir, FILE), `${JSON.stringify({ node, podCIDRs })}\n`, {
      ...(disk !== undefined && { disk }),
    })
  } catch (error) {
    log.debug({ detail: errorText(error) }, 'the pod CIDRs of this node cannot be stored')
  }
}
