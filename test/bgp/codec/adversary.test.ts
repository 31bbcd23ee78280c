/**
 * Messages that broke other speakers, and any number of random ones: the decoder answers each with
 * an outcome of RFC 7606, never throws, and what it accepts it can send again.
 * TERWAY_EDGE_MUTATIONS sets how many are tried.
 */
import { describe, expect, test } from 'bun:test'
import { describeNotification } from '../../../src/bgp/codec/errors.ts'
import { decodeMessage, encodeMessage } from '../../../src/bgp/codec/message.ts'
import { MessageFramer } from '../../../src/bgp/codec/message-framer.ts'
import type {
  AddressFamily,
  Capability,
  CodecContext,
  Decoded,
  Message,
  PathAttributes,
  Update,
} from '../../../src/bgp/codec/message-types.ts'
import { asWithdrawal, endOfRibFamily } from '../../../src/bgp/codec/message-update.ts'
import { nlriOf, prefixTexts } from '../../../src/bgp/codec/nlri.ts'
import type { Event } from '../../../src/bgp/machine/fsm-types.ts'
import { messageEvent } from '../../../src/bgp/machine/session-events.ts'
import { reportDecoded } from '../../../src/bgp/report/decode-report.ts'
import { formatAddress, formatPrefix, maskBytes } from '../../../src/lib/ip.ts'
import { EVENTS, SETTINGS } from '../machine/fsm-fixtures.ts'
import { ModelledMachine } from '../machine/fsm-model.ts'
import { mutate, SEEDS } from './mutations.ts'
import {
  AS_PATH,
  answer,
  attribute,
  bytes,
  chance,
  decodeWith,
  EXTERNAL,
  INTERNAL,
  MANDATORY,
  message,
  NEXT_HOP,
  NLRI,
  ORIGIN,
  TWO_OCTET,
  update,
} from './support.ts'

const MUTATIONS = Math.min(Number(process.env.TERWAY_EDGE_MUTATIONS ?? 200_000) || 200_000, 50_000_000)
const CONTEXTS: readonly CodecContext[] = [
  EXTERNAL,
  INTERNAL,
  TWO_OCTET,
  { ...TWO_OCTET, keepAs4: true },
  { ...EXTERNAL, extendedMessages: true, families: ['ipv6'] },
  { ...EXTERNAL, families: ['ipv4'], extendedNextHop: false },
]
const OUTCOMES: readonly string[] = ['ok', 'attribute-discard', 'treat-as-withdraw', 'session-reset']

