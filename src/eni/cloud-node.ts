/**
 * A Node of the cloud as the decisions need it, and what of a Node is kept for that. Pure.
 */
import type { Node } from '../kube/resources.ts'
import { type ModeOfNode, modeOfNode } from './mode.ts'

export interface CloudNode {
  readonly name: string
  readonly uid: string
  readonly labels: Readonly<Record<string, string>>
  readonly mode: ModeOfNode
  /** What its kubelet says it takes; undefined while it says nothing. */
  readonly maxPods: number | undefined
}

/** What of a Node is used here, for the cache. */
export function reduceCloudNode(node: Node): Node {
  const { name, uid, labels } = node.metadata
  const { providerID } = node.spec ?? {}
  const pods = node.status?.allocatable?.pods
  return {
    apiVersion: node.apiVersion,
    kind: node.kind,
    metadata: { name, ...(uid === undefined ? {} : { uid }), ...(labels === undefined ? {} : { labels }) },
    ...(providerID === undefined ? {} : { spec: { providerID } }),
    ...(pods === undefined ? {} : { status: { allocatable: { pods } } }),
  }
}

/** Reads one as the API server, or the cache, has it. */
export function cloudNode(node: Node): CloudNode {
  const labels = node.metadata.labels ?? {}
  const pods = Number(node.status?.allocatable?.pods)
  return {
    name: node.metadata.name,
    uid: node.metadata.uid ?? '',
    labels,
    mode: modeOfNode({ labels, providerID: node.spec?.providerID ?? '' }),
    maxPods: Number.isInteger(pods) ? pods : undefined,
  }
}
