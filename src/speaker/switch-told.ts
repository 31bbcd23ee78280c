/**
 * What a device says of itself (BMP), beside what packets by way of it proved: which devices are
 * listened to, and one proof made of both. Pure.
 */
import type { MonitoredRouter } from '../bgp/bmp/monitored-router.ts'
import { type SwitchVerdict, verdictText } from '../bgp/bmp/switch-verdict.ts'
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { RoutesProof } from './session-status.ts'

/** The devices that are to report, of BGPPeers that ask for it. */
export function monitoredRouters(peers: readonly BGPPeer[]): readonly MonitoredRouter[] {
  return peers.flatMap(({ name, spec: { bmp, peerIP, localAsNumber } }) =>
    bmp?.enabled === true
      ? [{ key: name, port: bmp.port, routerAddress: bmp.address ?? peerIP, localAs: localAsNumber }]
      : [],
  )
}

export function toldProof(verdict: SwitchVerdict): RoutesProof {
  switch (verdict.status) {
    case 'kept':
      return { status: 'True', message: `the device itself tells (BMP) that it has ${verdict.prefixes} of them` }
    case 'not-kept':
      return { status: 'False', message: `by BMP: ${verdictText(verdict)}` }
    case 'unknown':
      return { status: 'Unknown', message: verdict.reason }
  }
}

/**
 * Who says that something is wrong is believed; the device's own words name the cause and come
 * first. What packets prove is more than what a device says; where they cannot tell, it counts.
 */
export function joinedProof(packets: RoutesProof | undefined, told: RoutesProof | undefined): RoutesProof | undefined {
  if (told === undefined || told.status === 'Unknown') return packets ?? told
  if (told.status === 'False') {
    const message = packets?.status === 'False' ? `${told.message}; ${packets.message}` : told.message
    return { status: 'False', message }
  }
  return packets === undefined || packets.status === 'Unknown' ? told : packets
}

/** A BGPPeer whose device does not report. */
export function unheardText({ name, spec: { bmp, peerIP } }: BGPPeer): string {
  const [port, from] = [bmp?.port ?? 0, bmp?.address ?? peerIP]
  return (
    `BGPPeer ${name}: the device does not report by BMP: let it connect from ${from} to TCP port ${port} ` +
    'of this node, or take bmp out of the BGPPeer'
  )
}
