/** BGP and BFD sessions as metrics. Pure. */
import type { BgpSession, MessageCounts } from '../model/session.ts'
import { counter, gauge, type Labels, type Metric, type Sample, unixSeconds } from './metric.ts'

/** bgpPeerState of the BGP MIB (RFC 4273 section 4). */
const STATE_NUMBERS: Readonly<Record<string, number>> = {
  Idle: 1,
  Connect: 2,
  Active: 3,
  OpenSent: 4,
  OpenConfirm: 5,
  Established: 6,
}

const MESSAGE_TYPES: readonly (keyof MessageCounts)[] = ['open', 'update', 'notification', 'keepalive', 'routeRefresh']

/** `reporter` tells what a speaker says of itself from what the controller heard of it. */
export function sessionMetrics(sessions: readonly BgpSession[], reporter: 'speaker' | 'controller'): Metric[] {
  const heard = sessions.filter(({ state }) => state !== 'unknown')
  const labels = ({ bgpPeer, node, peerIP }: BgpSession): Labels => ({
    bgp_peer: bgpPeer,
    node,
    peer_ip: peerIP,
    reporter,
  })
  const each = (value: (session: BgpSession) => number | undefined, of: readonly BgpSession[] = heard): Sample[] =>
    of.flatMap(session => {
      const number = value(session)
      return number === undefined ? [] : [{ labels: labels(session), value: number }]
    })
  return [
    gauge(
      'bgp_session_established',
      'Whether a BGP session is Established: 1 yes, 0 no or its speaker is not heard.',
      each(({ state }) => (state === 'Established' ? 1 : 0), sessions),
    ),
    gauge(
      'bgp_session_heard',
      'Whether the speaker of a BGP session is heard: 1 yes, 0 no, so that nobody knows its state.',
      each(({ state }) => (state === 'unknown' ? 0 : 1), sessions),
    ),
    gauge(
      'bgp_session_state',
      'State of a BGP session as RFC 4273 numbers it: 1 Idle, 2 Connect, 3 Active, 4 OpenSent, 5 OpenConfirm, 6 Established.',
      each(({ state }) => STATE_NUMBERS[state]),
    ),
    gauge(
      'bgp_session_state_since_timestamp_seconds',
      'When a BGP session entered its state, in seconds since the Unix epoch.',
      each(({ since }) => unixSeconds(since)),
    ),
    counter(
      'bgp_session_flaps_total',
      'How often a BGP session left Established.',
      each(({ flaps }) => flaps, sessions),
    ),
    gauge(
      'bgp_session_advertised_prefixes',
      'Prefixes that are advertised to the peer now.',
      each(({ advertisedPrefixes }) => advertisedPrefixes),
    ),
    gauge(
      'bgp_session_not_announced_prefixes',
      'Prefixes that an established session cannot announce, such as those of a family that the peer did not agree to.',
      each(({ notAnnouncedPrefixes }) => notAnnouncedPrefixes),
    ),
    gauge(
      'bgp_session_received_prefixes',
      'Prefixes that the peer advertises now; none of them is imported.',
      each(({ receivedPrefixes }) => receivedPrefixes),
    ),
    gauge(
      'bgp_session_hold_time_seconds',
      'Hold time that both ends agreed on; 0 means that neither watches the other.',
      each(({ holdTimeSeconds }) => holdTimeSeconds),
    ),
    gauge(
      'bfd_session_up',
      'Whether the BFD session beside a BGP session is Up: 1 yes, 0 no; absent where none is asked for.',
      each(({ bfd }) => bfd && (bfd.state === 'Up' ? 1 : 0)),
    ),
    gauge(
      'bfd_session_state_since_timestamp_seconds',
      'When a BFD session entered its state, in seconds since the Unix epoch.',
      each(({ bfd }) => bfd && unixSeconds(bfd.since)),
    ),
    gauge(
      'bfd_session_detection_time_seconds',
      'Without a packet of the peer for so long its BFD session goes down; absent while it is not heard.',
      each(({ bfd }) => bfd?.detectionTimeMilliseconds && bfd.detectionTimeMilliseconds / 1000),
    ),
    counter(
      'bgp_session_established_total',
      'How often a BGP session came up.',
      each(({ neighbor }) => neighbor?.established),
    ),
    gauge(
      'bgp_session_waiting_prefixes',
      'Prefixes that are still to be announced to the peer, or withdrawn.',
      each(({ neighbor }) => neighbor?.waitingPrefixes),
    ),
    counter(
      'bgp_messages_total',
      'BGP messages by type and direction (RFC 4271 section 4.1, RFC 2918).',
      heard.flatMap(session => {
        const { neighbor } = session
        if (neighbor === undefined) return []
        return (['sent', 'received'] as const).flatMap(direction =>
          MESSAGE_TYPES.map(type => ({
            labels: { ...labels(session), direction, type },
            value: neighbor[direction][type],
          })),
        )
      }),
    ),
    counter(
      'bgp_notifications_total',
      'BGP NOTIFICATIONs by direction, error code and subcode (RFC 4271 section 4.5).',
      sessions.flatMap(session =>
        (session.notifications ?? []).map(({ direction, code, subcode, count }) => ({
          labels: { ...labels(session), direction, code: String(code), subcode: String(subcode) },
          value: count,
        })),
      ),
    ),
  ]
}
