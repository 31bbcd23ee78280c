/**
 * What two OPENs agree on: the OPEN that we send, the checks on the peer's (RFC 4271 section 6.2,
 * 6286, 7607, 5492, 9234) and the result. Pure: values in, values out.
 *
 * Families are unicast IPv4 and IPv6. A capability counts when both sides sent it; a peer that
 * sends none speaks IPv4 unicast with 2-octet AS numbers (RFC 4271; RFC 6793 section 4.2).
 */
import type { Family } from '../../lib/ip.ts'
import { notification } from '../codec/errors.ts'
import { INITIAL_CONTEXT } from '../codec/message.ts'
import { checkRole } from '../codec/message-open.ts'
import type { Capability, CodecContext, GracefulRestart, Notification, Open } from '../codec/message-types.ts'
import { addressFamilyOf, familyOfAfi } from '../codec/nlri.ts'
import { Afi, CapabilityCode, ErrorCode, OpenError, Role, Safi } from '../codec/registry.ts'

/** Our side of a session, as the OPEN tells it. */
export interface LocalSide {
  readonly localAs: number
  readonly peerAs: number
  /** Dotted. */
  readonly routerId: string
  readonly holdTimeSeconds: number
  readonly families: readonly Family[]
  /** Absent: the capability is not sent. */
  readonly gracefulRestart?: {
    readonly restartTimeSeconds: number
    /** R bit: this speaker has restarted. */
    readonly restarted: boolean
    /** F bits: forwarding went on without us. */
    readonly forwarding: boolean
    /** RFC 9494 section 3.1: the stale time of each family; absent: the capability is not sent. */
    readonly longLivedSeconds?: number
  }
  /** Of the registry; towards eBGP peers only (RFC 9234 section 4.1). */
  readonly role?: number
  /** False towards a peer that refuses capabilities (RFC 5492 section 3). */
  readonly capabilities: boolean
}

/**
 * How to read a peer whose OPEN was not accepted yet: with what our own OPEN offers, as it may
 * write more than its OPEN at once.
 */
export function receivingBeforeOpen(local: LocalSide): CodecContext {
  return { ...INITIAL_CONTEXT, extendedMessages: local.capabilities }
}

/** What holds for a session from its OPENs on. */
export interface Negotiated {
  /** 0: no keepalives (RFC 4271 section 4.2). */
  readonly holdTimeSeconds: number
  readonly keepaliveSeconds: number
  readonly families: readonly Family[]
  /** Names of the capabilities that both sides sent. */
  readonly capabilities: readonly Capability['kind'][]
  /**
   * How we write to the peer, and how we read what it writes: of a choice, the word of who receives
   * counts.
   */
  readonly context: CodecContext
  readonly receiving: CodecContext
  readonly peerRouterId: string
  /** All that the peer's OPEN had, by name; `unknown` with its code. */
  readonly peerCapabilities: readonly string[]
  readonly peerAs: number
  /** The peer may ask for everything once more. */
  readonly routeRefresh: boolean
  /** Then it is told where that begins and ends. */
  readonly enhancedRouteRefresh: boolean
  /** The peer keeps our routes over a restart (RFC 4724). */
  readonly gracefulRestart?: {
    /** How long the peer keeps our routes: the time that we asked for. */
    readonly restartTimeSeconds: number
    /** How long the peer asks to be waited for itself. */
    readonly peerRestartTimeSeconds: number
    /** Both sides: also over a NOTIFICATION (RFC 8538). */
    readonly notification: boolean
    /** The peer itself has restarted. */
    readonly peerRestarted: boolean
    /**
     * How much longer the peer keeps them as a last resort (RFC 9494): the time that we asked for.
     */
    readonly longLivedSeconds?: number
  }
  /**
   * Routes go out with ONLY_TO_CUSTOMER, as the peer is our customer, peer or client of a route
   * server (RFC 9234 section 5).
   */
  readonly onlyToCustomer?: true
}

export type Negotiation =
  | { readonly negotiated: Negotiated }
  | { readonly notification: Notification; readonly reason: string; readonly wrongAs?: number }

/** The only version (RFC 4271 section 4.2). */
const VERSION = 4

