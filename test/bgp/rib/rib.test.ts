/**
 * Adj-RIB-Out by itself: what it hands out as UPDATEs, and when. What it writes is read back by our
 * own decoder; random.test.ts does it at random, test/interop with routers.
 */
import { describe, expect, test } from 'bun:test'
import { decodeMessage } from '../../../src/bgp/codec/message.ts'
import type { Update } from '../../../src/bgp/codec/message-types.ts'
import { prefixTexts } from '../../../src/bgp/codec/nlri.ts'
import { type Negotiated, negotiate } from '../../../src/bgp/machine/negotiation.ts'
import { AdjRibOut } from '../../../src/bgp/rib/rib.ts'
import type { Announcement } from '../../../src/bgp/speaker-types.ts'
import { PEER_OPEN, SETTINGS } from '../machine/fsm-fixtures.ts'

function negotiated(changes: Partial<Negotiated> = {}): Negotiated {
  const outcome = negotiate(SETTINGS.local, PEER_OPEN)
  if (!('negotiated' in outcome)) throw new Error(outcome.reason)
  return { ...outcome.negotiated, ...changes }
}

const SESSION = negotiated()
const A: Announcement = { prefix: '10.0.1.0/24', nextHop: '10.9.0.11' }
const B: Announcement = { prefix: '10.0.2.0/24', nextHop: '10.9.0.12' }
const SIX: Announcement = { prefix: 'fd01::/64', nextHop: 'fd00:9::11' }

/** What the messages say: `+prefix via`, `-prefix`, `EoR family`, `BoRR`, `EoRR`. */
function take(rib: AdjRibOut, session = SESSION, limit = Number.POSITIVE_INFINITY): string[] {
  const texts: string[] = []
  for (let count = 0; count < limit; count++) {
    const bytes = rib.next()
    if (bytes === undefined) break
    const decoded = decodeMessage(bytes, session.context)
    if (decoded.outcome !== 'ok') throw new Error(decoded.reason)
    const { message } = decoded
    if (message.type === 'UPDATE') texts.push(...updateTexts(message))
    if (message.type === 'ROUTE-REFRESH') texts.push(`${message.subtype === 1 ? 'BoRR' : 'EoRR'} ${message.afi}`)
  }
  return texts
}

function updateTexts({ withdrawn, nlri, attributes }: Update): string[] {
  const { MP_REACH_NLRI: reach, MP_UNREACH_NLRI: unreach } = attributes
  const texts = [
    ...prefixTexts(withdrawn).map(prefix => `-${prefix}`),
    ...prefixTexts(nlri).map(prefix => `+${prefix} ${attributes.NEXT_HOP}`),
    ...(reach === undefined ? [] : prefixTexts(reach.nlri).map(prefix => `+${prefix} ${reach.nextHop.length}`)),
    ...(unreach === undefined ? [] : prefixTexts(unreach).map(prefix => `-${prefix}`)),
  ]
  if (texts.length > 0) return texts
  return [`EoR ${unreach?.family ?? 'ipv4'}`]
}

function whyNot({ notAnnounced }: AdjRibOut): string[] {
  return notAnnounced.map(({ family, reason, prefixes }) => `${prefixes} ${family} ${reason}`)
}

function establishedWith(...announcements: Announcement[]): AdjRibOut {
  const rib = new AdjRibOut()
  rib.setDesired(announcements)
  rib.established(SESSION, 65010)
  take(rib)
  return rib
}

describe('the first set', () => {
  test('all of it, then End-of-RIB of each family', () => {
    const rib = new AdjRibOut()
    rib.setDesired([A, B, SIX])
    rib.established(SESSION, 65010)
    expect(take(rib)).toEqual([
      '+10.0.1.0/24 10.9.0.11',
      '+10.0.2.0/24 10.9.0.12',
      '+fd01::/64 16',
      'EoR ipv4',
      'EoR ipv6',
    ])
    expect(rib.advertised).toBe(3)
    expect(rib.complete).toBe(true)
  })
  test('nothing, not even End-of-RIB, before the set was told', () => {
    const rib = new AdjRibOut()
    rib.established(SESSION, 65010)
    expect(take(rib)).toEqual([])
    rib.setDesired([])
    expect(take(rib)).toEqual(['EoR ipv4', 'EoR ipv6'])
  })
  test('only negotiated families', () => {
    const rib = new AdjRibOut()
    rib.setDesired([A, SIX])
    const session = negotiated({ families: ['ipv6'], context: { ...SESSION.context, families: ['ipv6'] } })
    rib.established(session, 65010)
    expect(take(rib, session)).toEqual(['+fd01::/64 16', 'EoR ipv6'])
  })
  test('prefixes with equal attributes share UPDATEs', () => {
    const rib = new AdjRibOut()
    rib.setDesired(
      Array.from({ length: 500 }, (_, i) => ({ prefix: `10.1.${i >> 1}.${(i & 1) * 128}/25`, nextHop: A.nextHop })),
    )
    rib.established(SESSION, 65010)
    let messages = 0
    while (rib.next() !== undefined) messages++
    expect(messages).toBe(3) // one UPDATE, two End-of-RIB
  })
  test('again after a loss', () => {
    const rib = establishedWith(A)
    rib.lost()
    expect(rib.advertised).toBe(0)
    rib.established(SESSION, 65010)
    expect(take(rib)).toEqual(['+10.0.1.0/24 10.9.0.11', 'EoR ipv4', 'EoR ipv6'])
  })
})

