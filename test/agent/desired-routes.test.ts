/**
 * Which routes a node wants, from RouteSlices, BGPPeers and what the kernel says of its links: next
 * hops, gateways, both families, what is left alone. A pure decision on values; the kernel carries
 * it out in reconcile.test.ts.
 */
import { describe, expect, test } from 'bun:test'
import {
  addressesToAsk,
  type DesiredRoute,
  desiredRoutes,
  type ObservedNetwork,
  targetText,
  usedGateways,
} from '../../src/agent/desired-routes.ts'
import type { BGPPeer } from '../../src/kube/bgp-peer.ts'
import type { RouteEntry } from '../../src/kube/route-slice.ts'
import { type Family, familyOf } from '../../src/lib/ip.ts'
import { bgpPeer, entry } from '../support/cluster.ts'

interface Case {
  readonly entries: readonly RouteEntry[]
  readonly peers?: readonly BGPPeer[]
  readonly onLink?: readonly string[]
  /** `dev` for a default route without a gateway, by interface 7: of IPv4, `dev6` of IPv6. */
  readonly defaultGateways?: readonly string[]
  readonly ownAddresses?: readonly string[]
}

/** The routes as short texts: `10.0.1.0/25 > 172.16.0.12 (edge-2)`. */
function decide(input: Case, self = 'edge-1') {
  const ways = (family: Family) =>
    (input.defaultGateways ?? [])
      .filter(text =>
        text.startsWith('dev') ? text === (family === 'ipv4' ? 'dev' : 'dev6') : familyOf(text) === family,
      )
      .map(text => (text.startsWith('dev') ? { interface: 7 } : { gateway: text, interface: 2 }))
  const network: ObservedNetwork = {
    onLink: new Map((input.onLink ?? []).map(address => [address, 2])),
    defaultGateways: { ipv4: ways('ipv4'), ipv6: ways('ipv6') },
    ownAddresses: input.ownAddresses ?? ['172.16.0.11', '127.0.0.1'],
  }
  const routing = desiredRoutes({ self, view: { entries: input.entries, peers: input.peers ?? [] }, network })
  return { routes: (routing?.routes ?? []).map(routeLine), problems: routing?.problems ?? [], routing }
}