/** The OPEN that we send. */
export function localOpen(local: LocalSide): Open {
  return {
    type: 'OPEN',
    version: VERSION,
    asNumber: local.localAs,
    holdTime: local.holdTimeSeconds,
    bgpIdentifier: local.routerId,
    capabilities: local.capabilities ? localCapabilities(local) : [],
  }
}

function localCapabilities(local: LocalSide): Capability[] {
  const capabilities: Capability[] = [
    ...local.families.map(family => ({ kind: 'multiprotocol', ...addressFamilyOf(family) }) as const),
    { kind: 'route-refresh' },
    { kind: 'enhanced-route-refresh' },
    { kind: 'extended-message' },
    { kind: 'four-octet-as', asNumber: local.localAs },
  ]
  if (local.families.includes('ipv4')) {
    capabilities.push({ kind: 'extended-next-hop', tuples: [{ ...addressFamilyOf('ipv4'), nextHopAfi: Afi.IPv6 }] })
  }
  const restart = local.gracefulRestart
  if (restart !== undefined) {
    capabilities.push({
      kind: 'graceful-restart',
      restarted: restart.restarted,
      notification: true,
      restartTime: restart.restartTimeSeconds,
      families: local.families.map(family => ({ ...addressFamilyOf(family), forwarding: restart.forwarding })),
    })
    const staleTime = restart.longLivedSeconds
    if (staleTime !== undefined) {
      const families = local.families.map(family => ({
        ...addressFamilyOf(family),
        forwarding: restart.forwarding,
        staleTime,
      }))
      capabilities.push({ kind: 'long-lived-graceful-restart', families })
    }
  }
  if (local.role !== undefined) capabilities.push({ kind: 'role', role: local.role })
  return capabilities
}

/** Each name once, in the order of the OPEN. */
export function capabilityNames(capabilities: readonly Capability[]): readonly string[] {
  return [...new Set(capabilities.map(one => (one.kind === 'unknown' ? `unknown ${one.code}` : one.kind)))]
}

/** Checks the peer's OPEN against ours, and says what holds or which NOTIFICATION to send. */
export function negotiate(local: LocalSide, open: Open): Negotiation {
  const refusal = refuse(local, open)
  if (refusal !== undefined) return refusal
  const families = commonFamilies(local, open)
  if (families.length === 0) {
    return {
      notification: openError(OpenError.UnsupportedCapability, multiprotocolBytes(local.families)),
      reason: `no address family in common: we want ${local.families.join(' and ')}, the peer has ${peerFamiliesText(open)}`,
    }
  }
  return { negotiated: agree(local, open, families) }
}

function refuse(local: LocalSide, open: Open): Negotiation | undefined {
  if (open.version !== VERSION) {
    return {
      notification: openError(OpenError.UnsupportedVersionNumber, Uint8Array.of(0, VERSION)),
      reason: `the peer speaks BGP version ${open.version}, not ${VERSION}`,
    }
  }
  // RFC 7607 section 2: AS 0 in OPEN is Bad Peer AS.
  if (open.asNumber !== local.peerAs || open.asNumber === 0) {
    return {
      notification: openError(OpenError.BadPeerAs),
      reason: `the peer says AS ${open.asNumber}, not AS ${local.peerAs}`,
      wrongAs: open.asNumber,
    }
  }
  if (open.bgpIdentifier === '0.0.0.0') {
    return { notification: openError(OpenError.BadBgpIdentifier), reason: 'the peer has the BGP Identifier 0.0.0.0' }
  }
  // RFC 6286 section 2.2: unique within an AS only.
  if (local.localAs === local.peerAs && open.bgpIdentifier === local.routerId) {
    return {
      notification: openError(OpenError.BadBgpIdentifier),
      reason: `the peer has our BGP Identifier ${local.routerId}; within one AS it must be unique`,
    }
  }
  if (open.holdTime === 1 || open.holdTime === 2) {
    return {
      notification: openError(OpenError.UnacceptableHoldTime),
      reason: `the peer proposes a hold time of ${open.holdTime} s`,
    }
  }
  return local.role === undefined ? undefined : checkRole(open, { role: local.role, strict: false })
}

function commonFamilies(local: LocalSide, open: Open): readonly Family[] {
  const theirs = familiesOf(open)
  const ours = local.capabilities ? local.families : local.families.filter(family => family === 'ipv4')
  return ours.filter(family => theirs.includes(family))
}

