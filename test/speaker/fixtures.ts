/** Values that the tests of the speaker room share: the user's BGPPeer, its LAN, and sessions. */
import type { PeerConfig, SessionError, SessionView } from '../../src/bgp/speaker-types.ts'
import type { BGPPeer, BGPPeerSpec } from '../../src/kube/bgp-peer.ts'
import type { ClusterView } from '../../src/kube/cluster-view-types.ts'
import type { RouteEntry } from '../../src/kube/route-slice.ts'
import type { LocalAddress } from '../../src/speaker/peer-link.ts'
import { bgpPeer as anyBgpPeer } from '../support/cluster.ts'

export function bgpPeer(name = 'peer', spec: Partial<BGPPeerSpec> = {}): BGPPeer {
  return anyBgpPeer(name, { localSpeakers: ['node-1', 'node-2'], peerIP: '172.16.0.1', ...spec })
}

export function entry(node: string, address: string, podCIDR: string, peers: readonly string[] = ['peer']): RouteEntry {
  return { node, addresses: [address], podCIDRs: [podCIDR], peers }
}

export const lan: readonly RouteEntry[] = [
  entry('node-1', '172.16.0.11', '10.0.1.0/25'),
  entry('node-2', '172.16.0.12', '10.0.1.128/25'),
  entry('node-3', '172.16.0.13', '10.0.2.0/25'),
]

/** An address of eth0. */
export function onEth0(address: string, change: Partial<LocalAddress> = {}): LocalAddress {
  return { interface: 'eth0', address, prefixLength: address.includes(':') ? 64 : 24, carrier: true, ...change }
}

export const localOfNode1: readonly LocalAddress[] = [onEth0('172.16.0.11')]

export function view(change: Partial<ClusterView> = {}): ClusterView {
  return {
    entries: lan,
    peers: [bgpPeer()],
    passwords: new Map(),
    passwordProblems: new Map(),
    source: 'api',
    ...change,
  }
}

export function config(change: Partial<PeerConfig> = {}): PeerConfig {
  return {
    key: 'peer',
    localAs: 65010,
    peerAs: 65001,
    peerAddress: '172.16.0.1',
    peerPort: 179,
    routerId: '172.16.0.11',
    holdTimeSeconds: 90,
    connectRetrySeconds: 30,
    gracefulRestart: { enabled: true, restartTimeSeconds: 600 },
    families: ['ipv4'],
    passive: false,
    ...change,
  }
}

const NO_MESSAGES = { open: 0, update: 0, notification: 0, keepalive: 0, routeRefresh: 0 }
export const NEIGHBOR: SessionView['neighbor'] = {
  routerId: '172.16.0.11',
  peerPort: 179,
  passive: false,
  password: false,
  ttl: 1,
  configured: { holdTimeSeconds: 90, connectRetrySeconds: 30 },
  sent: NO_MESSAGES,
  received: NO_MESSAGES,
  established: 0,
  dropped: 0,
  localCapabilities: [],
  families: [],
  waitingPrefixes: 0,
  congested: false,
}

export const START = Date.parse('2026-01-02T03:04:05Z')

export function session(change: Partial<SessionView> = {}): SessionView {
  return {
    key: 'peer',
    peerAddress: '172.16.0.1',
    state: 'Connect',
    since: START,
    localAs: 65010,
    peerAs: 65001,
    advertisedPrefixes: 0,
    notAnnounced: [],
    receivedPrefixes: 0,
    flaps: 0,
    neighbor: NEIGHBOR,
    ...change,
  }
}

export function established(change: Partial<SessionView> = {}): SessionView {
  return session({
    state: 'Established',
    localAddress: '172.16.0.11',
    negotiated: { holdTimeSeconds: 90, capabilities: ['graceful-restart'] },
    advertisedPrefixes: 3,
    ...change,
  })
}

export function failure(kind: SessionError['kind'], message: string): SessionError {
  return { kind, message, at: START }
}
