/** Where a running cluster departs from its plan, and the network.yaml that is written from one. */
import { expect, test } from 'bun:test'
import { departures, networkOfCluster, type ObservedCluster } from '../../src/planner/cluster.ts'
import { decodeNetwork } from '../../src/planner/network.ts'
import { hasProblems, planOf } from '../../src/planner/plan.ts'
import { NOW, network } from './networks.ts'
import { AS_PLANNED, lanTo } from './observed.ts'

function of(change: Partial<ObservedCluster>): string[] {
  return departures(network(), { ...AS_PLANNED, ...change }).map(
    ({ where, planned, is }) => `${where} | ${planned} | ${is}`,
  )
}

test('a cluster that is as planned', () => {
  expect(of({})).toEqual([])
})

test('the configuration of the controller', () => {
  const controller = {
    podCIDRs: ['10.0.0.0/9'],
    podsPerNode: 256,
    serviceCIDRs: [],
    vpcCIDRs: ['192.168.0.0/16'],
    dataCenterCIDRs: [],
  }
  expect(of({ controller })).toEqual([
    'network.podCIDRs | 10.0.0.0/8 | 10.0.0.0/9',
    'network.podsPerNode | 128 | 256',
    'network.serviceCIDRs | 172.21.0.0/20 | -',
    'network.dataCenterCIDRs | 172.16.0.0/16 | -',
  ])
  const { controller: _, ...without } = AS_PLANNED
  expect(departures(network(), without)[0]?.where).toBe('controller')
})

test('BGPPeers: another AS, other speakers, none, one that nobody planned', () => {
  const lans = [
    lanTo('172.16.0.1', { speakers: ['node-1'], localAsNumber: 65011, peerAsNumber: 65002 }),
    lanTo('172.16.0.9', { bgpPeer: 'extra' }),
  ]
  expect(of({ lans })).toEqual([
    'BGPPeer lan: peerAsNumber | 65001 | 65002',
    'BGPPeer lan: localAsNumber | 65010 | 65011',
    'BGPPeer lan: localSpeakers | node-1, node-2, node-3 | node-1',
    'BGPPeer extra | - | peerIP 172.16.0.9',
  ])
  expect(of({ lans: [] })).toEqual(['LAN lan | a BGPPeer to 172.16.0.1 | -'])
})

test('of two BGPPeers to one switch the first is compared, and the other is named', () => {
  const lans = [lanTo('172.16.0.1'), lanTo('172.16.0.1', { bgpPeer: 'again', localAsNumber: 65011 })]
  expect(of({ lans })).toEqual(['BGPPeer again | - | peerIP 172.16.0.1, as BGPPeer lan'])
})

test('nodes: a speaker that is none, an address of elsewhere, blocks of other masks and pools, more than planned', () => {
  const nodes = [
    { name: 'node-1', addresses: ['172.16.9.11'], podCIDRs: ['10.0.0.0/24'] },
    { name: 'node-2', addresses: ['172.16.0.12'], podCIDRs: ['11.0.0.0/25'] },
  ]
  const many = Array.from({ length: 41 }, (_, index) => `node-${index + 1}`)
  expect(of({ nodes, lans: [lanTo('172.16.0.1', { nodes: many })] })).toEqual([
    'LAN lan | 40 nodes | 41',
    'LAN lan | speaker node-3 | there is no such node',
    'node node-1 | an address of LAN lan (172.16.0.0/24) | 172.16.9.11',
    'node node-1 | a block of /25 | 10.0.0.0/24',
    'node node-2 | a block of 10.0.0.0/8 | 11.0.0.0/25',
  ])
})

test('from a cluster: what it knows is right, what it cannot know is asked for and invented by nobody', () => {
  const text = networkOfCluster(AS_PLANNED)
  expect(() => decodeNetwork(text, 'network.yaml')).toThrow('dataCenters[0].path: name the devices')
  const filled = text.replace(/path: \[\].*/, 'path: [{kind: vbr, name: vbr}]')
  const decoded = decodeNetwork(filled, 'network.yaml')
  expect(hasProblems(planOf(decoded, NOW))).toBe(false)
  expect(departures(decoded, AS_PLANNED)).toEqual([])
  expect(decoded.dataCenters[0]?.lans[0]).toMatchObject({ name: 'lan', hostCIDRs: ['172.16.0.0/24'], nodes: 3 })
})

test('from a cluster of both families: the block around the addresses of each', () => {
  const nodes = [{ name: 'node-1', addresses: ['172.16.5.1', 'fd00:16::11'], podCIDRs: [] }]
  const text = networkOfCluster({ ...AS_PLANNED, nodes, lans: [lanTo('172.16.0.1', { nodes: ['node-1'] })] })
  expect(text).toContain('hostCIDRs: [172.16.0.0/21, "fd00:16::/64"]')
})
