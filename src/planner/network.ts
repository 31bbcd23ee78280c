/**
 * `network.yaml`: the network of a site as its operator describes it before anything is installed.
 * Parameters of the cloud (VPC, vSwitches, Service CIDR), of the edge (pools for pods), and of each
 * data center: its LANs and the devices between them and the VPC.
 *
 * `decodeNetwork` is the door: strict keys, canonical addresses, every problem at once with its
 * path. Whether the ranges fit together is not judged here. Pure.
 */
import { z } from 'zod'
import { problemsError } from '../lib/errors.ts'
import { address, cidr, cidrs, plainMessage, schemaProblems } from '../lib/schema.ts'
import { parseYaml } from '../lib/yaml.ts'

/** AS numbers, also the reserved ones: those are judged, with their reason, by the checks. */
const asNumber = z.int().min(0).max(4_294_967_295)

const name = z.string().min(1).max(63)

const vSwitch = z.strictObject({ name, zone: name, cidr })

const GROWTH = 'a number of nodes, such as 20, or a share of those that are there, such as 15%'

const growth = z.union([z.int().min(0), z.string().regex(/^\d+(\.\d+)?%$/, GROWTH)], GROWTH).default(0)

/** Nodes of the cloud (ECS); their pods have addresses of the pod vSwitches of their zone. */
const nodePool = z.strictObject({
  name,
  zone: name,
  nodes: z.int().min(1),
  growthPerYear: growth,
  /** Interfaces of the instance type, the primary one included (EniQuantity). */
  interfaces: z.int().min(1).max(64),
  /** Private addresses of an interface (EniPrivateIpAddressQuantity). */
  addressesPerInterface: z.int().min(1).max(256),
  /** Pods that are expected on a node; absent: all that it can have. */
  podsPerNode: z.int().min(1).optional(),
})

/** Nodes of Edge Node Service in one vSwitch, which their pods share with them. */
const ensNodes = z.strictObject({
  name,
  cidr,
  nodes: z.int().min(1),
  growthPerYear: growth,
  /** Interfaces of an instance, the primary one included. */
  interfaces: z.int().min(1).max(64),
})

const vpc = z.strictObject({
  cidrs: cidrs.min(1, 'name at least one block'),
  /** Nodes of the cluster in the cloud get their addresses here. */
  nodeVSwitches: z.array(vSwitch).default([]),
  /** Pods on those nodes get their addresses here. May overlap node vSwitches. */
  podVSwitches: z.array(vSwitch).default([]),
  /** How many pods are expected in the cloud; absent: not judged. */
  pods: z.int().min(0).optional(),
  nodePools: z.array(nodePool).default([]),
})

const edge = z.strictObject({
  /** Pools for edge nodes, IPv4 and IPv6; used in this order, may be appended to. */
  podCIDRs: cidrs.min(1, 'name at least one pool'),
  podsPerNode: z.int().min(2).max(65_536).default(128),
})

/**
 * The devices between a LAN's switch and the VPC, in the order in which a packet to the VPC meets
 * them.
 */
export const DEVICE_KINDS = ['core-switch', 'gateway', 'vpn-gateway', 'vbr', 'ecr', 'cen', 'transit-router'] as const
export type DeviceKind = (typeof DEVICE_KINDS)[number]

const device = z.strictObject({
  kind: z.enum(DEVICE_KINDS),
  name,
  /** Its address towards the data center: the next hop of the device before it. */
  address: address.optional(),
  /** Its address towards the VPC: the next hop, on the way back, of the device behind it. */
  cloudAddress: address.optional(),
})

const lanSwitch = z.strictObject({
  /** The `peerIP` of its BGPPeer. */
  address,
  asNumber,
  /** Routes that its table holds; absent: not judged. */
  maximumRoutes: z.int().min(1).optional(),
})

const lan = z.strictObject({
  name,
  hostCIDRs: cidrs.min(1, 'name the block of the hosts'),
  /** What hosts have as their default gateway; absent: the first switch. */
  gateway: address.optional(),
  switches: z.array(lanSwitch).min(1, 'name the switch that speaks BGP'),
  localAsNumber: asNumber,
  /** Nodes that open BGP sessions. */
  speakers: z.array(name),
  nodes: z.int().min(1),
  growthPerYear: growth,
})

const dataCenter = z.strictObject({
  name,
  /** Every block of hosts in it, those of the LANs included. */
  cidrs: cidrs.min(1, 'name the blocks of its hosts'),
  path: z.array(device).min(1, 'name the devices between the LANs and the VPC'),
  lans: z.array(lan).min(1, 'name at least one LAN'),
})

const schema = z.strictObject({
  vpc,
  serviceCIDRs: cidrs.min(1, 'name the Service CIDR of the cluster'),
  edge,
  dataCenters: z.array(dataCenter).min(1, 'name at least one data center'),
  ens: z.array(ensNodes).default([]),
  /** What else the devices route or hosts reach: other clusters, branches, VPNs. */
  otherNetworks: z.array(z.strictObject({ name, cidrs: cidrs.min(1, 'name at least one block') })).default([]),
  /** Addresses that nodes cannot do without. */
  apiServer: address.optional(),
  nameServers: z.array(address).default([]),
})

export type Network = z.output<typeof schema>
export type DataCenter = Network['dataCenters'][number]
export type Lan = DataCenter['lans'][number]
export type Device = DataCenter['path'][number]
export type VSwitch = Network['vpc']['nodeVSwitches'][number]

/**
 * The text of a file to a network. Throws a `UserError` of exit status 2 that lists every problem
 * with its path.
 */
export function decodeNetwork(text: string, file: string): Network {
  return checkedNetwork(parseYaml(text, file) ?? {}, file)
}

/** A document that was parsed already. Throws like `decodeNetwork`. */
export function checkedNetwork(document: unknown, file: string): Network {
  const result = schema.safeParse(document, { error: plainMessage })
  if (!result.success) throw problemsError(file, schemaProblems(result.error))
  return result.data
}

/** A LAN and where it stands in the document. */
export interface PlacedLan {
  readonly lan: Lan
  readonly dataCenter: DataCenter
  readonly path: string
}

export function lansOf(network: Network): readonly PlacedLan[] {
  return network.dataCenters.flatMap((dataCenter, outer) =>
    dataCenter.lans.map((lan, inner) => ({ lan, dataCenter, path: `dataCenters[${outer}].lans[${inner}]` })),
  )
}

/** The default gateway of a LAN's hosts. */
export function gatewayOf(lan: Lan): string {
  return lan.gateway ?? lan.switches[0]?.address ?? ''
}
