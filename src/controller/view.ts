/**
 * What the controller shows on its status page: rows that fit those of src/status/snapshot.ts, a room of the same rank that this one may
 * not import (test/controller/decide.test.ts holds that they fit). Pure.
 */
import type { SpeakerStatus } from '../kube/bgp-peer.ts'
import type { EvaluatedPeer } from './bgp-peers.ts'
import type { Decision } from './decide.ts'
import type { NodeFacts } from './nodes.ts'
import type { PoolUse } from './pod-cidr.ts'
import { NO_REPORT, unheardText } from './sessions.ts'

export interface NodeRow {
  readonly name: string
  readonly addresses: readonly string[]
  readonly podCIDRs: readonly string[]
  readonly peers: readonly string[]
  readonly speakerOf: readonly string[]
  readonly ready: boolean
  readonly problem?: string
}

export interface LanRow {
  readonly bgpPeer: string
  readonly localAsNumber: number
  readonly peerIP: string
  readonly peerAsNumber: number
  readonly gateway?: string
  readonly nodeSelector: string
  readonly speakers: readonly string[]
  readonly nodes: readonly string[]
  readonly problem?: string
}

export interface SpeakerRow {
  readonly bgpPeer: string
  readonly node: string
  readonly peerIP: string
  readonly peerAsNumber: number
  readonly localAsNumber: number
  readonly localAddress?: string
  /** As RFC 4271 spells it; `unknown` where the speaker says nothing or is not heard. */
  readonly state: string
  readonly since: string
  readonly advertisedPrefixes: number
  readonly receivedPrefixes: number
  readonly flaps: number
  readonly holdTimeSeconds?: number
  readonly capabilities: readonly string[]
  readonly lastError?: string
}

export interface ClusterRows {
  readonly nodes: readonly NodeRow[]
  readonly lans: readonly LanRow[]
  readonly sessions: readonly SpeakerRow[]
  readonly pools: readonly PoolUse[]
  /** What an operator should know, a line each. */
  readonly problems: readonly string[]
}

export const NO_ROWS: ClusterRows = { nodes: [], lans: [], sessions: [], pools: [], problems: [] }

export function clusterRows(nodes: readonly NodeFacts[], decision: Decision): ClusterRows {
  const unheardSince = new Map(
    nodes.flatMap(node => (node.unheardSince === undefined ? [] : [[node.name, node.unheardSince]])),
  )
  return {
    nodes: nodeRows(nodes, decision),
    lans: decision.peers.map(lanRow),
    sessions: decision.peers.flatMap(peer => speakerRows(peer, unheardSince)),
    pools: decision.allocation.pools,
    problems: [
      ...decision.peers
        .filter(({ accepted }) => accepted.reason !== 'Accepted')
        .map(({ name, accepted }) => `BGPPeer ${name}: ${accepted.reason}: ${accepted.message}`),
      ...decision.issues.map(({ node, reason, message }) => `Node ${node}: ${reason}: ${message}`),
    ],
  }
}

function nodeRows(nodes: readonly NodeFacts[], { peers, issues }: Decision): readonly NodeRow[] {
  const rows = new Map(
    nodes.map(node => [
      node.name,
      { node, peers: [] as string[], speakerOf: [] as string[], problems: [] as string[] },
    ]),
  )
  for (const peer of peers) {
    for (const name of peer.nodes) rows.get(name)?.peers.push(peer.name)
    for (const name of peer.peer?.spec.localSpeakers ?? []) rows.get(name)?.speakerOf.push(peer.name)
  }
  for (const issue of issues) rows.get(issue.node)?.problems.push(issue.message)
  return [...rows.values()]
    .map(({ node, peers, speakerOf, problems }) => {
      const { name, addresses, podCIDRs, ready } = node
      if (addresses.length === 0) problems.push('it has no InternalIP yet')
      const problem = problems.join('; ')
      return { name, addresses, podCIDRs, peers, speakerOf, ready, ...(problem === '' ? {} : { problem }) }
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Of a BGPPeer that cannot work, what of its spec can be shown. */
function lanRow({ name, object, peer, nodes, accepted }: EvaluatedPeer): LanRow {
  const spec = peer?.spec ?? readableSpec(object.spec)
  return {
    bgpPeer: name,
    localAsNumber: spec.localAsNumber,
    peerIP: spec.peerIP,
    peerAsNumber: spec.peerAsNumber,
    ...(spec.gateway === undefined ? {} : { gateway: spec.gateway }),
    nodeSelector: spec.nodeSelector,
    speakers: spec.localSpeakers,
    nodes,
    ...(accepted.reason === 'Accepted' ? {} : { problem: `${accepted.reason}: ${accepted.message}` }),
  }
}

function readableSpec(spec: unknown) {
  const fields: Record<string, unknown> = typeof spec === 'object' && spec !== null ? { ...spec } : {}
  const text = (value: unknown) => (typeof value === 'string' ? value : '')
  const number = (value: unknown) => (typeof value === 'number' ? value : 0)
  const speakers: unknown[] = Array.isArray(fields.localSpeakers) ? fields.localSpeakers : []
  return {
    localSpeakers: speakers.filter(name => typeof name === 'string'),
    localAsNumber: number(fields.localAsNumber),
    peerIP: text(fields.peerIP),
    peerAsNumber: number(fields.peerAsNumber),
    gateway: typeof fields.gateway === 'string' ? fields.gateway : undefined,
    nodeSelector: text(fields.nodeSelector),
  }
}

/** A row for every session that is wanted: a speaker that says nothing must not look like one that is not there. */
function speakerRows(
  { name, object, peer, wanted, speakers, unheard }: EvaluatedPeer,
  unheardSince: ReadonlyMap<string, string>,
): readonly SpeakerRow[] {
  const { peerIP, peerAsNumber, localAsNumber } = peer?.spec ?? readableSpec(object.spec)
  const session = { bgpPeer: name, peerIP, peerAsNumber, localAsNumber }
  return wanted.map(node => {
    const entry = speakers.find(speaker => speaker.node === node)
    if (unheard.includes(node)) return { ...session, ...unheardSession(node, entry, unheardSince.get(node) ?? '') }
    return {
      ...session,
      ...(entry === undefined ? { node, ...UNKNOWN, lastError: NO_REPORT } : reportedSession(entry)),
    }
  })
}

const UNKNOWN = { state: 'unknown', since: '', advertisedPrefixes: 0, receivedPrefixes: 0, flaps: 0, capabilities: [] }

function reportedSession(entry: SpeakerStatus) {
  return {
    ...entry,
    state: entry.state ?? '',
    since: entry.since ?? '',
    advertisedPrefixes: entry.advertisedPrefixes ?? 0,
    receivedPrefixes: entry.receivedPrefixes ?? 0,
    flaps: entry.flaps ?? 0,
    capabilities: entry.capabilities ?? [],
  }
}

/** Of a speaker that is not heard the last report is no more than that. */
function unheardSession(node: string, entry: SpeakerStatus | undefined, since: string) {
  const before = entry === undefined ? 'it has never reported' : `its last report was ${entry.state ?? 'empty'}`
  return { node, ...UNKNOWN, since, flaps: entry?.flaps ?? 0, lastError: `${unheardText([node])}; ${before}` }
}
