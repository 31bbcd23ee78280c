/**
 * Invented networks, each with a trap: what is found, with both ranges and a way out. And the ones
 * that look like traps and are none.
 */
import { expect, test } from 'bun:test'
import { planOf } from '../../src/planner/plan.ts'
import { type Draft, found, NOW, network } from './networks.ts'

function lan(draft: Draft): Draft {
  return draft.dataCenters[0].lans[0]
}

/** A second LAN of the same data center. */
function secondLan(draft: Draft, change: Draft = {}): void {
  draft.dataCenters[0].lans.push({
    name: 'lan-b',
    hostCIDRs: ['172.16.1.0/24'],
    switches: [{ address: '172.16.1.1', asNumber: 65002 }],
    localAsNumber: 65020,
    speakers: ['node-4', 'node-5', 'node-6'],
    nodes: 10,
    ...change,
  })
}

/** A second data center, with a LAN and a path of its own. */
function secondDataCenter(draft: Draft, cidr = '172.18.0.0/16'): void {
  const base = cidr.replace('.0.0/16', '')
  draft.dataCenters.push({
    name: 'dc-2',
    cidrs: [cidr],
    path: [
      { kind: 'gateway', name: 'gw-2', address: `${base}.255.254` },
      { kind: 'vbr', name: 'vbr-2' },
    ],
    lans: [
      {
        name: 'lan-2',
        hostCIDRs: [`${base}.0.0/24`],
        switches: [{ address: `${base}.0.1`, asNumber: 65003 }],
        localAsNumber: 65030,
        speakers: ['x-1', 'x-2', 'x-3'],
        nodes: 10,
      },
    ],
  })
}

type Case = readonly [string, (draft: Draft) => void, readonly string[]]