describe('a change', () => {
  test('sends the difference only', () => {
    const rib = establishedWith(A, B)
    rib.setDesired([A, { ...B, nextHop: '10.9.0.99' }, SIX])
    expect(take(rib)).toEqual(['+10.0.2.0/24 10.9.0.99', '+fd01::/64 16'])
    rib.setDesired([SIX])
    expect(take(rib)).toEqual(['-10.0.1.0/24', '-10.0.2.0/24'])
    rib.setDesired([SIX])
    expect(take(rib)).toEqual([])
  })
  test('each attribute counts', () => {
    const changes: Partial<Announcement>[] = [
      { med: 0 },
      { communities: ['65010:1'] },
      { largeCommunities: ['65010:1:1'] },
    ]
    for (const change of changes) {
      const rib = establishedWith(A)
      rib.setDesired([{ ...A, ...change }])
      expect(take(rib)).toEqual(['+10.0.1.0/24 10.9.0.11'])
    }
  })
  test('of what still waits, only the latest goes out', () => {
    const rib = establishedWith(A)
    rib.setDesired([A, B])
    rib.setDesired([A, { ...B, nextHop: '10.9.0.50' }])
    rib.setDesired([A])
    expect(take(rib)).toEqual([])
  })
  test('while messages are half taken, nothing is lost or sent for nothing', () => {
    const many = Array.from({ length: 3000 }, (_, i) => ({
      prefix: `10.${i >> 8}.${i & 255}.0/24`,
      nextHop: A.nextHop,
    }))
    const rib = new AdjRibOut()
    rib.setDesired(many)
    rib.established(SESSION, 65010)
    const context = { ...SESSION.context, extendedMessages: false }
    const session = { ...SESSION, context }
    rib.established(session, 65010)
    const first = take(rib, session, 1)
    rib.setDesired(many.slice(10))
    const rest = take(rib, session)
    const held = new Set<string>()
    for (const text of [...first, ...rest]) {
      if (text.startsWith('+')) held.add(text.slice(1).split(' ')[0] ?? '')
      if (text.startsWith('-')) held.delete(text.slice(1))
    }
    expect([...held].sort()).toEqual(
      many
        .slice(10)
        .map(({ prefix }) => prefix)
        .sort(),
    )
  })
  test('withdrawAll takes back what the peer was told', () => {
    const rib = establishedWith(A, SIX)
    rib.withdrawAll()
    expect(take(rib).sort()).toEqual(['-10.0.1.0/24', '-fd01::/64'])
  })
})

describe('route refresh', () => {
  test('sends the family again, between markers when both sides know them (RFC 7313)', () => {
    const rib = establishedWith(A, SIX)
    rib.refresh('ipv4')
    expect(take(rib)).toEqual(['BoRR 1', '+10.0.1.0/24 10.9.0.11', 'EoRR 1'])
  })
  test('without markers otherwise (RFC 2918)', () => {
    const session = negotiated({ enhancedRouteRefresh: false })
    const rib = new AdjRibOut()
    rib.setDesired([A])
    rib.established(session, 65010)
    take(rib)
    rib.refresh('ipv4')
    expect(take(rib)).toEqual(['+10.0.1.0/24 10.9.0.11'])
  })
  test('waits for End-of-RIB (RFC 7313 section 4)', () => {
    const rib = new AdjRibOut()
    rib.setDesired([A])
    rib.established(SESSION, 65010)
    rib.refresh('ipv4')
    rib.refresh('ipv4')
    expect(take(rib)).toEqual([
      '+10.0.1.0/24 10.9.0.11',
      'EoR ipv4',
      'EoR ipv6',
      'BoRR 1',
      '+10.0.1.0/24 10.9.0.11',
      'EoRR 1',
    ])
  })
  test('a change in the middle neither drops nor doubles a prefix', () => {
    const rib = establishedWith(A, B)
    rib.refresh('ipv4')
    expect(take(rib, SESSION, 1)).toEqual(['BoRR 1'])
    rib.setDesired([B, { prefix: '10.0.3.0/24', nextHop: '10.9.0.13' }])
    expect(take(rib)).toEqual(['-10.0.1.0/24', '+10.0.2.0/24 10.9.0.12', '+10.0.3.0/24 10.9.0.13', 'EoRR 1'])
  })
  test('of a family that is not negotiated: nothing', () => {
    const session = negotiated({ families: ['ipv4'] })
    const rib = new AdjRibOut()
    rib.setDesired([A])
    rib.established(session, 65010)
    take(rib)
    rib.refresh('ipv6')
    expect(take(rib)).toEqual([])
  })
})

