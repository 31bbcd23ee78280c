/** A peer in the detail of a router's `show bgp neighbor`. Pure. */
import { present } from '../../lib/fields.ts'
import type { Family } from '../../lib/ip.ts'
import { timestamp } from '../../lib/timestamp.ts'
import type { BgpNeighbor } from '../../model/session.ts'
import type { Direction } from './collision.ts'
import type { Settings } from './fsm-types.ts'
import { capabilityNames, localOpen, type Negotiated } from './negotiation.ts'
import { hopLimits } from './peer-settings.ts'
import type { PeerState } from './peer-types.ts'
import type { Traffic } from './traffic.ts'

export interface NeighborFacts {
  readonly state: PeerState
  /** The furthest connection. */
  readonly session:
    | {
        readonly direction: Direction
        readonly settings: Settings
        readonly negotiated: Negotiated | undefined
        readonly connection:
          | { readonly localPort?: number; readonly remotePort?: number; readonly congested: boolean }
          | undefined
      }
    | undefined
  readonly traffic: Pick<Traffic, 'sent' | 'received' | 'lastRead' | 'lastWrite'>
  readonly endOfRibReceived: ReadonlySet<Family>
  readonly endOfRibSent: (family: Family) => boolean
  readonly waitingPrefixes: number
}

export function neighborOf(facts: NeighborFacts): BgpNeighbor {
  const { state, session, traffic } = facts
  const { config, lastError } = state
  const { ttl, minimumTtl } = hopLimits(config)
  const negotiated = session?.negotiated
  return present<BgpNeighbor>({
    routerId: config.routerId,
    peerRouterId: negotiated?.peerRouterId,
    peerPort: config.peerPort,
    connection: connectionOf(session),
    passive: config.passive,
    password: config.password !== undefined,
    ttl,
    minimumTtl,
    configured: { holdTimeSeconds: config.holdTimeSeconds, connectRetrySeconds: config.connectRetrySeconds },
    negotiated: negotiated && {
      holdTimeSeconds: negotiated.holdTimeSeconds,
      keepaliveSeconds: negotiated.keepaliveSeconds,
    },
    lastRead: time(traffic.lastRead),
    lastWrite: time(traffic.lastWrite),
    sent: traffic.sent,
    received: traffic.received,
    established: state.ups,
    dropped: state.downs,
    lastReset: lastError && { time: timestamp(lastError.at), reason: lastError.message },
    localCapabilities: session === undefined ? [] : capabilityNames(localOpen(session.settings.local).capabilities),
    peerCapabilities: negotiated?.peerCapabilities,
    families: config.families.map(family => ({
      family,
      negotiated: negotiated?.families.includes(family) ?? false,
      endOfRibSent: facts.endOfRibSent(family),
      endOfRibReceived: facts.endOfRibReceived.has(family),
    })),
    gracefulRestart: restartOf(negotiated),
    waitingPrefixes: facts.waitingPrefixes,
    congested: session?.connection?.congested ?? false,
  })
}

function time(at: number | undefined): string | undefined {
  return at === undefined ? undefined : timestamp(at)
}

function connectionOf(session: NeighborFacts['session']): BgpNeighbor['connection'] {
  const { connection, direction } = session ?? {}
  if (connection === undefined) return undefined
  const { localPort, remotePort } = connection
  return present<NonNullable<BgpNeighbor['connection']>>({
    openedBy: direction === 'incoming' ? 'peer' : 'us',
    localPort,
    remotePort,
  })
}

function restartOf(negotiated: Negotiated | undefined): BgpNeighbor['gracefulRestart'] {
  const restart = negotiated?.gracefulRestart
  if (restart === undefined) return undefined
  return present<NonNullable<BgpNeighbor['gracefulRestart']>>({
    localSeconds: restart.restartTimeSeconds,
    peerSeconds: restart.peerRestartTimeSeconds,
    notification: restart.notification,
  })
}
