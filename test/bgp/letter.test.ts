/**
 * Small print: what the RFCs say in half a sentence, and what no other test would miss. Each was
 * once a change of the code that nothing noticed (scripts/mutate, and mutations by others).
 */
import { describe, expect, test } from 'bun:test'
import { cease, notification } from '../../src/bgp/codec/errors.ts'
import { decodeMessage, INITIAL_CONTEXT } from '../../src/bgp/codec/message.ts'
import type { Capability, GracefulRestart, Update } from '../../src/bgp/codec/message-types.ts'
import { nlriOf } from '../../src/bgp/codec/nlri.ts'
import { isFailure, refusesCapabilities } from '../../src/bgp/machine/down.ts'
import { idleSession, step } from '../../src/bgp/machine/fsm.ts'
import type { Action, Down, Event } from '../../src/bgp/machine/fsm-types.ts'
import { idleHold, OPERATOR } from '../../src/bgp/machine/idle-hold.ts'
import { negotiate } from '../../src/bgp/machine/negotiation.ts'
import { hopLimits, settingsOf } from '../../src/bgp/machine/peer-settings.ts'
import { ReceivedPrefixes } from '../../src/bgp/machine/received-prefixes.ts'
import { refreshOf } from '../../src/bgp/machine/refresh.ts'
import { messageEvent } from '../../src/bgp/machine/session-events.ts'
import { SessionTimers } from '../../src/bgp/machine/session-timers.ts'
import { countNotAnnounced } from '../../src/bgp/rib/not-announced.ts'
import { createTransport } from '../../src/bgp/tcp/transport.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { Secret } from '../../src/lib/secret.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { decodeWith, EXTERNAL, message, updateOf } from './codec/support.ts'
import { EVENTS, PEER_OPEN, SETTINGS } from './machine/fsm-fixtures.ts'
import { peerConfig } from './peer-fixtures.ts'
import { peerOpen, ROUTE, World } from './peer-world.ts'

function agreed(
  capabilities: readonly Capability[] = PEER_OPEN.capabilities,
  local: Partial<typeof SETTINGS.local> = {},
) {
  const outcome = negotiate({ ...SETTINGS.local, ...local }, { ...PEER_OPEN, capabilities })
  if (!('negotiated' in outcome)) throw new Error(outcome.reason)
  return outcome.negotiated
}
const others = (kind: Capability['kind']) => PEER_OPEN.capabilities.filter(capability => capability.kind !== kind)

describe('timers', () => {
  /** When a timer of `seconds` expires, in milliseconds, with the least and the most chance. */
  async function range(timer: 'KeepaliveTimer' | 'ConnectRetryTimer' | 'HoldTimer', seconds: number) {
    const found: number[] = []
    for (const chance of [0, 0.999999]) {
      const clock = new FakeClock(0)
      clock.randomValue = chance
      let at = Number.NaN
      const timers = new SessionTimers(clock, () => {
        at = clock.monotonic()
      })
      timers.start(timer, seconds)
      await clock.advance(seconds * 1000)
      found.push(Math.round(at))
      timers.close()
    }
    return found
  }
  test('jitter is 0.75 to 1, for the timers that RFC 4271 section 10 names', async () => {
    expect(await range('KeepaliveTimer', 30)).toEqual([30_000, 22_500])
    expect(await range('ConnectRetryTimer', 120)).toEqual([120_000, 90_000])
    expect(await range('HoldTimer', 90)).toEqual([90_000, 90_000])
  })
  test('one KEEPALIVE a second at most (RFC 4271 section 4.4)', async () => {
    expect(await range('KeepaliveTimer', 1)).toEqual([1_000, 1_000])
    expect(agreed(undefined, { holdTimeSeconds: 3 }).keepaliveSeconds).toBe(1)
  })
  test('what was sent moves the KeepaliveTimer, an UPDATE too', async () => {
    const world = new World()
    const connection = world.up()
    await world.clock.advance(20_000)
    connection.received.length = 0
    world.speaker.setAnnouncements('lan', [ROUTE, { ...ROUTE, prefix: '10.0.2.0/24' }])
    await world.clock.advance(29_000)
    expect(connection.sent).toEqual(['UPDATE'])
    await world.clock.advance(2_000)
    expect(connection.sent).toEqual(['UPDATE', 'KEEPALIVE'])
  })
  test('the send hold time is the greater of 8 minutes and twice the hold time (RFC 9687 section 4)', () => {
    const sendHold = (holdTime: number) => {
      const settings = { ...SETTINGS, local: { ...SETTINGS.local, holdTimeSeconds: holdTime } }
      const events: Event[] = [EVENTS.ManualStart, EVENTS.Tcp_CR_Acked, EVENTS.BGPOpen, EVENTS.KeepAliveMsg]
      const open = { ...PEER_OPEN, holdTime }
      let session = idleSession(settings)
      let actions: readonly Action[] = []
      for (const event of events) {
        ;[session, actions] = step(session, event.kind === 'BGPOpen' ? { ...event, open } : event)
      }
      return actions.flatMap(action =>
        action.do === 'startTimer' && action.timer === 'SendHoldTimer' ? [action.seconds] : [],
      )
    }
    expect(sendHold(90)).toEqual([480])
    expect(sendHold(240)).toEqual([480])
    expect(sendHold(300)).toEqual([600])
    expect(sendHold(0)).toEqual([])
  })
})

