/**
 * The cloud's part of a lab (`--cloud`), worked out from its options alone: a VPC with two ECS
 * instances and an ENS network with one, each network a fabric of routed ports, the vSwitches and
 * the instance type, and what the simulated cloud is told of them. Pure.
 */
import { gatewayOf } from '../eni/vswitch.ts'

export const REGION = 'cn-hangzhou'
export const ZONE = 'cn-hangzhou-k'
export const ENS_REGION = 'cn-hangzhou-ens-1'
export const ENS_CIDR = '172.20.0.0/16'
/** Where the simulated cloud's OpenAPI listens, on the VPC host. */
export const OPEN_API_PORT = 8080
export const METADATA_ADDRESS = '100.100.100.200'
export const SECURITY_GROUP = 'sg-pods'
/** Of the simulated account, which knows nothing worth a secret. */
export const CLOUD_KEY = { id: 'LTAI-lab', secret: 'of-a-simulated-cloud' } as const
export const CLOUD_SECRET = 'cloud-key'

/** Three interfaces with six addresses each: what pods of one node need lies on two of them. */
export const INSTANCE_TYPE = { name: 'ecs.g7.large', interfaces: 3, ipv4PerInterface: 6, ipv6PerInterface: 6 } as const
const ENS_INSTANCE_TYPE = 'ens.sn1.small'
const ENS_INTERFACES = 4
const ENS_ADDRESSES = 25
/** Addresses that each node keeps ready. */
export const MIN_IDLE = 8
export const MAX_IDLE = 10

export interface VSwitchPlan {
  readonly id: string
  readonly vpcID: string
  readonly zoneID: string
  readonly cidr: string
  readonly ipv6Cidr?: string
}

/**
 * What hangs on a fabric from the lab's beginning to its end: not an interface of the cloud's API.
 */
export interface FixedPort {
  /** Of the fabric's end. */
  readonly port: string
  readonly namespace: string
  readonly interface: string
  readonly mac: string
  readonly addresses: readonly string[]
  /** Of its vSwitch, both families. */
  readonly gateways: readonly string[]
  /** Where its machine sends to these gateways: `default`, or ranges. */
  readonly routes: readonly string[]
  /** It is the way to everything beyond this network. */
  readonly isWayOut: boolean
}

/** The network of a VPC or of an ENS region: it knows which interface owns which address. */
export interface FabricPlan {
  readonly name: 'cloud' | 'ens'
  readonly namespace: string
  /** All of its addresses. */
  readonly cidrs: readonly string[]
  /** Of its vSwitches, both families. */
  readonly gateways: readonly string[]
  readonly ports: readonly FixedPort[]
}

/** An instance of the cloud, which is a node. */
export interface CloudNodePlan {
  readonly name: string
  readonly namespace: string
  readonly podNamespace: string
  readonly address: string
  readonly address6?: string
  readonly product: 'ecs' | 'ens'
  readonly instanceID: string
  readonly instanceType: string
  readonly zoneID: string
  readonly vpcID: string
  /** Of its primary interface. */
  readonly vSwitchID: string
  readonly gateways: readonly string[]
  /** Interfaces for pods that somebody has bought and attached beforehand. */
  readonly bought: number
  /** Pods that there can be addresses for. */
  readonly capacity: number
  readonly fabric: FabricPlan['name']
}

export interface CloudPlan {
  readonly vpc: FabricPlan
  readonly ens: FabricPlan
  readonly vSwitches: readonly VSwitchPlan[]
  readonly podVSwitchID: string
  readonly nodes: readonly CloudNodePlan[]
}

/** Names of nodes and networks that the lab's own nodes may not have. */
export const CLOUD_NAMES = ['cloud', 'ens', 'cloud-1', 'cloud-2', 'ens-1'] as const

interface Surroundings {
  readonly prefix: string
  readonly ipv6: boolean
  /** The machines that are there without a cloud too. */
  readonly border: { readonly namespace: string; readonly address: string; readonly address6?: string }
  readonly host: { readonly namespace: string; readonly address: string; readonly address6?: string }
  readonly cidrs: readonly string[]
}

