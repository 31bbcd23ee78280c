/**
 * The fields of a RouteSlice, once: config/crd-routeslices.yaml is made of this table
 * (`scripts/crds`). The controller alone writes slices, so the schema is there against writes of
 * others: what a node could not read must not get in. Pure.
 */
import { list, OBJECT_PROPERTIES, type ObjectProperty, type Properties, text } from './openapi.ts'
import { ENTRIES_PER_SLICE, type RouteEntry } from './route-slice.ts'

const ROUTE_ENTRY = {
  node: text('Name of the node.', { minLength: 1, maxLength: 253 }),
  addresses: list('Addresses of the node, the preferred one of each family first.', {
    type: 'string',
    maxLength: 45,
    anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }],
  }),
  podCIDRs: list('Pod CIDRs of the node.', { type: 'string', maxLength: 49, format: 'cidr' }),
  peers: list('BGPPeers that select the node.', { type: 'string', minLength: 1, maxLength: 253 }),
  createdAt: text('Since when there is the Node. Of two that want one thing the older has it.', {
    format: 'date-time',
  }),
} as const satisfies Properties<RouteEntry>

/** The whole schema of the kind. */
export const ROUTE_SLICE_SCHEMA: ObjectProperty = {
  description: 'A part of the routes of the cluster, at most 100 nodes. Do not edit, the controller writes it.',
  type: 'object',
  properties: {
    ...OBJECT_PROPERTIES,
    entries: list(
      'A node each.',
      { type: 'object', required: ['node'], properties: ROUTE_ENTRY },
      { maxItems: ENTRIES_PER_SLICE },
    ),
  },
}
