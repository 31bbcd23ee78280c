/**
 * The routes that each device needs, in the words of the user's document: inbound leads to the VPC,
 * outbound to the data center and its pods. From the nodes by the LAN's switch, the data center's
 * devices and the cloud's to the VPC's route table, each with destination, next hop, how it gets
 * there, and why. Pure.
 */
import { blockLengthFor } from '../lib/address-range.ts'
import { FAMILY_NAMES, familyOf } from '../lib/ip.ts'
import { type DataCenter, type Device, type DeviceKind, gatewayOf, type Lan, type Network } from './network.ts'

export interface DeviceRoute {
  /** `switch lan-a`, `vbr vbr-1`, `VPC route table`. */
  readonly device: string
  readonly direction: 'inbound' | 'outbound'
  /** A prefix, or which prefixes: `each node's /25 of 10.0.0.0/8`. */
  readonly destination: string
  readonly nextHop: string
  /**
   * `static` is to be configured; the others come by themselves once the session or the association
   * is there.
   */
  readonly how: 'static' | 'BGP' | 'connected' | 'terway-edge' | 'association'
  readonly why: string
}

export function deviceRoutes(network: Network): readonly DeviceRoute[] {
  const site = siteOf(network)
  return [
    ...network.dataCenters.flatMap(dataCenter => [
      ...dataCenter.lans.flatMap(lan => [...nodeRoutes(site, dataCenter, lan), ...switchRoutes(site, dataCenter, lan)]),
      ...dataCenter.path.flatMap((device, index) => pathRoutes(site, dataCenter, { device, index })),
    ]),
    ...vpcRoutes(site),
  ]
}

/** What the rows of all devices have in common. */
interface Site {
  readonly network: Network
  /** Nodes of several LANs have blocks of one pool. */
  readonly severalLans: boolean
  readonly severalDataCenters: boolean
}

function siteOf(network: Network): Site {
  const lans = network.dataCenters.reduce((sum, { lans: some }) => sum + some.length, 0)
  return { network, severalLans: lans > 1, severalDataCenters: network.dataCenters.length > 1 }
}

/** The blocks of the VPC of a family that somebody in the data center speaks. */
function vpcBlocks({ vpc, edge }: Network, { cidrs }: DataCenter): readonly string[] {
  const spoken = new Set([...edge.podCIDRs, ...cidrs].map(familyOf))
  return vpc.cidrs.filter(cidr => spoken.has(familyOf(cidr)))
}

function nodeRoutes({ network, severalLans }: Site, dataCenter: DataCenter, lan: Lan): readonly DeviceRoute[] {
  const device = `nodes of ${lan.name}`
  return [
    ...vpcBlocks(network, dataCenter).map(
      (destination): DeviceRoute => ({
        device,
        direction: 'inbound',
        destination,
        nextHop: hostsGateway(lan, destination),
        how: 'static',
        why: "the hosts' default route covers it; make sure that they have one",
      }),
    ),
    ...network.edge.podCIDRs.map(
      (pool): DeviceRoute => ({
        device,
        direction: 'outbound',
        destination: blocksOf(network, pool),
        nextHop: severalLans
          ? `the node that owns it; of other LANs ${hostsGateway(lan, pool)}`
          : 'the node that owns it',
        how: 'terway-edge',
        why: 'the agent on each node keeps these routes: nothing to do',
      }),
    ),
  ]
}

function switchRoutes(site: Site, dataCenter: DataCenter, lan: Lan): readonly DeviceRoute[] {
  const { network, severalLans } = site
  const first = dataCenter.path[0]
  return lan.switches.flatMap((one, index) => {
    const device = lan.switches.length === 1 ? `switch ${lan.name}` : `switch ${lan.name} (${index + 1})`
    const of = row(device)
    return [
      ...vpcBlocks(network, dataCenter).map(destination =>
        of(
          'inbound',
          destination,
          towardsVpc(first, destination),
          'static',
          'control plane, ECS instances and pods in the VPC',
        ),
      ),
      ...otherLans(dataCenter, lan).map(({ destination, what }) =>
        of(
          'inbound',
          destination,
          towardsVpc(first, destination),
          'static',
          `${what}; a default route or an IGP does as well`,
        ),
      ),
      ...network.edge.podCIDRs.flatMap(pool => [
        of(
          'outbound',
          blocksOf(network, pool),
          'the node that owns it',
          'BGP',
          `announced by ${speakersText(lan)} to ${one.address}`,
        ),
        severalLans
          ? of(
              'inbound',
              pool,
              towardsVpc(first, pool),
              'static',
              'pods of other LANs; longer prefixes, learned from the speakers, come first',
            )
          : discard(of, pool),
      ]),
    ]
  })
}

