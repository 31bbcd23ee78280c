/**
 * Evaluates BGPPeers against the nodes that exist: which nodes each selects, whether it can work
 * and what to change if not, how its sessions are. Pure. A BGPPeer with a problem disturbs no other
 * one, and its own good parts go on.
 */

import { decodePassword } from '../kube/bgp-password.ts'
import { type BGPPeer, type BGPPeerObject, compareByAge } from '../kube/bgp-peer.ts'
import { decodeBGPPeer } from '../kube/decode-bgp-peer.ts'
import type { SecretAnswer } from '../kube/merge-cluster.ts'
import { memoByObject, memoByText } from '../lib/memo.ts'
import { parseNodeSelector, selects } from '../lib/node-selector.ts'
import type { Finding } from './finding.ts'
import { type SessionFindings, sessionFindings } from './sessions.ts'

export interface EvaluatedPeer extends SessionFindings {
  readonly name: string
  readonly object: BGPPeerObject
  /** Undefined where the spec cannot work. */
  readonly peer: BGPPeer | undefined
  /**
   * Names of all nodes that it selects, sorted; of one that cannot work, those that it selected
   * before.
   */
  readonly nodes: readonly string[]
  /**
   * Of these, the nodes that are published as members of its LAN: none before it could work for the
   * first time.
   */
  readonly members: readonly string[]
  readonly accepted: Finding
}

export interface PeerInputs {
  readonly peers: Iterable<BGPPeerObject>
  /** Labels by node name. */
  readonly nodes: ReadonlyMap<string, Readonly<Record<string, string>>>
  /** Addresses by node name. */
  readonly addresses: ReadonlyMap<string, readonly string[]>
  /** Names of nodes the kubelet of which is not heard. */
  readonly unheard: ReadonlySet<string>
  /** Nodes that were published with a BGPPeer, by its name. */
  readonly published: ReadonlyMap<string, readonly string[]>
  /** BGPPeers whose peerIP or gateway lies in a podCIDR that was there first: why, by name. */
  readonly refused: ReadonlyMap<string, string>
  /** What is known of a Secret in kube-system; undefined while nobody has answered yet. */
  readonly secret: (name: string) => SecretAnswer | undefined
}

/** The BGPPeers by name, evaluated. */
export function evaluatePeers(inputs: PeerInputs): readonly EvaluatedPeer[] {
  const decoded = [...inputs.peers]
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .map(object => ({ object, decoded: decodeBGPPeer(object) }))
  const good = decoded.flatMap(({ decoded }) => ('peer' in decoded ? [decoded.peer] : []))
  return decoded.map(({ object, decoded }) => {
    const { name } = object.metadata
    const peer = 'peer' in decoded ? decoded.peer : undefined
    const nodes =
      (peer === undefined
        ? inputs.published.get(name)?.filter(node => inputs.nodes.has(node))
        : selectedNodes(peer, inputs.nodes)) ?? []
    const problems = 'problems' in decoded ? decoded.problems : []
    const invalid = problems.map(({ path, message }) => `${path}: ${message}`).join('; ')
    const accepted: Finding =
      peer === undefined
        ? { status: 'False', reason: 'InvalidSpec', message: invalid }
        : judge(peer, nodes, good, inputs)
    const sessions = sessionFindings(peer, object.status?.speakers ?? [], inputs)
    return {
      name,
      object,
      peer,
      nodes,
      members: inputs.published.has(name) || canWork(accepted, sessions.wanted, inputs) ? nodes : [],
      accepted,
      ...sessions,
    }
  })
}

type NodeLabels = PeerInputs['nodes']

/** The names of the nodes that a BGPPeer selects, sorted. */
export function selectedNodes(peer: BGPPeer, nodes: NodeLabels): readonly string[] {
  return selectionsIn(nodes)(peer.spec.nodeSelector)
}

