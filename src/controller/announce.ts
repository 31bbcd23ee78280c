/**
 * Decides which Events the controller writes: one when something begins to be so, none while it stays so, also across a change of leader
 * (the condition that the last leader wrote says what was told). Pure but for what it remembers.
 */
import type { KubeEvent } from '../kube/api.ts'
import type { Condition } from '../kube/resources.ts'
import type { EvaluatedPeer, Finding } from './bgp-peers.ts'
import type { NodeIssue } from './decide.ts'
import type { NodeFacts } from './nodes.ts'

export class Announcements {
  /** What was told last, by uid. */
  readonly #peers = new Map<string, string>()
  readonly #nodes = new Map<string, string>()

  /** Events for BGPPeers whose Accepted condition is new. */
  peerEvents(peers: readonly EvaluatedPeer[]): readonly KubeEvent[] {
    forgetOthers(this.#peers, new Set(peers.map(({ object }) => object.metadata.uid ?? '')))
    return peers.flatMap(({ object, accepted }): KubeEvent[] => {
      const { name, uid = '' } = object.metadata
      const told = this.#peers.get(uid) ?? toldBy(object.status?.conditions)
      const telling = textOf(accepted)
      this.#peers.set(uid, telling)
      if (told === telling) return []
      const type = accepted.reason === 'Accepted' ? 'Normal' : 'Warning'
      const regarding = { apiVersion: object.apiVersion, kind: object.kind, name, uid }
      return [{ regarding, type, reason: accepted.reason, message: accepted.message }]
    })
  }

  /** Events for nodes whose issues are new. */
  nodeEvents(nodes: readonly NodeFacts[], issues: readonly NodeIssue[]): readonly KubeEvent[] {
    const uids = new Map(nodes.map(({ name, uid }) => [name, uid]))
    forgetOthers(this.#nodes, new Set(issues.map(issue => keyOf(uids, issue))))
    return issues.flatMap((issue): KubeEvent[] => {
      const key = keyOf(uids, issue)
      if (this.#nodes.get(key) === issue.message) return []
      this.#nodes.set(key, issue.message)
      return [nodeEvent(issue.node, uids.get(issue.node) ?? '', { type: 'Warning', ...issue })]
    })
  }
}

/** An Event about a Node. */
export function nodeEvent(name: string, uid: string, event: Pick<KubeEvent, 'type' | 'reason' | 'message'>): KubeEvent {
  const { type, reason, message } = event
  return { regarding: { apiVersion: 'v1', kind: 'Node', name, uid }, type, reason, message }
}

function keyOf(uids: ReadonlyMap<string, string>, { node, reason, message }: NodeIssue): string {
  return `${uids.get(node) ?? ''}/${reason}/${message}`
}

function toldBy(conditions: readonly Condition[] | undefined): string | undefined {
  const accepted = conditions?.find(({ type }) => type === 'Accepted')
  return accepted && textOf(accepted)
}

function textOf({ status, reason, message }: Finding): string {
  return `${status} ${reason} ${message}`
}

function forgetOthers(told: Map<string, string>, present: ReadonlySet<string>): void {
  for (const key of told.keys()) if (!present.has(key)) told.delete(key)
}
