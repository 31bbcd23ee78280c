/**
 * What the controller shows on its status page: the cluster as its parts of a snapshot. Pure.
 */
import type { SpeakerStatus } from '../kube/bgp-peer.ts'
import { lanView } from '../kube/lan-view.ts'
import { reportedSession } from '../kube/speaker-entry.ts'
import { present } from '../lib/fields.ts'
import { type Advice, sessionProblems } from '../model/problems.ts'
import type { BgpSession } from '../model/session.ts'
import type { LanView, NodeView } from '../model/snapshot.ts'
import type { EvaluatedPeer } from './bgp-peers.ts'
import type { Decision, NodeIssue } from './decide.ts'
import type { NodeFacts } from './nodes.ts'
import type { PoolUse } from './pod-cidr.ts'
import type { HeldRemovals } from './removals.ts'
import { NO_REPORT, unheardText } from './sessions.ts'

export interface ClusterRows {
  readonly nodes: readonly NodeView[]
  readonly lans: readonly LanView[]
  readonly sessions: readonly BgpSession[]
  readonly pools: readonly PoolUse[]
  /** When each node that has a podCIDR came (RFC 3339). */
  readonly createdAt: readonly string[]
  /** What an operator should know, a line each. */
  readonly problems: readonly string[]
  /** What to do about those that do not say it themselves. */
  readonly advice: readonly Advice[]
  /** How many removals are held. */
  readonly heldRemovals: number
}

export const NO_ROWS: ClusterRows = {
  nodes: [],
  lans: [],
  sessions: [],
  pools: [],
  createdAt: [],
  problems: [],
  advice: [],
  heldRemovals: 0,
}

export function clusterRows(
  nodes: readonly NodeFacts[],
  decision: Decision,
  held: Pick<HeldRemovals, 'text'> = { text: undefined },
): ClusterRows {
  const unheardSince = new Map(
    nodes.flatMap(node => (node.unheardSince === undefined ? [] : [[node.name, node.unheardSince]])),
  )
  const sessions = decision.peers.flatMap(peer => sessionsOf(peer, unheardSince))
  const advice = adviceOf(decision, sessions)
  return {
    nodes: nodeViews(nodes, decision),
    lans: decision.peers.map(lanOf),
    sessions,
    pools: decision.allocation.pools,
    createdAt: nodes.filter(({ podCIDRs }) => podCIDRs.length > 0).map(({ createdAt }) => createdAt),
    heldRemovals: decision.removals.kept.size,
    advice,
    problems: [
      ...(held.text === undefined ? [] : [`RemovalHeld: ${held.text}`]),
      ...waitingProblems(decision.allocation),
      ...advice.map(({ problem }) => problem),
    ],
  }
}

/** What is wrong with BGPPeers, nodes and sessions, and what to do about each. */
function adviceOf({ peers, issues }: Decision, sessions: readonly BgpSession[]): Advice[] {
  return [
    ...peers
      .filter(({ accepted }) => accepted.reason !== 'Accepted')
      .map(({ name, accepted: { reason, message } }) => ({
        problem: `BGPPeer ${name}: ${reason}: ${message}`,
        remedy: PEER_REMEDIES[reason]?.(name) ?? `kubectl edit bgppeer ${name}`,
      })),
    ...issues.map(({ node, reason, message }) => ({
      problem: `Node ${node}: ${reason}: ${message}`,
      remedy: NODE_REMEDIES[reason],
    })),
    ...sessionProblems(sessions),
    ...peers
      .filter(({ routesVerified }) => routesVerified.status === 'False')
      .map(({ name, routesVerified }) => ({
        problem: `BGPPeer ${name}: RoutesNotVerified: ${routesVerified.message}`,
        remedy: `on the switch look up these pod CIDRs; terway-edge switch-config ${name} prints what its import filter has to let in`,
      })),
  ]
}

