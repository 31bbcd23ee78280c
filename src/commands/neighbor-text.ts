/**
 * A BGP session as `terway-edge peers NAME` prints it, in the manner of a router's `show bgp
 * neighbor`. Pure.
 */
import { formatAge, printable } from '../lib/table.ts'
import type { BgpNeighbor, BgpSession, MessageCounts } from '../model/session.ts'

type Line = readonly [name: string, value: string]

/** `now`: when the snapshot was taken, in milliseconds. */
export function neighborText(session: BgpSession, now: number): string {
  const { bgpPeer, node, peerIP, peerAsNumber, localAsNumber, neighbor } = session
  const kind = peerAsNumber === localAsNumber ? 'iBGP' : 'eBGP'
  const head = `BGPPeer ${bgpPeer}: ${node} AS ${localAsNumber} with ${peerIP} AS ${peerAsNumber} (${kind})`
  const lines = [
    ...stateLines(session, now),
    ...(neighbor === undefined ? [] : neighborLines(neighbor, now)),
    ...notificationLines(session),
    ...historyLines(session, now),
  ]
  const width = Math.max(...lines.map(([name]) => name.length))
  return [head, ...lines.map(([name, value]) => `  ${name.padEnd(width)}  ${printable(value)}`), ''].join('\n')
}

function stateLines(session: BgpSession, now: number): Line[] {
  const { state, since, localAddress, lastError, bfd, neighbor } = session
  const down = state === 'Established' || state === 'unknown' ? '' : ', not up'
  const last = session.lastUp === undefined ? '' : `, last up ${ago(session.lastUp, now)} ago`
  const age = since === '' ? '' : `${down} for ${ago(since, now)}${last}`
  const missing = session.notAnnouncedPrefixes ?? 0
  return [
    ['State', `${state}${age}`],
    ...(localAddress === undefined ? [] : [['Local address', localAddress] as const]),
    [
      'Prefixes',
      `${session.advertisedPrefixes} advertised${missing > 0 ? `, ${missing} not` : ''}, ${session.receivedPrefixes} received`,
    ],
    ...(lastError === undefined ? [] : [['Problem', lastError] as const]),
    ...(neighbor !== undefined
      ? []
      : [
          ['Flaps', String(session.flaps)] as const,
          ['Capabilities', session.capabilities.join(', ') || 'none'] as const,
        ]),
    ...(bfd === undefined
      ? []
      : [
          [
            'BFD',
            `${bfd.state} for ${ago(bfd.since, now)}${bfd.lastDown === undefined ? '' : `, last down: ${bfd.lastDown}`}`,
          ] as const,
        ]),
  ]
}

/** RFC 4271 section 4.5. */
const ERROR_NAMES: Readonly<Record<number, string>> = {
  1: 'Message Header Error',
  2: 'OPEN Message Error',
  3: 'UPDATE Message Error',
  4: 'Hold Timer Expired',
  5: 'Finite State Machine Error',
  6: 'Cease',
  7: 'ROUTE-REFRESH Message Error',
}

function notificationLines({ notifications = [] }: BgpSession): Line[] {
  const words = notifications.map(
    ({ direction, code, subcode, count }) => `${count} ${direction}: ${ERROR_NAMES[code] ?? `code ${code}`}/${subcode}`,
  )
  return words.length === 0 ? [] : [['NOTIFICATIONs', words.join(', ')]]
}

const WHAT = { up: 'came up', down: 'went down', failed: 'failed' } as const

/** Newest first, a line each. */
function historyLines({ history = [] }: BgpSession, now: number): Line[] {
  return history.map(({ time, lastTime, what, reason, times }, index) => {
    const often = times > 1 ? ` ${times} times, last ${ago(lastTime ?? time, now)} ago` : ''
    const why = reason === undefined ? '' : `: ${reason}`
    return [index === 0 ? 'History' : '', `${ago(time, now)} ago ${WHAT[what]}${often}${why}`]
  })
}

function neighborLines(neighbor: BgpNeighbor, now: number): Line[] {
  const { lastRead, lastWrite, lastReset, gracefulRestart, families } = neighbor
  return [
    ['Router IDs', `${neighbor.routerId} here, ${neighbor.peerRouterId ?? 'not known'} there, BGP version 4`],
    ['Connection', connectionText(neighbor)],
    ['Timers', timersText(neighbor)],
    ['Last read', lastRead === undefined ? 'never' : `${ago(lastRead, now)} ago`],
    ['Last write', lastWrite === undefined ? 'never' : `${ago(lastWrite, now)} ago`],
    ['Messages sent', countsText(neighbor.sent)],
    ['Messages received', countsText(neighbor.received)],
    ['Waiting', `${neighbor.waitingPrefixes} prefixes${neighbor.congested ? ', the peer reads slowly' : ''}`],
    ['Came up', `${timesText(neighbor.established)}, went down ${timesText(neighbor.dropped)}`],
    ['Last reset', lastReset === undefined ? 'never' : `${ago(lastReset.time, now)} ago: ${lastReset.reason}`],
    ['Capabilities here', neighbor.localCapabilities.join(', ') || 'none'],
    ['Capabilities there', neighbor.peerCapabilities?.join(', ') ?? 'not known'],
    ...families.map(({ family, negotiated, endOfRibSent, endOfRibReceived }): Line => {
      const endOfRib = `End-of-RIB ${endOfRibSent ? 'sent' : 'not sent'}, ${endOfRibReceived ? 'received' : 'not received'}`
      return [`${family} unicast`, negotiated ? `negotiated, ${endOfRib}` : 'not negotiated']
    }),
    ['Graceful restart', gracefulRestart === undefined ? 'not agreed' : restartText(gracefulRestart)],
  ]
}

function connectionText(neighbor: BgpNeighbor): string {
  const { connection, passive, peerPort, password, ttl, minimumTtl } = neighbor
  const ports = (own: number | undefined, other: number | undefined) =>
    own === undefined || other === undefined ? '' : `, port ${own} here, ${other} there`
  const tcp =
    connection === undefined
      ? `none, to port ${peerPort}`
      : `opened by ${connection.openedBy === 'us' ? 'this node' : 'the peer'}${ports(connection.localPort, connection.remotePort)}`
  const security = minimumTtl === undefined ? '' : `, at least ${minimumTtl} taken (GTSM)`
  return `${tcp}${passive ? ', passive' : ''}, TTL ${ttl}${security}, TCP MD5 ${password ? 'on' : 'off'}`
}

function timersText({ configured, negotiated }: BgpNeighbor): string {
  const asked = `hold time ${configured.holdTimeSeconds} s and connect retry ${configured.connectRetrySeconds} s configured`
  if (negotiated === undefined) return asked
  return `${asked}, hold time ${negotiated.holdTimeSeconds} s and keepalive ${negotiated.keepaliveSeconds} s negotiated`
}

function restartText({ localSeconds, peerSeconds, notification }: NonNullable<BgpNeighbor['gracefulRestart']>): string {
  return `the peer keeps our routes for ${localSeconds ?? 0} s and asks for ${peerSeconds ?? 0} s itself, ${notification ? 'also' : 'not'} over a NOTIFICATION`
}

function countsText({ open, update, notification, keepalive, routeRefresh }: MessageCounts): string {
  return `${open} OPEN, ${update} UPDATE, ${notification} NOTIFICATION, ${keepalive} KEEPALIVE, ${routeRefresh} ROUTE-REFRESH`
}

function ago(time: string, now: number): string {
  return formatAge(now - Date.parse(time))
}

function timesText(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}