/** So many other LANs are named one by one; of more it is the blocks of the data center. */
const NAMED_LANS = 8

function otherLans({ name, cidrs, lans }: DataCenter, own: Lan): { destination: string; what: string }[] {
  const others = lans.length - 1
  if (others > NAMED_LANS) {
    const what = `hosts of the ${others} other LANs of ${name}; the own LAN is connected, and comes first`
    return cidrs.map(destination => ({ destination, what }))
  }
  return lans
    .filter(lan => lan !== own)
    .flatMap(lan => lan.hostCIDRs.map(destination => ({ destination, what: `hosts of LAN ${lan.name}` })))
}

/**
 * Without it a packet to a block that nobody has goes round between this device and its default
 * route until its TTL is spent.
 */
function discard(of: ReturnType<typeof row>, pool: string): DeviceRoute {
  return of(
    'outbound',
    pool,
    'discard (Null0, blackhole)',
    'static',
    'addresses that no node has must not follow the default route and come back',
  )
}

interface OnPath {
  readonly device: Device
  readonly index: number
}

function pathRoutes(site: Site, dataCenter: DataCenter, { device, index }: OnPath): readonly DeviceRoute[] {
  const { network } = site
  const of = row(`${device.kind} ${device.name}`)
  const next = dataCenter.path[index + 1]
  const inbound = vpcBlocks(network, dataCenter).map(destination =>
    of('inbound', destination, inboundHop(device, next, destination), inboundHow(device.kind), inboundWhy(device.kind)),
  )
  const outbound = index === 0 ? joinRoutes(site, dataCenter, of) : backRoutes(site, dataCenter, { device, index })
  return [...inbound, ...outbound]
}

/** Where the LANs of a data center meet. */
function joinRoutes({ network, severalLans }: Site, { lans }: DataCenter, of: ReturnType<typeof row>): DeviceRoute[] {
  const hosts = lans.flatMap(lan =>
    lan.hostCIDRs.map(destination =>
      of(
        'outbound',
        destination,
        switchesText(lan, destination),
        'static',
        `hosts of LAN ${lan.name}; connected or by an IGP where the device has it`,
      ),
    ),
  )
  const pods = network.edge.podCIDRs.flatMap(pool =>
    severalLans
      ? [
          ...lans.map(lan =>
            of(
              'outbound',
              `${blocksOf(network, pool)} in ${lan.name}`,
              switchesText(lan, pool),
              'BGP',
              'from the switch by BGP or an IGP: nodes of several LANs share the pool, so no static route can say where a block is',
            ),
          ),
          discard(of, pool),
        ]
      : lans.map(lan => of('outbound', pool, switchesText(lan, pool), 'static', `pods of LAN ${lan.name}`)),
  )
  return [...hosts, ...pods]
}

/**
 * A device behind the first one: what belongs to the data center goes back the way that it came.
 */
function backRoutes(site: Site, dataCenter: DataCenter, { device, index }: OnPath): DeviceRoute[] {
  const of = row(`${device.kind} ${device.name}`)
  const before = dataCenter.path[index - 1]
  const nextHop = (destination: string) => outboundHop(device, before, destination)
  const how = device.kind === 'ecr' ? 'association' : 'static'
  const hosts = dataCenter.cidrs.map(destination =>
    of('outbound', destination, nextHop(destination), how, `hosts of data center ${dataCenter.name}`),
  )
  return [...hosts, ...podRoutes(site, { of, nextHop, how, dataCenter })]
}

function podRoutes(
  { network, severalDataCenters }: Site,
  {
    of,
    nextHop,
    how,
    dataCenter,
  }: {
    of: ReturnType<typeof row>
    nextHop: (destination: string) => string
    how: DeviceRoute['how']
    dataCenter: DataCenter
  },
): DeviceRoute[] {
  return network.edge.podCIDRs.map(pool =>
    severalDataCenters
      ? of(
          'outbound',
          `${blocksOf(network, pool)} in ${dataCenter.name}`,
          nextHop(pool),
          'BGP',
          'several data centers share the pool: only routes of nodes say where a block is',
        )
      : of('outbound', pool, nextHop(pool), how, `pods of data center ${dataCenter.name}`),
  )
}

