/**
 * The BFD sessions that BGPPeers ask for, from the BGP sessions that they get. Pure. RFC 5881 is
 * for one hop; a peer that may be further away gets BGP without BFD, and a problem that says so.
 */
import type { BfdSessionConfig } from '../bfd/bfd-types.ts'
import type { PeerConfig } from '../bgp/speaker-types.ts'
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { SpeakerProblem } from './speaker-problem.ts'

export interface DesiredBfd {
  readonly sessions: readonly BfdSessionConfig[]
  readonly problems: readonly SpeakerProblem[]
}

export interface DesiredBfdInput {
  /** Those with a BGP session, in whose order the BFD sessions come. */
  readonly peers: readonly PeerConfig[]
  /** Their specs. */
  readonly bgpPeers: readonly BGPPeer[]
  /** The interface on which each peer address is on-link; one that is not there is on none. */
  readonly links: ReadonlyMap<string, string>
  /**
   * The sessions that there are: one whose link or address is gone for now stays, so that the loss
   * is detected.
   */
  readonly former: readonly BfdSessionConfig[]
}

export function desiredBfd({ peers, bgpPeers, links, former }: DesiredBfdInput): DesiredBfd {
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
    const link = links.get(peerAddress)
    if (link === undefined && !former.some(session => session.peerAddress === peerAddress)) {
      const message = `bfd works over one hop only (RFC 5881) and ${peerAddress} is on no link of this node: the session runs without BFD; remove bfd, or give the node an address in the peer's network`
      problems.push({ bgpPeer: key, kind: 'BfdNotOnLink', message })
      continue
    }
    sessions.push({
      key,
      peerAddress,
      interface: link,
      ...(sourceAddress === undefined ? {} : { localAddress: sourceAddress }),
      minimumIntervalMilliseconds: spec.bfd.minimumIntervalMilliseconds,
      multiplier: spec.bfd.multiplier,
    })
  }
  return { sessions, problems }
}
