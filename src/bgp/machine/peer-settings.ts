/**
 * What a configured peer means for its sessions: the endpoint, the packets' TTL, our OPEN, and what
 * a change of the configuration asks for. Pure.
 */

import { isDeepStrictEqual } from 'node:util'
import { type FieldTable, fieldsOf } from '../../lib/fields.ts'
import { Secret } from '../../lib/secret.ts'
import { type Disturbance, type RoleName, SESSION_SETTINGS } from '../../model/session-settings.ts'
import { Role } from '../codec/registry.ts'
import type { PeerConfig } from '../speaker-types.ts'
import type { Endpoint, HopLimits } from '../tcp/transport-types.ts'
import type { Settings } from './fsm-types.ts'
import { type RestartFacts, restartCapability } from './graceful-restart.ts'

const ROLE_NUMBERS: Readonly<Record<RoleName, number>> = {
  provider: Role.Provider,
  rs: Role.RS,
  'rs-client': Role['RS-Client'],
  customer: Role.Customer,
  peer: Role.Peer,
}

/** A SYN is repeated after 1, 3 and 7 seconds: who has not answered by then will not. */
const CONNECT_SECONDS = 10
/**
 * The wait for the peer's OPEN: RFC 4271 section 8.2.2 suggests 4 minutes; a dialler that we
 * accepted has no reason to take long.
 */
const OPEN_HOLD_SECONDS = { outgoing: 240, incoming: 60 } as const

/**
 * eBGP reaches one hop unless told otherwise; GTSM sends 255 and takes no packet that made more
 * hops (RFC 5082 section 3).
 */
export function hopLimits({
  localAs,
  peerAs,
  ebgpMultihop,
  ttlSecurity,
}: Pick<PeerConfig, 'localAs' | 'peerAs' | 'ebgpMultihop' | 'ttlSecurity'>): HopLimits {
  if (ttlSecurity !== undefined) return { ttl: 255, minimumTtl: 256 - ttlSecurity }
  if (localAs === peerAs) return { ttl: 255 }
  return { ttl: ebgpMultihop ?? 1 }
}

export function endpointOf(config: PeerConfig): Endpoint {
  const source = config.sourceAddress ?? config.preferredSource
  return {
    ...hopLimits(config),
    address: config.peerAddress,
    port: config.peerPort,
    timeoutMilliseconds: Math.min(CONNECT_SECONDS, config.connectRetrySeconds) * 1000,
    ...(source !== undefined && { sourceAddress: source }),
    ...(config.password !== undefined && { password: config.password }),
  }
}

/**
 * The machine's settings for a connection that starts now. `capabilities` false: for a peer that
 * refuses them.
 */
export function settingsOf(
  config: PeerConfig,
  direction: 'outgoing' | 'incoming',
  facts: RestartFacts & { readonly capabilities: boolean },
): Settings {
  const gracefulRestart = restartCapability(config, facts)
  return {
    local: {
      localAs: config.localAs,
      peerAs: config.peerAs,
      routerId: config.routerId,
      holdTimeSeconds: config.holdTimeSeconds,
      families: config.families,
      capabilities: facts.capabilities,
      ...(gracefulRestart && { gracefulRestart }),
      ...(config.role !== undefined && config.localAs !== config.peerAs && { role: ROLE_NUMBERS[config.role] }),
    },
    connectRetrySeconds: config.connectRetrySeconds,
    openHoldSeconds: OPEN_HOLD_SECONDS[direction],
  }
}

/** What a change of each field asks for: one that is not here does not compile. */
const DISTURBANCES: FieldTable<PeerConfig, Disturbance> = {
  ...SESSION_SETTINGS,
  key: 'replace',
  localAs: 'replace',
  peerAs: 'replace',
  peerAddress: 'replace',
  preferredSource: 'none',
  routerId: 'reopen',
  password: 'reopen',
  families: 'reopen',
}

const FROM_SEVERE: readonly Disturbance[] = ['replace', 'reopen']

/** The smallest disturbance that brings a change of configuration into force. */
export function disturbance(before: PeerConfig, after: PeerConfig): Disturbance {
  const severest = FROM_SEVERE.find(severity =>
    fieldsOf(DISTURBANCES, severity).some(field => !sameValue(before[field], after[field])),
  )
  return severest ?? 'none'
}

function sameValue(before: PeerConfig[keyof PeerConfig], after: PeerConfig[keyof PeerConfig]): boolean {
  if (before instanceof Secret) return after instanceof Secret && before.equals(after)
  return isDeepStrictEqual(before, after)
}
