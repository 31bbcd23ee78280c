/** From the cluster as a speaker sees it to sessions and announcements: a pure function. */
import { describe, expect, test } from 'bun:test'
import type { BGPPeer } from '../../src/kube/bgp-peer.ts'
import type { ClusterView } from '../../src/kube/cluster-view-types.ts'
import { Secret } from '../../src/lib/secret.ts'
import { type DesiredPeersInput, desiredPeers, routerIdOfName } from '../../src/speaker/desired-peers.ts'
import type { LocalAddress } from '../../src/speaker/peer-link.ts'
import { bgpPeer, entry, lan, localOfNode1, onEth0, view } from './fixtures.ts'

function desired(clusterView: ClusterView, change: Partial<DesiredPeersInput> = {}) {
  return desiredPeers({ self: 'node-1', view: clusterView, local: localOfNode1, ...change })
}

test('a speaker announces the podCIDR of every node of the LAN with that node as next hop', () => {
  const { peers, announcements, problems } = desired(view())
  expect(peers).toEqual([
    {
      key: 'peer',
      localAs: 65010,
      peerAs: 65001,
      peerAddress: '172.16.0.1',
      peerPort: 179,
      preferredSource: '172.16.0.11',
      routerId: '172.16.0.11',
      holdTimeSeconds: 90,
      connectRetrySeconds: 30,
      gracefulRestart: { enabled: true, restartTimeSeconds: 600 },
      families: ['ipv4'],
      passive: false,
    },
  ])
  expect(announcements.get('peer')).toEqual([
    { prefix: '10.0.1.0/25', nextHop: '172.16.0.11' },
    { prefix: '10.0.1.128/25', nextHop: '172.16.0.12' },
    { prefix: '10.0.2.0/25', nextHop: '172.16.0.13' },
  ])
  expect(problems).toEqual([])
})

test('a node that no BGPPeer names as a speaker has no peers', () => {
  const { peers, announcements } = desired(view(), { self: 'node-3' })
  expect(peers).toEqual([])
  expect(announcements.size).toBe(0)
})

test('entries of other LANs are not announced', () => {
  const { announcements } = desired(view({ entries: [...lan, entry('far', '172.17.0.11', '10.9.0.0/25', ['other'])] }))
  expect(announcements.get('peer')?.map(({ prefix }) => prefix)).not.toContain('10.9.0.0/25')
})

test('a speaker without an entry of its own speaks, under the address of its interface', () => {
  const { peers, announcements } = desired(view({ entries: lan.slice(1) }))
  expect(peers[0]?.routerId).toBe('172.16.0.11')
  expect(announcements.get('peer')).toHaveLength(2)
})

test('communities, large communities and the MED go with every prefix', () => {
  const peer = bgpPeer('peer', { communities: ['65010:7'], largeCommunities: ['65010:1:2'], med: 50 })
  for (const announcement of desired(view({ peers: [peer] })).announcements.get('peer') ?? []) {
    expect(announcement).toMatchObject({ med: 50, communities: ['65010:7'], largeCommunities: ['65010:1:2'] })
  }
})

test('options of the session are passed on', () => {
  const peer = bgpPeer('peer', {
    peerPort: 1179,
    sourceAddress: '172.16.0.11',
    ebgpMultihop: 3,
    ttlSecurity: 1,
    passive: true,
  })
  expect(desired(view({ peers: [peer] })).peers[0]).toMatchObject({
    peerPort: 1179,
    sourceAddress: '172.16.0.11',
    ebgpMultihop: 3,
    ttlSecurity: 1,
    passive: true,
  })
})

test('a source address that is on no interface is a problem that says so', () => {
  const peer = bgpPeer('peer', { sourceAddress: '172.16.0.99' })
  const { peers, problems } = desired(view({ peers: [peer] }))
  expect(peers).toHaveLength(1)
  expect(problems).toMatchObject([{ kind: 'NoSourceAddress', message: expect.stringContaining('172.16.0.99') }])
})

const withPassword = bgpPeer('peer', { authPassword: { secretKeyRef: { name: 'bgp-secret', key: 'password' } } })

test('the password of the Secret is that of the session', () => {
  const password = new Secret('mySecretValue')
  const { peers, problems } = desired(view({ peers: [withPassword], passwords: new Map([['peer', password]]) }))
  expect(peers[0]?.password?.equals(password)).toBe(true)
  expect(problems).toEqual([])
})

