/**
 * The objects that the lab puts into its cluster: what a kubelet would register (Nodes) and what an
 * operator would apply by hand (Secret, BGPPeers), as in the documented example.
 *
 * Does not say pod CIDRs: allocating them is the controller's job, and part of what the lab shows.
 */
import type { KubeObject } from '../kube/resources.ts'
import {
  CLOUD_KEY,
  CLOUD_SECRET,
  type CloudNodePlan,
  MAX_IDLE,
  MIN_IDLE,
  REGION,
  SECURITY_GROUP,
  ZONE,
} from './cloud-plan.ts'
import {
  EDGE_WORKER_LABEL,
  LAB_LABEL,
  type LabPlan,
  type LanPlan,
  type MachinePlan,
  NODE_POOL_LABEL,
  type NodePlan,
} from './plan.ts'

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
        [EDGE_WORKER_LABEL]: 'true',
        [LAB_LABEL]: plan.prefix,
      },
    },
  }
}

/** A Node of the cloud as its kubelet and the cloud's own controllers would leave it. */
export function cloudNodeObject(plan: LabPlan, node: CloudNodePlan): KubeObject {
  const isEns = node.product === 'ens'
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: node.name,
      labels: {
        'kubernetes.io/hostname': node.name,
        'kubernetes.io/os': 'linux',
        'node.kubernetes.io/instance-type': node.instanceType,
        'topology.kubernetes.io/zone': node.zoneID,
        'topology.kubernetes.io/region': isEns ? node.zoneID : REGION,
        ...(isEns ? { 'alibabacloud.com/ens-instance-id': node.instanceID } : {}),
        [LAB_LABEL]: plan.prefix,
      },
    },
    ...(isEns ? {} : { spec: { providerID: `${REGION}.${node.instanceID}` } }),
  }
}

/** What the controller needs for nodes of the cloud: its key, and the ConfigMap eni-config. */
export function cloudObjects(plan: LabPlan): readonly KubeObject[] {
  const { cloud } = plan
  if (cloud === undefined) return []
  const metadata = (name: string) => ({ name, namespace: 'kube-system', labels: { [LAB_LABEL]: plan.prefix } })
  const conf = {
    version: '1',
    vswitches: { [ZONE]: [cloud.podVSwitchID] },
    security_group: SECURITY_GROUP,
    min_pool_size: MIN_IDLE,
    max_pool_size: MAX_IDLE,
    ip_stack: plan.vpc.address6 === undefined ? 'ipv4' : 'dual',
  }
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metadata(CLOUD_SECRET),
    type: 'Opaque',
    data: { accessKeyId: btoa(CLOUD_KEY.id), accessKeySecret: btoa(CLOUD_KEY.secret) },
  }
  const config = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metadata('eni-config'),
    data: { eni_conf: JSON.stringify(conf, undefined, 2) },
  }
  return [secret, config]
}

/** Its status: written apart, because a real API server may drop it at creation. */
export function nodeStatus(node: MachinePlan & { readonly capacity?: number }, time: string): object {
  const ready = { type: 'Ready', status: 'True', reason: 'LabNode', message: 'a node of the terway-edge lab' }
  return {
    status: {
      addresses: [
        { type: 'InternalIP', address: node.address },
        ...(node.address6 === undefined ? [] : [{ type: 'InternalIP', address: node.address6 }]),
        { type: 'Hostname', address: node.name },
      ],
      ...(node.capacity === undefined ? {} : { allocatable: { pods: String(node.capacity) } }),
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
