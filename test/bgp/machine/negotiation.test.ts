/**
 * What two OPENs lead to, as values: a refusal, what is agreed, graceful restart (RFC 4724, 8538,
 * 9494) and the collision of two connections.
 */
import { describe, expect, test } from 'bun:test'
import { cease, notification } from '../../../src/bgp/codec/errors.ts'
import type { Capability, GracefulRestart, Open } from '../../../src/bgp/codec/message-types.ts'
import { loserOf } from '../../../src/bgp/machine/collision.ts'
import {
  closingNotification,
  keptSeconds,
  restartCapability,
  takesOver,
} from '../../../src/bgp/machine/graceful-restart.ts'
import { type LocalSide, localOpen, type Negotiated, negotiate } from '../../../src/bgp/machine/negotiation.ts'
import { peerConfig } from '../peer-fixtures.ts'
import { PEER_OPEN, SETTINGS } from './fsm-fixtures.ts'

const LOCAL = SETTINGS.local
const GRACEFUL: GracefulRestart = {
  kind: 'graceful-restart',
  restarted: false,
  notification: true,
  restartTime: 180,
  families: [],
}

function agreed(open: Partial<Open> = {}, local: Partial<LocalSide> = {}): Negotiated {
  const outcome = negotiate({ ...LOCAL, ...local }, { ...PEER_OPEN, ...open })
  if (!('negotiated' in outcome)) throw new Error(outcome.reason)
  return outcome.negotiated
}

function refused(open: Partial<Open>, local: Partial<LocalSide> = {}) {
  const outcome = negotiate({ ...LOCAL, ...local }, { ...PEER_OPEN, ...open })
  if ('negotiated' in outcome) throw new Error('accepted')
  return outcome.notification
}

const withCapabilities = (...capabilities: Capability[]): Partial<Open> => ({ capabilities })
const without = (kind: Capability['kind']): Partial<Open> => ({
  capabilities: PEER_OPEN.capabilities.filter(capability => capability.kind !== kind),
})

describe('OPEN that is refused', () => {
  test('version: 2/1 with the version that we speak', () => {
    expect(refused({ version: 3 })).toEqual(notification(2, 1, Uint8Array.of(0, 4)))
  })
  test('wrong AS, and AS 0 even if configured (RFC 7607): 2/2', () => {
    expect(refused({ asNumber: 65009 })).toEqual(notification(2, 2))
    expect(refused({ asNumber: 0 }, { peerAs: 0 })).toEqual(notification(2, 2))
  })
  test('BGP Identifier 0, and our own within one AS (RFC 6286): 2/3', () => {
    expect(refused({ bgpIdentifier: '0.0.0.0' })).toEqual(notification(2, 3))
    expect(refused({ bgpIdentifier: '10.0.0.1', asNumber: 65010 }, { peerAs: 65010 })).toEqual(notification(2, 3))
  })
  test('our own BGP Identifier in another AS is fine (RFC 6286 section 2.2)', () => {
    expect(agreed({ bgpIdentifier: '10.0.0.1' }).peerRouterId).toBe('10.0.0.1')
  })
  test('hold time of 1 or 2 seconds: 2/6', () => {
    expect(refused({ holdTime: 1 })).toEqual(notification(2, 6))
    expect(refused({ holdTime: 2 })).toEqual(notification(2, 6))
    expect(agreed({ holdTime: 3 }).keepaliveSeconds).toBe(1)
  })
  test('no family in common: 2/7 with the multiprotocol capabilities that we need (RFC 5492 section 3)', () => {
    expect(refused(withCapabilities({ kind: 'multiprotocol', afi: 25, safi: 65 }))).toEqual(
      notification(2, 7, Uint8Array.of(1, 4, 0, 1, 0, 1, 1, 4, 0, 2, 0, 1)),
    )
    expect(refused(withCapabilities(), { families: ['ipv6'] })).toEqual(
      notification(2, 7, Uint8Array.of(1, 4, 0, 2, 0, 1)),
    )
  })
})