test('without the password that is asked for there is no session, and a problem', () => {
  const why = 'Secret kube-system/bgp-secret does not exist'
  const { peers, announcements, problems } = desired(
    view({ peers: [withPassword], passwordProblems: new Map([['peer', why]]) }),
  )
  expect(peers).toEqual([])
  expect(announcements.size).toBe(0)
  expect(problems).toMatchObject([{ bgpPeer: 'peer', kind: 'SecretNotFound', message: expect.stringContaining(why) }])
})

test('a password that has not been read yet counts as missing', () => {
  const { peers, problems } = desired(view({ peers: [withPassword] }))
  expect(peers).toEqual([])
  expect(problems[0]?.message).toContain('kube-system/bgp-secret')
})

test('a session keeps its password when the Secret is lost', () => {
  const password = new Secret('mySecretValue')
  const { peers, problems } = desired(
    view({
      peers: [withPassword],
      passwords: new Map([['peer', password]]),
      passwordProblems: new Map([['peer', 'Secret is gone']]),
    }),
  )
  expect(peers[0]?.password?.equals(password)).toBe(true)
  expect(problems).toMatchObject([{ kind: 'SecretNotFound', message: expect.stringContaining('keeps the password') }])
})

test('a peer that asks for no password has none, whatever the view holds', () => {
  const { peers } = desired(view({ passwords: new Map([['peer', new Secret('old')]]) }))
  expect(peers[0]?.password).toBeUndefined()
})

test('dual stack: each prefix has the owner address of its own family, and both families are negotiated', () => {
  const entries = [
    { node: 'node-2', addresses: ['172.16.0.12', 'fd00::12'], podCIDRs: ['10.0.1.0/25', 'fd10::/80'], peers: ['peer'] },
  ]
  const { peers, announcements } = desired(view({ entries }))
  expect(peers[0]?.families).toEqual(['ipv4', 'ipv6'])
  expect(announcements.get('peer')).toEqual([
    { prefix: '10.0.1.0/25', nextHop: '172.16.0.12' },
    { prefix: 'fd10::/80', nextHop: 'fd00::12' },
  ])
})

test('a prefix whose node has no address of its family is left out and named', () => {
  const entries = [
    { node: 'node-2', addresses: ['172.16.0.12'], podCIDRs: ['10.0.1.0/25', 'fd10::/80'], peers: ['peer'] },
  ]
  const { announcements, problems } = desired(view({ entries }))
  expect(announcements.get('peer')).toEqual([{ prefix: '10.0.1.0/25', nextHop: '172.16.0.12' }])
  expect(problems).toMatchObject([{ kind: 'NoNextHop', message: expect.stringContaining('fd10::/80') }])
})

test("this node's address is never the next hop of another node's prefix", () => {
  const { announcements, problems } = desired(view({ entries: [entry('node-2', '172.16.0.11', '10.0.1.128/25')] }))
  expect(announcements.get('peer')).toEqual([])
  expect(problems).toMatchObject([{ kind: 'NoNextHop', message: expect.stringContaining('node-2') }])
})

test('a prefix that two nodes claim is announced once, and both are named', () => {
  const entries = [entry('node-3', '172.16.0.13', '10.0.1.0/25'), entry('node-2', '172.16.0.12', '10.0.1.0/25')]
  const { announcements, problems } = desired(view({ entries }))
  expect(announcements.get('peer')).toEqual([{ prefix: '10.0.1.0/25', nextHop: '172.16.0.12' }])
  expect(problems).toMatchObject([{ kind: 'PrefixTaken', message: expect.stringMatching(/node-2.*node-3/) }])
})

test('of two BGPPeers with one peer address the first by name has the session', () => {
  const { peers, problems } = desired(view({ peers: [bgpPeer('b'), bgpPeer('a')] }))
  expect(peers.map(({ key }) => key)).toEqual(['a'])
  expect(problems).toMatchObject([{ bgpPeer: 'b', kind: 'PeerTaken' }])
})

test('no session is opened with an address of this node', () => {
  const { peers, problems } = desired(view({ peers: [bgpPeer('peer', { peerIP: '172.16.0.11' })] }))
  expect(peers).toEqual([])
  expect(problems).toMatchObject([{ bgpPeer: 'peer', kind: 'OwnAddress', message: expect.stringContaining('node-1') }])
})

