/**
 * A BGPPeer as the status interface shows it: its LAN. What of it is known to one role alone (the
 * nodes that it selects, what is wrong with it) comes in. Pure.
 */
import { present } from '../lib/fields.ts'
import type { LanView } from '../model/snapshot.ts'
import type { BGPPeer } from './bgp-peer.ts'

/** Of a spec what is shown; of one that cannot work, what of it can be read. */
export type ShownSpec = Pick<
  BGPPeer['spec'],
  'localAsNumber' | 'peerIP' | 'peerAsNumber' | 'nodeSelector' | 'localSpeakers'
> & { readonly gateway?: string | undefined }

export function lanView(
  bgpPeer: string,
  { localAsNumber, peerIP, peerAsNumber, gateway, nodeSelector, localSpeakers: speakers }: ShownSpec,
  known: { readonly nodes: readonly string[]; readonly problem: string | undefined },
): LanView {
  const { nodes, problem } = known
  return present<LanView>({
    bgpPeer,
    localAsNumber,
    peerIP,
    peerAsNumber,
    gateway,
    nodeSelector,
    speakers,
    nodes,
    problem,
  })
}
