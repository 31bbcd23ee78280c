/**
 * The objects that people and kubelets write to the API server of a simulated site, and what they
 * read of them.
 */
import type { KubeObject } from '../../src/kube/resources.ts'
import { gatewayOf, type NodePlace, peerName } from './topology.ts'

const FIRST_READY = '2026-01-01T00:00:00Z'

/** A Node as its kubelet registers it. */
export function nodeObject({ name, address, lan }: NodePlace): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: { lan: String(lan) } },
    spec: {},
    status: { addresses: [{ type: 'InternalIP', address }], conditions: [ready(FIRST_READY)] },
  } as KubeObject
}

/** The Node as it is after its kubelet has said once more that it is there; `time` is RFC 3339. */
export function withHeartbeat(node: KubeObject, time: string): KubeObject {
  return { ...node, status: { ...partOf(node, 'status'), conditions: [ready(time)] } } as KubeObject
}

/** kubectl cordon. */
export function cordoned(node: KubeObject): KubeObject {
  return { ...node, spec: { ...partOf(node, 'spec'), unschedulable: true } } as KubeObject
}

export function relabelled(node: KubeObject, lan: number): KubeObject {
  return { ...node, metadata: { ...node.metadata, labels: { lan: String(lan) } } }
}

/** The BGPPeer of a LAN and one of its gateways. */
export function peerObject(lan: number, which: number): KubeObject {
  return {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'BGPPeer',
    metadata: { name: peerName(lan, which) },
    spec: {
      localSpeakers: [`n${lan}-0`],
      localAsNumber: 65_000 + lan,
      peerIP: gatewayOf(lan, which),
      peerAsNumber: 65_100,
      nodeSelector: `lan=${lan}`,
    },
  } as KubeObject
}

function partOf(node: KubeObject, name: 'spec' | 'status'): object {
  const part = (node as unknown as Record<string, unknown>)[name]
  return typeof part === 'object' && part !== null ? part : {}
}

function ready(time: string): object {
  return { type: 'Ready', status: 'True', lastHeartbeatTime: time, lastTransitionTime: FIRST_READY }
}