/** Without any capability of RFC 4760 what RFC 4271 knows: IPv4 unicast. */
function familiesOf(open: Open): readonly Family[] {
  const named = capabilitiesOf(open, 'multiprotocol')
  if (named.length === 0) return ['ipv4']
  return named.flatMap(capability => familyOfAfi(capability) ?? [])
}

function peerFamiliesText(open: Open): string {
  const families = familiesOf(open)
  return families.length === 0 ? 'neither ipv4 nor ipv6 unicast' : families.join(' and ')
}

function agree(local: LocalSide, open: Open, families: readonly Family[]): Negotiated {
  const ours = localOpen(local).capabilities
  const offered = (kind: Capability['kind']) => ours.some(capability => capability.kind === kind)
  const has = (kind: Capability['kind']) => open.capabilities.some(capability => capability.kind === kind)
  const both = (kind: Capability['kind']) => offered(kind) && has(kind)
  const shared = { fourOctetAs: both('four-octet-as'), ibgp: local.localAs === local.peerAs, families }
  const holdTimeSeconds = Math.min(local.holdTimeSeconds, open.holdTime)
  const restart = both('graceful-restart') ? peerGracefulRestart(open) : undefined
  const staleTime = both('long-lived-graceful-restart') ? local.gracefulRestart?.longLivedSeconds : undefined
  return {
    holdTimeSeconds,
    keepaliveSeconds: Math.floor(holdTimeSeconds / 3),
    families,
    capabilities: [...new Set(ours.map(({ kind }) => kind))].filter(both),
    context: {
      ...shared,
      extendedMessages: both('extended-message'),
      extendedNextHop: both('extended-next-hop') && takesIPv6NextHops(open),
    },
    receiving: {
      ...shared,
      extendedMessages: offered('extended-message'),
      extendedNextHop: offered('extended-next-hop'),
      enhancedRouteRefresh: has('enhanced-route-refresh'),
    },
    peerRouterId: open.bgpIdentifier,
    peerCapabilities: capabilityNames(open.capabilities),
    peerAs: open.asNumber,
    // RFC 2918 section 4: what we offered it may ask for. RFC 7313 section 4: BoRR and EoRR for who
    // said that it knows them.
    routeRefresh: offered('route-refresh'),
    enhancedRouteRefresh: has('enhanced-route-refresh'),
    ...(restart && {
      gracefulRestart: {
        restartTimeSeconds: local.gracefulRestart?.restartTimeSeconds ?? 0,
        peerRestartTimeSeconds: restart.restartTime,
        notification: restart.notification,
        peerRestarted: restart.restarted,
        ...(staleTime !== undefined && { longLivedSeconds: staleTime }),
      },
    }),
    ...(local.role !== undefined && TELLS_ONLY_TO_CUSTOMER.includes(local.role) && { onlyToCustomer: true }),
  }
}

const TELLS_ONLY_TO_CUSTOMER: readonly number[] = [Role.Provider, Role.RS, Role.Peer]

/** The last one counts (RFC 4724 section 3). */
function peerGracefulRestart(open: Open): GracefulRestart | undefined {
  return capabilitiesOf(open, 'graceful-restart').at(-1)
}

/** RFC 8950 section 4: the peer takes IPv4 unicast prefixes with IPv6 next hops. */
function takesIPv6NextHops(open: Open): boolean {
  return capabilitiesOf(open, 'extended-next-hop').some(({ tuples }) =>
    tuples.some(tuple => familyOfAfi(tuple) === 'ipv4' && tuple.nextHopAfi === Afi.IPv6),
  )
}

function capabilitiesOf<K extends Capability['kind']>(open: Open, kind: K): Extract<Capability, { kind: K }>[] {
  return open.capabilities.filter(
    (capability): capability is Extract<Capability, { kind: K }> => capability.kind === kind,
  )
}

/**
 * The multiprotocol capabilities as the data of Unsupported Capability (RFC 5492 section 5: as in
 * an OPEN).
 */
function multiprotocolBytes(families: readonly Family[]): Uint8Array {
  return Uint8Array.from(
    families.flatMap(family => [CapabilityCode.multiprotocol, 4, 0, addressFamilyOf(family).afi, 0, Safi.unicast]),
  )
}

function openError(subcode: number, data?: Uint8Array): Notification {
  return notification(ErrorCode.OpenMessage, subcode, data)
}