describe('what broke others', () => {
  test('a software version capability of length 0', () => {
    expect(decodeMessage(message(1, '04 fdf2 005a 0a000001 05 02 03 4b 01 00'), EXTERNAL).outcome).toBe('ok')
    expect(decodeMessage(message(1, '04 fdf2 005a 0a000001 04 02 02 4b 00'), EXTERNAL).outcome).toBe('ok')
  })
  test('NEXT_HOP of no octets', () => {
    expect(decodeMessage(update({ attributes: `${ORIGIN} ${AS_PATH} 400300`, nlri: NLRI }), EXTERNAL).outcome).toBe(
      'treat-as-withdraw',
    )
  })
  test('an UPDATE whose lengths underflow', () => {
    expect(answer(decodeMessage(message(2, 'ffff ffff'), EXTERNAL))).toBe('3/1')
    expect(answer(decodeMessage(message(2, '0000 ffff'), EXTERNAL))).toBe('3/1')
    expect(answer(decodeMessage(message(2, '0004 0000 0000'), EXTERNAL))).toBe('3/1')
  })
  test('an unknown well-known attribute', () => expect(answer(decodeWith('40ff00'))).toBe('3/2 40ff00'))
  test('attribute type 0', () => expect(decodeWith('c00000').outcome).toBe('ok'))
  test('AS4_PATH before AS_PATH, and without it', () => {
    const as4 = 'c01106 0201 00011170'
    expect(
      decodeMessage(update({ attributes: `${as4} ${ORIGIN} 400200 ${NEXT_HOP}`, nlri: NLRI }), TWO_OCTET).outcome,
    ).toBe('ok')
    expect(decodeMessage(update({ attributes: `${as4} ${ORIGIN} ${NEXT_HOP}`, nlri: NLRI }), TWO_OCTET).outcome).toBe(
      'treat-as-withdraw',
    )
  })
  test('an attribute whose length is that of the whole message', () => {
    expect(decodeWith('d0081000 00000001').outcome).toBe('treat-as-withdraw')
    expect(decodeWith('d008ffff').outcome).toBe('treat-as-withdraw')
  })
  test('Prefix-SID with broken TLVs is passed over unread', () => {
    for (const value of ['', '01', '0100', '01ffff', '050000', '0500020000']) {
      expect(decodeWith(attribute('c028', value)).outcome).toBe('ok')
    }
  })
  test('an empty AS_PATH, and one of confederation segments', () => {
    expect(decodeMessage(update({ attributes: `${ORIGIN} 400200 ${NEXT_HOP}`, nlri: NLRI }), INTERNAL).outcome).toBe(
      'treat-as-withdraw',
    ) // LOCAL_PREF
    expect(
      decodeMessage(update({ attributes: `${ORIGIN} 400206 0301 0000fde9 ${NEXT_HOP}`, nlri: NLRI }), EXTERNAL).outcome,
    ).toBe('treat-as-withdraw')
  })
  test('an OPEN whose extended parameters begin and end (FRR, CVE-2022-40302 and 43681)', () => {
    for (const parameters of ['ff ff', 'ff ff 00', 'ff ff 0001', 'ff ff 0001 02', 'ff ff ffff', 'ff', '01', '01 ff']) {
      expect(decodeMessage(message(1, `04 fdf2 005a 0a000001 ${parameters}`), EXTERNAL).outcome).toBe('session-reset')
    }
  })
  test('65535 octets of the same attribute are answered with a short reason', () => {
    const context = { ...EXTERNAL, extendedMessages: true }
    const decoded = decodeMessage(update({ attributes: MANDATORY + 'c00800'.repeat(21_000), nlri: NLRI }), context)
    expect(decoded.outcome).toBe('treat-as-withdraw')
    expect('reason' in decoded && decoded.reason.length).toBeLessThan(2000)
  })
  test('all types of attributes at once are answered with a short reason', () => {
    const attributes = Array.from({ length: 256 }, (_, type) =>
      `c0${type.toString(16).padStart(2, '0')}0100`.repeat(2),
    ).join('')
    const decoded = decodeMessage(update({ attributes, nlri: NLRI }), EXTERNAL)
    expect('reason' in decoded && decoded.reason.length).toBeLessThan(2000)
  })
})

/** All that a session would do with an outcome. */
function handle(decoded: Decoded, wire: Uint8Array, context: CodecContext): void {
  if (!OUTCOMES.includes(decoded.outcome)) throw new Error(`outcome ${decoded.outcome}`)
  if (decoded.outcome !== 'ok' && !/^RFC \d{4} section/.test(decoded.reason))
    throw new Error(`reason ${decoded.reason}`)
  JSON.stringify(reportDecoded(wire, decoded, { ...context, orf: false }))
  if (decoded.outcome === 'session-reset') {
    if (encodeMessage(decoded.notification, context).length > 65535) throw new Error('a NOTIFICATION too large')
    describeNotification(decoded.notification)
    return
  }
  endOfRibFamily(decoded)
  if (decoded.outcome === 'treat-as-withdraw') asWithdrawal(decoded.message)
}

/** What was accepted is understood the same way when it is sent on. */
function resend(decoded: Decoded, context: CodecContext): void {
  if (decoded.outcome !== 'ok' || context.keepAs4) return
  const again = decodeMessage(encodeMessage(decoded.message, { ...context, extendedMessages: true }), {
    ...context,
    extendedMessages: true,
  })
  expect(again).toEqual(decoded)
}

/** The states with a connection, where messages arrive. */
const WAYS: readonly (readonly Event[])[] = [
  [EVENTS.ManualStart, EVENTS.Tcp_CR_Acked],
  [EVENTS.ManualStart, EVENTS.Tcp_CR_Acked, EVENTS.BGPOpen],
  [EVENTS.ManualStart, EVENTS.Tcp_CR_Acked, EVENTS.BGPOpen, EVENTS.KeepAliveMsg],
]

/**
 * The machine as it is, or after it ended the session a new one in some state with a connection.
 */
function machineUnderAttack(machine: ModelledMachine, below: (limit: number) => number): ModelledMachine {
  if (machine.session.state !== 'Idle') return machine
  const next = new ModelledMachine(SETTINGS)
  for (const event of WAYS[below(WAYS.length)] ?? []) next.feed(event)
  return next
}

