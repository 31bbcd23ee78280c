/**
 * Decides which Events the controller writes: one when something begins to be so, none while it
 * stays so, also across a change of leader (the condition that the last leader wrote says what was
 * told). Pure but for what it remembers.
 */
import type { KubeEvent } from '../kube/api.ts'
import type { Condition, KubeObject, ObjectReference } from '../kube/resources.ts'
import type { RouteSlice } from '../kube/route-slice.ts'
import type { EvaluatedPeer } from './bgp-peers.ts'
import type { NodeIssue } from './decide.ts'
import type { Finding } from './finding.ts'
import type { NodeFacts } from './nodes.ts'
import type { HeldRemovals } from './removals.ts'
import { unheardText } from './sessions.ts'

export class Announcements {
  /** What was told last, by uid. */
  readonly #peers = new Map<string, string>()
  readonly #nodes = new Map<string, string>()
  readonly #routes = new Map<string, string>()
  readonly #held = new Map<string, string>()
  /** Speakers that are not heard and of whom that was told, by uid of the BGPPeer. */
  readonly #unheard = new Map<string, readonly string[]>()

  /** Events for BGPPeers of which more speakers are not heard than were told of. */
  unheardEvents(peers: readonly EvaluatedPeer[]): readonly KubeEvent[] {
    forgetOthers(this.#unheard, new Set(peers.map(({ object }) => object.metadata.uid ?? '')))
    return peers.flatMap(({ object, unheard }): KubeEvent[] => {
      const { uid = '' } = object.metadata
      const told = this.#unheard.get(uid) ?? (unheardBefore(object.status?.conditions, unheard) ? unheard : [])
      this.#unheard.set(uid, unheard)
      if (unheard.every(name => told.includes(name))) return []
      const message = unheardText(unheard)
      return [{ regarding: regarding(object), type: 'Warning', reason: 'SpeakerNotHeard', message }]
    })
  }

  /** Events for BGPPeers whose Accepted condition is new. */
  peerEvents(peers: readonly EvaluatedPeer[]): readonly KubeEvent[] {
    forgetOthers(this.#peers, new Set(peers.map(({ object }) => object.metadata.uid ?? '')))
    return peers.flatMap(({ object, accepted }): KubeEvent[] => {
      const { uid = '' } = object.metadata
      const told = this.#peers.get(uid) ?? toldBy(object.status?.conditions)
      const telling = textOf(accepted)
      this.#peers.set(uid, telling)
      if (told === telling) return []
      const type = accepted.reason === 'Accepted' ? 'Normal' : 'Warning'
      return [{ regarding: regarding(object), type, reason: accepted.reason, message: accepted.message }]
    })
  }

  /**
   * Events where removals are held, on the BGPPeers concerned and on the RouteSlices that keep what
   * was to go.
   */
  removalEvents(
    held: HeldRemovals,
    peers: readonly EvaluatedPeer[],
    slices: readonly RouteSlice[],
  ): readonly KubeEvent[] {
    const nodes = new Set(held.nodes)
    const keeping = slices.filter(
      ({ entries }) => Array.isArray(entries) && entries.some(({ node }) => nodes.has(node)),
    )
    const told = [
      ...peers.map(({ name, object }) => ({ object, message: held.of(name) })),
      ...keeping.map(object => ({ object, message: held.text })),
    ].filter((one): one is { object: KubeObject; message: string } => one.message !== undefined)
    forgetOthers(this.#held, new Set(told.map(({ object }) => object.metadata.uid ?? '')))
    return told.flatMap(({ object, message }): KubeEvent[] => {
      const { uid = '' } = object.metadata
      if (this.#held.get(uid) === message) return []
      this.#held.set(uid, message)
      return [{ regarding: regarding(object), type: 'Warning', reason: 'RemovalHeld', message }]
    })
  }

  /**
   * Events for BGPPeers of which packets newly prove that the device lacks routes, or has them
   * again.
   */
  routesEvents(peers: readonly EvaluatedPeer[]): readonly KubeEvent[] {
    forgetOthers(this.#routes, new Set(peers.map(({ object }) => object.metadata.uid ?? '')))
    return peers.flatMap(({ object, routesVerified }): KubeEvent[] => {
      const { uid = '' } = object.metadata
      const before = object.status?.conditions?.find(({ type }) => type === 'RoutesVerified')
      const told = this.#routes.get(uid) ?? (before && textOf(before)) ?? ''
      const telling = textOf(routesVerified)
      this.#routes.set(uid, telling)
      if (told === telling || routesVerified.status === 'Unknown') return []
      const lost = routesVerified.status === 'False'
      // what is as it should be from the start is no event
      if (!lost && !told.startsWith('False')) return []
      const reason = lost ? 'RoutesNotVerified' : 'RoutesVerified'
      const { message } = routesVerified
      return [{ regarding: regarding(object), type: lost ? 'Warning' : 'Normal', reason, message }]
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

function regarding({ apiVersion, kind, metadata }: KubeObject): ObjectReference {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '' }
}

function unheardBefore(conditions: readonly Condition[] | undefined, unheard: readonly string[]): boolean {
  const established = conditions?.find(({ type }) => type === 'Established')
  return established?.message.includes(unheardText(unheard)) ?? false
}

function toldBy(conditions: readonly Condition[] | undefined): string | undefined {
  const accepted = conditions?.find(({ type }) => type === 'Accepted')
  return accepted && textOf(accepted)
}

function textOf({ status, reason, message }: Finding): string {
  return `${status} ${reason} ${message}`
}

function forgetOthers(told: Map<string, unknown>, present: ReadonlySet<string>): void {
  for (const key of told.keys()) if (!present.has(key)) told.delete(key)
}
