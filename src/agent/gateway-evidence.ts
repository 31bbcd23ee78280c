/**
 * Which of several gateways count: those of which nothing says that nobody is there. Neighbour
 * state says it (nobody answers ARP or ND), BFD says it (a session that was Up is Down), and a
 * device that stands in the place of a gateway because BGP is spoken to it counts once its session
 * was up. A session that is down says nothing: a switch that restarts goes on forwarding.
 *
 * Where all are ruled out the weaker evidence is dropped first, and at the end all of them count:
 * what is wrong for everybody tells nobody from the others. Pure.
 */
import type { BGPPeer } from '../kube/bgp-peer.ts'
import type { BgpSession } from '../model/session.ts'

/** What is known of a BGP peer that may be a gateway. */
export interface PeerEvidence {
  readonly peerIP: string
  /** Whether a session with it was up once; undefined where nobody knows. */
  readonly wasUp: boolean | undefined
  /** Whether its BFD session was Up and is Down. */
  readonly bfdIsDown: boolean
}

export interface Candidate {
  readonly address: string
  /** Whether it stands for a gateway that no BGPPeer names. */
  readonly isDerived: boolean
  /** By its neighbour entry. */
  readonly answers: boolean
}

export interface Judged {
  /** Addresses. */
  readonly counting: ReadonlySet<string>
  /** Why each of the others does not, by address. */
  readonly reasons: ReadonlyMap<string, string>
}

export function judgeGateways(candidates: readonly Candidate[], peers: readonly PeerEvidence[]): Judged {
  const of = (address: string) => peers.filter(({ peerIP }) => peerIP === address)
  const doubts: readonly { readonly reason: string; readonly holds: (candidate: Candidate) => boolean }[] = [
    { reason: 'does not answer', holds: ({ answers }) => !answers },
    { reason: 'is down by BFD', holds: ({ address }) => of(address).some(({ bfdIsDown }) => bfdIsDown) },
    { reason: 'had no BGP session yet', holds: one => one.isDerived && neverUp(of(one.address)) },
  ]
  const reasons = new Map<string, string>()
  let counting = candidates
  for (const { reason, holds } of doubts) {
    const left = counting.filter(candidate => !holds(candidate))
    if (left.length === 0) continue
    for (const { address } of counting.filter(candidate => !left.includes(candidate))) reasons.set(address, reason)
    counting = left
  }
  return { counting: new Set(counting.map(({ address }) => address)), reasons }
}

/** Several sessions may lead to one device: one that was up is enough. */
function neverUp(peers: readonly PeerEvidence[]): boolean {
  return peers.length > 0 && peers.every(({ wasUp }) => wasUp === false)
}

/**
 * The evidence of BGP and BFD: of this node's own sessions, and of what any speaker has reported
 * (`wasEstablished`; undefined while nobody can say). Before its own sessions are up again a node
 * that has just started believes the reports, and without them nothing.
 */
export function peerEvidence(
  peers: readonly BGPPeer[],
  wasEstablished: (bgpPeer: string) => boolean | undefined,
  sessions: readonly BgpSession[],
): readonly PeerEvidence[] {
  return peers.map(({ name, spec }) => {
    const own = sessions.filter(({ bgpPeer }) => bgpPeer === name)
    const isUp = own.some(({ state, neighbor }) => state === 'Established' || (neighbor?.established ?? 0) > 0)
    return { peerIP: spec.peerIP, wasUp: isUp || wasEstablished(name), bfdIsDown: own.some(isDownByBfd) }
  })
}

/** AdminDown, of either side, is no word about the path (RFC 5882 section 3.2). */
function isDownByBfd({ bfd }: BgpSession): boolean {
  return bfd?.lastDown !== undefined && bfd.state === 'Down' && bfd.remoteState !== 'AdminDown'
}