test(`${MUTATIONS} mutated messages through decoder and state machine: only outcomes of RFC 7606, no invariant broken`, () => {
  const below = chance(20_260_801)
  const pick = <Item>(items: readonly Item[]): Item => items[below(items.length)] ?? (items[0] as Item)
  const seen = new Map<string, number>()
  const states = new Set<string>()
  let machine = new ModelledMachine(SETTINGS)
  for (let round = 0; round < MUTATIONS; round++) {
    const wire = mutate(pick(SEEDS), below)
    const context = pick(CONTEXTS)
    const decoded = decodeMessage(wire, context)
    handle(decoded, wire, context)
    if (round % 16 === 0) resend(decoded, context)
    machine = machineUnderAttack(machine, below)
    states.add(`${machine.session.state} ${decoded.outcome}`)
    machine.feed(messageEvent(wire, decoded))
    const key = `${wire[18]} ${decoded.outcome}`
    seen.set(key, (seen.get(key) ?? 0) + 1)
  }
  // Chance must have come everywhere, else this test shows nothing.
  if (MUTATIONS >= 100_000) {
    const expected = [
      '1 ok',
      '1 session-reset',
      '2 attribute-discard',
      '2 ok',
      '2 session-reset',
      '2 treat-as-withdraw',
      '3 ok',
      '5 ok',
    ]
    expect(expected.filter(key => (seen.get(key) ?? 0) < 20)).toEqual([])
    expect(states.size).toBe(3 * OUTCOMES.length)
  }
}, 600_000)

test('random octets through the receive buffer', () => {
  const below = chance(7)
  for (let round = 0; round < 2000; round++) {
    const framer = new MessageFramer()
    for (let chunk = 0; chunk < 10; chunk++) {
      const octets = Uint8Array.from({ length: below(80) }, () => (below(3) === 0 ? below(256) : 0xff))
      for (const one of framer.push(octets).messages) handle(decodeMessage(one, EXTERNAL), one, EXTERNAL)
      expect(framer.buffered).toBeLessThanOrEqual(4096)
    }
  }
})

