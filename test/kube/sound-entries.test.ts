/**
 * Which podCIDRs a node believes: lifelines, who may veto whom, addresses and podCIDRs that two
 * claim.
 */
import { describe, expect, test } from 'bun:test'
import type { BGPPeer } from '../../src/kube/bgp-peer.ts'
import type { RouteEntry } from '../../src/kube/route-slice.ts'
import { type Lifeline, refusalText, soundEntries } from '../../src/kube/sound-entries.ts'
import { bgpPeer, entry } from '../support/cluster.ts'

const LIFELINES: readonly Lifeline[] = [
  { address: '192.168.0.10', what: 'the API server' },
  { address: '172.16.0.254', what: 'a gateway of this machine' },
  { address: 'fd53::53', what: 'a name server' },
  { address: '172.16.0.11', what: 'an address of this machine', own: true },
  { address: '10.0.1.1', what: 'an address of this machine', own: true },
]
const SELF = entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan-a'])
const PEER = bgpPeer('lan-a', { peerIP: '172.16.0.1', localSpeakers: ['edge-1'] })

function dated(one: RouteEntry, year: number): RouteEntry {
  return { ...one, createdAt: `${year}-01-01T00:00:00Z` }
}

/** What is refused, and what is left of the others, as short texts. */
function judge(entries: readonly RouteEntry[], { peers = [PEER], lifelines = LIFELINES, self = 'edge-1' } = {}) {
  const sound = soundEntries({ self, entries, peers, lifelines })
  return {
    refused: sound.refused.map(refusalText),
    unreachable: sound.refused.filter(({ unreachable }) => unreachable).map(({ podCIDR }) => podCIDR),
    kept: sound.entries.flatMap(({ podCIDRs }) => podCIDRs),
  }
}

describe('no podCIDR covers what this node lives by', () => {
  const other = (podCIDR: string) => entry('edge-9', ['172.16.9.9'], [podCIDR], ['z'])

  test.each([
    ['the API server', '192.168.0.8/29', 'holds 192.168.0.10, the API server'],
    ['a gateway', '172.16.0.252/30', 'holds 172.16.0.254, a gateway of this machine'],
    ['a name server', 'fd53::/64', 'holds fd53::53, a name server'],
    ['this machine', '172.16.0.8/29', 'holds 172.16.0.11, an address of this machine'],
    ['a peer of this node', '172.16.0.0/29', 'holds 172.16.0.1, the switch or gateway of BGPPeer lan-a'],
    ['its own node', '172.16.9.9/32', 'holds 172.16.9.9, node edge-9'],
    ['what nobody may have', '0.0.0.0/1', "touches 0.0.0.0/8, which is nobody's"],
    ['IPv4 in the form of IPv6', '::ffff:c0a8:8/125', "touches ::ffff:0:0/96, which is nobody's"],
    ['links', '169.254.1.0/24', "touches 169.254.0.0/16, which is nobody's"],
    ['a part of mine', '10.0.1.64/26', 'lies in 10.0.1.0/25 of this node'],
    ['mine', '10.0.1.0/25', 'is also that of node edge-1'],
  ])('%s', (_what, podCIDR, reason) => {
    const { refused, kept, unreachable } = judge([SELF, other(podCIDR), entry('edge-8', ['172.16.9.8'], [], [])])
    expect(refused[0]).toBe(`${podCIDR} of node edge-9 ${reason}: neither routed nor announced`)
    expect({ kept, unreachable }).toEqual({ kept: ['10.0.1.0/25'], unreachable: [] })
  })

  test('its own neither, but for addresses of its own: a runtime may have a bridge there', () => {
    expect(judge([{ ...SELF, podCIDRs: ['10.0.1.0/25', '192.168.0.0/24'] }])).toMatchObject({
      kept: ['10.0.1.0/25'],
      refused: ['192.168.0.0/24 of node edge-1 holds 192.168.0.10, the API server: neither routed nor announced'],
    })
  })

  test('one bad podCIDR spoils neither the others of its node nor those of others', () => {
    const entries = [SELF, entry('edge-2', ['172.16.0.12'], ['192.168.0.0/16', '10.0.2.0/25', 'fd02::/64'], ['lan-a'])]
    expect(judge(entries).kept).toEqual(['10.0.1.0/25', '10.0.2.0/25', 'fd02::/64'])
  })

  test('a larger one around mine does no harm', () => {
    expect(judge([SELF, other('10.0.0.0/16')], { lifelines: [] }).refused).toEqual([])
  })
})