const CASES: readonly Case[] = [
  ["the document's example", () => {}, []],
  [
    'pod vSwitches that are the node vSwitches: allowed',
    draft => {
      draft.vpc.podVSwitches = draft.vpc.nodeVSwitches
    },
    [],
  ],
  [
    'a Service CIDR inside the VPC',
    draft => (draft.serviceCIDRs = ['192.168.224.0/20']),
    ['problem service-overlaps-nodes'],
  ],
  [
    'a Service CIDR inside the data center',
    draft => (draft.serviceCIDRs = ['172.16.16.0/20']),
    ['problem service-overlaps-nodes'],
  ],
  [
    'a Service CIDR inside the pool',
    draft => (draft.serviceCIDRs = ['10.96.0.0/12']),
    ['problem service-overlaps-pods'],
  ],
  [
    "the pool of another page's example: its data center lies inside 10.0.0.0/8",
    draft => {
      draft.dataCenters[0].cidrs = ['10.0.0.0/16']
      draft.dataCenters[0].path = [{ kind: 'vbr', name: 'vbr' }]
      lan(draft).hostCIDRs = ['10.0.0.0/24']
      lan(draft).switches[0].address = '10.0.0.1'
    },
    ['problem pods-overlap-data-center'],
  ],
  [
    'a pool that is a part of the VPC',
    draft => (draft.edge.podCIDRs = ['192.168.96.0/20']),
    // only the controller's own reservation is left of it: nothing
    ['problem pods-overlap-vpc', 'problem pool-without-block', 'problem pools-too-small'],
  ],
  [
    'a VPC of 172.16.0.0/12 swallows the data center and the Services',
    draft => {
      draft.vpc.cidrs = ['172.16.0.0/12']
      draft.vpc.nodeVSwitches = ['a', 'b', 'c'].map((zone, at) => ({ name: zone, zone, cidr: `172.2${at + 4}.0.0/20` }))
      draft.vpc.podVSwitches = []
    },
    [
      'problem service-overlaps-nodes',
      'problem vpc-overlaps-data-center',
      'problem vpc-overlaps-address',
      'problem vpc-overlaps-address',
      'warning docker-range',
    ],
  ],
  [
    'the circuit between gateway and VBR takes its addresses from the pool',
    draft => {
      draft.dataCenters[0].path[0].cloudAddress = '10.255.0.1'
      draft.dataCenters[0].path[1].address = '10.255.0.2'
    },
    ['problem pods-overlap-address', 'problem pods-overlap-address'],
  ],
  [
    'the API server and a name server inside the pool',
    draft => {
      draft.apiServer = '10.1.2.3'
      draft.nameServers = ['10.1.2.4', '192.168.0.53']
    },
    ['problem pods-overlap-address', 'problem pods-overlap-address'],
  ],
  [
    'another cluster on the same switches has pods in 10.128.0.0/10',
    draft => (draft.otherNetworks = [{ name: 'old cluster', cidrs: ['10.128.0.0/10'] }]),
    ['problem other-network-overlaps-cluster'],
  ],
  [
    "pods in the cloud's own range",
    draft => (draft.edge.podCIDRs = ['100.64.0.0/16']),
    ['problem reserved-range', 'warning public-range'],
  ],
  [
    'link-local pods',
    draft => (draft.edge.podCIDRs = ['169.254.0.0/16']),
    ['problem reserved-range', 'warning public-range'],
  ],
  ["pods where Docker's bridge is", draft => (draft.edge.podCIDRs = ['172.17.0.0/16']), ['warning docker-range']],
  [
    'two pools of which one lies in the other',
    draft => (draft.edge.podCIDRs = ['10.0.0.0/8', '10.1.0.0/16']),
    ['problem pools-overlap'],
  ],
  [
    'a pool that has room for fewer nodes than there are',
    draft => (draft.edge.podCIDRs = ['10.10.0.0/20']),
    ['problem pools-too-small'],
  ],
  ['a pool that is full in a year', draft => (draft.edge.podCIDRs = ['10.10.0.0/19']), ['warning pools-full-soon']],
  [
    'a pool smaller than one block',
    draft => (draft.edge.podCIDRs = ['10.0.0.0/16', '10.1.0.0/26']),
    ['problem pool-without-block'],
  ],
  ['64 pods a node, and kubelets that take 110', draft => (draft.edge.podsPerNode = 64), ['warning kubelet-max-pods']],
  [
    'a node vSwitch outside of the VPC',
    draft => (draft.vpc.nodeVSwitches[0].cidr = '192.169.0.0/24'),
    ['problem vswitch-outside-vpc'],
  ],
  [
    'two node vSwitches that overlap',
    draft => (draft.vpc.nodeVSwitches[1].cidr = '192.168.0.0/20'),
    ['problem vswitches-overlap'],
  ],
  [
    'nodes in a zone where pods have no vSwitch',
    draft => draft.vpc.podVSwitches.pop(),
    ['problem zone-without-pod-vswitch'],
  ],
  [
    'two zones',
    draft => {
      draft.vpc.nodeVSwitches[2].zone = 'b'
    },
    ['warning few-zones'],
  ],
  ['a single speaker', draft => (lan(draft).speakers = ['node-1']), ['warning few-speakers']],
  ['two speakers', draft => lan(draft).speakers.pop(), ['warning few-speakers']],
  ['no speaker', draft => (lan(draft).speakers = []), ['problem no-speaker']],
  ['AS 65535, which the document calls private', draft => (lan(draft).localAsNumber = 65535), ['problem reserved-as']],
  ['AS_TRANS', draft => (lan(draft).switches[0].asNumber = 23456), ['problem reserved-as']],
  ['an AS of somebody else', draft => (lan(draft).switches[0].asNumber = 3320), ['warning public-as']],
  ['an AS of documents', draft => (lan(draft).localAsNumber = 64500), ['warning documentation-as']],
  ['a private AS of four octets', draft => (lan(draft).localAsNumber = 4_200_000_000), []],
  ['a second LAN', draft => secondLan(draft), []],
  ['two LANs of one AS', draft => secondLan(draft, { localAsNumber: 65010 }), ['warning local-as-twice']],
  [
    'two switches of one AS, with a core of another between them',
    draft => secondLan(draft, { switches: [{ address: '172.16.1.1', asNumber: 65001 }] }),
    ['warning switch-as-twice'],
  ],
  [
    'two LANs that share a range',
    draft => secondLan(draft, { hostCIDRs: ['172.16.0.0/25'], switches: [{ address: '172.16.0.2', asNumber: 65002 }] }),
    ['problem lans-overlap'],
  ],
  [
    'a speaker that stands in both LANs',
    draft => secondLan(draft, { speakers: ['node-1', 'node-5', 'node-6'] }),
    ['problem name-twice'],
  ],
  [
    'a LAN outside of its data center',
    draft => secondLan(draft, { hostCIDRs: ['172.30.1.0/24'], switches: [{ address: '172.30.1.1', asNumber: 65002 }] }),
    ['problem lan-outside-data-center'],
  ],
  [
    'a switch that is not on its LAN',
    draft => (lan(draft).switches[0].address = '172.16.9.1'),
    ['problem gateway-off-link'],
  ],
  [
    'a switch with the broadcast address',
    draft => (lan(draft).switches[0].address = '172.16.0.255'),
    ['problem gateway-no-host'],
  ],
  ['300 nodes in a /24', draft => (lan(draft).nodes = 300), ['problem lan-too-small', 'warning vbr-routes']],
  [
    'two data centers of one range',
    draft => secondDataCenter(draft, '172.16.0.0/16'),
    ['problem data-centers-overlap', 'warning pools-across-data-centers', 'problem name-twice', 'problem name-twice'],
  ],
  ['two data centers: the pool is shared', draft => secondDataCenter(draft), ['warning pools-across-data-centers']],
  [
    'a VBR before the gateway',
    draft => draft.dataCenters[0].path.reverse(),
    ['problem path-order', 'problem path-order', 'problem path-order'],
  ],
  [
    'a gateway with the address of the switch',
    draft => {
      draft.dataCenters[0].path[0].address = '172.16.0.1'
    },
    ['problem name-twice'],
  ],
  ['no way into the cloud', draft => draft.dataCenters[0].path.splice(1), ['problem path-without-border']],
  [
    'IPv6 pods where hosts have IPv4 alone',
    draft => {
      draft.edge.podCIDRs.push('fd00:10::/48')
      draft.serviceCIDRs.push('fd00:20::/112')
    },
    ['problem no-ipv6-next-hop', 'warning vbr-routes'],
  ],
  [
    'IPv4 pods where hosts have IPv6 alone: RFC 8950',
    draft => {
      draft.dataCenters[0].cidrs.push('fd00:16::/48')
      lan(draft).hostCIDRs = ['fd00:16::/64']
      lan(draft).switches[0].address = 'fd00:16::1'
    },
    ['warning needs-rfc-8950'],
  ],
  ['a family of pods without Services', draft => (draft.serviceCIDRs = ['fd00:20::/112']), ['warning service-family']],
  [
    'a Service CIDR larger than kube-apiserver takes',
    draft => (draft.serviceCIDRs = ['172.32.0.0/11']),
    ['problem service-size'],
  ],
  ['a switch with a small table', draft => (lan(draft).switches[0].maximumRoutes = 64), ['warning switch-table']],
  [
    'more pods in the cloud than addresses, and than a basic security group holds',
    draft => (draft.vpc.pods = 30_000),
    ['problem pod-vswitches-too-small', 'warning basic-security-group'],
  ],
]

