/**
 * The fields of an ENINode, once: a property for each, with its bounds. config/crd-eninodes.yaml is
 * made of this table (`scripts/crds`), and decode-eni-node.ts takes its bounds from it. A field of
 * `ENINodeSpec` or `ENINodeStatus` without a row does not compile.
 *
 * The controller and the node alone write ENINodes: the schema is there against writes of others.
 * Pure.
 */
import { CONDITION_STATUSES } from '../model/condition-status.ts'
import {
  type ENIInterface,
  type ENINodeReport,
  type ENINodeSpec,
  type ENINodeStatus,
  type ENIOperation,
  INTERFACE_STATES,
  IP_FAMILIES,
  OPERATION_ACTIONS,
  PLATFORMS,
} from './eni-node.ts'
import {
  boolean,
  integer,
  type ListProperty,
  list,
  OBJECT_PROPERTIES,
  type ObjectProperty,
  type Properties,
  text,
} from './openapi.ts'
import type { Condition } from './resources.ts'

/** What the cloud names: instances, interfaces, vSwitches, security groups. */
const ID = { minLength: 1, maxLength: 128, pattern: '^[A-Za-z0-9._-]+$' } as const
/** Regions and zones. */
const PLACE = { minLength: 1, maxLength: 64, pattern: '^[A-Za-z0-9-]+$' } as const

/** Interfaces of an instance, and addresses of one family on one of them: no instance has more. */
const MOST_INTERFACES = 256
const MOST_ADDRESSES = 256
/** Addresses of a node. */
const MOST_OF_A_NODE = 65_536

function amount(description: string) {
  return integer(description, 0, MOST_OF_A_NODE)
}

/** A list that only one writer has, which writes it whole. */
function whole(description: string, items: ListProperty['items'], maxItems: number): ListProperty {
  return list(description, items, { 'x-kubernetes-list-type': 'atomic', maxItems })
}

function addressList(description: string, maxItems: number): ListProperty {
  return whole(description, { type: 'string', maxLength: 45, pattern: '^[0-9a-f.:]+$' }, maxItems)
}

export const LIMITS = {
  interfaces: integer("Interfaces for pods, the instance's primary one not counted.", 0, MOST_INTERFACES),
  addressesPerInterface: integer(
    'Addresses of one family on an interface, its primary one counted.',
    0,
    MOST_ADDRESSES,
  ),
} as const satisfies Properties<ENINodeSpec['limits']>

export const POOL = {
  minIdle: amount('Addresses kept ready for pods to come.'),
  maxIdle: amount('More idle addresses than this are given back.'),
  warmUp: amount('Addresses to have once, when the node joins.'),
} as const satisfies Properties<ENINodeSpec['pool']>

const ENI_NODE_SPEC = {
  platform: text('ecs, where interfaces are made and attached, or ens, where they are taken as found.', {
    enum: PLATFORMS,
  }),
  instanceID: { type: 'string', ...ID },
  instanceType: { type: 'string', ...ID },
  regionID: text('Region of ECS, or region of the edge (EnsRegionId).', PLACE),
  zoneID: { type: 'string', ...PLACE },
  vSwitchIDs: list(
    'Pod vSwitches of the zone, where new interfaces are made.',
    { type: 'string', ...ID },
    { 'x-kubernetes-list-type': 'set', maxItems: 64 },
  ),
  securityGroupIDs: list(
    'Security groups of new interfaces.',
    { type: 'string', ...ID },
    { 'x-kubernetes-list-type': 'set', maxItems: 10 },
  ),
  ipFamilies: list(
    'IPv4, or IPv4 and IPv6.',
    { type: 'string', enum: IP_FAMILIES },
    { 'x-kubernetes-list-type': 'set', minItems: 1, maxItems: IP_FAMILIES.length },
  ),
  limits: { type: 'object', required: ['interfaces', 'addressesPerInterface'], properties: LIMITS },
  pool: { type: 'object', required: ['minIdle', 'maxIdle', 'warmUp'], properties: POOL },
} as const satisfies Properties<ENINodeSpec>

