/**
 * What the page shows, worked out from a snapshot: LANs, order, filter, ages. Pure: no document, no
 * clock.
 *
 * It imports types only, as everything here does, so that nothing of the service ends up in the
 * browser.
 */
import type { BgpSession } from '../src/model/session.ts'
import type { LanView, NodeView, Snapshot } from '../src/model/snapshot.ts'

/** How long `milliseconds` are: `45s`, `3m 10s`, `5h 2m`, `12d 3h`. */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  if (!Number.isFinite(seconds)) return 'unknown'
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  if (seconds < 60) return `${seconds}s`
  if (minutes < 60) return `${minutes}m ${seconds % 60}s`
  if (hours < 24) return `${hours}h ${minutes % 60}m`
  return `${days}d ${hours % 24}h`
}

/**
 * A number of blocks: IPv6 pools have more of them than a number is read as, or than a double holds
 * exactly.
 */
export function formatBlocks(blocks: number): string {
  if (blocks < 1e9) return String(blocks)
  const power = Math.log2(blocks)
  return Number.isInteger(power) ? `2^${power}` : `about 2^${Math.round(power)}`
}

/** The words of a filter: all must occur. */
export function filterWords(text: string): readonly string[] {
  return text.toLowerCase().split(/\s+/).filter(Boolean)
}

export function matches(words: readonly string[], texts: readonly string[]): boolean {
  if (words.length === 0) return true
  const whole = texts.join('\n').toLowerCase()
  return words.every(word => whole.includes(word))
}

/**
 * Nodes that share a BGPPeer, with their switches; without switches: the nodes that no BGPPeer
 * selects. Those of the cloud are not in it.
 */
export interface Lan {
  readonly peers: readonly LanView[]
  /** Speakers first. */
  readonly nodes: readonly NodeView[]
  readonly sessions: readonly BgpSession[]
}

/** The LANs: BGPPeers that share a node are one. */
export function lansOf({ lans, nodes, sessions }: Pick<Snapshot, 'lans' | 'nodes' | 'sessions'>): readonly Lan[] {
  const byName = new Map(nodes.map(node => [node.name, node]))
  const groups = joined(lans)
  const inLan = new Set(lans.flatMap(lan => [...lan.nodes, ...lan.speakers]))
  const rest = nodes.filter(node => !inLan.has(node.name) && node.cloud === undefined)
  const found = groups.map(peers => {
    const names = new Set(peers.flatMap(peer => [...peer.speakers, ...peer.nodes]))
    const peerNames = new Set(peers.map(peer => peer.bgpPeer))
    return {
      peers,
      nodes: [...names].map(name => byName.get(name) ?? unknownNode(name, peers)),
      sessions: sessions.filter(session => peerNames.has(session.bgpPeer)),
    }
  })
  return rest.length === 0 ? found : [...found, { peers: [], nodes: rest, sessions: [] }]
}

/** A speaker that a BGPPeer names and of which nothing else is known. */
function unknownNode(name: string, peers: readonly LanView[]): NodeView {
  const speakerOf = peers.filter(peer => peer.speakers.includes(name)).map(peer => peer.bgpPeer)
  return { name, addresses: [], podCIDRs: [], peers: [], speakerOf }
}

/** Groups of BGPPeers that share a node, directly or through others. */
function joined(lans: readonly LanView[]): readonly (readonly LanView[])[] {
  const groupOf = new Map<string, LanView[]>()
  const groups = new Set<LanView[]>()
  for (const lan of lans) {
    const group = [lan]
    for (const name of lan.nodes) {
      const other = groupOf.get(name)
      if (other === undefined || !groups.has(other)) continue
      if (other === group) continue
      group.unshift(...other)
      groups.delete(other)
    }
    groups.add(group)
    for (const name of group.flatMap(member => member.nodes)) groupOf.set(name, group)
  }
  return [...groups]
}

const natural = new Intl.Collator('en', { numeric: true })

/** Orders names as people count: edge-2 before edge-10. */
export function compareNames(a: string, b: string): number {
  return natural.compare(a, b)
}

/** What needs a look comes first, then by name. */
export function sorted<Row>(
  rows: readonly Row[],
  needsLook: (row: Row) => boolean,
  name: (row: Row) => string,
): readonly Row[] {
  return [...rows].sort((a, b) => Number(needsLook(b)) - Number(needsLook(a)) || compareNames(name(a), name(b)))
}

/** Shortens a name in its middle, for both ends of node names tell them apart. */
export function shorten(text: string, length: number): string {
  const characters = [...text]
  if (characters.length <= length) return text
  const tail = Math.floor((length - 1) / 2)
  return `${characters.slice(0, length - 1 - tail).join('')}…${characters.slice(characters.length - tail).join('')}`
}
