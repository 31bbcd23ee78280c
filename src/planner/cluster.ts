/**
 * A running cluster as the planner sees it, where it departs from a `network.yaml`, and a first
 * `network.yaml` from it. What a cluster does not know (vSwitches, growth, the devices between LANs
 * and VPC) is neither compared nor invented. Pure.
 */
import { blockLengthFor } from '../lib/address-range.ts'
import { addressBits, covers, familyOf, formatPrefix, maskBytes, prefixOf } from '../lib/ip.ts'
import type { Departure, LanView, NodeView } from '../model/snapshot.ts'
import { lansOf, type Network, type PlacedLan } from './network.ts'

export interface ObservedCluster {
  /** `network` of the controller's configuration; absent: it was not found. */
  readonly controller?: {
    readonly podCIDRs: readonly string[]
    readonly podsPerNode: number
    readonly serviceCIDRs: readonly string[]
    readonly vpcCIDRs: readonly string[]
    readonly dataCenterCIDRs: readonly string[]
  }
  /** BGPPeers with the nodes that they select. */
  readonly lans: readonly LanView[]
  readonly nodes: readonly ObservedNode[]
}

export type ObservedNode = Pick<NodeView, 'name' | 'addresses' | 'podCIDRs'>

const NOTHING = '-'

export function departures(network: Network, cluster: ObservedCluster): readonly Departure[] {
  const switches = new Set(lansOf(network).flatMap(({ lan }) => lan.switches.map(({ address }) => address)))
  const strangers = cluster.lans.filter(({ peerIP }) => !switches.has(peerIP))
  const found: Found = {
    lans: new Map([...cluster.lans].reverse().map(one => [one.peerIP, one])),
    nodes: new Map(cluster.nodes.map(one => [one.name, one])),
  }
  return [
    ...controllerDepartures(network, cluster),
    ...lansOf(network).flatMap(placed => lanDepartures(placed, found)),
    ...strangers.map(({ bgpPeer, peerIP }) => ({
      where: `BGPPeer ${bgpPeer}`,
      planned: NOTHING,
      is: `peerIP ${peerIP}`,
    })),
    ...cluster.lans.flatMap(one => furtherDepartures(one, found.lans.get(one.peerIP), switches)),
    ...cluster.nodes.flatMap(node => nodeDepartures(network, node)),
  ]
}

function controllerDepartures(network: Network, { controller }: ObservedCluster): readonly Departure[] {
  if (controller === undefined)
    return [
      {
        where: 'controller',
        planned: 'a configuration',
        is: 'none found: ConfigMap kube-system/terway-edge-controller',
      },
    ]
  const dataCenters = network.dataCenters.flatMap(({ cidrs }) => cidrs)
  return [
    ...differing('network.podCIDRs', network.edge.podCIDRs, controller.podCIDRs),
    ...differing('network.podsPerNode', [String(network.edge.podsPerNode)], [String(controller.podsPerNode)]),
    ...differing('network.serviceCIDRs', network.serviceCIDRs, controller.serviceCIDRs),
    ...differing('network.vpcCIDRs', network.vpc.cidrs, controller.vpcCIDRs),
    ...differing('network.dataCenterCIDRs', dataCenters, controller.dataCenterCIDRs),
  ]
}

/** In any order. */
function differing(where: string, planned: readonly string[], is: readonly string[]): readonly Departure[] {
  const text = (list: readonly string[]) => (list.length === 0 ? NOTHING : list.join(', '))
  return [...planned].sort().join() === [...is].sort().join() ? [] : [{ where, planned: text(planned), is: text(is) }]
}

/** What is, to be looked up. */
interface Found {
  /** By the switch, of several the first. */
  readonly lans: ReadonlyMap<string, LanView>
  readonly nodes: ReadonlyMap<string, ObservedNode>
}

function lanDepartures({ lan }: PlacedLan, { lans, nodes }: Found): readonly Departure[] {
  return lan.switches.flatMap(one => {
    const peer = lans.get(one.address)
    if (peer === undefined) return [{ where: `LAN ${lan.name}`, planned: `a BGPPeer to ${one.address}`, is: NOTHING }]
    const at = (field: string) => `BGPPeer ${peer.bgpPeer}: ${field}`
    const foreign = peer.nodes
      .flatMap(name => nodes.get(name) ?? [])
      .filter(({ addresses }) => !addresses.some(address => lan.hostCIDRs.some(cidr => covers(cidr, address))))
    return [
      ...differing(at('peerAsNumber'), [String(one.asNumber)], [String(peer.peerAsNumber)]),
      ...differing(at('localAsNumber'), [String(lan.localAsNumber)], [String(peer.localAsNumber)]),
      ...differing(at('localSpeakers'), lan.speakers, peer.speakers),
      ...(lan.gateway === undefined ? [] : differing(at('gateway'), [lan.gateway], [peer.gateway ?? NOTHING])),
      ...(peer.nodes.length > lan.nodes
        ? [{ where: `LAN ${lan.name}`, planned: `${lan.nodes} nodes`, is: `${peer.nodes.length}` }]
        : []),
      ...lan.speakers
        .filter(speaker => !nodes.has(speaker))
        .map(speaker => ({ where: `LAN ${lan.name}`, planned: `speaker ${speaker}`, is: 'there is no such node' })),
      ...foreign.map(node => ({
        where: `node ${node.name}`,
        planned: `an address of LAN ${lan.name} (${lan.hostCIDRs.join(', ')})`,
        is: node.addresses.join(', ') || NOTHING,
      })),
    ]
  })
}