test('a new BGPPeer does not take the session of an older one, whatever their names', () => {
  const older = { ...bgpPeer('b'), createdAt: '2026-01-01T00:00:00Z' }
  const younger = { ...bgpPeer('a'), createdAt: '2026-01-01T00:00:01Z' }
  const other = { ...bgpPeer('c', { peerIP: '172.16.0.3' }), createdAt: '2025-01-01T00:00:00Z' }
  const { peers, problems } = desired(view({ peers: [younger, older, other] }))
  expect(peers.map(({ key }) => key)).toEqual(['b', 'c'])
  expect(problems).toMatchObject([{ bgpPeer: 'a', kind: 'PeerTaken' }])
})

test('a LAN of IPv6 alone: IPv4 prefixes have the IPv6 address of their node as next hop (RFC 8950)', () => {
  const entries = [
    { node: 'node-1', addresses: ['fe80::11', 'fd00::11'], podCIDRs: ['10.0.1.0/25', 'fd01:1::/64'], peers: ['peer'] },
    { node: 'node-2', addresses: ['fd00::12', '172.16.0.12'], podCIDRs: ['10.0.2.0/25'], peers: ['peer'] },
  ]
  const peers = [bgpPeer('peer', { peerIP: 'fd00::1' })]
  const local = [onEth0('fd00::11')]
  const { announcements, peers: configs, problems } = desired(view({ peers, entries }), { local })
  expect(problems).toEqual([])
  expect(configs[0]?.families).toEqual(['ipv4', 'ipv6'])
  expect(announcements.get('peer')?.map(({ prefix, nextHop }) => `${prefix} ${nextHop}`)).toEqual([
    '10.0.1.0/25 fd00::11',
    '10.0.2.0/25 172.16.0.12',
    'fd01:1::/64 fd00::11',
  ])
})

test('a session of a BGPPeer whose LAN is not known yet negotiates the families of its own node', () => {
  const own = { node: 'node-1', addresses: ['172.16.0.11'], podCIDRs: ['10.0.1.0/25', 'fd10::/80'], peers: [] }
  const other = { node: 'node-9', addresses: ['172.16.0.19'], podCIDRs: ['10.0.9.0/25'], peers: ['peer'] }
  const familiesWith = (entries: ClusterView['entries']) => desired(view({ entries })).peers[0]?.families
  expect(familiesWith([own])).toEqual(['ipv4', 'ipv6'])
  expect(familiesWith([own, other])).toEqual(['ipv4'])
})

test('an IPv6 session negotiates IPv6 even before there are prefixes', () => {
  const { peers } = desired(view({ peers: [bgpPeer('peer', { peerIP: 'fd00::1' })], entries: [] }))
  expect(peers[0]?.families).toEqual(['ipv6'])
})

test('a node with IPv6 alone has a router ID from its name, the same each time and a valid address', () => {
  const local = [onEth0('fd00::11')]
  const { peers } = desired(view({ entries: [] }), { local })
  expect(peers[0]?.routerId).toBe(routerIdOfName('node-1'))
  expect(routerIdOfName('node-1')).not.toBe(routerIdOfName('node-2'))
  for (let n = 0; n < 1000; n++) {
    const first = Number(routerIdOfName(`node-${n}`).split('.')[0])
    expect(first >= 1 && first <= 126).toBe(true)
  }
})