describe('what is agreed', () => {
  test('the smaller hold time, a third of it for keepalives; 0 turns both off', () => {
    expect(agreed({ holdTime: 30 })).toMatchObject({ holdTimeSeconds: 30, keepaliveSeconds: 10 })
    expect(agreed({ holdTime: 180 })).toMatchObject({ holdTimeSeconds: 90, keepaliveSeconds: 30 })
    expect(agreed({ holdTime: 0 })).toMatchObject({ holdTimeSeconds: 0, keepaliveSeconds: 0 })
  })
  test('a peer without capabilities speaks IPv4 with 2-octet AS numbers', () => {
    expect(agreed(withCapabilities())).toMatchObject({
      families: ['ipv4'],
      capabilities: [],
      routeRefresh: true, // it may ask for what we offered (RFC 2918 section 4)
      context: { fourOctetAs: false, extendedMessages: false, extendedNextHop: false, families: ['ipv4'] },
    })
  })
  test('a capability counts when both sides have it', () => {
    expect(agreed(without('extended-message')).context.extendedMessages).toBe(false)
    expect(agreed().context.extendedMessages).toBe(true)
    expect(agreed(without('enhanced-route-refresh')).enhancedRouteRefresh).toBe(false)
    // RFC 7313 section 4: its word alone
    expect(agreed(without('route-refresh')).enhancedRouteRefresh).toBe(true)
    expect(agreed({}, { capabilities: false })).toMatchObject({ capabilities: [], families: ['ipv4'] })
  })
  test('what the peer may send us is what we offered, whatever it offers itself (RFC 8654 section 4, RFC 8950 section 4)', () => {
    const { context, receiving } = agreed(withCapabilities())
    expect(context).toMatchObject({ extendedMessages: false, extendedNextHop: false })
    expect(receiving).toMatchObject({ extendedMessages: true, extendedNextHop: true, enhancedRouteRefresh: false })
    expect(agreed({}, { capabilities: false }).receiving).toMatchObject({
      extendedMessages: false,
      extendedNextHop: false,
      fourOctetAs: false,
    })
    expect(agreed().receiving.enhancedRouteRefresh).toBe(true)
  })
  test('IPv4 over IPv6 next hops needs the tuple, not just the capability (RFC 8950)', () => {
    expect(agreed().context.extendedNextHop).toBe(true)
    const other: Capability = { kind: 'extended-next-hop', tuples: [{ afi: 1, safi: 128, nextHopAfi: 2 }] }
    expect(agreed(withCapabilities({ kind: 'multiprotocol', afi: 1, safi: 1 }, other)).context.extendedNextHop).toBe(
      false,
    )
  })
  test('iBGP is equal AS numbers', () => {
    expect(agreed().context.ibgp).toBe(false)
    expect(agreed({ asNumber: 65010 }, { peerAs: 65010 }).context.ibgp).toBe(true)
  })
  test('graceful restart: our time, the N bit of both, the peer restarted', () => {
    const open = {
      capabilities: [...(without('graceful-restart').capabilities ?? []), { ...GRACEFUL, restarted: true }],
    }
    expect(agreed(open).gracefulRestart).toEqual({
      restartTimeSeconds: 600,
      peerRestartTimeSeconds: 180,
      notification: true,
      peerRestarted: true,
    })
    expect(agreed(without('graceful-restart')).gracefulRestart).toBeUndefined()
  })
  test('long-lived graceful restart only when asked for, and only with a peer that has it (RFC 9494)', () => {
    const local: Partial<LocalSide> = {
      gracefulRestart: { restartTimeSeconds: 600, restarted: false, forwarding: true, longLivedSeconds: 7200 },
    }
    const theirs: Capability = { kind: 'long-lived-graceful-restart', families: [] }
    const open = { capabilities: [...PEER_OPEN.capabilities, theirs] }
    expect(localOpen(SETTINGS.local).capabilities.map(({ kind }) => kind)).not.toContain('long-lived-graceful-restart')
    expect(localOpen({ ...SETTINGS.local, ...local }).capabilities).toContainEqual({
      kind: 'long-lived-graceful-restart',
      families: [
        { afi: 1, safi: 1, forwarding: true, staleTime: 7200 },
        { afi: 2, safi: 1, forwarding: true, staleTime: 7200 },
      ],
    })
    expect(agreed(open, local).gracefulRestart?.longLivedSeconds).toBe(7200)
    expect(agreed({}, local).gracefulRestart?.longLivedSeconds).toBeUndefined()
    expect(keptSeconds(agreed(open, local), { kind: 'stopped' })).toBe(7800)
  })
  test('roles must fit, where we have one (RFC 9234)', () => {
    const role = (number: number) => ({
      capabilities: [...PEER_OPEN.capabilities, { kind: 'role', role: number } as const],
    })
    expect(agreed(role(0), { role: 3 }).onlyToCustomer).toBeUndefined()
    expect(agreed(role(3), { role: 0 }).onlyToCustomer).toBe(true)
    expect(agreed({}, { role: 4 }).onlyToCustomer).toBe(true)
    expect(agreed(role(3)).capabilities).not.toContain('role')
    expect(negotiate({ ...SETTINGS.local, role: 3 }, { ...PEER_OPEN, ...role(3) })).toMatchObject({
      notification: { code: 2, subcode: 11 },
    })
  })
})

