/**
 * Nodes as the controller needs them: a Node object is 8 to 20 KB and changes with every heartbeat,
 * so a cache keeps only these fields and a heartbeat changes nothing. Pure.
 */
import type { UnreadFields } from '../kube/lean-json.ts'
import type { Node, ObjectMeta } from '../kube/resources.ts'
import { type FieldTable, fieldsOf, pickFields, present } from '../lib/fields.ts'
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

/** What of a Node's metadata the cache keeps. */
const METADATA: FieldTable<ObjectMeta, 'kept' | 'dropped'> = {
  name: 'kept',
  uid: 'kept',
  labels: 'kept',
  creationTimestamp: 'kept',
  namespace: 'dropped',
  resourceVersion: 'dropped',
  generation: 'dropped',
  deletionTimestamp: 'dropped',
  annotations: 'dropped',
}
const KEPT = fieldsOf(METADATA, 'kept')

type NodeSpec = NonNullable<Node['spec']>
type NodeStatus = NonNullable<Node['status']>
type NodeCondition = NonNullable<NodeStatus['conditions']>[number]

/** The fields in use of a Node, for the cache. A new one does not compile until it is kept. */
export function reduceNode({ apiVersion, kind, metadata, spec = {}, status = {} }: Node): Node {
  const pods = status.allocatable?.pods
  return {
    apiVersion,
    kind,
    metadata: pickFields(metadata, KEPT),
    spec: present<NodeSpec>({
      podCIDR: spec.podCIDR,
      podCIDRs: spec.podCIDRs,
      unschedulable: spec.unschedulable === true ? true : undefined,
      providerID: spec.providerID,
    }),
    status: present<NodeStatus>({
      allocatable: pods === undefined ? undefined : { pods },
      addresses: (status.addresses ?? []).filter(({ type }) => type === 'InternalIP'),
      conditions: (status.conditions ?? [])
        .filter(({ type }) => type === 'Ready')
        // not the time of the heartbeat
        .map(one =>
          present<NodeCondition>({ type: one.type, status: one.status, lastTransitionTime: one.lastTransitionTime }),
        ),
    }),
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
