/**
 * The cluster that the scale benchmark measures in: so many Nodes of a realistic size in twenty
 * LANs, each LAN with its BGPPeer. Values only; `measure.ts` puts them into an API server.
 */
import type { KubeObject } from '../../../src/kube/resources.ts'

export const LANS = 20
/** Where the API server is, which is also the switch of the first LAN. */
export const SERVER_ADDRESS = '172.16.255.254'
/** The node that runs: of the first LAN, and no speaker. */
export const MEASURED_NODE = 'node-0'
/** What a Node weighs that runs a few dozen images, as JSON with its managedFields. */
const IMAGES = 36

/** `node-7` is of LAN 7 % 20. */
export function nodeName(index: number): string {
  return `node-${index}`
}

export function nodeAddress(index: number): string {
  const host = Math.floor(index / LANS) + 1
  return `172.${16 + (index % LANS)}.${host >> 8}.${host & 255}`
}

/** A Node as its kubelet registered it, with or without a podCIDR. */
export function nodeObject(index: number, podCIDR?: string): KubeObject & { readonly status: object } {
  const name = nodeName(index)
  const labels = {
    'alibabacloud.com/is-edge-worker': 'true',
    'alibabacloud.com/nodepool-id': `np-${index % LANS}`,
    'beta.kubernetes.io/arch': 'amd64',
    'beta.kubernetes.io/os': 'linux',
    'kubernetes.io/arch': 'amd64',
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'apps.openyurt.io/nodepool': `np-${index % LANS}`,
  }
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels, annotations: { 'node.alpha.kubernetes.io/ttl': '0' } },
    ...(podCIDR !== undefined && { spec: { podCIDR, podCIDRs: [podCIDR] } }),
    ...nodeStatus(index, '2026-01-01T00:00:00Z'),
  } as KubeObject & { readonly status: object }
}

/** What a kubelet writes every five minutes though nothing changed: the times of its conditions. */
export function nodeStatus(index: number, heartbeat: string): { readonly status: object } {
  const condition = (type: string, status: string, reason: string) => ({
    type,
    status,
    reason: `Kubelet${reason}`,
    message: `kubelet has said that ${reason} is ${status}`,
    lastHeartbeatTime: heartbeat,
    lastTransitionTime: '2026-01-01T00:00:00Z',
  })
  const digest = (image: number) => Bun.hash(`${image}`).toString(16).padStart(16, '0').repeat(4)
  return {
    status: {
      addresses: [
        { type: 'InternalIP', address: nodeAddress(index) },
        { type: 'Hostname', address: nodeName(index) },
      ],
      allocatable: { cpu: '3900m', memory: '15Gi', pods: '128' },
      capacity: { cpu: '4', memory: '16Gi', pods: '128' },
      conditions: [
        condition('MemoryPressure', 'False', 'HasSufficientMemory'),
        condition('DiskPressure', 'False', 'HasNoDiskPressure'),
        condition('PIDPressure', 'False', 'HasSufficientPID'),
        condition('Ready', 'True', 'Ready'),
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
      images: Array.from({ length: IMAGES }, (_, image) => ({
        names: [
          `registry.example.com/shop/service-${image}@sha256:${digest(image)}`,
          `registry.example.com/shop/service-${image}:1.${image}.0`,
        ],
        sizeBytes: 10_000_000 + image,
      })),
      nodeInfo: {
        architecture: 'amd64',
        bootID: `6a2f9d9e-0000-4000-8000-${String(index).padStart(12, '0')}`,
        containerRuntimeVersion: 'containerd://1.7.13',
        kernelVersion: '5.10.134-16.3.al8.x86_64',
        kubeProxyVersion: '',
        kubeletVersion: 'v1.28.3',
        machineID: String(index).padStart(32, '0'),
        operatingSystem: 'linux',
        osImage: 'Alibaba Cloud Linux 3',
        systemUUID: `9c1f0e2b-0000-4000-8000-${String(index).padStart(12, '0')}`,
      },
    },
  }
}

/** The BGPPeer of a LAN: its speaker is a node that does not run here. */
export function peerObject(lan: number): KubeObject {
  const address = lan === 0 ? SERVER_ADDRESS : `172.${16 + lan}.255.254`
  return {
    apiVersion: 'network.openyurt.io/v1alpha1',
    kind: 'BGPPeer',
    metadata: { name: `lan-${lan}` },
    spec: {
      localSpeakers: [nodeName(LANS + lan)],
      localAsNumber: 65_010,
      peerIP: address,
      peerAsNumber: 65_001,
      nodeSelector: `alibabacloud.com/nodepool-id=np-${lan}`,
    },
  } as KubeObject
}