describe('graceful restart', () => {
  const config = peerConfig()
  const keeps = agreed()
  const keepsNot = agreed(without('graceful-restart'))
  const keepsWithoutN = agreed({
    capabilities: [...(without('graceful-restart').capabilities ?? []), { ...GRACEFUL, notification: false }],
  })
  const shutdown = cease(2, 'bye')

  test('R only after a restart, F whenever there can be routes to keep', () => {
    const bits = (restarting: boolean, hadSession: boolean) => restartCapability(config, { restarting, hadSession })
    expect(bits(false, false)).toEqual({ restartTimeSeconds: 600, restarted: false, forwarding: false })
    expect(bits(false, true)).toEqual({ restartTimeSeconds: 600, restarted: false, forwarding: true })
    expect(bits(true, false)).toEqual({ restartTimeSeconds: 600, restarted: true, forwarding: true })
    const rebooted = { restarting: true, rebooted: true }
    expect(restartCapability(config, { ...rebooted, hadSession: false })).toMatchObject({
      restarted: true,
      forwarding: false,
    })
    expect(restartCapability(config, { ...rebooted, hadSession: true })).toMatchObject({
      restarted: true,
      forwarding: true,
    })
  })
  test('the restart time fits in 12 bits; off means no capability', () => {
    const facts = { restarting: false, hadSession: false }
    const long = peerConfig({ gracefulRestart: { enabled: true, restartTimeSeconds: 9999 } })
    expect(restartCapability(long, facts)?.restartTimeSeconds).toBe(4095)
    const off = peerConfig({ gracefulRestart: { enabled: false, restartTimeSeconds: 600 } })
    expect(restartCapability(off, facts)).toBeUndefined()
    const { gracefulRestart: _off, ...plain } = LOCAL
    expect(localOpen(plain).capabilities).not.toContainEqual(expect.objectContaining({ kind: 'graceful-restart' }))
  })
  test('closing: nothing on restart; Cease on a change unless the routes would go by it; Hard Reset where a Cease keeps them', () => {
    expect(closingNotification('restart', keeps)).toBeUndefined()
    expect(closingNotification('restart', keepsNot)).toBeUndefined()
    // graceful (RFC 8538 section 3)
    expect(closingNotification('configuration-change', keeps)).toEqual(cease(6))
    expect(closingNotification('configuration-change', keepsWithoutN)).toBeUndefined()
    expect(closingNotification('configuration-change', keepsNot)).toEqual(cease(6))
    expect(closingNotification({ final: shutdown }, keepsWithoutN)).toEqual(shutdown)
    expect(closingNotification({ final: shutdown }, keeps)).toEqual(
      notification(6, 9, Uint8Array.of(6, 2, 3, ...Buffer.from('bye'))),
    )
  })
  test('what the peer keeps afterwards (RFC 4724 section 4.2, RFC 8538 section 4)', () => {
    const tcp = { kind: 'tcp', problem: { kind: 'closed', detail: '' } } as const
    const expired = { kind: 'hold-timer-expired', notification: notification(4), waitingForOpen: false } as const
    const hard = { kind: 'notification-received', notification: notification(6, 9) } as const
    expect(keptSeconds(keeps, tcp)).toBe(600)
    expect(keptSeconds(keepsNot, tcp)).toBeUndefined()
    expect(keptSeconds(keeps, expired)).toBe(600)
    expect(keptSeconds(keepsWithoutN, expired)).toBeUndefined()
    expect(keptSeconds(keeps, hard)).toBeUndefined()
    expect(keptSeconds(keeps, { kind: 'stopped' })).toBe(600)
    expect(keptSeconds(keeps, { kind: 'stopped', notification: notification(6, 9) })).toBeUndefined()
  })
  test('a new connection takes over from an established session: of a peer that restarted, not of a collision', () => {
    const existing = { state: 'Established', negotiated: keeps, establishedMilliseconds: 1000 } as const
    const restarted = { ...PEER_OPEN, capabilities: [{ ...GRACEFUL, restarted: true }] }
    const incoming = (open: Open) => ({ direction: 'incoming', open }) as const
    const settled = { ...existing, establishedMilliseconds: 60_000 }
    expect(takesOver(existing, incoming(restarted))).toBe(true)
    expect(takesOver(existing, incoming(PEER_OPEN))).toBe(false)
    expect(takesOver(settled, incoming(PEER_OPEN))).toBe(true)
    expect(takesOver({ ...settled, negotiated: keepsNot }, incoming(restarted))).toBe(false)
    expect(takesOver({ ...existing, state: 'OpenConfirm' }, incoming(restarted))).toBe(false)
    // An OPEN that comes late on a connection of ours says nothing about the session.
    expect(takesOver(settled, { direction: 'outgoing', open: restarted })).toBe(false)
  })
})

