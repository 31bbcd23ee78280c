/**
 * The objects that the lab puts into its cluster: what a kubelet would register (Nodes) and what an
 * operator would apply by hand (Secret, BGPPeers), as in the documented example.
 *
 * Does not say pod CIDRs: allocating them is the controller's job, and part of what the lab shows.
 */
import type { KubeObject } from '../kube/resources.ts'
import { LAB_LABEL, type LabPlan, type LanPlan, NODE_POOL_LABEL, type NodePlan } from './plan.ts'

const SECRET_NAME = 'bgp-secret'
const SECRET_NAMESPACE = 'kube-system'
const SECRET_KEY = 'password'

/** A Node as a kubelet would register it. */
export function nodeObject(plan: LabPlan, lan: LanPlan, node: NodePlan): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: node.name,
      labels: {
        'kubernetes.io/hostname': node.name,
        'kubernetes.io/os': 'linux',
        [NODE_POOL_LABEL]: lan.nodePool,
        [LAB_LABEL]: plan.prefix,
      },
    },
  }
}

/** Its status: written apart, because a real API server may drop it at creation. */
export function nodeStatus(node: NodePlan, time: string): object {
  const ready = { type: 'Ready', status: 'True', reason: 'LabNode', message: 'a node of the terway-edge lab' }
  return {
    status: {
      addresses: [
        { type: 'InternalIP', address: node.address },
        ...(node.address6 === undefined ? [] : [{ type: 'InternalIP', address: node.address6 }]),
        { type: 'Hostname', address: node.name },
      ],
      conditions: [{ ...ready, lastHeartbeatTime: time, lastTransitionTime: time }],
      nodeInfo: NODE_INFO,
    },
  }
}

/** The API wants all of these to be there. */
const NODE_INFO = {
  architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
  bootID: '',
  containerRuntimeVersion: '',
  kernelVersion: '',
  kubeProxyVersion: '',
  kubeletVersion: '',
  machineID: '',
  operatingSystem: 'linux',
  osImage: 'terway-edge lab',
  systemUUID: '',
}

/** The Secret with the TCP MD5 password of the LANs that have one. */
export function secretObject(plan: LabPlan): KubeObject | undefined {
  const password = plan.lans.find(lan => lan.password !== undefined)?.password
  if (password === undefined) return undefined
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: SECRET_NAME, namespace: SECRET_NAMESPACE, labels: { [LAB_LABEL]: plan.prefix } },
    type: 'Opaque',
    data: { [SECRET_KEY]: btoa(password) },
  }
  return secret
}

/** The BGPPeer of a LAN, as in the documented example. */
export function bgpPeerObject(plan: LabPlan, lan: LanPlan): KubeObject {
  const peer = {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'BGPPeer',
    metadata: { name: lan.bgpPeer, labels: { [LAB_LABEL]: plan.prefix } },
    spec: {
      localSpeakers: lan.speakers.map(({ name }) => name),
      localAsNumber: lan.localAsNumber,
      peerIP: lan.switch.address,
      peerAsNumber: lan.switch.asNumber,
      nodeSelector: `${NODE_POOL_LABEL}=${lan.nodePool}`,
      ...(lan.password === undefined ? {} : { authPassword: { secretKeyRef: { name: SECRET_NAME, key: SECRET_KEY } } }),
    },
  }
  return peer
}
