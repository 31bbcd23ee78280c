/**
 * Small print on what comes in: which octets are taken, ignored or refused, and with which answer.
 * What is sent: letter-sent.test.ts; malformed attributes row by row: codec/rfc7606.test.ts.
 */
import { afterEach, describe, expect, test } from 'bun:test'
import { cease, hardReset, notification } from '../../src/bgp/codec/errors.ts'
import { decodeMessage } from '../../src/bgp/codec/message.ts'
import { prefixTexts } from '../../src/bgp/codec/nlri.ts'
import {
  AS_PATH,
  answer,
  attribute,
  decodeWith,
  EXTERNAL,
  INTERNAL,
  MANDATORY,
  message,
  NEXT_HOP,
  NLRI,
  ORIGIN,
  update,
  updateOf,
} from './codec/support.ts'
import { peerOpen, World } from './peer-world.ts'

let world: World | undefined
afterEach(async () => {
  await world?.speaker.close({ mode: 'restart' })
  world = undefined
})

const V6_HOP = 'fd000000000000000000000000000001'

describe('long messages (RFC 8654 section 5)', () => {
  const long = update({ attributes: MANDATORY, nlri: NLRI.repeat(2000) })
  /** The second connection, on which our OPEN has no capabilities. */
  async function withoutCapabilities() {
    world = new World()
    world.transport.dial.connect().send(notification(2, 4))
    await world.clock.advance(60_000)
    const connection = world.transport.dial.connect()
    connection.context = { ...connection.context, fourOctetAs: false }
    return { speaker: world, connection }
  }
  test('are refused where our OPEN did not offer them, before the peer’s OPEN', async () => {
    const { connection } = await withoutCapabilities()
    connection.sendBytes(long)
    expect(connection.sent.at(-1)).toBe('1/2')
  })
  test('and behind it', async () => {
    const { speaker, connection } = await withoutCapabilities()
    speaker.shake(connection, { ...peerOpen(), capabilities: [] })
    expect(speaker.view.state).toBe('Established')
    connection.sendBytes(long)
    expect(connection.sent.at(-1)).toBe('1/2')
  })
})

test('a refresh that our OPEN did not offer is ignored (RFC 2918 section 4)', async () => {
  world = new World()
  world.transport.dial.connect().send(notification(2, 4))
  await world.clock.advance(60_000)
  const connection = world.transport.dial.connect()
  connection.context = { ...connection.context, fourOctetAs: false }
  world.shake(connection, { ...peerOpen(), capabilities: [] })
  const before = connection.sent.length
  connection.send({ type: 'ROUTE-REFRESH', afi: 1, subtype: 0, safi: 1 })
  expect(connection.sent.length).toBe(before)
  expect(world.view.state).toBe('Established')
})

describe('NOTIFICATION data of an attribute without prefixes beside it (RFC 4271 section 6.3)', () => {
  test.each<[string, string, string]>([
    ['flags', 'c00101 00', '3/4 c0010100'],
    ['a length of ORIGIN', '400102 0000', '3/5 4001020000'],
    ['a value of ORIGIN', '400101 07', '3/6 40010107'],
    ['a NEXT_HOP', '400304 e0000001', '3/8 400304e0000001'],
    ['an optional attribute', 'c00808 00000001', '3/5 c0080800000001'],
    ['AS_PATH, without data', '400206 0501 0000fde9', '3/11'],
    ['an unrecognized well-known one', '406301 00', '3/2 40630100'],
  ])('%s', (_, attributes, expected) => {
    expect(answer(decodeMessage(update({ attributes }), EXTERNAL))).toBe(expected)
  })
})

