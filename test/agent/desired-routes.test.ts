import { describe, expect, test } from 'bun:test'
import {
  addressesToAsk,
  type DesiredRoute,
  desiredRoutes,
  type ObservedNetwork,
} from '../../src/agent/desired-routes.ts'
import type { BGPPeer } from '../../src/kube/bgp-peer.ts'
import type { RouteEntry } from '../../src/kube/route-slice.ts'
import { bgpPeer, entry } from './cluster.ts'

interface Case {
  readonly entries: readonly RouteEntry[]
  readonly peers?: readonly BGPPeer[]
  readonly onLink?: readonly string[]
  readonly defaultGateways?: readonly string[]
  readonly ownAddresses?: readonly string[]
}

/** The routes as short texts: `10.0.1.0/25 > 172.16.0.12 (edge-2)`. */
function decide(input: Case, self = 'edge-1') {
  const network: ObservedNetwork = {
    onLink: new Map((input.onLink ?? []).map(address => [address, 2])),
    defaultGateways: (input.defaultGateways ?? []).map(gateway => ({ gateway, interface: 2 })),
    ownAddresses: input.ownAddresses ?? ['172.16.0.11', '127.0.0.1'],
  }
  const routing = desiredRoutes({ self, view: { entries: input.entries, peers: input.peers ?? [] }, network })
  return { routes: (routing?.routes ?? []).map(routeLine), problems: routing?.problems ?? [], routing }
}

function routeLine({ destination, type, nextHops, reason }: DesiredRoute): string {
  const way = type === 'unicast' ? nextHops.map(({ gateway }) => gateway).join('+') : type
  return `${destination} > ${way} (${reason})`
}

const lanA = [
  entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan-a']),
  entry('edge-2', ['172.16.0.12'], ['10.0.2.0/25'], ['lan-a']),
]
const lanB = [
  entry('edge-3', ['172.16.1.13'], ['10.0.3.0/25'], ['lan-b']),
  entry('edge-4', ['172.16.1.14'], ['10.0.3.128/25'], ['lan-b']),
]
const peerA = bgpPeer('lan-a', { peerIP: '172.16.0.1' })
const peerB = bgpPeer('lan-b', { peerIP: '172.16.1.1' })

describe('next hops', () => {
  test('a node of my LAN that is on-link is its own next hop; others are merged via the gateway; mine is unreachable', () => {
    const { routes, problems, routing } = decide({
      entries: [...lanA, ...lanB],
      peers: [bgpPeer('lan-a', { peerIP: '172.16.0.1', gateway: '172.16.0.254' }), peerB],
      onLink: ['172.16.0.12', '172.16.0.1', '172.16.0.254'],
    })
    expect(routes).toEqual([
      '10.0.1.0/25 > unreachable (this node)',
      '10.0.2.0/25 > 172.16.0.12 (edge-2)',
      '10.0.3.0/24 > 172.16.0.254 (gateway)',
    ])
    expect(problems).toEqual([])
    expect(routing?.routes[1]?.nextHops).toEqual([{ gateway: '172.16.0.12', interface: 2 }])
    expect(routing).toMatchObject({ podCIDRs: ['10.0.1.0/25'], addresses: ['172.16.0.11'] })
  })

  test('without a gateway the peerIP, where it is on-link; else the default gateway', () => {
    const entries = [...lanA, ...lanB]
    const last = (onLink: string[], defaultGateways: string[]) =>
      decide({ entries, peers: [peerA], onLink, defaultGateways }).routes.at(-1)
    expect(last(['172.16.0.1'], ['172.16.0.254'])).toBe('10.0.3.0/24 > 172.16.0.1 (gateway)')
    expect(last([], ['172.16.0.254'])).toBe('10.0.3.0/24 > 172.16.0.254 (gateway)')
  })

  test('a node of my LAN that is not on-link is reached by the gateway', () => {
    const { routes } = decide({ entries: lanA, peers: [peerA], onLink: ['172.16.0.1'] })
    expect(routes).toContain('10.0.2.0/25 > 172.16.0.1 (gateway)')
  })

  test('a node that is on-link but shares no BGPPeer is reached by the gateway', () => {
    const { routes } = decide({ entries: [...lanA, ...lanB], peers: [peerA], onLink: ['172.16.0.1', '172.16.1.13'] })
    expect(routes).toContain('10.0.3.0/24 > 172.16.0.1 (gateway)')
  })

  test('one shared BGPPeer of several is enough', () => {
    const { routes } = decide({
      entries: [
        entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['a', 'b']),
        entry('edge-2', ['172.16.0.12'], ['10.0.2.0/25'], ['b', 'c']),
      ],
      onLink: ['172.16.0.12'],
    })
    expect(routes).toContain('10.0.2.0/25 > 172.16.0.12 (edge-2)')
  })

  test('nodes that no BGPPeer selects form a LAN by link', () => {
    const entries = [
      entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], []),
      entry('edge-2', ['172.16.0.12'], ['10.0.2.0/25'], []),
      entry('edge-3', ['172.16.9.13'], ['10.0.3.0/25'], []),
      entry('edge-4', ['172.16.0.14'], ['10.0.4.0/25'], ['lan-a']),
    ]
    const onLink = ['172.16.0.12', '172.16.0.14']
    expect(decide({ entries, onLink, defaultGateways: ['172.16.0.254'] }).routes).toEqual([
      '10.0.1.0/25 > unreachable (this node)',
      '10.0.2.0/25 > 172.16.0.12 (edge-2)',
      '10.0.3.0/25 > 172.16.0.254 (gateway)',
      '10.0.4.0/25 > 172.16.0.254 (gateway)',
    ])
  })

  test('the first address of the family that is on-link', () => {
    const entries = [lanA[0], entry('edge-2', ['192.0.2.2', '172.16.0.12', '172.16.0.13'], ['10.0.2.0/25'], ['lan-a'])]
    const { routes } = decide({ entries: entries.flatMap(one => one ?? []), onLink: ['172.16.0.13', '172.16.0.12'] })
    expect(routes).toContain('10.0.2.0/25 > 172.16.0.12 (edge-2)')
  })
})

