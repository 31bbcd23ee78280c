/**
 * The entry of one speaker in `status.speakers[]` of a BGPPeer, for server-side apply under a field
 * manager of the speaker's own. The speaker writes it; the controller takes it away, as that
 * manager, only when the node is gone or no speaker any more. Pure.
 */
import type { BgpSession } from '../model/session.ts'
import type { BGPPeerSpec, SpeakerStatus } from './bgp-peer.ts'
import { fieldManagerOf } from './field-manager.ts'
import { BGP_PEERS, type KubeObject, type ObjectMeta } from './resources.ts'

/**
 * What to apply so that the entry is `status`, or is taken away. With a resourceVersion it is
 * refused (409) when the object has changed.
 */
export function speakerPatch(
  metadata: Pick<ObjectMeta, 'name' | 'uid' | 'resourceVersion'>,
  status: SpeakerStatus | undefined,
): KubeObject & { status: object } {
  return {
    apiVersion: `${BGP_PEERS.group}/${BGP_PEERS.version}`,
    kind: BGP_PEERS.kind,
    metadata,
    status: status === undefined ? {} : { speakers: [status] },
  }
}

/** The field manager of a node's entries. */
export function speakerFieldManager(node: string): string {
  return fieldManagerOf('speaker', node)
}

/** Of a session nobody says anything: the numbers stand for nothing. */
const UNKNOWN = {
  state: 'unknown',
  since: '',
  advertisedPrefixes: 0,
  receivedPrefixes: 0,
  flaps: 0,
  capabilities: [],
} as const satisfies Partial<BgpSession>

/**
 * The session that an entry reports; without an entry, one of which nothing is known. An entry is
 * what its writer made of it: fields may be missing.
 */
export function reportedSession(
  peer: Pick<BGPPeerSpec, 'peerIP' | 'peerAsNumber' | 'localAsNumber'> & { readonly name: string },
  node: string,
  entry: Partial<SpeakerStatus> | undefined,
): BgpSession {
  const { name, peerIP, peerAsNumber, localAsNumber } = peer
  const blank = entry === undefined ? UNKNOWN : { ...UNKNOWN, state: '' }
  return { ...blank, ...entry, bgpPeer: name, node, peerIP, peerAsNumber, localAsNumber }
}
