/**
 * Nodes as the controller needs them: a Node object is 8 to 20 KB and changes with every heartbeat,
 * so a cache keeps only these fields and a heartbeat changes nothing. Pure.
 */
import type { UnreadFields } from '../kube/lean-json.ts'
import type { Node } from '../kube/resources.ts'
import { canonicalAddress, isHostAddress, networkOf } from '../lib/ip.ts'
import { memoByObject } from '../lib/memo.ts'

/** A Node decoded: addresses and podCIDRs canonical. */
export interface NodeFacts {
  readonly name: string
  readonly uid: string
  readonly labels: Readonly<Record<string, string>>
  /** RFC 3339. */
  readonly createdAt: string
  /**
   * InternalIPs in the order of the Node, without what no host is reached by; the first
   * `MOST_ADDRESSES`.
   */
  readonly addresses: readonly string[]
  readonly podCIDRs: readonly string[]
  /** What stands in spec.podCIDRs and is no prefix. */
  readonly unreadable: readonly string[]
  readonly ready: boolean
  /** Whether it is cordoned, as kubectl drain does first. */
  readonly cordoned: boolean
  /**
   * Since when its kubelet is not heard (RFC 3339, empty where nobody says): Ready is Unknown, as
   * kube-controller-manager sets it. A node that is not Ready, or has no such condition, is heard.
   */
  readonly unheardSince?: string
}

/** A kubelet may report thousands, and all that is published travels to every node. */
const MOST_ADDRESSES = 16

/** What makes a Node large: not even parsed. `reduceNode` reads none of it. */
export const UNREAD_OF_NODE: UnreadFields = {
  metadata: { annotations: true, managedFields: true },
  status: {
    capacity: true,
    config: true,
    daemonEndpoints: true,
    images: true,
    nodeInfo: true,
    runtimeHandlers: true,
    volumesAttached: true,
    volumesInUse: true,
  },
}

/** The fields in use of a Node, for the cache. */
export function reduceNode(node: Node): Node {
  const { name, uid, labels, creationTimestamp } = node.metadata
  return {
    apiVersion: node.apiVersion,
    kind: node.kind,
    metadata: {
      name,
      ...(uid === undefined ? {} : { uid }),
      ...(labels === undefined ? {} : { labels }),
      ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    },
    spec: {
      ...(node.spec?.podCIDR === undefined ? {} : { podCIDR: node.spec.podCIDR }),
      ...(node.spec?.podCIDRs === undefined ? {} : { podCIDRs: node.spec.podCIDRs }),
      ...(node.spec?.unschedulable === true ? { unschedulable: true } : {}),
      ...(node.spec?.providerID === undefined ? {} : { providerID: node.spec.providerID }),
    },
    status: {
      ...(node.status?.allocatable?.pods === undefined ? {} : { allocatable: { pods: node.status.allocatable.pods } }),
      addresses: (node.status?.addresses ?? []).filter(({ type }) => type === 'InternalIP'),
      conditions: (node.status?.conditions ?? [])
        .filter(({ type }) => type === 'Ready')
        .map(({ type, status, lastTransitionTime }) =>
          // not the time of the heartbeat
          lastTransitionTime === undefined ? { type, status } : { type, status, lastTransitionTime },
        ),
    },
  }
}

/** What a Node of the cache comes to. */
export const nodeFacts = memoByObject((node: Node): NodeFacts => {
  const { name, uid, labels, creationTimestamp } = node.metadata
  const written = node.spec?.podCIDRs ?? (node.spec?.podCIDR ? [node.spec.podCIDR] : [])
  const podCIDRs = written.map(networkOf)
  const addresses = (node.status?.addresses ?? []).filter(({ type }) => type === 'InternalIP')
  const readiness = (node.status?.conditions ?? []).filter(({ type }) => type === 'Ready')
  const unheard = readiness.find(({ status }) => status === 'Unknown')
  return {
    name,
    uid: uid ?? '',
    labels: labels ?? {},
    createdAt: creationTimestamp ?? '',
    addresses: [...new Set(addresses.map(({ address }) => canonicalAddress(address)))]
      .filter(address => address !== undefined)
      .filter(isHostAddress)
      .slice(0, MOST_ADDRESSES),
    podCIDRs: podCIDRs.filter(text => text !== undefined),
    unreadable: written.filter((_, index) => podCIDRs[index] === undefined),
    cordoned: node.spec?.unschedulable === true,
    ready: readiness.some(({ status }) => status === 'True'),
    ...(unheard === undefined ? {} : { unheardSince: unheard.lastTransitionTime ?? '' }),
  }
})