describe('next hops (RFC 4271 section 5.1.3)', () => {
  const nextHops = (
    peer: BGPPeer,
    addresses: readonly string[],
    local = localOfNode1,
    podCIDRs = ['10.0.1.128/25'],
  ) => {
    const entries = [lan[0], { node: 'node-2', addresses, podCIDRs, peers: ['peer'] }].filter(one => one !== undefined)
    const { announcements, problems } = desired(view({ peers: [peer], entries }), { local })
    const theirs = announcements.get('peer')?.filter(({ prefix }) => podCIDRs.includes(prefix)) ?? []
    return [...theirs.map(({ nextHop }) => nextHop), ...problems.map(({ kind, message }) => `${kind}: ${message}`)]
  }
  test('of a node with several addresses the one in the network of the peer, wherever it stands', () => {
    expect(nextHops(bgpPeer(), ['192.168.9.2', '172.16.0.12'])).toEqual(['172.16.0.12'])
    expect(nextHops(bgpPeer(), ['172.16.0.12', '192.168.9.2'])).toEqual(['172.16.0.12'])
    const dual = [...localOfNode1, onEth0('fd00::11')]
    const addresses = ['fd77::12', '192.168.9.2', 'fd00::12', '172.16.0.12']
    expect(nextHops(bgpPeer(), addresses, dual, ['10.0.1.128/25', 'fd10::/80'])).toEqual(['172.16.0.12', 'fd00::12'])
  })
  test('one of another network where there is no other: the switch may route it', () => {
    expect(nextHops(bgpPeer(), ['192.168.9.2'])).toEqual(['192.168.9.2'])
  })
  test('never the address of the peer itself', () => {
    expect(nextHops(bgpPeer(), ['172.16.0.1'])).toEqual([
      "NoNextHop: 10.0.1.128/25 of node node-2 is not announced: its address 172.16.0.1 is the peer's own",
    ])
    expect(nextHops(bgpPeer(), ['172.16.0.1', '192.168.9.2'])).toEqual(['192.168.9.2'])
  })
  test("the speaker's own where third-party next hops are switched off, and by default over several hops", () => {
    expect(nextHops(bgpPeer('peer', { nextHopSelf: true }), ['172.16.0.12'])).toEqual(['172.16.0.11'])
    const far = { peerIP: '10.255.0.1', ebgpMultihop: 2 }
    expect(nextHops(bgpPeer('peer', far), ['172.16.0.12'])).toEqual(['172.16.0.11'])
    expect(nextHops(bgpPeer('peer', { ...far, nextHopSelf: false }), ['172.16.0.12'])).toEqual(['172.16.0.12'])
    // iBGP
    expect(nextHops(bgpPeer('peer', { ...far, localAsNumber: 65001 }), ['172.16.0.12'])).toEqual(['172.16.0.12'])
  })
})

describe('the source of a session', () => {
  const source = (peer: BGPPeer, addresses: readonly string[], local: readonly LocalAddress[]) =>
    desired(view({ peers: [peer], entries: [{ node: 'node-1', addresses, podCIDRs: [], peers: ['peer'] }] }), { local })
      .peers[0]?.preferredSource
  test("is the node's InternalIP in the network of the peer, not what comes first on the interface", () => {
    const local = [onEth0('172.16.0.99'), onEth0('172.16.0.11'), onEth0('192.168.9.1', { interface: 'eth1' })]
    expect(source(bgpPeer(), ['192.168.9.1', '172.16.0.11'], local)).toBe('172.16.0.11')
    const six = [onEth0('fd00::c0de'), onEth0('fd00::11')]
    expect(source(bgpPeer('peer', { peerIP: 'fd00::1' }), ['fd00::11'], six)).toBe('fd00::11')
  })
  test('of a peer behind a router any InternalIP that is here; else as the kernel chooses', () => {
    expect(source(bgpPeer('peer', { peerIP: '10.255.0.1' }), ['172.16.0.11'], localOfNode1)).toBe('172.16.0.11')
    expect(source(bgpPeer(), ['172.16.0.77'], localOfNode1)).toBeUndefined()
    expect(source(bgpPeer(), ['192.168.9.1'], [...localOfNode1, onEth0('192.168.9.1')])).toBeUndefined()
  })
  test('is what the BGPPeer demands, if it does', () => {
    expect(source(bgpPeer('peer', { sourceAddress: '172.16.0.11' }), ['172.16.0.11'], localOfNode1)).toBeUndefined()
  })
})

test('a session that runs stays as it was while the password that is asked for now is nowhere', () => {
  const authPassword = { secretKeyRef: { name: 'bgp-secret', key: 'password' } }
  const asked = view({ peers: [bgpPeer('peer', { authPassword, holdTimeSeconds: 30 })] })
  const running = desired(view()).peers
  const former = new Map(running.map(config => [config.key, config]))
  const { peers, problems } = desired(asked, { former })
  expect(peers).toEqual(running)
  expect(problems).toMatchObject([{ kind: 'SecretNotFound', message: expect.stringContaining('stays as it was') }])
  const elsewhere = view({ peers: [bgpPeer('peer', { authPassword, peerIP: '172.16.0.2' })] })
  expect(desired(elsewhere, { former }).peers).toEqual([])
})