describe('gateways', () => {
  const entries = [
    entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['a', 'b']),
    entry('edge-9', ['172.16.9.9'], ['10.0.9.0/25'], ['z']),
  ]
  const two = [
    bgpPeer('a', { peerIP: '172.16.0.1', gateway: '172.16.0.253' }),
    bgpPeer('b', { peerIP: '172.16.0.2', gateway: '172.16.0.252' }),
  ]

  test('several BGPPeers that name different gateways share the load', () => {
    const { routes } = decide({ entries, peers: two, onLink: ['172.16.0.253', '172.16.0.252'] })
    expect(routes).toContain('10.0.9.0/25 > 172.16.0.252+172.16.0.253 (gateway)')
  })

  test('the same gateway twice is one', () => {
    const same = two.map(({ name }) => bgpPeer(name, { peerIP: '172.16.0.1', gateway: '172.16.0.254' }))
    expect(decide({ entries, peers: same, onLink: ['172.16.0.254'] }).routes).toContain(
      '10.0.9.0/25 > 172.16.0.254 (gateway)',
    )
  })

  test('one that is not on-link is left out and reported while another is', () => {
    const { routes, problems } = decide({ entries, peers: two, onLink: ['172.16.0.253'] })
    expect(routes).toContain('10.0.9.0/25 > 172.16.0.253 (gateway)')
    expect(problems).toEqual(['gateway 172.16.0.252 of BGPPeer b is not on-link at this node'])
  })

  test('when none is on-link the routes stay wanted, so that they show as failed', () => {
    const { routes, problems } = decide({ entries, peers: two })
    expect(routes).toContain('10.0.9.0/25 > 172.16.0.252+172.16.0.253 (gateway)')
    expect(problems).toHaveLength(2)
  })

  test('a node that is itself the gateway uses its default gateway', () => {
    const { routes } = decide({
      entries,
      peers: [bgpPeer('a', { peerIP: '172.16.0.1', gateway: '172.16.0.11' })],
      defaultGateways: ['172.16.0.254'],
    })
    expect(routes).toContain('10.0.9.0/25 > 172.16.0.254 (gateway)')
  })

  test('no gateway at all is a problem, not a route', () => {
    const { routes, problems } = decide({ entries })
    expect(routes).toEqual(['10.0.1.0/25 > unreachable (this node)'])
    expect(problems).toEqual(['no ipv4 gateway: 1 podCIDRs outside of this LAN have no route'])
  })
})

describe('both families', () => {
  const entries = [
    entry('edge-1', ['172.16.0.11', 'fd16::11'], ['10.0.1.0/25', 'fd01::/64'], ['lan-a']),
    entry('edge-2', ['172.16.0.12', 'fd16::12'], ['10.0.2.0/25', 'fd02::/64'], ['lan-a']),
    entry('edge-3', ['172.16.1.13', 'fd17::13'], ['10.0.3.0/25', 'fd03::/64'], ['lan-b']),
  ]

  test('each by its own addresses and gateway', () => {
    const { routes } = decide({
      entries,
      peers: [bgpPeer('lan-a', { peerIP: 'fd16::1', gateway: '172.16.0.254' })],
      onLink: ['172.16.0.12', 'fd16::12', 'fd16::1', '172.16.0.254'],
    })
    expect(routes).toEqual([
      '10.0.1.0/25 > unreachable (this node)',
      '10.0.2.0/25 > 172.16.0.12 (edge-2)',
      '10.0.3.0/25 > 172.16.0.254 (gateway)',
      'fd01::/64 > unreachable (this node)',
      'fd02::/64 > fd16::12 (edge-2)',
      'fd03::/64 > fd16::1 (gateway)',
    ])
  })

  test('an IPv6 podCIDR of a node without an IPv6 address goes by the IPv6 gateway', () => {
    const single = [entries[0], entry('edge-2', ['172.16.0.12'], ['fd02::/64'], ['lan-a'])].flatMap(one => one ?? [])
    const { routes } = decide({ entries: single, onLink: ['172.16.0.12'], defaultGateways: ['fe80::1', '172.16.0.1'] })
    expect(routes).toContain('fd02::/64 > fe80::1 (gateway)')
  })
})

