/**
 * What the reports of a BGPPeer's speakers come to: the Established condition, the SESSIONS and
 * PREFIXES columns, who is not heard, and whose entries nobody will ever take away. Pure.
 *
 * Each entry has one writer, its speaker, and a speaker whose node lost its power writes no more:
 * `Established` would stand there for ever. So an entry counts while its node is heard. It decides
 * nothing but what is shown: a node that is not heard keeps its routes, because an outage of the
 * uplink must not tear a LAN down.
 */
import type { BGPPeer, SpeakerStatus } from '../kube/bgp-peer.ts'
import type { Finding } from './finding.ts'

/** Said of a speaker without an entry in the status: it takes its own away when it is drained. */
export const NO_REPORT = 'says nothing (not started yet, or drained)'

export interface SessionFindings {
  readonly established: Finding
  /** What packets of the speakers proved of the device's routes. */
  readonly routesVerified: Finding
  /**
   * Nodes that shall have a session: as the spec says; of one that cannot work, those that report
   * one.
   */
  readonly wanted: readonly string[]
  /** Entries of these, where the node exists, those not heard included. */
  readonly speakers: readonly SpeakerStatus[]
  /** `established/speakers`, of those that are heard. */
  readonly sessions: string
  readonly prefixes: number
  /** Speakers of the spec whose nodes exist and are not heard. */
  readonly unheard: readonly string[]
  /**
   * Nodes with an entry that are no speakers any more or no nodes: their entries are to be taken
   * away.
   */
  readonly left: readonly string[]
}

/**
 * `nodes` are the names of all nodes, `unheard` of those the kubelet of which is not heard; `peer`
 * is undefined where the spec cannot work.
 */
export function sessionFindings(
  peer: BGPPeer | undefined,
  reported: readonly SpeakerStatus[],
  known: { nodes: { has(name: string): boolean }; unheard: ReadonlySet<string> },
): SessionFindings {
  const present = reported.filter(({ node }) => known.nodes.has(node))
  // nodes go on with the spec that worked last
  const wanted = peer?.spec.localSpeakers ?? present.map(({ node }) => node)
  const speakers = present.filter(({ node }) => wanted.includes(node))
  const unheard = wanted.filter(name => known.nodes.has(name) && known.unheard.has(name))
  const up = speakers.filter(({ node, state }) => state === 'Established' && !unheard.includes(node))
  return {
    established: establishment(wanted, { speakers, up, unheard }),
    routesVerified: verification(up),
    wanted,
    speakers,
    sessions: `${up.length}/${wanted.length}`,
    prefixes: Math.max(0, ...up.map(({ advertisedPrefixes }) => advertisedPrefixes ?? 0)),
    unheard,
    // of a spec that cannot be read nobody knows whom it names
    left:
      peer === undefined ? [] : reported.map(({ node }) => node).filter(node => !speakers.some(s => s.node === node)),
  }
}

/** Says so of speakers that are not heard; the Event says the same. */
export function unheardText(unheard: readonly string[]): string {
  const [verb, what] = unheard.length === 1 ? ['is', 'its session does'] : ['are', 'their sessions do']
  return `${unheard.join(', ')} ${verb} not heard (Ready of the Node is Unknown), so ${what} not count; if only the uplink is down it may well be up`
}

/**
 * By the speakers that are heard and have their session: one that misses packets outweighs others
 * that do not.
 */
function verification(up: readonly SpeakerStatus[]): Finding {
  const lost = up.filter(({ routesVerified }) => routesVerified === 'False')
  if (lost.length > 0) {
    const message = lost.map(({ node, routesProblem }) => `${node}: ${routesProblem ?? 'packets are lost'}`).join('; ')
    return { status: 'False', reason: 'PacketsLost', message }
  }
  if (up.some(({ routesVerified }) => routesVerified === 'True')) {
    const message = 'packets by way of the device came out at the nodes that own the pod CIDRs'
    return { status: 'True', reason: 'PacketsArrive', message }
  }
  const message =
    up.length === 0
      ? 'no speaker has a session'
      : 'no speaker could tell yet: a LAN of one node, a device that sends nothing back, or paths are not measured'
  return { status: 'Unknown', reason: 'NoEvidence', message }
}

/**
 * True when every speaker is heard and has its session. False as soon as one that is heard has
 * none, whatever the others do. Unknown when all that are heard have theirs and others are not
 * heard.
 */
function establishment(
  wanted: readonly string[],
  from: {
    speakers: readonly SpeakerStatus[]
    up: readonly SpeakerStatus[]
    unheard: readonly string[]
  },
): Finding {
  const { speakers, up, unheard } = from
  if (wanted.length > 0 && up.length === wanted.length) {
    return { status: 'True', reason: 'AllEstablished', message: 'every speaker has its session' }
  }
  const down = wanted.filter(name => !unheard.includes(name) && !up.some(({ node }) => node === name))
  const silent = unheard.length === 0 ? [] : [unheardText(unheard)]
  if (down.length === 0 && wanted.length > 0) {
    return { status: 'Unknown', reason: 'SpeakerNotHeard', message: silent.join('; ') }
  }
  const reasons = down.map(name => {
    const entry = speakers.find(({ node }) => node === name)
    return `${name}: ${entry === undefined ? NO_REPORT : (entry.lastError ?? 'no session')}`
  })
  return {
    status: 'False',
    reason: up.length > 0 ? 'PartlyEstablished' : unheard.length > 0 ? 'SpeakerNotHeard' : 'NoneEstablished',
    message: [...silent, ...reasons].join('; ') || 'no session was opened: the spec cannot work (see Accepted)',
  }
}