/** What each selector selects among `nodes`; a pass asks for each more than once. */
const selectionsIn = memoByObject((nodes: NodeLabels) => {
  const byLabel = memoByText(Number.POSITIVE_INFINITY, key => namesByValue(nodes, key))
  return memoByText(Number.POSITIVE_INFINITY, (text): readonly string[] => {
    const parsed = parseNodeSelector(text)
    if ('problem' in parsed) return []
    const { selector } = parsed
    // of thousands of nodes most are ruled out by one label
    const equal = selector.kind === 'all' ? undefined : selector.requirements.find(({ operator }) => operator === 'In')
    const candidates =
      equal === undefined ? [...nodes.keys()] : equal.values.flatMap(value => byLabel(equal.key).get(value) ?? [])
    return [...new Set(candidates)].filter(name => selects(selector, nodes.get(name) ?? {})).sort()
  })
})

function namesByValue(nodes: NodeLabels, key: string): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>()
  for (const [name, labels] of nodes) {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined
    if (value === undefined) continue
    const others = names.get(value)
    if (others === undefined) names.set(value, [name])
    else others.push(name)
  }
  return names
}

/**
 * The Accepted condition of a spec that is valid in itself. The first thing that is wrong counts;
 * False means that a session is missing.
 */
function judge(peer: BGPPeer, nodes: readonly string[], all: readonly BGPPeer[], inputs: PeerInputs): Finding {
  const { localSpeakers, authPassword, nodeSelector } = peer.spec
  const unknown = localSpeakers.filter(name => !inputs.nodes.has(name))
  if (unknown.length > 0) {
    const subject = unknown.length === 1 ? 'is no node' : 'are no nodes'
    const message = `${unknown.join(', ')} ${subject} of this cluster; correct spec.localSpeakers (see kubectl get nodes)`
    return { status: 'False', reason: 'UnknownSpeaker', message }
  }
  const own = localSpeakers.find(name => inputs.addresses.get(name)?.includes(peer.spec.peerIP))
  if (own !== undefined) {
    const message = `spec.peerIP: ${peer.spec.peerIP} is the address of the speaker ${own} itself; name the address of the LAN's switch`
    return { status: 'False', reason: 'InvalidSpec', message }
  }
  const covered = inputs.refused.get(peer.name)
  if (covered !== undefined) return { status: 'False', reason: 'AddressInPodCIDR', message: covered }
  const twin = all.find(other => compareByAge(other, peer) < 0 && sharesSession(other, peer))
  if (twin !== undefined) {
    const message = `BGPPeer ${twin.name}, which was there first, opens the same sessions (same speaker, peerIP and peerPort); delete one of the two`
    return { status: 'False', reason: 'DuplicatePeer', message }
  }
  if (authPassword !== undefined) {
    const answer = inputs.secret(authPassword.secretKeyRef.name)
    if (answer !== undefined && 'problem' in answer) {
      return { status: 'Unknown', reason: 'SecretNotReadable', message: answer.problem }
    }
    const password =
      answer === undefined ? undefined : decodePassword(answer.object, authPassword.secretKeyRef, peer.spec.peerIP)
    if (password !== undefined && 'problem' in password) {
      return { status: 'False', reason: 'SecretNotFound', message: password.problem }
    }
  }
  if (nodes.length === 0) {
    const message = `spec.nodeSelector ${JSON.stringify(nodeSelector)} selects no node, so nothing is announced; compare kubectl get nodes --show-labels`
    return { status: 'True', reason: 'NoNodeSelected', message }
  }
  const outside = localSpeakers.filter(name => !nodes.includes(name))
  if (outside.length > 0) {
    const message = `the speaker ${outside.join(', ')} is not selected by spec.nodeSelector, so its own pods are not announced`
    return { status: 'True', reason: 'SpeakerNotSelected', message }
  }
  return { status: 'True', reason: 'Accepted', message: 'the spec can work' }
}

/**
 * Whether a session can come of it. Until then a BGPPeer has no say in where packets go: its peerIP
 * may be anything. Once published, a Secret or a speaker that goes missing changes nothing, because
 * a LAN that works must not fall apart over it.
 */
function canWork(accepted: Finding, speakers: readonly string[], { nodes }: PeerInputs): boolean {
  if (accepted.reason === 'UnknownSpeaker') return speakers.some(name => nodes.has(name))
  return accepted.status !== 'False'
}

function sharesSession(a: BGPPeer, b: BGPPeer): boolean {
  const same = a.spec.peerIP === b.spec.peerIP && a.spec.peerPort === b.spec.peerPort
  return same && a.spec.localSpeakers.some(name => b.spec.localSpeakers.includes(name))
}
