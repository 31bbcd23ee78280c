/**
 * What is remembered of podCIDRs that nodes had, so that a node which is deleted and registers
 * again gets its own back, and a freed one goes to another node as late as possible. A Node's
 * podCIDR can never be changed: a wrong one leaves its running pods dead with every check green.
 *
 * Remembered in three places, the first that knows counts: RouteSlices (of nodes that left since
 * the last pass), the ConfigMap kube-system/terway-edge-former-pod-cidrs (of nodes that are gone),
 * and what the node itself says (an annotation of its ServiceAccount, kube/node-identity.ts), which
 * is all that is left in a cluster that was restored empty. No ConfigMap means no memory: then
 * nodes get time to say it. Pure.
 */
import { FORMER_POD_CIDRS } from '../kube/node-identity.ts'
import type { KubeObject } from '../kube/resources.ts'
import type { RouteEntry } from '../kube/route-slice.ts'
import { isFields } from '../kube/spec-reader.ts'
import { networkOf } from '../lib/ip.ts'

export interface FormerPodCIDRs {
  readonly podCIDRs: readonly string[]
  /** When they were freed (RFC 3339). */
  readonly since: string
}

export type FormerRecord = ReadonlyMap<string, FormerPodCIDRs>

export const RECORD_NAME = 'terway-edge-former-pod-cidrs'
export const RECORD_NAMESPACE = 'kube-system'

/** A ConfigMap holds at most 1 MiB; beyond this many the longest gone are forgotten. */
const MAXIMUM_RECORDED = 8000

export interface ConfigMap extends KubeObject {
  readonly data?: Readonly<{ [name: string]: string }>
}

/** What a ConfigMap says; a line that cannot be read is left out. */
export function decodeRecord(object: ConfigMap | undefined): FormerRecord {
  const record = new Map<string, FormerPodCIDRs>()
  for (const [node, text] of Object.entries(object?.data ?? {})) {
    const value = parse(text)
    const podCIDRs = isFields(value) && Array.isArray(value.podCIDRs) ? canonical(value.podCIDRs) : undefined
    if (podCIDRs === undefined || !isFields(value)) continue
    record.set(node, { podCIDRs, since: typeof value.since === 'string' ? value.since : '' })
  }
  return record
}

/** The ConfigMap that says `record`, for server-side apply. */
export function encodeRecord(record: FormerRecord): ConfigMap {
  const lines = [...record].sort(([a], [b]) => (a < b ? -1 : 1)).map(([node, former]) => [node, JSON.stringify(former)])
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: RECORD_NAME,
      namespace: RECORD_NAMESPACE,
      labels: { 'app.kubernetes.io/managed-by': 'terway-edge' },
    },
    data: Object.fromEntries(lines),
  }
}

/** What nodes say of themselves: by name; no podCIDRs where a node says that it had none. */
export function decodeClaims(accounts: Iterable<KubeObject>): ReadonlyMap<string, readonly string[]> {
  const claims = new Map<string, readonly string[]>()
  for (const { metadata } of accounts) {
    const text = metadata.annotations?.[FORMER_POD_CIDRS]
    const podCIDRs = text === undefined ? undefined : text === 'none' ? [] : canonical(text.split(','))
    if (podCIDRs !== undefined) claims.set(metadata.name, podCIDRs)
  }
  return claims
}

/**
 * The record as it shall be: with the nodes that are published and gone, without those that have
 * podCIDRs again.
 */
export function nextRecord(
  record: FormerRecord,
  seen: {
    readonly published: ReadonlyMap<string, RouteEntry>
    readonly nodes: ReadonlyMap<string, { readonly podCIDRs: readonly string[] }>
    /** RFC 3339. */
    readonly now: string
  },
): FormerRecord {
  const next = new Map(record)
  for (const [name, { podCIDRs }] of seen.published) {
    if (!seen.nodes.has(name) && podCIDRs.length > 0)
      next.set(name, { podCIDRs, since: record.get(name)?.since ?? seen.now })
  }
  for (const [name, { podCIDRs }] of seen.nodes) if (podCIDRs.length > 0) next.delete(name)
  if (next.size <= MAXIMUM_RECORDED) return next
  return new Map([...next].sort(([, a], [, b]) => (a.since > b.since ? -1 : 1)).slice(0, MAXIMUM_RECORDED))
}

function canonical(texts: readonly unknown[]): readonly string[] | undefined {
  const podCIDRs = texts.map(text => (typeof text === 'string' ? networkOf(text.trim()) : undefined))
  return podCIDRs.every(podCIDR => podCIDR !== undefined) ? podCIDRs : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
