/** A peer in the detail of a router's `show bgp neighbor`. Pure. */
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
  return {
    routerId: config.routerId,
    peerPort: config.peerPort,
    passive: config.passive,
    password: config.password !== undefined,
    ttl,
    ...(minimumTtl !== undefined && { minimumTtl }),
    configured: { holdTimeSeconds: config.holdTimeSeconds, connectRetrySeconds: config.connectRetrySeconds },
    ...(traffic.lastRead !== undefined && { lastRead: timestamp(traffic.lastRead) }),
    ...(traffic.lastWrite !== undefined && { lastWrite: timestamp(traffic.lastWrite) }),
    sent: traffic.sent,
    received: traffic.received,
    established: state.ups,
    dropped: state.downs,
    ...(lastError && { lastReset: { time: timestamp(lastError.at), reason: lastError.message } }),
    localCapabilities: session === undefined ? [] : capabilityNames(localOpen(session.settings.local).capabilities),
    families: config.families.map(family => ({
      family,
      negotiated: negotiated?.families.includes(family) ?? false,
      endOfRibSent: facts.endOfRibSent(family),
      endOfRibReceived: facts.endOfRibReceived.has(family),
    })),
    ...connectionOf(session),
    ...(negotiated && agreed(negotiated)),
    waitingPrefixes: facts.waitingPrefixes,
    congested: session?.connection?.congested ?? false,
  }
}

function connectionOf(session: NeighborFacts['session']): Pick<BgpNeighbor, 'connection'> {
  const { connection, direction } = session ?? {}
  if (connection === undefined) return {}
  const { localPort, remotePort } = connection
  return {
    connection: {
      openedBy: direction === 'incoming' ? 'peer' : 'us',
      ...(localPort !== undefined && { localPort }),
      ...(remotePort !== undefined && { remotePort }),
    },
  }
}

function agreed(negotiated: Negotiated): Partial<BgpNeighbor> {
  const { peerRouterId, peerCapabilities, holdTimeSeconds, keepaliveSeconds, gracefulRestart } = negotiated
  return {
    peerRouterId,
    peerCapabilities,
    negotiated: { holdTimeSeconds, keepaliveSeconds },
    ...(gracefulRestart && {
      gracefulRestart: {
        localSeconds: gracefulRestart.restartTimeSeconds,
        peerSeconds: gracefulRestart.peerRestartTimeSeconds,
        notification: gracefulRestart.notification,
      },
    }),
  }
}
