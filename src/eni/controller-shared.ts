/**
 * What the workers of all nodes have in common, what one is told, and what it shows. Pure.
 */
import type { CloudApi } from '../cloud/cloud-api.ts'
import type { KubeApi } from '../kube/api.ts'
import type { ENIInterface, ENINodeReport, ENINodeSpec, ENIOperation } from '../kube/eni-node.ts'
import type { Condition } from '../kube/resources.ts'
import type { Clock } from '../lib/clock.ts'
import type { Gate } from '../lib/gate.ts'
import type { Log } from '../lib/log.ts'
import type { CloudReader } from './cloud-reader.ts'
import type { Blocks } from './controller-blocks.ts'
import type { EniConfig } from './eni-config.ts'
import type { Degradation } from './plan-cards.ts'
import type { TokenBuckets } from './token-buckets.ts'

/** The name under which the controller owns ENINodes. */
export const FIELD_MANAGER = 'terway-edge-eni-controller'

/** What the whole cluster has in common. */
export interface WorkerShared {
  readonly api: KubeApi
  /** For reads and writes of ENINodes: of thousands of nodes, a few at a time. */
  readonly gate: Gate
  readonly cloud: CloudApi
  readonly clock: Clock
  readonly log: Log
  readonly reader: CloudReader
  readonly blocks: Blocks
  readonly buckets: TokenBuckets
  readonly clusterID: string
  readonly degradation: Degradation
  /** Whether there is an ENINode of that name. */
  readonly hasENINode: (name: string) => boolean
  readonly leadership: () => { readonly isLeader: boolean; readonly term: number }
  readonly newToken: () => string
  readonly event: (node: string, type: 'Normal' | 'Warning', reason: string, message: string) => void
  readonly onCall: (action: string) => void
  readonly onChange: () => void
}

/** What a worker is told from outside. */
export interface WorkerWish {
  readonly wish: 'stay' | 'leave'
  readonly config: EniConfig | undefined
  readonly misconfigured: string | undefined
}

/** What a worker shows. */
export interface WorkerView {
  readonly name: string
  readonly spec: ENINodeSpec | undefined
  readonly interfaces: readonly ENIInterface[]
  readonly operations: readonly ENIOperation[]
  readonly report: ENINodeReport | undefined
  readonly idle: number
  readonly capacity: number
  readonly conditions: readonly Condition[]
  readonly lastError: string | undefined
}

/** Pods that a node takes. */
export function capacityOf(spec: ENINodeSpec | undefined): number {
  return spec === undefined ? 0 : spec.limits.interfaces * spec.limits.addressesPerInterface
}