describe('attributes', () => {
  const updateOf = (announcement: Announcement, session: Negotiated): Update => {
    const rib = new AdjRibOut()
    rib.setDesired([announcement])
    rib.established(session, 65010)
    const decoded = decodeMessage(rib.next() ?? new Uint8Array(), session.context)
    if (decoded.message?.type !== 'UPDATE') throw new Error('no UPDATE')
    return decoded.message
  }

  test('eBGP: our AS, no LOCAL_PREF, what the announcement has', () => {
    const { attributes } = updateOf(
      { ...A, med: 5, communities: ['65010:7'], largeCommunities: ['65010:1:2'] },
      SESSION,
    )
    expect(attributes).toEqual({
      ORIGIN: 'IGP',
      AS_PATH: [{ type: 'AS_SEQUENCE', asNumbers: [65010] }],
      NEXT_HOP: '10.9.0.11',
      MULTI_EXIT_DISC: 5,
      COMMUNITIES: ['65010:7'],
      LARGE_COMMUNITIES: ['65010:1:2'],
    })
  })
  test('iBGP: an empty AS_PATH and LOCAL_PREF', () => {
    const { attributes } = updateOf(A, negotiated({ context: { ...SESSION.context, ibgp: true } }))
    expect(attributes).toEqual({ ORIGIN: 'IGP', AS_PATH: [], NEXT_HOP: '10.9.0.11', LOCAL_PREF: 100 })
  })
  test('attributes that leave no room for a prefix: the others go out, and it is counted', () => {
    const communities = Array.from({ length: 1100 }, (_, index) => `65010:${index}`)
    const session = negotiated({ context: { ...SESSION.context, extendedMessages: false } })
    const rib = new AdjRibOut()
    rib.setDesired([{ ...A, communities }, B])
    rib.established(session, 65010)
    expect(take(rib, session)).toEqual(['+10.0.2.0/24 10.9.0.12', 'EoR ipv4', 'EoR ipv6'])
    expect(whyNot(rib)).toEqual(['1 ipv4 attributes-too-long'])
    expect(rib.advertised).toBe(1)
    rib.setDesired([A, B])
    expect(take(rib, session)).toEqual(['+10.0.1.0/24 10.9.0.11'])
    expect(whyNot(rib)).toEqual([])
  })
  test('IPv4 over an IPv6 next hop only when negotiated (RFC 8950)', () => {
    const over = { ...A, nextHop: 'fd00:9::11' }
    expect(updateOf(over, SESSION).attributes.MP_REACH_NLRI?.nextHop.length).toBe(16)
    const session = negotiated({ context: { ...SESSION.context, extendedNextHop: false } })
    const rib = new AdjRibOut()
    rib.setDesired([over])
    rib.established(session, 65010)
    expect(take(rib, session)).toEqual(['EoR ipv4', 'EoR ipv6'])
    expect(whyNot(rib)).toEqual(['1 ipv4 extended-next-hop-not-negotiated'])
  })
  test('what cannot be announced is counted by family and reason, while there is a session', () => {
    const session = negotiated({ families: ['ipv4'], context: { ...SESSION.context, extendedNextHop: false } })
    const rib = new AdjRibOut()
    const ipv6 = ['fd01:1::/64', 'fd01:2::/64'].map(prefix => ({ prefix, nextHop: 'fd00:9::11' }))
    rib.setDesired([A, { ...B, nextHop: 'fd00:9::12' }, ...ipv6])
    expect(whyNot(rib)).toEqual([])
    rib.established(session, 65010)
    expect(whyNot(rib)).toEqual(['1 ipv4 extended-next-hop-not-negotiated', '2 ipv6 family-not-negotiated'])
    expect(take(rib, session)).toEqual(['+10.0.1.0/24 10.9.0.11', 'EoR ipv4'])
    rib.setDesired([A, ...ipv6.slice(1)])
    expect(whyNot(rib)).toEqual(['1 ipv6 family-not-negotiated'])
    rib.lost()
    expect(whyNot(rib)).toEqual([])
    rib.established(negotiated(), 65010)
    rib.setDesired([{ prefix: 'fd01:1::/64', nextHop: '10.9.0.11' }])
    expect(whyNot(rib)).toEqual(['1 ipv6 no-next-hop'])
  })
})
