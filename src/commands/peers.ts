/** `terway-edge peers`: the BGP sessions of this node, or on the controller those that the speakers report. */
import type { BgpSession } from '../model/session.ts'
import { ageOf, type Field, runListCommand } from './show.ts'

const FIELDS: readonly Field<BgpSession>[] = [
  { title: 'BGPPEER', cell: session => session.bgpPeer },
  { title: 'NODE', cell: session => session.node },
  { title: 'PEERIP', cell: session => session.peerIP },
  { title: 'PEERASNUMBER', align: 'right', cell: session => String(session.peerAsNumber) },
  { title: 'STATE', cell: session => session.state },
  { title: 'SINCE', align: 'right', cell: (session, now) => ageOf(session.since, now) },
  { title: 'ADVERTISED', align: 'right', cell: session => String(session.advertisedPrefixes) },
  { title: 'RECEIVED', align: 'right', cell: session => String(session.receivedPrefixes) },
  { title: 'FLAPS', align: 'right', cell: session => String(session.flaps) },
  { title: 'BFD', wide: true, cell: session => session.bfd?.state ?? '' },
  { title: 'LOCALADDRESS', wide: true, cell: session => session.localAddress ?? '' },
  { title: 'LOCALASNUMBER', wide: true, align: 'right', cell: session => String(session.localAsNumber) },
  { title: 'HOLDTIME', wide: true, align: 'right', cell: session => secondsText(session.holdTimeSeconds) },
  { title: 'CAPABILITIES', wide: true, cell: session => session.capabilities.join(',') },
  { title: 'LASTERROR', cell: session => session.lastError ?? '' },
]

export function peersCommand(args: string[]): Promise<number> {
  return runListCommand(
    {
      name: 'peers',
      description: 'The BGP sessions with the switches: state, since when, prefixes, and what went wrong last.',
      examples: [
        'terway-edge peers',
        'terway-edge peers -o wide',
        'terway-edge peers -o json | jq \'.[] | select(.state != "Established")\'',
      ],
      rows: snapshot => snapshot.sessions,
      fields: FIELDS,
      none: snapshot =>
        snapshot.role === 'controller'
          ? 'No sessions: no speaker has reported one. kubectl get bgppeers shows which speakers there should be.'
          : 'No sessions: no BGPPeer names this node in localSpeakers.',
    },
    args,
  )
}

function secondsText(seconds: number | undefined): string {
  return seconds === undefined ? '' : `${seconds}s`
}