export function planCloud({ prefix, ipv6, border, host, cidrs }: Surroundings): CloudPlan {
  const vSwitch = (id: string, vpcID: string, cidr: string, ipv6Cidr?: string): VSwitchPlan => ({
    id,
    vpcID,
    zoneID: vpcID === 'vpc-1' ? ZONE : ENS_REGION,
    cidr,
    ...(ipv6 && ipv6Cidr !== undefined ? { ipv6Cidr } : {}),
  })
  const vSwitches = [
    vSwitch('vsw-hosts', 'vpc-1', '192.168.0.0/24', 'fd00:192:168::/64'),
    vSwitch('vsw-nodes', 'vpc-1', '192.168.1.0/24', 'fd00:192:168:1::/64'),
    vSwitch('vsw-pods', 'vpc-1', '192.168.32.0/24', 'fd00:192:168:20::/64'),
    vSwitch('vsw-ens', 'n-ens-1', '172.20.1.0/24'),
  ]
  const end = (of: { address: string; address6?: string }) =>
    of.address6 === undefined ? [of.address] : [of.address, of.address6]
  const fixed = (number: number, port: Omit<FixedPort, 'mac'>): FixedPort => ({
    ...port,
    mac: `00:16:3e:ff:00:0${number}`,
  })
  const gateways = (id: string) => gatewaysOf(vSwitches.filter(item => item.id === id))
  const hosts = { gateways: gateways('vsw-hosts') }
  const wayOut = { port: 'p-border', isWayOut: true, namespace: border.namespace }
  return {
    vpc: {
      name: 'cloud',
      namespace: `${prefix}-cloud`,
      cidrs,
      gateways: gatewaysOf(vSwitches.filter(({ vpcID }) => vpcID === 'vpc-1')),
      ports: [
        fixed(1, {
          ...wayOut,
          interface: 'vpc',
          addresses: end(border),
          ...hosts,
          routes: cidrs,
        }),
        fixed(2, {
          port: 'p-host',
          isWayOut: false,
          namespace: host.namespace,
          interface: 'eth0',
          addresses: end(host),
          ...hosts,
          routes: ['default'],
        }),
      ],
    },
    ens: {
      name: 'ens',
      namespace: `${prefix}-ens`,
      cidrs: [ENS_CIDR],
      gateways: gateways('vsw-ens'),
      ports: [
        fixed(3, {
          ...wayOut,
          interface: 'ens',
          addresses: ['172.20.1.1'],
          gateways: gateways('vsw-ens'),
          routes: [ENS_CIDR],
        }),
      ],
    },
    vSwitches,
    podVSwitchID: 'vsw-pods',
    nodes: [
      ecsNode(prefix, 1, ipv6, gateways('vsw-nodes')),
      ecsNode(prefix, 2, ipv6, gateways('vsw-nodes')),
      ensNode(prefix, gateways('vsw-ens')),
    ],
  }
}

function gatewaysOf(vSwitches: readonly VSwitchPlan[]): readonly string[] {
  return vSwitches.flatMap(({ cidr, ipv6Cidr }) => [gatewayOf(cidr) ?? [], gatewayOf(ipv6Cidr ?? '') ?? []].flat())
}

function ecsNode(prefix: string, number: number, ipv6: boolean, gateways: readonly string[]): CloudNodePlan {
  const name = `cloud-${number}`
  return {
    name,
    namespace: `${prefix}-${name}`,
    podNamespace: `${prefix}-pod-${name}`,
    address: `192.168.1.1${number}`,
    ...(ipv6 ? { address6: `fd00:192:168:1::1${number}` } : {}),
    product: 'ecs',
    instanceID: `i-ecs${number}`,
    instanceType: INSTANCE_TYPE.name,
    zoneID: ZONE,
    vpcID: 'vpc-1',
    vSwitchID: 'vsw-nodes',
    gateways,
    bought: 0,
    capacity: (INSTANCE_TYPE.interfaces - 1) * INSTANCE_TYPE.ipv4PerInterface,
    fabric: 'cloud',
  }
}

function ensNode(prefix: string, gateways: readonly string[]): CloudNodePlan {
  const name = 'ens-1'
  return {
    name,
    namespace: `${prefix}-${name}`,
    podNamespace: `${prefix}-pod-${name}`,
    address: '172.20.1.11',
    product: 'ens',
    instanceID: 'i-ens1',
    instanceType: ENS_INSTANCE_TYPE,
    zoneID: ENS_REGION,
    vpcID: 'n-ens-1',
    vSwitchID: 'vsw-ens',
    gateways,
    bought: ENS_INTERFACES - 1,
    capacity: (ENS_INTERFACES - 1) * ENS_ADDRESSES,
    fabric: 'ens',
  }
}