describe('decode(encode(x)) is x', () => {
  const below = chance(42)
  const asNumber = () => (below(2) === 0 ? 1 + below(65535) : 65536 + below(1_000_000))
  const u32 = () => below(0x10000) * 0x10000 + below(0x10000)
  const some = <Item>(make: () => Item, most = 5): Item[] => Array.from({ length: 1 + below(most) }, make)
  const octets = (count: number) => Uint8Array.from({ length: count }, () => below(256))
  const unicast = () => `${1 + below(126)}.${below(256)}.${below(256)}.${below(256)}`
  const global = () => Uint8Array.of(0x20 + below(16), ...octets(15))
  const addressFamily = (): AddressFamily => ({ afi: 1 + below(2), safi: 1 })
  const prefix = (family: 'ipv4' | 'ipv6') => {
    const size = family === 'ipv4' ? 4 : 16
    const length = below(size * 8 + 1)
    return formatPrefix({ bytes: maskBytes(octets(size), length), length })
  }
  const nlri = (family: 'ipv4' | 'ipv6') =>
    nlriOf(
      family,
      some(() => prefix(family), 20),
    )
  const maybe = (fields: PathAttributes): PathAttributes => (below(2) === 0 ? fields : {})

  function anyAttributes(context: CodecContext): PathAttributes {
    const path = some(asNumber, 12)
    return {
      ORIGIN: (['IGP', 'EGP', 'INCOMPLETE'] as const)[below(3)] ?? 'IGP',
      AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: path }],
      ...maybe({ MULTI_EXIT_DISC: u32() }),
      ...maybe({ ATOMIC_AGGREGATE: true }),
      ...maybe({ AGGREGATOR: { asNumber: asNumber(), address: unicast() } }),
      ...maybe({ COMMUNITIES: some(() => `${below(65536)}:${below(65536)}`) }),
      ...maybe({ EXTENDED_COMMUNITIES: some(() => Buffer.from(octets(8)).toString('hex')) }),
      ...maybe({ LARGE_COMMUNITIES: some(() => `${u32()}:${u32()}:${u32()}`, 30) }),
      ...maybe({ ONLY_TO_CUSTOMER: u32() }),
      ...maybe({
        unknown: [{ type: 128 + below(100), flags: [0x80, 0xc0, 0xe0][below(3)] ?? 0x80, value: octets(below(400)) }],
      }),
      ...maybe({ MP_UNREACH_NLRI: nlri('ipv6') }),
      ...maybe({
        MP_REACH_NLRI: {
          nextHop: below(2) === 0 ? global() : Uint8Array.of(...global(), ...global()),
          nlri: nlri('ipv6'),
        },
      }),
      ...(context.ibgp
        ? { LOCAL_PREF: u32(), ...maybe({ ORIGINATOR_ID: unicast(), CLUSTER_LIST: some(unicast) }) }
        : {}),
    }
  }
  function anyUpdate(context: CodecContext): Update {
    const attributes = { ...anyAttributes(context), NEXT_HOP: unicast() }
    return { type: 'UPDATE', withdrawn: below(2) ? nlri('ipv4') : nlriOf('ipv4', []), attributes, nlri: nlri('ipv4') }
  }
  const CAPABILITIES: readonly (() => Capability)[] = [
    () => ({ kind: 'multiprotocol', ...addressFamily() }),
    () => ({ kind: 'route-refresh' }),
    () => ({ kind: 'extended-next-hop', tuples: some(() => ({ ...addressFamily(), nextHopAfi: 2 })) }),
    () => ({ kind: 'extended-message' }),
    () => ({ kind: 'enhanced-route-refresh' }),
    () => ({
      kind: 'graceful-restart',
      restarted: below(2) === 0,
      notification: below(2) === 0,
      restartTime: below(4096),
      families: some(() => ({ ...addressFamily(), forwarding: below(2) === 0 })),
    }),
    () => ({
      kind: 'long-lived-graceful-restart',
      families: some(() => ({ ...addressFamily(), forwarding: below(2) === 0, staleTime: below(0x1000000) })),
    }),
    () => ({ kind: 'unknown', code: 128 + below(100), value: octets(below(256)) }),
  ]
  function anyOpen(): Message {
    const number = asNumber()
    const capabilities: Capability[] = Array.from({ length: below(8) }, () =>
      (CAPABILITIES[below(CAPABILITIES.length)] ?? (() => ({ kind: 'route-refresh' })))(),
    )
    if (number > 65535 || below(2) === 0) capabilities.push({ kind: 'four-octet-as', asNumber: number })
    if (below(2) === 0) capabilities.push({ kind: 'role', role: below(5) })
    return {
      type: 'OPEN',
      version: 4,
      asNumber: number,
      holdTime: 3 + below(65533),
      bgpIdentifier: formatAddress(octets(4).fill(1, 0, 1)),
      capabilities,
    }
  }

  for (const [name, context] of [
    ['external', EXTERNAL],
    ['internal', INTERNAL],
    ['2-octet', TWO_OCTET],
  ] as const) {
    test(`UPDATE, ${name}`, () => {
      for (let round = 0; round < 1500; round++) {
        const value = anyUpdate(context)
        const decoded = decodeMessage(encodeMessage(value, { ...context, extendedMessages: true }), {
          ...context,
          extendedMessages: true,
        })
        expect(decoded).toEqual({ outcome: 'ok', message: value })
      }
    })
  }
  test('OPEN', () => {
    for (let round = 0; round < 3000; round++) {
      const value = anyOpen()
      expect(decodeMessage(encodeMessage(value, EXTERNAL), EXTERNAL)).toEqual({ outcome: 'ok', message: value })
    }
  })
  test('NOTIFICATION and ROUTE-REFRESH', () => {
    for (let round = 0; round < 1000; round++) {
      const values: Message[] = [
        { type: 'NOTIFICATION', code: below(256), subcode: below(256), data: octets(below(300)) },
        { type: 'ROUTE-REFRESH', afi: below(65536), subtype: below(256), safi: below(256) },
      ]
      for (const value of values) {
        expect(decodeMessage(encodeMessage(value, EXTERNAL), EXTERNAL)).toEqual({ outcome: 'ok', message: value })
      }
    }
  })
  test('prefix texts', () => {
    for (const family of ['ipv4', 'ipv6'] as const) {
      const texts = Array.from({ length: 3000 }, () => prefix(family))
      expect(prefixTexts(nlriOf(family, texts))).toEqual(texts)
    }
  })
})

test('the seeds are what they seem', () => {
  const outcomes = SEEDS.map(seed => CONTEXTS.some(context => decodeMessage(seed, context).outcome === 'ok'))
  expect(outcomes.filter(ok => !ok)).toEqual([])
  expect(bytes(NLRI).length).toBe(4)
})
