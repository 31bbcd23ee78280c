/**
 * Decides what the controller writes into the status of a BGPPeer, and whether it is worth a write:
 * every write travels to every node. `speakers` is not its business, each speaker owns its entry.
 * Pure.
 */
import type { BGPPeerStatus } from '../kube/bgp-peer.ts'
import type { Condition, KubeObject } from '../kube/resources.ts'
import { comparing, identical } from '../lib/fields.ts'
import type { EvaluatedPeer } from './bgp-peers.ts'
import type { Finding } from './finding.ts'

/**
 * More names than these in status.selectedNodes tell nobody anything and would travel to every node
 * with every change.
 */
export const MAXIMUM_SELECTED_NODES = 100
/** The API server's bound for a condition's message is 32768; people read far less. */
const MAXIMUM_MESSAGE = 1024

export type ControllerStatus = Required<Pick<BGPPeerStatus, 'conditions' | 'selectedNodes' | 'sessions' | 'prefixes'>>

/** The status to apply at `now` (RFC 3339), or undefined when the one there says the same. */
export function statusToApply(
  evaluated: EvaluatedPeer,
  now: string,
  removalHeld?: string,
): ControllerStatus | undefined {
  const { status, metadata } = evaluated.object
  const generation = metadata.generation ?? 0
  const conditions = [
    condition('Accepted', evaluated.accepted, { previous: status?.conditions, now, generation }),
    condition('Established', evaluated.established, { previous: status?.conditions, now, generation }),
    condition('RoutesVerified', evaluated.routesVerified, { previous: status?.conditions, now, generation }),
    ...(removalHeld === undefined
      ? []
      : [condition(REMOVAL_HELD, heldFinding(removalHeld), { previous: status?.conditions, now, generation })]),
  ]
  const next: ControllerStatus = {
    conditions,
    selectedNodes: evaluated.nodes.slice(0, MAXIMUM_SELECTED_NODES),
    sessions: evaluated.sessions,
    prefixes: evaluated.prefixes,
  }
  return isWritten({ ...NOTHING_WRITTEN, ...status }, next) ? undefined : next
}

const NOTHING_WRITTEN: ControllerStatus = { conditions: [], selectedNodes: [], sessions: '', prefixes: 0 }

/** Of the conditions there, those of others do not count. */
const isWritten = comparing<ControllerStatus>({
  conditions: (there, wanted) =>
    isHeld(there) === isHeld(wanted) &&
    wanted.every(one => {
      const before = there.find(({ type }) => type === one.type)
      return before !== undefined && Bun.deepEquals(before, one)
    }),
  selectedNodes: (there, wanted) => Bun.deepEquals(there, wanted),
  sessions: identical,
  prefixes: identical,
})

function isHeld(conditions: readonly Condition[]): boolean {
  return conditions.some(({ type }) => type === REMOVAL_HELD)
}

const REMOVAL_HELD = 'RemovalHeld'

/** A condition that is there only while something is held. */
function heldFinding(message: string): Finding {
  return { status: 'True', reason: 'MassRemoval', message }
}

/** The object that server-side apply takes: exactly the fields that the controller owns. */
export function statusPatch(
  evaluated: EvaluatedPeer,
  status: ControllerStatus,
): KubeObject & { status: ControllerStatus } {
  const { apiVersion, kind, metadata } = evaluated.object
  // the uid, so that an object made anew under the name gets nothing of the old one
  const { name, uid } = metadata
  return { apiVersion, kind, metadata: { name, ...(uid === undefined ? {} : { uid }) }, status }
}

/** A condition keeps its time while its status is the same. */
function condition(
  type: string,
  finding: Finding,
  from: { previous: readonly Condition[] | undefined; now: string; generation: number },
): Condition {
  const before = from.previous?.find(other => other.type === type)
  return {
    type,
    status: finding.status,
    reason: finding.reason,
    message: finding.message.slice(0, MAXIMUM_MESSAGE),
    lastTransitionTime: before?.status === finding.status ? before.lastTransitionTime : from.now,
    observedGeneration: from.generation,
  }
}