describe('a veto is for who was there first', () => {
  const old = dated(entry('edge-2', ['172.16.0.12'], ['10.0.2.0/25'], ['lan-a']), 2020)

  test('an older node whose address lies in the podCIDR of a younger one', () => {
    const young = dated(entry('edge-3', ['172.16.9.9'], ['172.16.0.12/30'], ['z']), 2024)
    expect(judge([SELF, old, young]).refused).toEqual([
      '172.16.0.12/30 of node edge-3 holds 172.16.0.12, node edge-2: neither routed nor announced',
    ])
  })

  test('a younger node is refused itself, and the older keeps its routes', () => {
    const young = dated(entry('edge-3', ['10.0.2.7'], ['10.0.3.0/25'], ['lan-a']), 2024)
    const { refused, kept } = judge([SELF, old, young])
    expect(kept).toEqual(['10.0.1.0/25', '10.0.2.0/25'])
    expect(refused).toEqual([
      '10.0.3.0/25 of node edge-3 is said to be at 10.0.2.7, which lies in 10.0.2.0/25 of the older node edge-2: neither routed nor announced',
    ])
  })

  const foreign = (change: Partial<BGPPeer>) => ({
    ...bgpPeer('lan-z', { peerIP: '10.0.2.1', localSpeakers: ['x'] }),
    ...change,
  })
  const mineToSpeak = () => bgpPeer('lan-z', { peerIP: '10.0.2.1', localSpeakers: ['edge-1'] })

  test.each([
    ['selects nobody', foreign({ createdAt: '2010-01-01T00:00:00Z' }), [], true],
    ['selects nobody and is to be spoken for here', mineToSpeak(), [], true],
    ['is younger', foreign({ createdAt: '2024-01-01T00:00:00Z' }), ['lan-z'], true],
    ['is older and selects somebody', foreign({ createdAt: '2010-01-01T00:00:00Z' }), ['lan-z'], false],
    ['is one of mine', { ...foreign({ createdAt: '2024-01-01T00:00:00Z' }), name: 'lan-a' }, [], false],
  ])('a BGPPeer that %s', (_what, peer, peers, kept) => {
    const far = entry('edge-4', ['172.16.9.4'], ['10.0.4.0/25'], peers)
    expect(judge([SELF, old, far], { peers: [peer] }).kept.includes('10.0.2.0/25')).toBe(kept)
  })

  test('a podCIDR that is refused hides nobody whose address lies in it', () => {
    const wide = dated(entry('edge-0', ['172.16.0.10'], ['172.16.0.0/24'], ['lan-a']), 2010)
    expect(judge([SELF, wide, old]).refused).toEqual([
      '172.16.0.0/24 of node edge-0 holds 172.16.0.1, the switch or gateway of BGPPeer lan-a: neither routed nor announced',
    ])
  })

  test('of two with one podCIDR the older has it, whatever their names', () => {
    const young = dated(entry('a', ['172.16.0.13'], ['10.0.2.0/25'], ['lan-a']), 2024)
    expect(judge([SELF, young, old]).refused).toEqual([
      '10.0.2.0/25 of node a is also that of node edge-2: neither routed nor announced',
    ])
  })
})

describe('two nodes with one address', () => {
  test('the second is nowhere', () => {
    const first = dated(entry('edge-2', ['172.16.0.12'], ['10.0.2.0/25'], ['lan-a']), 2020)
    const second = dated(entry('b', ['172.16.0.12'], ['10.0.3.0/25'], ['lan-a']), 2024)
    const { kept, unreachable } = judge([SELF, first, second])
    expect({ kept, unreachable }).toEqual({ kept: ['10.0.1.0/25', '10.0.2.0/25'], unreachable: ['10.0.3.0/25'] })
  })

  test('one that is said to be at this machine is, here, not: older or not', () => {
    for (const year of [2010, 2024]) {
      const twin = dated(entry('clone', ['172.16.0.11'], ['10.0.3.0/25'], ['lan-a']), year)
      const { kept, unreachable } = judge([dated(SELF, 2020), twin])
      expect({ kept, unreachable }).toEqual({ kept: ['10.0.1.0/25'], unreachable: ['10.0.3.0/25'] })
    }
  })
})
