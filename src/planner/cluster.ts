/**
 * A running cluster as the planner sees it, where it departs from a `network.yaml`, and a first
 * `network.yaml` from it. What a cluster does not know (vSwitches, growth, the devices between LANs
 * and VPC) is neither compared nor invented. Pure.
 */
import type { BGPPeer } from '../kube/bgp-peer.ts'
import { blockLengthFor } from '../lib/address-range.ts'
import { addressBits, covers, familyOf, formatPrefix, maskBytes, prefixOf } from '../lib/ip.ts'
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
  readonly peers: readonly BGPPeer[]
  readonly nodes: readonly ObservedNode[]
  /** The nodes that a BGPPeer selects, by its name, as its status says. */
  readonly selected: ReadonlyMap<string, readonly string[]>
}

export interface ObservedNode {
  readonly name: string
  /** InternalIPs. */
  readonly addresses: readonly string[]
  readonly podCIDRs: readonly string[]
}

/** One thing that is otherwise than planned. */
export interface Departure {
  readonly where: string
  readonly planned: string
  readonly is: string
}

const NOTHING = '-'

export function departures(network: Network, cluster: ObservedCluster): readonly Departure[] {
  const switches = new Set(lansOf(network).flatMap(({ lan }) => lan.switches.map(({ address }) => address)))
  const strangers = cluster.peers.filter(({ spec }) => !switches.has(spec.peerIP))
  return [
    ...controllerDepartures(network, cluster),
    ...lansOf(network).flatMap(placed => lanDepartures(placed, cluster)),
    ...strangers.map(({ name, spec }) => ({ where: `BGPPeer ${name}`, planned: NOTHING, is: `peerIP ${spec.peerIP}` })),
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

function lanDepartures({ lan }: PlacedLan, cluster: ObservedCluster): readonly Departure[] {
  return lan.switches.flatMap(one => {
    const peer = cluster.peers.find(({ spec }) => spec.peerIP === one.address)
    if (peer === undefined) return [{ where: `LAN ${lan.name}`, planned: `a BGPPeer to ${one.address}`, is: NOTHING }]
    const { spec, name } = peer
    const at = (field: string) => `BGPPeer ${name}: ${field}`
    const members = cluster.selected.get(name) ?? []
    const foreign = cluster.nodes
      .filter(node => members.includes(node.name))
      .filter(({ addresses }) => !addresses.some(address => lan.hostCIDRs.some(cidr => covers(cidr, address))))
    return [
      ...differing(at('peerAsNumber'), [String(one.asNumber)], [String(spec.peerAsNumber)]),
      ...differing(at('localAsNumber'), [String(lan.localAsNumber)], [String(spec.localAsNumber)]),
      ...differing(at('localSpeakers'), lan.speakers, spec.localSpeakers),
      ...(lan.gateway === undefined ? [] : differing(at('gateway'), [lan.gateway], [spec.gateway ?? NOTHING])),
      ...(members.length > lan.nodes
        ? [{ where: `LAN ${lan.name}`, planned: `${lan.nodes} nodes`, is: `${members.length}` }]
        : []),
      ...lan.speakers
        .filter(speaker => !cluster.nodes.some(node => node.name === speaker))
        .map(speaker => ({ where: `LAN ${lan.name}`, planned: `speaker ${speaker}`, is: 'there is no such node' })),
      ...foreign.map(node => ({
        where: `node ${node.name}`,
        planned: `an address of LAN ${lan.name} (${lan.hostCIDRs.join(', ')})`,
        is: node.addresses.join(', ') || NOTHING,
      })),
    ]
  })
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
  const { controller, peers } = cluster
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

function lanText({ name, spec }: BGPPeer, { nodes, selected }: ObservedCluster): string {
  const members = nodes.filter(node => selected.get(name)?.includes(node.name) === true)
  const blocks = hostBlocks([spec.peerIP, ...members.flatMap(({ addresses }) => addresses)])
  return `      - name: ${name}
        hostCIDRs: [${blocks.map(quoted).join(', ')}]   # around the addresses seen: make it the LAN's own
        switches: [{address: ${quoted(spec.peerIP)}, asNumber: ${spec.peerAsNumber}}]
        localAsNumber: ${spec.localAsNumber}
        speakers: [${spec.localSpeakers.join(', ')}]
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