function vpcRoutes(site: Site): readonly DeviceRoute[] {
  const of = row('VPC route table')
  return site.network.dataCenters.flatMap(dataCenter => {
    const last = dataCenter.path.at(-1)
    if (last === undefined) return []
    const nextHop = attachment(last)
    return [
      ...dataCenter.cidrs.map(destination =>
        of(
          'outbound',
          destination,
          nextHop,
          'static',
          `from control plane, ECS instances and pods to hosts of data center ${dataCenter.name}: kubelets, speakers`,
        ),
      ),
      ...podRoutes(site, { of, nextHop: () => nextHop, how: 'static', dataCenter }),
    ]
  })
}

function row(device: string) {
  return (
    direction: DeviceRoute['direction'],
    destination: string,
    nextHop: string,
    how: DeviceRoute['how'],
    why: string,
  ): DeviceRoute => ({ device, direction, destination, nextHop, how, why })
}

function blocksOf(network: Network, pool: string): string {
  return `each node's /${blockLengthFor(familyOf(pool), network.edge.podsPerNode)} of ${pool}`
}

function speakersText({ speakers }: Lan): string {
  return speakers.length === 0 ? 'nobody yet' : speakers.join(', ')
}

/**
 * A device as the next hop to `destination`. The plan has one address of it, and an address of the
 * other family is no next hop there.
 */
function reachedAt(device: string, address: string | undefined, destination: string): string {
  if (address === undefined) return device
  const family = familyOf(destination)
  return familyOf(address) === family ? `${device} ${address}` : `${device}, its ${FAMILY_NAMES[family]} address`
}

/** IPv4 goes by an IPv6 gateway where there is no other; the other way round nothing does. */
function hostsGateway(lan: Lan, destination: string): string {
  const gateway = gatewayOf(lan)
  const foreign = familyOf(destination) === 'ipv6' && familyOf(gateway) === 'ipv4'
  return foreign ? "the hosts' IPv6 gateway" : gateway
}

function switchesText({ switches, name }: Lan, destination: string): string {
  const own = switches.filter(({ address }) => familyOf(address) === familyOf(destination))
  const addresses = (own.length === 0 ? switches.slice(0, 1) : own).map(({ address }) => address)
  return (
    reachedAt(`switch ${name}`, addresses[0], destination) +
    addresses
      .slice(1)
      .map(other => ` and ${other}`)
      .join('')
  )
}

function named({ kind, name }: Device, address: string | undefined, destination: string): string {
  return reachedAt(`${kind} ${name}`, address, destination)
}

function towardsVpc(device: Device | undefined, destination: string): string {
  return device === undefined ? 'the VPC' : named(device, device.address, destination)
}

const ATTACHMENTS: Readonly<Partial<Record<DeviceKind, string>>> = {
  'transit-router': 'attachment of',
  cen: 'attachment of',
  ecr: 'association with',
}

/** How the VPC's table names what leads to a data center. */
function attachment(device: Device): string {
  return [ATTACHMENTS[device.kind], `${device.kind} ${device.name}`].filter(Boolean).join(' ')
}

function inboundHop(device: Device, next: Device | undefined, destination: string): string {
  if (next !== undefined) return towardsVpc(next, destination)
  return device.kind === 'ecr' ? 'association with the VPC' : 'attachment of the VPC'
}

function outboundHop(device: Device, before: Device | undefined, destination: string): string {
  if (before === undefined) return 'the data center'
  const address = before.cloudAddress ?? before.address
  if (device.kind === 'vbr') return `the circuit, ${named(before, before.cloudAddress, destination)}`
  return CLOUD.has(device.kind) ? attachment(before) : named(before, address, destination)
}

const CLOUD: ReadonlySet<DeviceKind> = new Set(['vbr', 'ecr', 'cen', 'transit-router'])

function inboundHow(kind: DeviceKind): DeviceRoute['how'] {
  return kind === 'ecr' ? 'association' : 'static'
}

const INBOUND_WHY: Readonly<Record<DeviceKind, string>> = {
  'core-switch': 'from every LAN to the VPC',
  gateway: 'from the data center to the VPC',
  'vpn-gateway': 'from the data center to the VPC',
  vbr: 'from the circuit to the VPC',
  ecr: 'learned from the association; check that it propagates',
  cen: 'from the attachment of the data center to the VPC',
  'transit-router': 'from the attachment of the data center to the VPC',
}

function inboundWhy(kind: DeviceKind): string {
  return INBOUND_WHY[kind]
}