/** Where it is not the spec that has to be changed. */
const PEER_REMEDIES: Readonly<Record<string, (name: string) => string>> = {
  SecretNotFound: () => 'kubectl -n kube-system create secret generic NAME --from-literal=KEY=PASSWORD',
  SecretNotReadable: () => 'terway-edge manifests --part rbac | kubectl apply -f -',
  NoNodeSelected: name => `kubectl get nodes --show-labels; label the nodes as nodeSelector of ${name} says`,
}

const NODE_REMEDIES: Readonly<Record<NodeIssue['reason'], string>> = {
  PodCIDRPoolExhausted:
    'append a pool to network.podCIDRs of the controller (terway-edge plan), or delete Nodes that are gone for good',
  PodCIDROverlap:
    'the younger of the two gets a new pod CIDR when its Node is deleted and registers again, its pods drained before',
  PodCIDROutsidePools: 'append the range to network.podCIDRs, or see network.foreignPodCIDRs',
  PodCIDRTooLarge: 'who gave it? With allocatePodCIDRs switch off --allocate-node-cidrs of kube-controller-manager',
  PodCIDRCoversAddress: 'move the address, or the pool: network.podCIDRs must not cover what nodes live by',
  AddressInPodCIDR: 'move the address, or the pool: network.podCIDRs must not cover addresses of nodes',
  DuplicateAddress: 'kubectl get nodes -o wide: delete the Node that is gone, or correct its InternalIP',
  InvalidPodCIDR: 'kubectl describe node: spec.podCIDRs cannot be changed; delete the Node and let it register again',
}

function waitingProblems({ waiting, silent }: Decision['allocation']): readonly string[] {
  if (waiting.length === 0) return []
  const whom = silent.length === 0 ? 'nodes that are not back yet' : silent.join(', ')
  return [
    `this cluster remembers no pod CIDRs: ${waiting.join(', ')} get none until ${whom} may have said which they had (network.rememberSeconds)`,
  ]
}

function nodeViews(nodes: readonly NodeFacts[], { peers, issues }: Decision): readonly NodeView[] {
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
      const known = { name, addresses, podCIDRs, peers, speakerOf, ready }
      // what the cloud says is another room's
      return present<NodeView>({ ...known, problem: problems.join('; ') || undefined, cloud: undefined })
    })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Of a BGPPeer that cannot work, what of its spec can be shown. */
function lanOf({ name, object, peer, nodes, accepted }: EvaluatedPeer): LanView {
  const problem = accepted.reason === 'Accepted' ? undefined : `${accepted.reason}: ${accepted.message}`
  return lanView(name, peer?.spec ?? readableSpec(object.spec), { nodes, problem })
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

/**
 * Every session that is wanted: a speaker that says nothing must not look like one that is not
 * there.
 */
function sessionsOf(
  { name, object, peer, wanted, speakers, unheard }: EvaluatedPeer,
  unheardSince: ReadonlyMap<string, string>,
): readonly BgpSession[] {
  const about = { name, ...(peer?.spec ?? readableSpec(object.spec)) }
  return wanted.map(node => {
    const entry = speakers.find(speaker => speaker.node === node)
    if (unheard.includes(node)) return unheardSession(about, node, { entry, since: unheardSince.get(node) ?? '' })
    const reported = reportedSession(about, node, entry)
    return entry === undefined ? { ...reported, lastError: NO_REPORT } : reported
  })
}

/** Of a speaker that is not heard the last report is no more than that. */
function unheardSession(
  about: Parameters<typeof reportedSession>[0],
  node: string,
  last: { entry: SpeakerStatus | undefined; since: string },
): BgpSession {
  const { entry, since } = last
  const before = entry === undefined ? 'it has never reported' : `its last report was ${entry.state ?? 'empty'}`
  return {
    ...reportedSession(about, node, undefined),
    since,
    flaps: entry?.flaps ?? 0,
    lastError: `${unheardText([node])}; ${before}`,
  }
}