function routeLine({ destination, type, nextHops, to }: DesiredRoute): string {
  const way = type === 'unicast' ? nextHops.map(hop => hop.gateway ?? `interface ${hop.interface}`).join('+') : type
  return `${destination} > ${way} (${targetText(to)})`
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

  test('of several those that answer count, and all of them where none does', () => {
    const network = (answering: string[]): ObservedNetwork => ({
      onLink: new Map([
        ['172.16.0.253', 2],
        ['172.16.0.252', 2],
      ]),
      defaultGateways: { ipv4: [], ipv6: [] },
      ownAddresses: [],
      judged: { counting: new Set(answering), reasons: new Map([['172.16.0.252', 'is down by BFD']]) },
    })
    const by = (...answering: string[]) =>
      desiredRoutes({ self: 'edge-1', view: { entries, peers: two }, network: network(answering) })
    expect(by('172.16.0.253')?.routes.map(routeLine)).toContain('10.0.9.0/25 > 172.16.0.253 (gateway)')
    expect(by('172.16.0.253')?.problems).toEqual([
      'gateway 172.16.0.252 of BGPPeer b is down by BFD: the others have its share',
    ])
    expect(by()?.routes.map(routeLine)).toContain('10.0.9.0/25 > 172.16.0.252+172.16.0.253 (gateway)')
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

  test('one that the default route has as on-link, whatever the addresses say, is taken in the same way', () => {
    const onlink = { gateway: '172.16.0.254', interface: 2, onlink: true, weight: 3 }
    const peers = [bgpPeer('a', { peerIP: '172.16.0.1', gateway: '172.16.0.254' })]
    const network = {
      onLink: new Map<string, number>(),
      ownAddresses: [],
      defaultGateways: { ipv4: [onlink], ipv6: [] },
    }
    const routing = desiredRoutes({ self: 'edge-1', view: { entries, peers }, network })
    expect(routing?.problems).toEqual([])
    expect(routing?.routes.at(-1)?.nextHops).toEqual([{ gateway: '172.16.0.254', interface: 2, onlink: true }])
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

describe('IPv4 pods by IPv6 next hops', () => {
  const bare = (node: string, host: number, peers = ['lan-a']) =>
    entry(node, [`fd16::${host}`], [`10.0.${host}.0/25`, `fd0${host}::/64`], peers)
  const ipv6Only = [bare('edge-1', 1), bare('edge-2', 2), bare('edge-3', 3, ['lan-b'])]
  const ipv4 = (input: Case) => decide(input).routes.filter(route => !route.startsWith('fd'))

  test('in a LAN of IPv6 alone, by the peerIP, or by the default gateway', () => {
    const routes = (gateway: string) => [
      '10.0.1.0/25 > unreachable (this node)',
      '10.0.2.0/25 > fd16::2 (edge-2)',
      `10.0.3.0/25 > ${gateway} (gateway)`,
      'fd01::/64 > unreachable (this node)',
      'fd02::/64 > fd16::2 (edge-2)',
      `fd03::/64 > ${gateway} (gateway)`,
    ]
    const named = {
      entries: ipv6Only,
      peers: [bgpPeer('lan-a', { peerIP: 'fd16::fe' })],
      onLink: ['fd16::2', 'fd16::fe'],
    }
    expect(decide(named)).toMatchObject({ routes: routes('fd16::fe'), problems: [] })
    const unnamed = { entries: ipv6Only, onLink: ['fd16::2'], defaultGateways: ['fe80::1'] }
    expect(decide(unnamed)).toMatchObject({ routes: routes('fe80::1'), problems: [] })
  })

  test('the IPv4 default route of a node without an IPv4 address leads elsewhere than the peer does', () => {
    const modem = { entries: ipv6Only, defaultGateways: ['192.0.2.1'] }
    const named = { ...modem, peers: [bgpPeer('lan-a', { peerIP: 'fd16::fe' })], onLink: ['fd16::fe'] }
    expect(ipv4(named)).toContain('10.0.3.0/25 > fd16::fe (gateway)')
    expect(ipv4({ ...modem, defaultGateways: ['192.0.2.1', 'fe80::1'] })).toContain('10.0.3.0/25 > 192.0.2.1 (gateway)')
  })

  test('IPv4 comes first where node and gateway have it', () => {
    const both = [
      entry('edge-1', ['fd16::1', '172.16.0.11'], ['10.0.1.0/25'], ['lan-a']),
      entry('edge-2', ['fd16::2', '172.16.0.12'], ['10.0.2.0/25'], ['lan-a']),
      entry('edge-3', ['fd17::3'], ['10.0.3.0/25'], ['lan-b']),
    ]
    const input = { entries: both, peers: [bgpPeer('lan-a', { peerIP: 'fd16::fe' })] }
    const onLink = ['fd16::2', '172.16.0.12', 'fd16::fe']
    expect(ipv4({ ...input, onLink, defaultGateways: ['172.16.0.254', 'fe80::1'] }).slice(1)).toEqual([
      '10.0.2.0/25 > 172.16.0.12 (edge-2)',
      '10.0.3.0/25 > 172.16.0.254 (gateway)',
    ])
    expect(ipv4({ ...input, onLink }).at(-1)).toBe('10.0.3.0/25 > fd16::fe (gateway)')
  })

  test('nodes with and without IPv4 in one LAN reach each other', () => {
    const mixed = [
      entry('edge-1', ['172.16.0.11', 'fd16::1'], ['10.0.1.0/25'], ['lan-a']),
      entry('edge-2', ['fd16::2'], ['10.0.2.0/25'], ['lan-a']),
    ]
    expect(decide({ entries: mixed, onLink: ['fd16::2'] }).routes).toContain('10.0.2.0/25 > fd16::2 (edge-2)')
    expect(decide({ entries: mixed, onLink: ['fd16::1'] }, 'edge-2').routes).toContain('10.0.1.0/25 > fd16::1 (edge-1)')
  })

  test('IPv6 pods never go by an IPv4 one', () => {
    const entries = [bare('edge-1', 1), entry('edge-2', ['172.16.0.12'], ['fd02::/64'], ['lan-a'])]
    const input = { entries, peers: [peerA], onLink: ['172.16.0.12', '172.16.0.1'], defaultGateways: ['172.16.0.1'] }
    expect(decide(input).routes.filter(route => route.startsWith('fd02'))).toEqual([])
    expect(decide(input).problems).toEqual(['no ipv6 gateway: 1 podCIDRs outside of this LAN have no route'])
  })
})

describe('a default route without a gateway', () => {
  const far = [lanA[0], entry('edge-9', ['172.16.9.9'], ['10.0.9.0/25', 'fd09::/64'], ['z'])].flatMap(one => one ?? [])

  test('is the way, each family by its own', () => {
    const { routes, routing, problems } = decide({ entries: far, defaultGateways: ['dev', 'dev6'] })
    expect(routes.slice(1)).toEqual(['10.0.9.0/25 > interface 7 (gateway)', 'fd09::/64 > interface 7 (gateway)'])
    expect(routing?.routes.at(-1)?.nextHops).toEqual([{ interface: 7 }])
    expect(problems).toEqual([])
  })

  test('comes after what BGPPeers name, and shares the load with a gateway beside it', () => {
    const named = { entries: far, peers: [peerA], onLink: ['172.16.0.1'], defaultGateways: ['dev'] }
    expect(decide(named).routes).toContain('10.0.9.0/25 > 172.16.0.1 (gateway)')
    const two = decide({ entries: far, defaultGateways: ['172.16.0.254', 'dev'] }).routes
    expect(two).toContain('10.0.9.0/25 > interface 7+172.16.0.254 (gateway)')
  })
})

describe('what must not be routed', () => {
  const mine = entry('edge-1', ['172.16.0.11'], ['10.0.1.0/25'], ['lan-a'])
  const other = (podCIDR: string) => entry('edge-9', ['172.16.9.9'], [podCIDR], ['z'])

  test('what comes back from where it goes ends here', () => {
    const view = { entries: [mine, other('10.0.9.0/25')], peers: [peerA], unreachable: ['10.0.8.0/25'] }
    const network = {
      onLink: new Map([['172.16.0.1', 2]]),
      defaultGateways: { ipv4: [], ipv6: [] },
      ownAddresses: ['172.16.0.11'],
    }
    expect(desiredRoutes({ self: 'edge-1', view, network })?.routes.map(routeLine)).toEqual([
      '10.0.1.0/25 > unreachable (this node)',
      '10.0.8.0/25 > unreachable (nowhere)',
      '10.0.9.0/25 > 172.16.0.1 (gateway)',
    ])
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

test('gateways that routes go by are those of the way out, whatever a node is called', () => {
  const named = entry('gateway', ['172.16.0.12'], ['10.0.2.0/25'], ['lan-a'])
  const entries = [...lanA.filter(({ node }) => node === 'edge-1'), named, ...lanB]
  const { routing } = decide({ entries, peers: [peerA], onLink: ['172.16.0.12', '172.16.0.1'] })
  expect(usedGateways(routing?.routes ?? [])).toEqual([{ address: '172.16.0.1', interface: 2 }])
})

test('the order of the entries does not matter', () => {
  const entries = [...lanA, ...lanB]
  const input = { peers: [peerA], onLink: ['172.16.0.12', '172.16.0.1'] }
  expect(decide({ entries: entries.toReversed(), ...input }).routing).toEqual(decide({ entries, ...input }).routing)
})
