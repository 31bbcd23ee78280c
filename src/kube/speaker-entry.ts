/**
 * The entry of one speaker in `status.speakers[]` of a BGPPeer, for server-side apply under a field manager of the speaker's own. The speaker
 * writes it; the controller takes it away, as that manager, only when the node is gone or no speaker any more.
 * Pure.
 */
import { createHash } from 'node:crypto'
import type { SpeakerStatus } from './bgp-peer.ts'
import { BGP_PEERS, type KubeObject, type ObjectMeta } from './resources.ts'

/** What to apply so that the entry is `status`, or is taken away. With a resourceVersion it is refused (409) when the object has changed. */
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

/** The field manager of a node's entries: unique, and at most 128 characters, as the API server demands. */
export function speakerFieldManager(node: string): string {
  const whole = `terway-edge-speaker-${node}`
  if (whole.length <= 128) return whole
  return `${whole.slice(0, 111)}-${createHash('sha256').update(node).digest('hex').slice(0, 16)}`
}
