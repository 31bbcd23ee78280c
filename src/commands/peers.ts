/**
 * `terway-edge peers`: the BGP sessions of this node, or on the controller those that the speakers
 * report.
 */

import { Argument } from 'commander'
import { UserError } from '../lib/errors.ts'
import type { AdvertisedRoute, BgpSession } from '../model/session.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { type AskOptions, addAskOptions, askAdvertised } from '../status/ask.ts'
import { neighborText } from './neighbor-text.ts'
import { createProgram, runProgram } from './program.ts'
import { readSnapshot } from './read-snapshot.ts'
import { ageOf, dataText, type Field, type Listing, listOf, show } from './show.ts'
import { tracePeer } from './trace.ts'

const FIELDS: readonly Field<BgpSession>[] = [
  { title: 'BGPPEER', cell: session => session.bgpPeer },
  { title: 'NODE', cell: session => session.node },
  { title: 'PEERIP', cell: session => session.peerIP },
  { title: 'PEERASNUMBER', align: 'right', cell: session => String(session.peerAsNumber) },
  {
    title: 'STATE',
    cell: session => session.state,
    tone: ({ state }) => (state === 'Established' ? 'good' : state === 'unknown' ? 'doubtful' : 'bad'),
  },
  { title: 'SINCE', align: 'right', cell: (session, now) => ageOf(session.since, now) },
  { title: 'ADVERTISED', align: 'right', cell: session => String(session.advertisedPrefixes) },
  { title: 'RECEIVED', align: 'right', cell: session => String(session.receivedPrefixes) },
  { title: 'FLAPS', align: 'right', cell: session => String(session.flaps) },
  { title: 'BFD', wide: true, cell: session => session.bfd?.state ?? '' },
  { title: 'LOCALADDRESS', wide: true, cell: session => session.localAddress ?? '' },
  { title: 'LOCALASNUMBER', wide: true, align: 'right', cell: session => String(session.localAsNumber) },
  { title: 'HOLDTIME', wide: true, align: 'right', cell: session => secondsText(session.holdTimeSeconds) },
  { title: 'CAPABILITIES', wide: true, cell: session => session.capabilities.join(',') },
  { title: 'LASTERROR', flexible: true, cell: session => session.lastError ?? '' },
]

const ROUTE_FIELDS: readonly Field<AdvertisedRoute>[] = [
  { title: 'PREFIX', cell: route => route.prefix },
  { title: 'NEXTHOP', cell: route => route.nextHop },
  { title: 'ASPATH', cell: route => route.asPath.join(' ') },
  { title: 'ORIGIN', cell: route => route.origin },
  { title: 'MED', align: 'right', cell: route => String(route.med ?? '') },
  { title: 'LOCALPREF', align: 'right', cell: route => String(route.localPref ?? '') },
  {
    title: 'COMMUNITIES',
    cell: route => [...(route.communities ?? []), ...(route.largeCommunities ?? [])].join(','),
  },
  { title: 'OTC', wide: true, cell: route => String(route.onlyToCustomer ?? '') },
]

export function peersCommand(args: string[]): Promise<number> {
  const program = addAskOptions(
    createProgram(
      'peers',
      'The BGP sessions with the switches: state, since when, prefixes, and what went wrong last. With the name of a BGPPeer all that is known of its sessions here.',
      [
        'terway-edge peers',
        'terway-edge peers -o wide',
        'terway-edge peers lan-a',
        'terway-edge peers lan-a advertised   # prefixes, next hops, attributes: what the switch was told',
        'terway-edge peers lan-a trace   # every message with the switch from now on, decoded; Ctrl-C ends it',
        'terway-edge peers --kubeconfig ~/.kube/config   # of the whole cluster, from a desk',
        'terway-edge peers -o json | jq \'.[] | select(.state != "Established")\'',
      ],
    ),
  )
    .argument('[name]', 'a BGPPeer')
    .addArgument(
      new Argument('[what]', 'advertised: what its peer was told by this node; trace: messages with it, live').choices([
        'advertised',
        'trace',
      ]),
    )
  return runProgram<AskOptions>(program, args, (options, [name, what]) => {
    if (what !== undefined && options.kubeconfig !== undefined)
      throw new UserError(`peers ${name} ${what}: only a speaker knows; ask there, without --kubeconfig`, {
        exitStatus: 2,
      })
    if (name !== undefined && what === 'trace') return tracePeer(options, name)
    return show(options, async () => {
      const snapshot = await readSnapshot(options)
      if (name === undefined) return listOf(sessionsOf(snapshot), snapshot, options)
      const sessions = snapshot.sessions.filter(({ bgpPeer }) => bgpPeer === name)
      if (sessions.length === 0) throw new UserError(unknownPeer(name, snapshot))
      if (what !== undefined) {
        const none = `Nothing is announced to the peer of BGPPeer ${name} from here.`
        const rows = await askAdvertised(options, name)
        return listOf({ rows, fields: ROUTE_FIELDS, name: route => route.prefix, none }, snapshot, options)
      }
      const now = Date.parse(snapshot.time)
      const text =
        options.output === 'name'
          ? sessions.map(session => `${nameOf(session)}\n`).join('')
          : dataText(sessions, options.output)
      return { text: text ?? sessions.map(session => neighborText(session, now)).join('\n'), status: 0 }
    })
  })
}

function sessionsOf(snapshot: Snapshot): Listing<BgpSession> {
  return { rows: snapshot.sessions, fields: FIELDS, name: nameOf, none: noneOf(snapshot) }
}

function nameOf({ bgpPeer, node }: BgpSession): string {
  return `${bgpPeer}/${node}`
}

function noneOf({ role }: Snapshot): string {
  return role === 'controller'
    ? 'No sessions: no speaker has reported one. kubectl get bgppeers shows which speakers there should be.'
    : 'No sessions: no BGPPeer names this node in localSpeakers.'
}

function unknownPeer(name: string, snapshot: Snapshot): string {
  const names = [...new Set(snapshot.sessions.map(({ bgpPeer }) => bgpPeer))].join(', ')
  return `there is no session of a BGPPeer ${JSON.stringify(name)} here; ${names === '' ? noneOf(snapshot) : `there are: ${names}`}`
}

function secondsText(seconds: number | undefined): string {
  return seconds === undefined ? '' : `${seconds}s`
}
