/**
 * The kinds that the lab's API server has from the start: what this project and kubectl need of
 * core/v1, coordination.k8s.io and apiextensions.k8s.io. Pods and Endpoints are there to be empty:
 * kubectl describe node asks for them.
 *
 * No controllers belong to them: nothing schedules, garbage-collects or expires. Pure.
 */
import {
  CONFIG_MAP_COLUMNS,
  CRD_COLUMNS,
  EVENT_COLUMNS,
  LEASE_COLUMNS,
  NAMESPACE_COLUMNS,
  NODE_COLUMNS,
  SECRET_COLUMNS,
} from './columns.ts'
import type { Resource } from './resource.ts'
import { objectShape, type Shape, UNKNOWN_SHAPE } from './shape.ts'

const byType: Shape = { kind: 'list-map', keys: ['type'], item: UNKNOWN_SHAPE }
const plain = objectShape({})
const conditioned = objectShape({ status: { kind: 'granular', fields: { conditions: byType } } })

const nodeShape = objectShape({
  spec: { kind: 'granular', fields: { podCIDRs: { kind: 'set' }, taints: { kind: 'atomic' } } },
  status: { kind: 'granular', fields: { addresses: byType, conditions: byType } },
})

interface BuiltIn extends Partial<Resource> {
  readonly kind: string
  readonly plural: string
}

function builtIn(options: BuiltIn): Resource {
  return {
    group: '',
    version: 'v1',
    singular: options.kind.toLowerCase(),
    shortNames: [],
    namespaced: true,
    hasStatus: false,
    custom: false,
    updatesNeedVersion: false,
    shape: plain,
    columns: [],
    ...options,
  }
}

export const CRD_RESOURCE: Resource = builtIn({
  group: 'apiextensions.k8s.io',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  shortNames: ['crd', 'crds'],
  namespaced: false,
  hasStatus: true,
  shape: conditioned,
  columns: CRD_COLUMNS,
})

const NAMESPACE_RESOURCE: Resource = builtIn({
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  namespaced: false,
  hasStatus: true,
  shape: conditioned,
  columns: NAMESPACE_COLUMNS,
})

export const BUILT_IN: readonly Resource[] = [
  NAMESPACE_RESOURCE,
  builtIn({
    kind: 'Node',
    plural: 'nodes',
    shortNames: ['no'],
    namespaced: false,
    hasStatus: true,
    shape: nodeShape,
    columns: NODE_COLUMNS,
  }),
  builtIn({ kind: 'Pod', plural: 'pods', shortNames: ['po'], hasStatus: true, shape: conditioned }),
  builtIn({ kind: 'Secret', plural: 'secrets', columns: SECRET_COLUMNS }),
  builtIn({ kind: 'ConfigMap', plural: 'configmaps', shortNames: ['cm'], columns: CONFIG_MAP_COLUMNS }),
  builtIn({ kind: 'ServiceAccount', plural: 'serviceaccounts', shortNames: ['sa'] }),
  builtIn({ kind: 'Endpoints', plural: 'endpoints', shortNames: ['ep'], createsOnUpdate: true }),
  builtIn({ kind: 'Event', plural: 'events', shortNames: ['ev'], columns: EVENT_COLUMNS, createsOnUpdate: true }),
  builtIn({
    group: 'coordination.k8s.io',
    kind: 'Lease',
    plural: 'leases',
    columns: LEASE_COLUMNS,
    createsOnUpdate: true,
    updatesNeedVersion: true,
  }),
  CRD_RESOURCE,
]