describe('collision (RFC 4271 section 6.8)', () => {
  const low = { routerId: '10.0.0.1', asNumber: 65010 }
  const high = { routerId: '10.0.0.200', asNumber: 65001 }
  const outgoing = (state: 'OpenSent' | 'OpenConfirm' | 'Established') => ({ direction: 'outgoing', state }) as const
  const incoming = (state: 'OpenSent' | 'OpenConfirm' | 'Established') => ({ direction: 'incoming', state }) as const

  test('the connection of the side with the larger identifier stays, whichever is first', () => {
    const smaller = { local: low, remote: high }
    const larger = { local: high, remote: low }
    expect(loserOf(incoming('OpenSent'), outgoing('OpenConfirm'), smaller)).toBe('other')
    expect(loserOf(outgoing('OpenSent'), incoming('OpenConfirm'), smaller)).toBe('opening')
    expect(loserOf(incoming('OpenSent'), outgoing('OpenConfirm'), larger)).toBe('opening')
    expect(loserOf(outgoing('OpenSent'), incoming('OpenConfirm'), larger)).toBe('other')
  })
  test('identifiers are compared as numbers: 10.0.0.9 is less than 10.0.0.10', () => {
    const identities = { local: { ...low, routerId: '10.0.0.9' }, remote: { ...high, routerId: '10.0.0.10' } }
    expect(loserOf(incoming('OpenSent'), outgoing('OpenConfirm'), identities)).toBe('other')
  })
  test('of equal identifiers the larger AS (RFC 6286 section 2.3)', () => {
    const identities = { local: low, remote: { ...high, routerId: low.routerId } }
    expect(loserOf(outgoing('OpenSent'), incoming('OpenConfirm'), identities)).toBe('other')
  })
  test('both sides come to the same answer', () => {
    for (const [a, b] of [
      [low, high],
      [high, low],
    ] as const) {
      const here = loserOf(incoming('OpenSent'), outgoing('OpenConfirm'), { local: a, remote: b })
      const there = loserOf(outgoing('OpenSent'), incoming('OpenConfirm'), { local: b, remote: a })
      expect(here).toBe(there)
    }
  })
  test('an established session stays; one whose OPEN has not come is not compared', () => {
    const identities = { local: low, remote: high }
    expect(loserOf(incoming('OpenSent'), outgoing('Established'), identities)).toBe('opening')
    expect(loserOf(incoming('OpenSent'), outgoing('OpenSent'), identities)).toBeUndefined()
  })
})
