/** Snapshots with everything that can become a metric. */
import type { BgpNeighbor } from '../../src/model/session.ts'
import type { Snapshot } from '../../src/model/snapshot.ts'
import { controllerSnapshot, nodeSnapshot, SESSION } from './sample.ts'

const MESSAGES = { open: 1, update: 3, notification: 0, keepalive: 40, routeRefresh: 0 }
const NEIGHBOR: BgpNeighbor = {
  routerId: '172.16.0.11',
  peerPort: 179,
  passive: false,
  password: false,
  ttl: 1,
  configured: { holdTimeSeconds: 90, connectRetrySeconds: 30 },
  sent: MESSAGES,
  received: MESSAGES,
  established: 4,
  dropped: 3,
  localCapabilities: [],
  families: [],
  waitingPrefixes: 0,
  congested: false,
}

/** A node and a controller with everything that can become a metric. */
export const FULL_NODE: Snapshot = nodeSnapshot({
  heldRemovals: 2,
  build: { commit: 'c0ffee', runtime: 'Bun 1.4.5', platform: 'linux-x64' },
  api: { ...nodeSnapshot().api, clockAheadSeconds: 0, requests: 12, failures: 1 },
  expiries: [{ what: 'token of the kubeconfig', at: '2027-03-01T12:00:00Z', warnFrom: '2027-02-15T12:00:00Z' }],
  sessions: [
    {
      ...SESSION,
      notAnnouncedPrefixes: 1,
      neighbor: NEIGHBOR,
      notifications: [{ direction: 'received', code: 6, subcode: 2, count: 1 }],
      bfd: { state: 'Up', since: '2026-03-01T11:00:00Z', remoteState: 'Up', detectionTimeMilliseconds: 900 },
    },
  ],
  paths: {
    findings: [{ place: 'switch', message: 'no route', podCIDRs: ['10.0.0.128/25'], lan: 'lan-a' }],
    switches: [
      { bgpPeer: 'lan-a', via: '172.16.0.1', status: 'False', message: '', verified: [], missing: ['10.0.0.128/25'] },
    ],
    kinds: [
      { kind: 'direct', lan: 'lan-a', family: 'ipv4', size: 'small', sent: 9, lost: 0, roundTripMilliseconds: 0.4 },
      { kind: 'by-switch', lan: 'lan-a', family: 'ipv4', size: 'full', sent: 9, lost: 9 },
    ],
  },
  node: {
    name: 'edge-1',
    addresses: ['172.16.0.11'],
    podCIDRs: ['10.0.0.0/25'],
    viewSource: 'api',
    pods: 7,
    podCapacity: 125,
    routeRepairs: 1,
    cni: { ADD: { requests: 9, failures: 1, seconds: 0.2 } },
    interfaces: [
      {
        id: 'eni-1',
        mac: '00:16:3e:00:00:01',
        vSwitchID: 'vsw-1',
        state: 'InUse',
        addresses: 9,
        inUse: 3,
        releasing: 0,
      },
    ],
  },
})
export const PLAIN = controllerSnapshot()
export const FULL_CONTROLLER: Snapshot = {
  ...PLAIN,
  heldRemovals: 0,
  nodes: PLAIN.nodes.map(node => ({
    ...node,
    cloud: {
      mode: 'eni-ecs',
      instanceID: 'i-1',
      instanceType: 'ecs.g6.large',
      vSwitchIDs: ['vsw-1'],
      interfaces: [],
      capacity: 10,
      inUse: 3,
      idle: 2,
      waiting: 0,
      operations: [],
    },
  })),
  controller: {
    leader: 'controller-1',
    isLeader: true,
    leaderChanges: 1,
    pools: [{ podCIDR: '10.0.0.0/16', blockLength: 25, blocks: 512, used: 2 }],
    cloud: {
      calls: { AssignPrivateIpAddresses: 3 },
      blocked: [{ scope: 'vSwitch', id: 'vsw-1', code: 'InvalidVSwitchId.IpNotEnough', seconds: 60 }],
    },
  },
}
