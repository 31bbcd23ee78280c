/** A running cluster as the planner sees it, that is as the document's example plans it. */
import type { LanView } from '../../src/model/snapshot.ts'
import type { ObservedCluster } from '../../src/planner/cluster.ts'

export const SPEAKERS = ['node-1', 'node-2', 'node-3']

/** The BGPPeer `lan` to a switch, that selects its speakers. */
export function lanTo(peerIP: string, change: Partial<LanView> = {}): LanView {
  return {
    bgpPeer: 'lan',
    peerIP,
    localAsNumber: 65010,
    peerAsNumber: 65001,
    nodeSelector: 'all()',
    speakers: SPEAKERS,
    nodes: SPEAKERS,
    ...change,
  }
}

export const AS_PLANNED: ObservedCluster = {
  controller: {
    podCIDRs: ['10.0.0.0/8'],
    podsPerNode: 128,
    serviceCIDRs: ['172.21.0.0/20'],
    vpcCIDRs: ['192.168.0.0/16'],
    dataCenterCIDRs: ['172.16.0.0/16'],
  },
  lans: [lanTo('172.16.0.1')],
  nodes: SPEAKERS.map((name, index) => ({
    name,
    addresses: [`172.16.0.${11 + index}`],
    podCIDRs: [`10.0.${index}.0/25`],
  })),
}
