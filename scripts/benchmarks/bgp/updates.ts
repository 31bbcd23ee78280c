/**
 * The bytes that our speaker sends for a workload on a session with BIRD: what the replay replays,
 * and what the codec is measured with.
 */
import type { CodecContext } from '../../../src/bgp/codec/message-types.ts'
import type { Negotiated } from '../../../src/bgp/machine/negotiation.ts'
import { AdjRibOut } from '../../../src/bgp/rib/rib.ts'
import { announcementsOf, HOLD_SECONDS, SENDER, SINK, type Workload } from './routes.ts'

const CONTEXT: CodecContext = {
  fourOctetAs: true,
  extendedMessages: false,
  ibgp: false,
  families: ['ipv4'],
  extendedNextHop: false,
}

/** What a session between the two agrees on. */
export const NEGOTIATED: Negotiated = {
  holdTimeSeconds: HOLD_SECONDS,
  keepaliveSeconds: HOLD_SECONDS / 3,
  families: ['ipv4'],
  capabilities: ['multiprotocol', 'four-octet-as'],
  context: CONTEXT,
  receiving: CONTEXT,
  peerRouterId: SINK.address,
  peerCapabilities: [],
  peerAs: SINK.asNumber,
  routeRefresh: false,
  enhancedRouteRefresh: false,
}

/** One UPDATE each, and End-of-RIB. */
export function updatesOf(workload: Workload): Uint8Array[] {
  const rib = new AdjRibOut()
  rib.setDesired(announcementsOf(workload))
  rib.established(NEGOTIATED, SENDER.asNumber)
  const updates: Uint8Array[] = []
  for (let update = rib.next(); update !== undefined; update = rib.next()) updates.push(update)
  return updates
}

export function encodedUpdates(workload: Workload): Uint8Array {
  return Buffer.concat(updatesOf(workload))
}