describe('OPEN', () => {
  test('parameter 255 behind others is one that is not known, not the extended form (RFC 9072 section 2)', () => {
    const decoded = decodeMessage(message(1, '04 fdf2 005a 0a000001 06 02 02 0200 ff 00'), INITIAL_CONTEXT)
    expect(decoded).toMatchObject({ outcome: 'session-reset', notification: { code: 2, subcode: 4 } })
  })
  test('reserved octets and bits of capabilities are ignored when received', () => {
    const octets = '0104 0001ff01 4006 b0780001017f'
    const decoded = decodeMessage(message(1, `04 fdf2 005a 0a000001 10 02 0e ${octets}`), INITIAL_CONTEXT)
    expect(decoded).toMatchObject({
      outcome: 'ok',
      message: {
        capabilities: [
          { kind: 'multiprotocol', afi: 1, safi: 1 },
          {
            kind: 'graceful-restart',
            restarted: true,
            notification: false,
            restartTime: 120,
            families: [{ afi: 1, safi: 1, forwarding: false }],
          },
        ],
      },
    })
  })
  test('no role towards an internal peer (RFC 9234 section 4.1)', () => {
    const facts = { restarting: false, hadSession: false, capabilities: true }
    const role = (peerAs: number) => settingsOf(peerConfig({ role: 'customer', peerAs }), 'outgoing', facts).local.role
    expect(role(65001)).toBe(3)
    expect(role(65010)).toBeUndefined()
  })
  test('of several graceful-restart capabilities the last counts (RFC 4724 section 3)', () => {
    const restart = (restartTime: number): GracefulRestart => ({
      kind: 'graceful-restart',
      restarted: restartTime === 20,
      notification: true,
      restartTime,
      families: [],
    })
    const { gracefulRestart } = agreed([...others('graceful-restart'), restart(10), restart(20)])
    expect(gracefulRestart).toMatchObject({ peerRestartTimeSeconds: 20, peerRestarted: true })
  })
  test('long-lived graceful restart without graceful restart is none (RFC 9494 section 3.1)', () => {
    const longLived: Capability = { kind: 'long-lived-graceful-restart', families: [] }
    const restart = { restartTimeSeconds: 600, restarted: false, forwarding: true, longLivedSeconds: 3600 }
    const local = { gracefulRestart: restart }
    expect(agreed([...others('graceful-restart'), longLived], local).gracefulRestart).toBeUndefined()
    expect(agreed([...PEER_OPEN.capabilities, longLived], local).gracefulRestart).toMatchObject({
      longLivedSeconds: 3600,
    })
  })
  test('IPv6 next hops count for IPv4 unicast alone, and for nothing but IPv6 (RFC 8950 section 4)', () => {
    const takes = (afi: number, safi: number, nextHopAfi: number) =>
      agreed([...others('extended-next-hop'), { kind: 'extended-next-hop', tuples: [{ afi, safi, nextHopAfi }] }])
        .context.extendedNextHop
    expect(takes(1, 1, 2)).toBe(true)
    for (const [afi, safi, nextHopAfi] of [
      [2, 1, 2],
      [1, 2, 2],
      [1, 128, 2],
      [1, 1, 1],
      [1, 1, 3],
    ] as const)
      expect(takes(afi, safi, nextHopAfi)).toBe(false)
  })
  test('capabilities come back after a session that did without', async () => {
    const world = new World()
    const first = world.transport.dial.connect()
    first.send(notification(2, 4))
    await world.clock.advance(60_000)
    const second = world.transport.dial.connect()
    expect(second.received[0]).toMatchObject({ type: 'OPEN', capabilities: [] })
    second.context = { ...second.context, fourOctetAs: false }
    world.shake(second, { ...peerOpen(), capabilities: [] })
    expect(world.view.state).toBe('Established')
    second.fail()
    await world.clock.advance(60_000)
    const third = world.transport.dial.connect()
    const open = third.received[0]
    expect(open?.type === 'OPEN' && open.capabilities.length > 3).toBe(true)
  })
  test('one that cannot be accepted is answered as such, not as a collision', () => {
    const world = new World({}, { announce: false })
    const ours = world.transport.dial.connect()
    const theirs = world.transport.incoming()
    theirs.send(peerOpen())
    ours.send({ ...peerOpen(), asNumber: 65009, capabilities: [] })
    expect(ours.sent.at(-1)).toBe('2/2')
    expect(theirs.ended).toBeUndefined()
  })
})

