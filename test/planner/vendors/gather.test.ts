/**
 * What `switch-config` gathers: the address that the switch sees of a speaker, limits, whether
 * nodes have IPv4.
 */
import { expect, test } from 'bun:test'
import { type Gathered, isIpv6Only, maximumPrefixesOf, speakersOf } from '../../../src/planner/vendors/gather.ts'
import { VENDORS } from '../../../src/planner/vendors/vendors.ts'
import { bgpPeer } from '../../support/cluster.ts'
import { network } from '../networks.ts'

const PEER = bgpPeer('lan', { peerIP: '172.16.0.1', localSpeakers: ['node-1', 'node-2'] })
const NODES = [
  { name: 'node-1', addresses: ['10.9.0.1', '172.16.0.11', 'fd00:16::11'] },
  { name: 'node-2', addresses: ['172.16.0.12', '172.16.128.12'] },
]

function of(change: Partial<Gathered>): Gathered {
  return { peer: PEER, named: new Map(), ...change }
}

test('of several addresses of a node the one that is nearest to the switch; a flag has its way', () => {
  expect(speakersOf(of({ nodes: NODES }))).toEqual({
    speakers: [
      { node: 'node-1', address: '172.16.0.11' },
      { node: 'node-2', address: '172.16.0.12' },
    ],
  })
  expect(speakersOf(of({ nodes: NODES, named: new Map([['node-2', '172.16.0.99']]) }))).toMatchObject({
    speakers: [{}, { address: '172.16.0.99' }],
  })
})

test('sourceAddress is the address of an only speaker', () => {
  const peer = bgpPeer('lan', { peerIP: '172.16.0.1', localSpeakers: ['node-1'], sourceAddress: '172.16.0.77' })
  expect(speakersOf(of({ peer, nodes: NODES }))).toEqual({ speakers: [{ node: 'node-1', address: '172.16.0.77' }] })
})

test('a speaker without an address of the family of the session is asked for', () => {
  const peer = bgpPeer('lan', { peerIP: 'fd00:16::1', localSpeakers: ['node-1', 'node-2'] })
  expect(speakersOf(of({ peer, nodes: NODES }))).toMatchObject({
    problem: expect.stringContaining('--speaker node-2=ADDRESS'),
  })
})

test('limits: as asked, as planned and a quarter more, twice what is there, else a thousand', () => {
  expect(maximumPrefixesOf(of({ maximumPrefixes: 7, network: network() }))).toBe(7)
  expect(maximumPrefixesOf(of({ network: network() }))).toBe(120)
  expect(maximumPrefixesOf(of({ selected: Array.from({ length: 300 }, () => 'n') }))).toBe(600)
  expect(maximumPrefixesOf(of({ selected: ['node-1'] }))).toBe(100)
  expect(maximumPrefixesOf(of({}))).toBe(1000)
})

test('IPv6 next hops for IPv4 blocks: only where a node of the LAN has no IPv4 address', () => {
  const peer = bgpPeer('lan', { peerIP: 'fd00:16::1' })
  const both = { name: 'node-1', addresses: ['172.16.0.11', 'fd00:16::11'] }
  const alone = { name: 'node-2', addresses: ['fd00:16::12'] }
  expect(isIpv6Only(of({ peer, nodes: [both] }))).toBe(false)
  expect(isIpv6Only(of({ peer, nodes: [both, alone] }))).toBe(true)
  expect(isIpv6Only(of({ peer, nodes: [both, alone], selected: ['node-1'] }))).toBe(false)
  expect(isIpv6Only(of({ nodes: [alone] }))).toBe(false)
})

test('readers throw for no text', () => {
  const words = [
    'router',
    'bgp',
    '65001',
    'neighbor',
    'x',
    '10.0.0.1',
    'peer-group',
    '{',
    '}',
    ';',
    'ip',
    'prefix-list',
    'permit',
    '[',
    ']',
    'filter',
    'protocol',
    '\n',
    '#',
    '"',
    'import',
    'template',
    '10.0.0.0/8',
    'seq',
    'match',
    'from',
  ]
  let seed = 7
  const next = (limit: number) => {
    seed = (seed * 48271) % 2147483647
    return seed % limit
  }
  for (let round = 0; round < 2000; round++) {
    const text = Array.from({ length: next(40) }, () => words[next(words.length)]).join(' ')
    for (const { read } of VENDORS) expect(() => read?.(text), text).not.toThrow()
  }
})