test.each(CASES.map(([name, change, expected]) => [name, change, expected] as const))('%s', (_, change, expected) => {
  expect(found(draft => void change(draft)).sort()).toEqual([...expected].sort())
})

test('every finding names its places and a way out; an overlap names both ranges', () => {
  for (const [name, change] of CASES) {
    for (const finding of planOf(
      network(draft => void change(draft)),
      NOW,
    ).findings) {
      expect(finding.wayOut, name).not.toBe('')
      expect(finding.places.length, `${name}: ${finding.message}`).toBeGreaterThan(0)
      if (!/overlap/.test(finding.rule)) continue
      const [a, b] = finding.places
      expect(finding.message).toContain(a?.value ?? '?')
      expect(finding.message).toContain(b?.value ?? '?')
    }
  }
})

test('an overlap is told once: a LAN inside its data center adds nothing', () => {
  const plan = planOf(
    network(draft => {
      draft.serviceCIDRs = ['172.16.0.0/20']
    }),
    NOW,
  )
  const [only, ...rest] = plan.findings.filter(({ severity }) => severity === 'problem')
  expect(rest).toEqual([])
  expect(only?.places).toEqual([
    { path: 'serviceCIDRs[0]', value: '172.16.0.0/20' },
    { path: 'dataCenters[0].cidrs[0]', value: '172.16.0.0/16' },
  ])
})