describe('UPDATE', () => {
  test('a prefix that is withdrawn and announced in one message is announced (RFC 4271 section 4.3)', () => {
    const received = new ReceivedPrefixes()
    const block = nlriOf('ipv4', ['10.0.1.0/24'])
    const update: Update = { type: 'UPDATE', withdrawn: block, nlri: block, attributes: {} }
    received.apply(update)
    expect(received.count).toBe(1)
    received.apply({ ...update, nlri: nlriOf('ipv4', []) })
    expect(received.count).toBe(0)
  })
  test('reserved global administrators make no large community malformed (RFC 8092 sections 5 and 6)', () => {
    const value = ['00000000', '0000ffff', 'ffffffff']
      .map(administrator => `${administrator} 00000001 00000002`)
      .join('')
    const decoded = decodeWith(`c02024 ${value}`, EXTERNAL)
    expect(decoded.outcome).toBe('ok')
    expect(updateOf(decoded).attributes.LARGE_COMMUNITIES).toEqual(['0:1:2', '65535:1:2', '4294967295:1:2'])
  })
})

test('a beginning or end of refresh asks for nothing (RFC 7313 section 4)', () => {
  const refresh = (subtype: number, capabilities = PEER_OPEN.capabilities) =>
    refreshOf({ type: 'ROUTE-REFRESH', afi: 1, subtype, safi: 1 }, agreed(capabilities)).kind
  expect(refresh(0)).toBe('announce')
  expect([1, 2, 3, 255].map(subtype => refresh(subtype))).toEqual(['ignore', 'ignore', 'ignore', 'ignore'])
  // to who has no capability 70 the octet is reserved
  expect(refresh(1, others('enhanced-route-refresh'))).toBe('announce')
})

