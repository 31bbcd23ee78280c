/**
 * The BFD sessions that BGPPeers ask for, from the BGP sessions that they get. Pure. RFC 5881 is for one hop; a peer that may be further
 * away gets BGP without BFD, and a problem that says so.
 */
import type { BfdSessionConfig } from '../bfd/bfd-types.ts'
import type { PeerConfig } from '../bgp/speaker-types.ts'
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { SpeakerProblem } from './speaker-problem.ts'

export interface DesiredBfd {
  readonly sessions: readonly BfdSessionConfig[]
  readonly problems: readonly SpeakerProblem[]
}

/** `peers` are those with a BGP session, in whose order the BFD sessions come; `bgpPeers` holds their specs. */
export function desiredBfd(peers: readonly PeerConfig[], bgpPeers: readonly BGPPeer[]): DesiredBfd {
  const sessions: BfdSessionConfig[] = []
  const problems: SpeakerProblem[] = []
  for (const { key, peerAddress, sourceAddress } of peers) {
    const spec = bgpPeers.find(({ name }) => name === key)?.spec
    if (spec?.bfd === undefined || !spec.bfd.enabled) continue
    if ((spec.ebgpMultihop ?? 1) > 1 || (spec.ttlSecurity ?? 1) > 1) {
      const field = spec.ebgpMultihop === undefined ? 'ttlSecurity' : 'ebgpMultihop'
      const message = `bfd works over one hop only and ${field} allows more: the session runs without BFD; remove one of them`
      problems.push({ bgpPeer: key, kind: 'BfdMultihop', message })
      continue
    }
    sessions.push({
      key,
      peerAddress,
      ...(sourceAddress === undefined ? {} : { localAddress: sourceAddress }),
      minimumIntervalMilliseconds: spec.bfd.minimumIntervalMilliseconds,
      multiplier: spec.bfd.multiplier,
    })
  }
  return { sessions, problems }
}
