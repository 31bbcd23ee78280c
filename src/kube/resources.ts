/**
 * The Kubernetes objects that this project reads and writes, each reduced to the fields in use.
 * What the API server sends is untrusted until a decoder of this room (`decodeBGPPeer`, …) made it
 * one of these types. Fields that nobody here reads are not listed. Pure.
 */
import type { ConditionStatus } from '../model/condition-status.ts'

/** How to address a kind: its group, version, plural and scope. */
export interface ResourceType {
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly namespaced: boolean
}

export const NODES = { group: '', version: 'v1', kind: 'Node', plural: 'nodes', namespaced: false } as const
export const SECRETS = { group: '', version: 'v1', kind: 'Secret', plural: 'secrets', namespaced: true } as const
export const EVENTS = { group: '', version: 'v1', kind: 'Event', plural: 'events', namespaced: true } as const
export const CONFIG_MAPS = {
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  plural: 'configmaps',
  namespaced: true,
} as const
export const ENDPOINTS = { group: '', version: 'v1', kind: 'Endpoints', plural: 'endpoints', namespaced: true } as const
export const LEASES = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  plural: 'leases',
  namespaced: true,
} as const
/** The name of the Lease of controllers. */
export const CONTROLLER_LEASE = 'terway-edge-controller'
export const CUSTOM_RESOURCE_DEFINITIONS = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
} as const
export const BGP_PEERS = {
  group: 'network.openyurt.io',
  version: 'v1alpha1',
  kind: 'BGPPeer',
  plural: 'bgppeers',
  namespaced: false,
} as const
export const ROUTE_SLICES = {
  group: 'network.openyurt.io',
  version: 'v1alpha1',
  kind: 'RouteSlice',
  plural: 'routeslices',
  namespaced: false,
} as const
export const ENI_NODES = {
  group: 'network.openyurt.io',
  version: 'v1alpha1',
  kind: 'ENINode',
  plural: 'eninodes',
  namespaced: false,
} as const

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

/** Any object as the API server sends it. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
}

/** The fields of core/v1 Node in use. */
export interface Node extends KubeObject {
  readonly spec?: {
    readonly podCIDR?: string
    readonly podCIDRs?: readonly string[]
    readonly providerID?: string
    readonly unschedulable?: boolean
  }
  readonly status?: {
    readonly addresses?: readonly { readonly type: string; readonly address: string }[]
    readonly allocatable?: { readonly pods?: string }
    readonly conditions?: readonly {
      readonly type: string
      readonly status: string
      readonly lastTransitionTime?: string
    }[]
  }
}

/** The fields of core/v1 Endpoints in use. */
export interface Endpoints extends KubeObject {
  readonly subsets?: readonly { readonly addresses?: readonly { readonly ip: string }[] }[]
}

/** core/v1 Secret; `data` is base64. */
export interface KubeSecret extends KubeObject {
  readonly data?: Readonly<Record<string, string>>
}

/** metav1.Condition. */
export interface Condition {
  readonly type: string
  readonly status: ConditionStatus
  readonly reason: string
  readonly message: string
  readonly lastTransitionTime: string
  readonly observedGeneration?: number
}

/** What an Event or an owner reference points at. */
export interface ObjectReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
}

/** Whether something that came from the API server is an object with a name. */
export function hasName(value: unknown): value is KubeObject {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return false
  const { metadata } = value
  return typeof metadata === 'object' && metadata !== null && 'name' in metadata && typeof metadata.name === 'string'
}
