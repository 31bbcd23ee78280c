/** Snapshots for the tests of this room: a controller with two LANs and a node of one of them. */
import { sessionProblems } from '../../src/model/problems.ts'
import type { BgpSession } from '../../src/model/session.ts'
import type { NodeView, Snapshot } from '../../src/model/snapshot.ts'

export const SESSION: BgpSession = {
  bgpPeer: 'lan-a',
  node: 'edge-1',
  peerIP: '172.16.0.1',
  peerAsNumber: 65001,
  localAsNumber: 65010,
  localAddress: '172.16.0.11',
  state: 'Established',
  since: '2026-03-01T11:00:00Z',
  advertisedPrefixes: 2,
  receivedPrefixes: 1,
  flaps: 3,
  holdTimeSeconds: 90,
  capabilities: ['4-octet-as', 'graceful-restart'],
}

const NODES: readonly NodeView[] = [
  {
    name: 'edge-1',
    addresses: ['172.16.0.11'],
    podCIDRs: ['10.0.0.0/25'],
    peers: ['lan-a'],
    speakerOf: ['lan-a'],
    ready: true,
  },
  {
    name: 'edge-2',
    addresses: ['172.16.0.12'],
    podCIDRs: ['10.0.0.128/25', 'fd00:10::/64'],
    peers: ['lan-a'],
    speakerOf: [],
    ready: false,
  },
  {
    name: 'edge-3',
    addresses: ['172.16.1.11'],
    podCIDRs: [],
    peers: ['lan-b'],
    speakerOf: ['lan-b'],
    problem: 'no pod CIDR: the pool is full',
  },
]

const CONTROLLER_SNAPSHOT: Snapshot = {
  version: '0.1.0',
  role: 'controller',
  time: '2026-03-01T12:00:00Z',
  startedAt: '2026-03-01T10:00:00Z',
  ready: true,
  problems: [],
  api: { server: 'https://10.96.0.1:443', connected: true, lastContact: '2026-03-01T11:59:58Z' },
  nodes: NODES,
  lans: [
    {
      bgpPeer: 'lan-a',
      localAsNumber: 65010,
      peerIP: '172.16.0.1',
      peerAsNumber: 65001,
      gateway: '172.16.0.254',
      nodeSelector: 'lan=a',
      speakers: ['edge-1'],
      nodes: ['edge-1', 'edge-2'],
    },
    {
      bgpPeer: 'lan-b',
      localAsNumber: 65010,
      peerIP: '172.16.1.1',
      peerAsNumber: 65002,
      nodeSelector: 'lan=b',
      speakers: ['edge-3'],
      nodes: ['edge-3'],
      problem: 'the Secret kube-system/bgp-secret is missing',
    },
  ],
  sessions: [
    SESSION,
    {
      ...SESSION,
      bgpPeer: 'lan-b',
      node: 'edge-3',
      peerIP: '172.16.1.1',
      peerAsNumber: 65002,
      localAddress: '172.16.1.11',
      state: 'Active',
      since: '2026-03-01T11:58:20Z',
      advertisedPrefixes: 0,
      receivedPrefixes: 0,
      flaps: 0,
      lastError: 'connection refused',
    },
  ],
  routes: [],
  events: [
    {
      time: '2026-03-01T11:58:20Z',
      type: 'Warning',
      reason: 'FailedEstablish',
      object: 'BGPPeer/lan-b',
      message: 'edge-3: connection refused by 172.16.1.1',
    },
    {
      time: '2026-03-01T11:00:00Z',
      type: 'Normal',
      reason: 'Established',
      object: 'BGPPeer/lan-a',
      message: 'edge-1: session with 172.16.0.1',
    },
  ],
  controller: {
    leader: 'controller-1',
    isLeader: true,
    pools: [{ podCIDR: '10.0.0.0/16', blockLength: 25, blocks: 512, used: 2, fullIn: '2031-05' }],
  },
}

const { controller: _, ...SHARED } = CONTROLLER_SNAPSHOT

const NODE_SNAPSHOT: Snapshot = {
  ...SHARED,
  role: 'node',
  ready: false,
  problems: ['the API server has not answered for 5 minutes; the last accepted state is in use'],
  api: { server: 'https://10.96.0.1:443', connected: false, problem: 'connection timed out' },
  sessions: [SESSION],
  routes: [
    { destination: '10.0.0.128/25', via: ['172.16.0.12'], interface: 'eth0', reason: 'edge-2', state: 'present' },
    {
      destination: '10.0.1.0/25',
      via: ['172.16.0.254'],
      interface: 'eth0',
      reason: 'gateway',
      state: 'failed',
      problem: 'Nexthop has invalid gateway',
    },
  ],
  node: { name: 'edge-1', addresses: ['172.16.0.11'], podCIDRs: ['10.0.0.0/25'], viewSource: 'state', pods: 7 },
}

/** The snapshot of a controller, with `changes`. */
/** Its problems are those of its sessions, as the controller makes them. */
export function controllerSnapshot(changes: Partial<Snapshot> = {}): Snapshot {
  const snapshot = { ...CONTROLLER_SNAPSHOT, ...changes }
  return { ...snapshot, problems: changes.problems ?? sessionProblems(snapshot.sessions).map(({ problem }) => problem) }
}

/** The snapshot of the node edge-1, with `changes`. */
export function nodeSnapshot(changes: Partial<Snapshot> = {}): Snapshot {
  return { ...NODE_SNAPSHOT, ...changes }
}

/** A source of snapshots that a test changes. */
export class SampleSource {
  #snapshot: Snapshot
  readonly #listeners = new Set<() => void>()
  constructor(snapshot: Snapshot) {
    this.#snapshot = snapshot
  }
  readonly snapshot = (): Snapshot => this.#snapshot
  readonly onChange = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
  get listeners(): number {
    return this.#listeners.size
  }
  change(changes: Partial<Snapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...changes }
    for (const listener of this.#listeners) listener()
  }
}
