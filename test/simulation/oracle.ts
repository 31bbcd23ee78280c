/**
 * How a site must be once faults have ended and it has come to rest, from what people put into the
 * API server and what machines there are: written from the rules of the network (who is in a LAN,
 * which way a packet goes), not from the product's code. The first thing that is wrong, in words.
 */

import type { KubeObject } from '../../src/kube/resources.ts'
import { ERRNO } from '../../src/lib/errno.ts'
import type { Machine } from './machine.ts'
import { addressText, podCIDRsOf, publishedEntries, spanOf } from './published.ts'
import type { Shape } from './script.ts'
import type { Site } from './site.ts'
import { gatewayOf, PROTOCOL, peerNumbers } from './topology.ts'

export interface Circumstances {
  /** Whether contact was lost so often that a node may blame a change for it, and hold it. */
  readonly mayHold: boolean
}

export function whatIsWrong(site: Site, { mayHold }: Circumstances): string | undefined {
  const nodes = site.server.collection('nodes')
  return (
    wrongNodes(nodes) ??
    wrongSlices(site, nodes) ??
    site.machines
      .filter(({ isOn, place }) => isOn && nodes.some(({ metadata }) => metadata.name === place.name))
      // a node that blames a change for an outage says so, and keeps what was before it
      .filter(({ running }) => !mayHold || !running?.view.problems.some(problem => problem.includes(' is held')))
      .map(machine => wrongRoutes(site, machine, nodes))
      .find(text => text !== undefined)
  )
}

function wrongNodes(nodes: readonly KubeObject[]): string | undefined {
  const without = nodes.find(node => podCIDRsOf(node).length === 0)
  return without && `Node ${without.metadata.name} has no podCIDR`
}

/** Each Node stands in the slices once, as it is. */
function wrongSlices({ server }: Site, nodes: readonly KubeObject[]): string | undefined {
  const slices = server.collection('routeslices')
  const entries = publishedEntries(slices)
  const all = slices.flatMap(slice => (slice as KubeObject & { entries?: readonly { node: string }[] }).entries ?? [])
  if (all.length !== entries.size) return 'a node stands in two RouteSlices'
  for (const { node } of all)
    if (!nodes.some(({ metadata }) => metadata.name === node)) return `${node} is published and is no Node`
  for (const node of nodes) {
    const entry = entries.get(node.metadata.name)
    if (entry === undefined) return `Node ${node.metadata.name} is not published`
    if (entry.podCIDRs.join() !== podCIDRsOf(node).join())
      return `Node ${node.metadata.name} has ${podCIDRsOf(node).join()} and is published with ${entry.podCIDRs.join()}`
    const peers = server
      .collection('bgppeers')
      .filter(peer => selects(peer, node))
      .filter(peer => entry.peers.includes(peer.metadata.name) || canWork(peer, nodes))
      .map(({ metadata }) => metadata.name)
    if (entry.peers.join() !== peers.sort().join())
      return `Node ${node.metadata.name} is published with the peers ${entry.peers.join()}, not ${peers.join()}`
  }
  return undefined
}

/** A BGPPeer of which no speaker exists has no say until it could work once. */
function canWork(peer: KubeObject, nodes: readonly KubeObject[]): boolean {
  const { localSpeakers } = (peer as unknown as { spec: { localSpeakers: readonly string[] } }).spec
  return localSpeakers.some(name => nodes.some(({ metadata }) => metadata.name === name))
}

function selects(peer: KubeObject, node: KubeObject): boolean {
  const { nodeSelector } = (peer as unknown as { spec: { nodeSelector: string } }).spec
  return nodeSelector === `lan=${node.metadata.labels?.lan}`
}

/** Where a packet from this machine to each node's pods goes. */
function wrongRoutes(site: Site, machine: Machine, nodes: readonly KubeObject[]): string | undefined {
  const { place, kernel } = machine
  const entries = publishedEntries(site.server.collection('routeslices'))
  const peersOf = ({ metadata }: KubeObject) =>
    site.server.collection('bgppeers').filter(peer => entries.get(metadata.name)?.peers.includes(peer.metadata.name))
  const own = nodes.find(({ metadata }) => metadata.name === place.name)
  if (own === undefined) return undefined
  let covered = 0
  for (const node of nodes) {
    for (const podCIDR of podCIDRsOf(node)) {
      covered += spanOf(podCIDR).size
      const [first, last] = [spanOf(podCIDR).first, spanOf(podCIDR).first + spanOf(podCIDR).size - 1]
      for (const address of [first, last].map(addressText)) {
        const way = kernel.lookup(address)
        const what = `${place.name} to ${address} of ${node.metadata.name}`
        if (node === own) {
          if (way !== ERRNO.EHOSTUNREACH) return `${what}: its own podCIDR is not guarded`
          continue
        }
        if (typeof way === 'number' || way.protocol !== PROTOCOL) return `${what}: no route of ours`
        const shared = peersOf(own).some(peer => peersOf(node).includes(peer))
        const isInLan = shared || (peersOf(own).length === 0 && peersOf(node).length === 0)
        const address4 = addressOf(node)
        const isOnLink = address4.startsWith(`172.16.${place.lan}.`)
        const gateways = way.nextHops.map(({ gateway }) => gateway ?? '').sort()
        const wanted = isInLan && isOnLink ? [address4] : gatewaysOf(site.script.shape, place.lan, peersOf(own))
        if (gateways.join() !== wanted.join()) return `${what}: via ${gateways.join()}, not ${wanted.join()}`
      }
    }
  }
  const ours = kernel.routes.filter(({ protocol }) => protocol === PROTOCOL)
  const routed = ours.reduce((sum, { destination }) => sum + spanOf(destination).size, 0)
  return routed === covered ? undefined : `${place.name} routes ${routed} addresses, not ${covered}`
}

function addressOf(node: KubeObject): string {
  const { addresses = [] } = (node as { status?: { addresses?: readonly { address: string }[] } }).status ?? {}
  return addresses[0]?.address ?? ''
}

/** The gateways of the BGPPeers that select a node, else the machine's default gateway. */
function gatewaysOf(shape: Shape, lan: number, peers: readonly KubeObject[]): string[] {
  const named = peers.map(peer => (peer as unknown as { spec: { peerIP: string } }).spec.peerIP)
  const onLink = named.filter(address => address.startsWith(`172.16.${lan}.`)).sort()
  const gateways = peerNumbers(shape).map(which => gatewayOf(lan, which))
  return onLink.length > 0 ? onLink : gateways.slice(0, 1)
}