const ENI_INTERFACE = {
  id: { type: 'string', ...ID },
  mac: text('By this the node finds it.', { pattern: '^([0-9a-f]{2}:){5}[0-9a-f]{2}$' }),
  vSwitchID: { type: 'string', minLength: 1, maxLength: 128 },
  state: text('As the cloud says it.', { enum: INTERFACE_STATES }),
  gateways: addressList('Gateway of the vSwitch, one for each family.', 2),
  addresses: addressList('Addresses that the node may give to pods.', 2 * MOST_ADDRESSES),
  releasing: addressList(
    'Addresses that the node is to give to no pod any more, and to name in status.node.released when no pod has them.',
    2 * MOST_ADDRESSES,
  ),
} as const satisfies Properties<ENIInterface>

const ENI_OPERATION = {
  action: { type: 'string', enum: OPERATION_ACTIONS },
  parameters: {
    description: 'All parameters of the call, as they are sent.',
    type: 'object',
    maxProperties: 256,
    additionalProperties: { type: 'string', maxLength: 1024 },
  },
  token: text('ClientToken of the call, absent where the action has none.', { minLength: 1, maxLength: 64 }),
  since: { type: 'string', format: 'date-time' },
} as const satisfies Properties<ENIOperation>

export const REPORT = {
  inUse: amount('Addresses that pods have (pods, where each has one of both families).'),
  waiting: amount('Pods that wait for an address.'),
  released: addressList('Of the addresses in releasing those that no pod has and that none will get.', MOST_OF_A_NODE),
  idle: addressList('Addresses that no pod has, the one longest idle first.', MOST_OF_A_NODE),
  left: boolean('The node was drained for good, and no pod has any of its addresses.'),
} as const satisfies Properties<ENINodeReport>

const CONDITION = {
  type: { type: 'string', maxLength: 316 },
  status: { type: 'string', enum: CONDITION_STATUSES },
  reason: { type: 'string', maxLength: 1024 },
  message: { type: 'string', maxLength: 32_768 },
  lastTransitionTime: { type: 'string', format: 'date-time' },
} as const satisfies Properties<Omit<Condition, 'observedGeneration'>>

const ENI_NODE_STATUS = {
  interfaces: whole(
    'Interfaces for pods. Written by the controller.',
    {
      type: 'object',
      required: ['id', 'mac', 'state', 'gateways', 'addresses', 'releasing'],
      properties: ENI_INTERFACE,
    },
    MOST_INTERFACES,
  ),
  operations: whole(
    'Calls that change something in the cloud and whose outcome is not recorded yet. Written by the controller before each.',
    { type: 'object', required: ['action', 'parameters', 'since'], properties: ENI_OPERATION },
    256,
  ),
  node: {
    description: 'What the node says. Written by the node alone.',
    type: 'object',
    required: ['inUse', 'waiting', 'released'],
    properties: REPORT,
  },
  conditions: whole(
    'SufficientAddresses (there is an address for the next pod) and CloudAccess (the cloud answers). Written by the controller.',
    { type: 'object', required: ['type', 'status', 'reason', 'message', 'lastTransitionTime'], properties: CONDITION },
    16,
  ),
} as const satisfies Properties<ENINodeStatus>

/** The whole schema of the kind. */
export const ENI_NODE_SCHEMA: ObjectProperty = {
  description:
    'The elastic network interfaces of a node and the addresses that its pods get. Do not edit, the controller and the node write it.',
  type: 'object',
  required: ['spec'],
  properties: {
    ...OBJECT_PROPERTIES,
    spec: {
      description: 'What the node is in the cloud, and how many addresses it is to have. Written by the controller.',
      type: 'object',
      required: [
        'platform',
        'instanceID',
        'regionID',
        'vSwitchIDs',
        'securityGroupIDs',
        'ipFamilies',
        'limits',
        'pool',
      ],
      properties: ENI_NODE_SPEC,
    },
    status: {
      description: 'What the cloud gave, and what the node makes of it.',
      type: 'object',
      properties: ENI_NODE_STATUS,
    },
  },
}
