/**
 * What the page works out without a document: LANs, filter, order, ages, and the taking apart of
 * the stream.
 */
import { expect, test } from 'bun:test'
import type { LanView, NodeView } from '../../src/model/snapshot.ts'
import { cloudSitesOf, interfacesOf, useOf } from '../../ui/cloud-model.ts'
import { EventStream } from '../../ui/event-stream.ts'
import { filterWords, formatAge, formatBlocks, lansOf, matches, shorten, sorted } from '../../ui/model.ts'

function lan(bgpPeer: string, nodes: string[], speakers: string[] = nodes.slice(0, 1)): LanView {
  return { bgpPeer, localAsNumber: 1, peerIP: '192.0.2.1', peerAsNumber: 2, nodeSelector: '', speakers, nodes }
}

function node(name: string): NodeView {
  return { name, addresses: [], podCIDRs: [], peers: [], speakerOf: [] }
}

/** The LANs as names: `peers: nodes`. */
function named(lans: LanView[], nodes: string[]): string[] {
  return lansOf({ lans, nodes: nodes.map(node), sessions: [] }).map(
    ({ peers, nodes: members }) =>
      `${peers.map(peer => peer.bgpPeer).join('+')}: ${members.map(member => member.name).join(' ')}`,
  )
}

test('BGPPeers that share a node are one LAN; nodes of none stand by themselves', () => {
  expect(named([lan('a', ['1', '2']), lan('b', ['3'])], ['1', '2', '3', '4'])).toEqual(['a: 1 2', 'b: 3', ': 4'])
  expect(named([lan('a', ['1', '2']), lan('b', ['2', '3'])], ['1', '2', '3'])).toEqual(['a+b: 1 2 3'])
})

test('LANs that a third BGPPeer joins become one', () => {
  expect(named([lan('a', ['1']), lan('b', ['2']), lan('c', ['1', '2'])], ['1', '2'])).toEqual(['b+a+c: 2 1'])
  expect(named([lan('a', ['1', '2']), lan('b', ['1', '2']), lan('c', ['1', '2'])], ['1', '2'])).toEqual(['a+b+c: 1 2'])
})

test('a speaker of which nothing else is known is drawn all the same', () => {
  const [found] = lansOf({ lans: [lan('a', ['1'], ['ghost'])], nodes: [node('1')], sessions: [] })
  expect(found?.nodes.map(({ name, speakerOf }) => [name, speakerOf])).toEqual([
    ['ghost', ['a']],
    ['1', []],
  ])
})

test('a filter wants all of its words, in any column and any case', () => {
  const row = ['Edge-1', '10.0.0.0/25']
  expect(['', '  ', 'edge', '10.0 EDGE'].map(text => matches(filterWords(text), row))).toEqual([true, true, true, true])
  expect(['edge-2', 'edge 11.', '1\n10'].map(text => matches(filterWords(text), row))).toEqual([false, false, true])
})

test('what needs a look stands first, then names as people count', () => {
  const rows = ['edge-10', 'edge-2', 'edge-9'].map(name => ({ name, broken: name === 'edge-9' }))
  const order = sorted(
    rows,
    row => row.broken,
    row => row.name,
  )
  expect(order.map(row => row.name)).toEqual(['edge-9', 'edge-2', 'edge-10'])
})

test('names keep both ends when they are shortened', () => {
  expect(shorten('edge-1', 12)).toBe('edge-1')
  expect(shorten('edge-site-17-node-203', 12)).toBe('edge-s…e-203')
  expect(shorten('🙂🙂🙂🙂', 3)).toBe('🙂…🙂')
})

test('ages', () => {
  const cases: [number, string][] = [
    [-5, '0s'],
    [59_999, '59s'],
    [190_000, '3m 10s'],
    [18_120_000, '5h 2m'],
    [1_047_600_000, '12d 3h'],
    [Number.NaN, 'unknown'],
  ]
  expect(cases.map(([age]) => formatAge(age))).toEqual(cases.map(([, text]) => text))
})

test('the stream is read the same however it is cut', () => {
  const text =
    'retry: 2000\n\nevent: snapshot\ndata: {"a":1}\n\n: heartbeat\n\ndata:x\ndata: y\n\nevent: snapshot\ndata: half'
  const expected = [
    { type: 'snapshot', data: '{"a":1}' },
    { type: 'message', data: 'x\ny' },
  ]
  expect(new EventStream().push(text)).toEqual(expected)
  const stream = new EventStream()
  expect([...text].flatMap(character => stream.push(character))).toEqual(expected)
  expect(stream.push('-done\n\n')).toEqual([{ type: 'snapshot', data: 'half-done' }])
})

test('numbers of blocks as people read them', () => {
  expect([0, 131072, 2 ** 57, 3 * 2 ** 40].map(formatBlocks)).toEqual(['0', '131072', '2^57', 'about 2^42'])
})

const CLOUD: NodeView = {
  ...node('cloud-1'),
  cloud: {
    mode: 'eni-ecs',
    instanceID: 'i-1',
    instanceType: 'ecs.g7.large',
    vSwitchIDs: ['vsw-1'],
    interfaces: [
      { id: 'eni-1', vSwitchID: 'vsw-1', state: 'InUse', addresses: 6, releasing: 0 },
      { id: 'eni-2', vSwitchID: 'vsw-2', state: 'Attaching', addresses: 3, releasing: 1 },
    ],
    capacity: 12,
    inUse: 4,
    idle: 2,
    waiting: 1,
    operations: [],
  },
}

test('nodes of the cloud stand by their place, with vSwitches and interfaces, and in no LAN', () => {
  const nodes = [node('edge-1'), CLOUD]
  expect(lansOf({ lans: [], nodes, sessions: [] }).map(lan => lan.nodes.map(({ name }) => name))).toEqual([['edge-1']])
  const sites = cloudSitesOf({ nodes })
  expect(sites.map(({ title, vSwitchIDs }) => [title, vSwitchIDs])).toEqual([['Cloud (ECS)', ['vsw-1', 'vsw-2']]])
  expect(sites[0]?.nodes.map(useOf)).toEqual(['4 of 9 in use, 1 waiting'])
  expect(interfacesOf({ nodes }).map(({ id, state }) => [id, state])).toEqual([
    ['eni-1', 'InUse'],
    ['eni-2', 'Attaching'],
  ])
})

test('a node itself shows the links and what is in use on each', () => {
  const interfaces = [
    { id: 'eni-1', mac: '', vSwitchID: 'vsw-1', state: 'InUse', link: 'eth1', addresses: 6, inUse: 2, releasing: 0 },
  ]
  const own = { name: 'ens-1', addresses: [], podCIDRs: [], viewSource: 'api', mode: 'eni-ens', interfaces } as const
  const [site] = cloudSitesOf({ nodes: [node('edge-1')], node: own })
  expect(site?.title).toBe('Edge Node Service (ENS)')
  expect(site?.nodes[0]?.interfaces[0]).toMatchObject({ node: 'ens-1', link: 'eth1', inUse: 2 })
})
