/**
 * RouteSlice (network.openyurt.io/v1alpha1): which node owns which podCIDRs at which addresses, and which BGPPeers select it. Written
 * only by the controller, read by every node in place of Nodes, which are larger and change with every heartbeat.
 */
import type { KubeObject } from './resources.ts'

/** The most entries of one slice. */
export const ENTRIES_PER_SLICE = 100

/** One node's place in the network. Addresses and podCIDRs are canonical texts, at most one of a family is usual but not required. */
export interface RouteEntry {
  readonly node: string
  /** Node addresses, InternalIP of the Node, the preferred one of each family first. */
  readonly addresses: readonly string[]
  readonly podCIDRs: readonly string[]
  /** Names of the BGPPeers that select the node, sorted. */
  readonly peers: readonly string[]
}

export interface RouteSlice extends KubeObject {
  readonly entries: readonly RouteEntry[]
}
