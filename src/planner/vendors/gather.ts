/**
 * What `switch-config` needs beside the BGPPeer, gathered from where it is known: flags, a
 * network.yaml, the nodes of a running cluster. Says what is missing and how to give it. Pure.
 */
import type { BGPPeer } from '../../kube/bgp-peer.ts'
import { addressBytes, addressNumber, FAMILY_NAMES, familyOf, parsePrefix } from '../../lib/ip.ts'
import { nodesAfter } from '../growth.ts'
import { lansOf, type Network } from '../network.ts'

/** A node of the cluster as far as a switch cares. */
export interface SwitchNode {
  readonly name: string
  /** InternalIPs. */
  readonly addresses: readonly string[]
}

export interface Gathered {
  readonly peer: BGPPeer
  /** `--speaker NODE=ADDRESS`. */
  readonly named: ReadonlyMap<string, string>
  /** Of a running cluster; absent: none was asked. */
  readonly nodes?: readonly SwitchNode[]
  /** Nodes that the BGPPeer selects, as its status says. */
  readonly selected?: readonly string[]
  readonly network?: Network
  readonly maximumPrefixes?: number
}

/** Speakers with the address that the switch sees; or what is missing. */
export function speakersOf({
  peer,
  named,
  nodes = [],
}: Gathered):
  | { readonly speakers: readonly { readonly node: string; readonly address: string }[] }
  | { readonly problem: string } {
  const { peerIP, sourceAddress, localSpeakers } = peer.spec
  const family = familyOf(peerIP)
  // one address for the sessions of several nodes cannot be meant for all of them
  const source = localSpeakers.length === 1 ? sourceAddress : undefined
  const speakers = localSpeakers.map(node => ({
    node,
    address: named.get(node) ?? source ?? nearest(nodes.find(({ name }) => name === node)?.addresses ?? [], peerIP),
  }))
  const unknown = speakers.filter(({ address }) => address === undefined).map(({ node }) => node)
  if (unknown.length > 0) {
    const what = FAMILY_NAMES[family]
    return {
      problem: `the ${what} address of ${unknown.join(', ')} is not known: give it with ${unknown.map(node => `--speaker ${node}=ADDRESS`).join(' ')}, or name a cluster with --kubeconfig`,
    }
  }
  return { speakers: speakers.map(({ node, address }) => ({ node, address: address ?? '' })) }
}

/**
 * The address of the peer's family that shares the longest prefix with it: others are elsewhere.
 */
function nearest(addresses: readonly string[], peerIP: string): string | undefined {
  const peer = addressNumber(addressBytes(peerIP))
  const differing = (address: string) => (addressNumber(addressBytes(address)) ^ peer).toString(2).length
  return addresses
    .filter(address => familyOf(address) === familyOf(peerIP))
    .reduce<string | undefined>(
      (best, address) => (best === undefined || differing(address) < differing(best) ? address : best),
      undefined,
    )
}

/**
 * Whether a node of the LAN has no IPv4 address, so that its IPv4 blocks come with an IPv6 next
 * hop.
 */
export function isIpv6Only({ peer, nodes, selected, network }: Gathered): boolean {
  if (familyOf(peer.spec.peerIP) === 'ipv4') return false
  const members = nodes?.filter(({ name }) => selected === undefined || selected.includes(name)) ?? []
  if (members.length > 0)
    return members.some(({ addresses }) => addresses.every(address => familyOf(address) === 'ipv6'))
  const lan = lanOf(network, peer)
  return lan === undefined || lan.hostCIDRs.every(cidr => familyOf(cidr) === 'ipv6')
}

/** Where pools may be known from, the first that says something counts. */
export interface PoolSources {
  /** `--pods` and `--pods-per-node`. */
  readonly pods?: readonly string[]
  readonly podsPerNode?: number
  readonly network: Network | undefined
  /** Of the controller's configuration. */
  readonly live: { readonly podCIDRs: readonly string[]; readonly podsPerNode: number } | undefined
}

const DEFAULT_PODS_PER_NODE = 128

export function poolsOf({
  pods,
  podsPerNode,
  network,
  live,
}: PoolSources): { readonly podCIDRs: readonly string[]; readonly podsPerNode: number } | { readonly problem: string } {
  const wrong = pods?.find(cidr => parsePrefix(cidr) === undefined)
  if (wrong !== undefined) return { problem: `--pods ${wrong}: write address/length, such as 10.0.0.0/8` }
  const podCIDRs = pods ?? network?.edge.podCIDRs ?? live?.podCIDRs ?? []
  if (podCIDRs.length === 0)
    return { problem: 'the pools are not known: give --network network.yaml, or --pods 10.0.0.0/8' }
  const known = network?.edge.podsPerNode ?? live?.podsPerNode ?? DEFAULT_PODS_PER_NODE
  return { podCIDRs, podsPerNode: podsPerNode ?? known }
}

/** What no dialect reads as the end of a word, a quote, a comment or a question for help. */
export function isPlainWord(text: string): boolean {
  return /^[A-Za-z0-9_.,:+*/@%^=~-]+$/.test(text)
}

/** Room above what is planned or there. */
const HEADROOM = 1.25
/** Where nothing says how many nodes there will be. */
const UNKNOWN_NODES = 1000

/**
 * A limit of prefixes for each family: as asked, as planned for five years, or twice what is there.
 */
export function maximumPrefixesOf({ peer, selected, network, maximumPrefixes }: Gathered): number {
  if (maximumPrefixes !== undefined) return maximumPrefixes
  const lan = lanOf(network, peer)
  if (lan !== undefined) return Math.max(10, Math.ceil((nodesAfter(lan, 5) * HEADROOM) / 10) * 10)
  return selected === undefined ? UNKNOWN_NODES : Math.max(100, selected.length * 2)
}

/** The LAN of the plan whose switch is the BGPPeer's. */
function lanOf(network: Network | undefined, { spec }: BGPPeer) {
  if (network === undefined) return undefined
  return lansOf(network).find(({ lan }) => lan.switches.some(({ address }) => address === spec.peerIP))?.lan
}