describe('UPDATE', () => {
  test('attributes in any order', () => {
    const decoded = decodeMessage(update({ attributes: `${NEXT_HOP} ${AS_PATH} ${ORIGIN}`, nlri: NLRI }), EXTERNAL)
    expect(decoded.outcome).toBe('ok')
    const last = `${NEXT_HOP} ${AS_PATH} ${ORIGIN} ${attribute('800e', `0002 01 10 ${V6_HOP} 00 40 fd00000100000002`)}`
    expect(decodeMessage(update({ attributes: last, nlri: NLRI }), EXTERNAL).outcome).toBe('ok')
  })
  test('prefixes in all four fields at once (RFC 7606 section 5.1)', () => {
    const attributes = `${MANDATORY} ${attribute('800e', `0002 01 10 ${V6_HOP} 00 40 fd00000100000002`)} ${attribute('800f', '0002 01 40 fd00000100000003')}`
    const {
      withdrawn,
      nlri,
      attributes: read,
    } = updateOf(decodeMessage(update({ withdrawn: '18 0a0009', attributes, nlri: NLRI }), EXTERNAL))
    expect(
      [withdrawn, nlri, read.MP_REACH_NLRI?.nlri, read.MP_UNREACH_NLRI].map(block => block && prefixTexts(block)),
    ).toEqual([['10.0.9.0/24'], ['10.0.1.0/24'], ['fd00:1:0:2::/64'], ['fd00:1:0:3::/64']])
  })
  test('good attributes and no prefix at all (RFC 4271 section 6.3)', () => {
    expect(decodeMessage(update({ attributes: MANDATORY }), EXTERNAL).outcome).toBe('ok')
  })
  test('every withdrawn prefix is checked as an announced one (RFC 7606 section 3 i)', () => {
    expect(answer(decodeMessage(update({ withdrawn: '21 0a00010000' }), EXTERNAL))).toBe('3/10')
    expect(answer(decodeMessage(update({ withdrawn: '18 0a00' }), EXTERNAL))).toBe('3/10')
  })
  test('an attribute of no octets is malformed, where none may be (RFC 7606 section 4)', () => {
    for (const type of ['8004', 'c007', 'c008', 'c010', 'c019', 'c020', 'c023'])
      expect(decodeWith(`${type}00`).outcome).not.toBe('ok')
    for (const type of ['8009', '800a']) expect(decodeWith(`${type}00`, INTERNAL).outcome).not.toBe('ok')
    expect(decodeWith('400600').outcome).toBe('ok') // ATOMIC_AGGREGATE has none
  })
  test('reserved bits of the flags, the reserved octet of MP_REACH_NLRI: any value (RFC 4760 section 3)', () => {
    const reach = attribute('8f0e', `0002 01 10 ${V6_HOP} ff 40 fd00000100000002`)
    const decoded = decodeMessage(update({ attributes: `${reach} ${ORIGIN} ${AS_PATH}` }), EXTERNAL)
    expect(decoded.outcome).toBe('ok')
    expect(updateOf(decoded).attributes.MP_REACH_NLRI?.nlri.count).toBe(1)
    expect(decodeWith('cf0804 00000001').outcome).toBe('ok')
    expect(updateOf(decodeWith('df630000')).attributes.unknown).toMatchObject([{ type: 99, flags: 0xc0 }])
  })
  test('communities of any value, well-known or reserved (RFC 1997)', () => {
    const decoded = decodeWith('c00814 ffffff01 ffffff02 ffffff03 ffff0000 00000000')
    expect(decoded.outcome).toBe('ok')
    expect(updateOf(decoded).attributes.COMMUNITIES).toHaveLength(5)
  })
})

test('no route has the unspecified address as its next hop, also of IPv6 (RFC 4760 section 3)', () => {
  const reach = (hop: string) => attribute('800e', `0002 01 10 ${hop} 00 40 fd00000100000002`)
  const outcome = (hop: string) =>
    decodeMessage(update({ attributes: `${reach(hop)} ${ORIGIN} ${AS_PATH}` }), EXTERNAL).outcome
  expect([outcome('00'.repeat(16)), outcome(V6_HOP)]).toEqual(['treat-as-withdraw', 'ok'])
})

test('a malformed UPDATE is logged again in the next session (RFC 7606 section 6)', async () => {
  world = new World()
  const malformed = update({ attributes: `${MANDATORY} c00802 fde9`, nlri: NLRI })
  const first = world.up()
  first.sendBytes(malformed)
  first.fail()
  await world.clock.advance(2_000)
  world.up().sendBytes(malformed)
  expect(world.warnings.filter(({ msg }) => msg === 'malformed UPDATE')).toHaveLength(2)
})

test('people hear of a peer that restarted unnoticed (RFC 4724 section 4.2)', async () => {
  world = new World()
  world.up()
  await world.clock.advance(20_000)
  world.shake(world.transport.incoming())
  expect(world.events.find(({ kind }) => kind === 'graceful-restart')).toMatchObject({
    detail: 'the peer opened a new connection: it has restarted',
  })
})

describe('a NOTIFICATION', () => {
  test('a Hard Reset is reported as Cease, Hard Reset, with what it carries (RFC 8538 section 6)', () => {
    world = new World()
    world.up().send(hardReset(cease(2, 'work')))
    const lost = world.events.find(event => event.kind === 'lost')
    expect(lost).toMatchObject({
      error: { notification: { sent: false, code: 6, subcode: 9, text: expect.stringContaining('"work"') } },
    })
  })
  test('is never answered, whatever it says (RFC 4271 section 6.4)', () => {
    for (const body of ['00 00', 'ff ff', '06 09 06', '06 02 ff 61']) {
      world = new World()
      const connection = world.up()
      const before = connection.sent.length
      connection.sendBytes(message(3, body))
      expect(connection.sent.length).toBe(before)
      expect(connection.ended).toBe('close')
    }
  })
  test('one that a configured peer gets while it rests is Connection Rejected (RFC 4486 section 4)', () => {
    world = new World()
    world.transport.dial.connect().send(peerOpen({ localAs: 65009 }))
    expect(world.transport.incoming().sent).toEqual(['6/5'])
  })
})

test('an OPEN is taken whatever the hold time, but 1 and 2 (RFC 4271 section 6.2)', () => {
  for (const seconds of ['0000', '0003', 'ffff']) {
    expect(decodeMessage(message(1, `04 fdf2 ${seconds} 0a000001 00`), EXTERNAL).outcome).toBe('ok')
  }
  for (const seconds of ['0001', '0002']) {
    expect(answer(decodeMessage(message(1, `04 fdf2 ${seconds} 0a000001 00`), EXTERNAL))).toBe('2/6')
  }
})

test('AS 0 in either place of an OPEN is Bad Peer AS (RFC 7607 section 2)', () => {
  expect(answer(decodeMessage(message(1, '04 0000 005a 0a000001 08 02 06 4104 0000fde9'), EXTERNAL))).toBe('2/2')
  expect(answer(decodeMessage(message(1, '04 fde9 005a 0a000001 08 02 06 4104 00000000'), EXTERNAL))).toBe('2/2')
})