describe('what must not be routed', () => {
  const gateway = { peers: [peerA], onLink: ['172.16.0.1'] }
  const mine = entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan-a'])
  const other = (podCIDR: string) => entry('edge-9', ['172.16.9.9'], [podCIDR], ['z'])

  test.each([
    ['inside mine', '10.0.1.64/26', '10.0.1.64/26 of node edge-9 lies in 10.0.1.0/25 of this node: no route'],
    ['the same as mine', '10.0.1.0/25', '10.0.1.0/25 of node edge-9 lies in 10.0.1.0/25 of this node: no route'],
    ['over my gateway', '172.16.0.0/29', '172.16.0.0/29 of node edge-9 holds 172.16.0.1, a node or gateway: no route'],
    ['over myself', '172.16.0.8/29', '172.16.0.8/29 of node edge-9 holds 172.16.0.11, a node or gateway: no route'],
    ['everything', '0.0.0.0/0', '0.0.0.0/0 of node edge-9 holds 127.0.0.1, a node or gateway: no route'],
  ])('a podCIDR %s', (_name, podCIDR, problem) => {
    const { routes, problems } = decide({ entries: [mine, other(podCIDR)], ...gateway })
    expect(routes).toEqual(['10.0.1.0/25 > unreachable (this node)'])
    expect(problems).toEqual([problem])
  })

  test('over a node, also when the link is down and nothing is on-link', () => {
    const { routes, problems } = decide({
      entries: [mine, entry('edge-2', ['172.16.0.130'], ['10.0.2.0/25'], ['lan-a']), other('172.16.0.128/25')],
      peers: [peerA],
      defaultGateways: ['172.16.0.254'],
    })
    expect(routes.filter(route => route.startsWith('172.'))).toEqual([])
    expect(problems[0]).toContain('172.16.0.128/25 of node edge-9 holds 172.16.0.130')
  })

  test('the same podCIDR of two nodes goes to the first by name, and is reported', () => {
    const twice = [mine, entry('edge-3', ['172.16.0.13'], ['10.0.2.0/25'], ['lan-a']), ...lanA.slice(1)]
    const { routes, problems } = decide({ entries: twice, onLink: ['172.16.0.12', '172.16.0.13'] })
    expect(routes).toContain('10.0.2.0/25 > 172.16.0.12 (edge-2)')
    expect(problems).toEqual(['10.0.2.0/25 of node edge-3 is also that of node edge-2: no route'])
  })

  test('a merged route never swallows my podCIDR or that of a direct neighbour', () => {
    const entries = [
      entry('edge-1', ['172.16.0.11'], ['10.0.0.0/26'], ['lan-a']),
      entry('edge-2', ['172.16.0.12'], ['10.0.0.64/26'], ['lan-a']),
      entry('edge-8', ['172.16.9.8'], ['10.0.0.128/26'], ['z']),
      entry('edge-9', ['172.16.9.9'], ['10.0.0.192/26'], ['z']),
    ]
    const { routes } = decide({ entries, peers: [peerA], onLink: ['172.16.0.12', '172.16.0.1'] })
    expect(routes).toEqual([
      '10.0.0.0/26 > unreachable (this node)',
      '10.0.0.64/26 > 172.16.0.12 (edge-2)',
      '10.0.0.128/25 > 172.16.0.1 (gateway)',
    ])
  })
})

describe('what is not known', () => {
  test('no entry names this node: no answer, rather than none', () => {
    expect(decide({ entries: lanB }).routing).toBeUndefined()
  })

  test('a node without a podCIDR routes to the others and says so', () => {
    const entries = [entry('edge-1', ['172.16.0.11'], [], ['lan-a']), ...lanA.slice(1)]
    const { routes, problems } = decide({ entries, onLink: ['172.16.0.12'] })
    expect(routes).toEqual(['10.0.2.0/25 > 172.16.0.12 (edge-2)'])
    expect(problems).toEqual(['node edge-1 has no podCIDR yet'])
  })

  test('a BGPPeer that is not known yet makes a LAN all the same', () => {
    expect(decide({ entries: lanA, onLink: ['172.16.0.12'] }).routes).toContain('10.0.2.0/25 > 172.16.0.12 (edge-2)')
  })
})

test('the kernel is asked about the nodes of my LAN and its devices, and about nothing else', () => {
  const view = {
    entries: [...lanA, ...lanB],
    peers: [bgpPeer('lan-a', { peerIP: '172.16.0.1', gateway: '172.16.0.2' }), peerB],
  }
  expect(addressesToAsk({ self: 'edge-1', view })).toEqual(['172.16.0.12', '172.16.0.1', '172.16.0.2'])
  expect(addressesToAsk({ self: 'edge-7', view })).toEqual([])
})

test('the order of the entries does not matter', () => {
  const entries = [...lanA, ...lanB]
  const input = { peers: [peerA], onLink: ['172.16.0.12', '172.16.0.1'] }
  expect(decide({ entries: entries.toReversed(), ...input }).routing).toEqual(decide({ entries, ...input }).routing)
})