describe('connections', () => {
  test('GTSM holds for those that are accepted too (RFC 5082 section 3)', () => {
    const world = new World({ ttlSecurity: 1 })
    expect(world.transport.incoming().hops).toMatchObject({ ttl: 255, minimumTtl: 255 })
    const wider = new World({ ttlSecurity: 3 })
    expect(wider.transport.incoming().hops).toMatchObject({ ttl: 255, minimumTtl: 253 })
  })
  test('an address whose MD5 key could not be set may not dial in: it would be taken without one', () => {
    const world = new World(
      { password: new Secret('key') },
      { keyProblem: { kind: 'local-problem', detail: 'ENOMEM' } },
    )
    expect(world.transport.incoming().ended).toBe('close')
    world.transport.keyProblem = undefined
    world.speaker.setPeers([peerConfig({ password: new Secret('another') })])
    expect(world.transport.incoming().ended).toBeUndefined()
  })
  testNeeding('root', 'nft')('segments bear DSCP CS6, dialled and accepted (RFC 4594 section 3.2)', async () => {
    const network = new TestNetwork()
    try {
      const node = network.namespace('node')
      network.ip(node, 'link set lo up')
      const rules = ['tcp dport 1790 ip dscp != cs6 tcp flags syn counter', 'tcp dport 1790 ip dscp cs6 counter']
      network.exec(node, [
        'nft',
        `add table inet t; add chain inet t out { type filter hook output priority 0; }; ${rules.map(rule => `add rule inet t out ${rule}`).join('; ')}`,
      ])
      const within = <T>(action: () => T): T => inNetworkNamespace(network.path(node), action)
      const transport = createTransport({ clock: systemClock, within })
      let accepted = 0
      const listener = transport.listen({ port: 1790 }, connection => {
        accepted++
        connection.close()
      })
      transport.connect({ address: '127.0.0.1', port: 1790, ttl: 255, timeoutMilliseconds: 5_000 }, result => {
        if ('close' in result) result.close()
      })
      await eventually('a connection', () => accepted === 1)
      listener.close()
      const counted = network.exec(node, ['nft', 'list', 'table', 'inet', 't']).stdout
      expect([...counted.matchAll(/packets (\d+)/g)].map(([, count]) => count === '0')).toEqual([true, false])
    } finally {
      await network.close()
    }
  })
  test('a peer out of resources is left alone like one that an operator has to see to (RFC 4486 section 4)', () => {
    for (const subcode of [1, 2, 3, 8]) {
      expect(idleHold({ kind: 'notification-received', notification: cease(subcode) }, 30)).toEqual(OPERATOR)
    }
    for (const subcode of [0, 4, 6, 7]) {
      expect(idleHold({ kind: 'notification-received', notification: cease(subcode) }, 30)).not.toEqual(OPERATOR)
    }
  })
})

test('which event of RFC 4271 section 8.1 a message is', () => {
  const event = (wire: Uint8Array) => {
    const { kind, ...rest } = messageEvent(wire, decodeMessage(wire, EXTERNAL))
    return `${kind} ${'messageType' in rest ? rest.messageType : ''}`.trim()
  }
  expect(event(message(4, '00'))).toBe('BGPHeaderErr 4')
  expect(event(message(9, ''))).toBe('BGPHeaderErr 9')
  expect(event(message(1, '04 fdf2 0001 0a000001 00'))).toBe('BGPOpenMsgErr 1')
  expect(event(message(2, '0000 0005 40010100'))).toBe('UpdateMsgErr 2')
  expect(event(message(3, '0201 0003'))).toBe('NotifMsgVerErr')
  expect(event(message(3, '0202'))).toBe('NotifMsg')
  expect(event(message(3, '0301'))).toBe('NotifMsg')
})

describe('what an end means', () => {
  const received = (code: number, subcode: number) =>
    ({ kind: 'notification-received', notification: notification(code, subcode) }) as const
  test('a collision that either side resolved is no failure; everything else is, unless we stopped', () => {
    expect(isFailure(received(6, 7))).toBe(false)
    for (const [code, subcode] of [
      [6, 0],
      [6, 2],
      [4, 7],
      [2, 7],
    ] as const)
      expect(isFailure(received(code, subcode))).toBe(true)
    expect(isFailure({ kind: 'collision' } as Down)).toBe(false)
    expect(isFailure({ kind: 'hold-timer-expired' } as Down)).toBe(true)
  })
  test('only Unsupported Optional Parameter refuses capabilities (RFC 5492 section 3)', () => {
    expect(refusesCapabilities(received(2, 4))).toBe(true)
    for (const [code, subcode] of [
      [2, 2],
      [2, 7],
      [6, 4],
      [3, 4],
    ] as const)
      expect(refusesCapabilities(received(code, subcode))).toBe(false)
  })
  test('an internal peer may be any number of hops away, an external one is one hop away unless told otherwise', () => {
    expect(hopLimits(peerConfig({ peerAs: 65010 }))).toEqual({ ttl: 255 })
    expect(hopLimits(peerConfig())).toEqual({ ttl: 1 })
    expect(hopLimits(peerConfig({ ebgpMultihop: 3 }))).toEqual({ ttl: 3 })
  })
  test('no prefixes for a reason are no reason', () => {
    const none = { family: 'ipv4', reason: 'no-next-hop', prefixes: 0 } as const
    expect(countNotAnnounced([none])).toEqual([])
    const [one] = countNotAnnounced([none, { ...none, prefixes: 2 }, { ...none, prefixes: 1 }])
    expect(one).toMatchObject({ prefixes: 3 })
  })
})