/** Two BGPPeers to one switch: the first is compared, and the other is named. */
function furtherDepartures(
  { bgpPeer, peerIP }: LanView,
  first: LanView | undefined,
  switches: ReadonlySet<string>,
): readonly Departure[] {
  if (!switches.has(peerIP) || first === undefined || first.bgpPeer === bgpPeer) return []
  return [{ where: `BGPPeer ${bgpPeer}`, planned: NOTHING, is: `peerIP ${peerIP}, as BGPPeer ${first.bgpPeer}` }]
}

/** Of nodes with podCIDRs inside or near the pools; those of the cloud have none from there. */
function nodeDepartures({ edge }: Network, { name, podCIDRs }: ObservedNode): readonly Departure[] {
  return podCIDRs.flatMap(cidr => {
    const { family, length } = prefixOf(cidr)
    const planned = blockLengthFor(family, edge.podsPerNode)
    const inside = edge.podCIDRs.some(pool => covers(pool, cidr))
    if (!inside) return [{ where: `node ${name}`, planned: `a block of ${edge.podCIDRs.join(', ')}`, is: cidr }]
    return length === planned ? [] : [{ where: `node ${name}`, planned: `a block of /${planned}`, is: cidr }]
  })
}

/** What only the operator knows. */
const YOURS = 'YOURS TO FILL IN'

/** The text of a `network.yaml`; what is not known is marked, and refused until it is filled in. */
export function networkOfCluster(cluster: ObservedCluster): string {
  const { controller, lans: peers } = cluster
  const list = (cidrs: readonly string[] | undefined) => `[${(cidrs ?? []).map(quoted).join(', ')}]`
  const mark = (cidrs: readonly string[] | undefined) => ((cidrs ?? []).length === 0 ? `   # ${YOURS}` : '')
  const lans = peers.map(peer => lanText(peer, cluster)).join('')
  return `# Written by terway-edge plan --from-cluster. Lines with "${YOURS}" are not known to a cluster.

vpc:
  cidrs: ${list(controller?.vpcCIDRs)}${mark(controller?.vpcCIDRs)}
  nodeVSwitches: []   # ${YOURS}: {name: …, zone: …, cidr: …}
  podVSwitches: []    # ${YOURS}

serviceCIDRs: ${list(controller?.serviceCIDRs)}${mark(controller?.serviceCIDRs)}

edge:
  podCIDRs: ${list(controller?.podCIDRs)}${mark(controller?.podCIDRs)}
  podsPerNode: ${controller?.podsPerNode ?? 128}

dataCenters:
  - name: dc-1
    cidrs: ${list(controller?.dataCenterCIDRs)}${mark(controller?.dataCenterCIDRs)}
    path: []          # ${YOURS}: {kind: gateway, name: …}, {kind: vbr, name: …}, {kind: transit-router, name: …}
    lans:${lans === '' ? ` []          # ${YOURS}: there is no BGPPeer` : ''}
${lans}`
}

function lanText(peer: LanView, { nodes }: ObservedCluster): string {
  const selected = new Set(peer.nodes)
  const members = nodes.filter(({ name }) => selected.has(name))
  const blocks = hostBlocks([peer.peerIP, ...members.flatMap(({ addresses }) => addresses)])
  return `      - name: ${peer.bgpPeer}
        hostCIDRs: [${blocks.map(quoted).join(', ')}]   # around the addresses seen: make it the LAN's own
        switches: [{address: ${quoted(peer.peerIP)}, asNumber: ${peer.peerAsNumber}}]
        localAsNumber: ${peer.localAsNumber}
        speakers: [${peer.speakers.join(', ')}]
        nodes: ${Math.max(members.length, 1)}
        growthPerYear: 0   # ${YOURS}
`
}

/** The smallest block of each family, at most a /24 or a /64, that holds all its addresses. */
function hostBlocks(addresses: readonly string[]): readonly string[] {
  return (['ipv4', 'ipv6'] as const).flatMap(family => {
    const some = addresses.filter(address => familyOf(address) === family)
    const [first] = some
    if (first === undefined) return []
    const bytes = prefixOf(`${first}/${addressBits(family)}`).bytes
    for (let length = family === 'ipv4' ? 24 : 64; length > 0; length--) {
      const block = formatPrefix({ bytes: maskBytes(bytes, length), length })
      if (some.every(address => covers(block, address))) return [block]
    }
    return []
  })
}

function quoted(text: string): string {
  return text.includes(':') ? `"${text}"` : text
}
