/**
 * What rtnetlink's codecs ask of the real kernel, and what it answers, in namespaces of our own.
 */
import { describe, expect } from 'bun:test'
import { close as closeFile, openFile } from '../../src/lib/libc.ts'
import { addAddress } from '../../src/netlink/address.ts'
import { IFA_F, NUD } from '../../src/netlink/constants.ts'
import { hasIpsec } from '../../src/netlink/ipsec.ts'
import { addVeth, deleteLink, deleteLinkGroup, setLink } from '../../src/netlink/link.ts'
import { NetlinkError } from '../../src/netlink/message.ts'
import { replaceNeighbour } from '../../src/netlink/neighbour.ts'
import { addRoute, deleteRoute, replaceRoute } from '../../src/netlink/route.ts'
import { Rtnetlink } from '../../src/netlink/rtnetlink.ts'
import { addRule, deleteRule } from '../../src/netlink/rule.ts'
import type { NextHop } from '../../src/netlink/types.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'

const PROTOCOL = 187
const rooted = testNeeding('root', 'ip')

/** A namespace with a veth `d0` that bears 172.16.0.1/24 and fd16::1/64. */
async function withKernel(
  body: (kit: { netlink: Rtnetlink; network: TestNetwork; namespace: string; d0: number }) => void | Promise<void>,
): Promise<void> {
  const network = new TestNetwork()
  const namespace = network.namespace('k')
  const netlink = Rtnetlink.open({ netns: network.path(namespace) })
  try {
    netlink.run(addVeth({ name: 'd0', up: true, peer: { name: 'd1' } }))
    netlink.run(setLink('d1', { up: true }))
    const d0 = netlink.getLink('d0')?.index ?? 0
    netlink.run(addAddress({ address: '172.16.0.1', prefixLength: 24, interface: d0 }))
    netlink.run(addAddress({ address: 'fd16::1', prefixLength: 64, interface: d0, flags: IFA_F.NODAD }))
    await eventually('an IPv6 address is in use a little later', () => netlink.lookup('fd16::1').type === 'local')
    await body({ netlink, network, namespace, d0 })
  } finally {
    netlink.close()
    await network.close()
  }
}

function refusal(action: () => void): NetlinkError | undefined {
  try {
    action()
    return undefined
  } catch (error) {
    if (error instanceof NetlinkError) return error
    throw error
  }
}

describe('routes', () => {
  for (const [family, destination, first, second] of [
    ['ipv4', '10.0.1.0/25', '172.16.0.11', '172.16.0.12'],
    ['ipv6', 'fd01::/64', 'fd16::11', 'fd16::12'],
  ] as const) {
    const route = (...gateways: string[]) => ({
      destination,
      protocol: PROTOCOL,
      nextHops: gateways.map(gateway => ({ gateway })),
    })
    const unreachable = { destination, protocol: PROTOCOL, type: 'unreachable' as const }

    rooted(`${family}: add, replace by every other shape, delete`, () =>
      withKernel(({ netlink, d0 }) => {
        const own = () => netlink.dumpRoutes({ protocol: PROTOCOL, table: 254 })
        netlink.run(addRoute(route(first)))
        expect(own()).toMatchObject([{ family, destination, nextHops: [{ gateway: first, interface: d0 }] }])
        expect(refusal(() => netlink.run(addRoute(route(second))))?.code).toBe('EEXIST')
        const shapes = [
          route(second),
          route(first, second),
          unreachable,
          route(first, second),
          route(first),
          unreachable,
        ]
        for (const shape of [...shapes, route(second)]) {
          netlink.run(replaceRoute(shape))
          const gateways = 'nextHops' in shape ? shape.nextHops.map(({ gateway }) => gateway) : []
          expect(own().map(({ nextHops }) => nextHops.map(({ gateway }) => gateway))).toEqual([gateways])
          expect(own()[0]?.type).toBe('nextHops' in shape ? 'unicast' : 'unreachable')
        }
        netlink.run(deleteRoute({ destination, protocol: PROTOCOL }))
        expect(own()).toEqual([])
        expect(refusal(() => netlink.run(deleteRoute({ destination, protocol: PROTOCOL })))?.code).toBe('ESRCH')
      }),
    )

    rooted(`${family}: a deletion by protocol leaves another's route alone and takes all ways of an ECMP route`, () =>
      withKernel(({ netlink }) => {
        netlink.run(addRoute({ ...route(first), protocol: 4 }))
        expect(refusal(() => netlink.run(deleteRoute({ destination, protocol: PROTOCOL })))?.code).toBe('ESRCH')
        netlink.run(deleteRoute({ destination, protocol: 4 }))
        netlink.run(addRoute(route(first, second)))
        netlink.run(deleteRoute({ destination, protocol: PROTOCOL }))
        expect(netlink.dumpRoutes().filter(other => other.destination === destination)).toEqual([])
      }),
    )
  }

  rooted(
    'IPv4 by IPv6 gateways, alone and beside an IPv4 one and a device: add, replace by every other shape, delete',
    () =>
      withKernel(({ netlink, network, namespace, d0 }) => {
        const route = (...nextHops: NextHop[]) => ({ destination: '10.0.1.0/25', protocol: PROTOCOL, nextHops })
        const own = () => netlink.dumpRoutes({ protocol: PROTOCOL, table: 254 })
        const [v6, linkLocal, v4] = ['fd16::11', 'fe80::11', '172.16.0.11'].map(gateway => ({ gateway, interface: d0 }))
        if (v6 === undefined || linkLocal === undefined || v4 === undefined) throw new Error('three ways')
        const device = { interface: d0 }
        netlink.run(addRoute(route(v6)))
        expect(network.ip(namespace, 'route show 10.0.1.0/25')).toStartWith('10.0.1.0/25 via inet6 fd16::11 dev d0')
        for (const hops of [[linkLocal], [v4], [v6, linkLocal], [v6, v4], [device], [device, v6], [v6]]) {
          netlink.run(replaceRoute(route(...hops)))
          expect(own()).toMatchObject([route(...hops)])
        }
        netlink.run(deleteRoute({ destination: '10.0.1.0/25', protocol: PROTOCOL, type: 'unicast', priority: 0 }))
        expect(own()).toEqual([])
      }),
  )

  rooted('the kernel says why it refuses, and the others of the batch are done', () =>
    withKernel(({ netlink }) => {
      const far = { destination: '10.0.1.0/25', protocol: PROTOCOL, nextHops: [{ gateway: '192.0.2.1' }] }
      const near = { destination: '10.0.2.0/25', protocol: PROTOCOL, nextHops: [{ gateway: '172.16.0.2' }] }
      const [refused, done] = netlink.execute([addRoute(far), addRoute(near)])
      expect(refused?.error?.message).toBe(
        'add route 10.0.1.0/25 via 192.0.2.1: ENETUNREACH: Nexthop has invalid gateway',
      )
      expect(refused?.error?.extendedAck).toBe('Nexthop has invalid gateway')
      expect(done?.error).toBeUndefined()
    }),
  )

  rooted('10,000 routes in a batch, and a dump filtered by protocol and table', () =>
    withKernel(({ netlink }) => {
      const routes = Array.from({ length: 10_000 }, (_, index) => ({
        destination: `10.${index >> 8}.${index & 255}.0/24`,
        protocol: PROTOCOL,
        nextHops: [{ gateway: '172.16.0.2' }],
      }))
      expect(netlink.execute(routes.map(addRoute)).filter(({ error }) => error)).toEqual([])
      netlink.run(addRoute({ destination: '10.200.0.0/16', protocol: PROTOCOL, table: 1000, type: 'blackhole' }))
      expect(netlink.dumpRoutes({ protocol: PROTOCOL, table: 254 })).toHaveLength(10_000)
      expect(netlink.dumpRoutes({ protocol: PROTOCOL, table: 1000 })).toMatchObject([
        { destination: '10.200.0.0/16', type: 'blackhole', table: 1000 },
      ])
      expect(netlink.dumpRoutes({ protocol: 99 })).toEqual([])
      expect(netlink.dumpRoutes({ table: 4711 })).toEqual([])
      expect(netlink.execute(routes.map(deleteRoute)).filter(({ error }) => error)).toEqual([])
      expect(netlink.dumpRoutes({ protocol: PROTOCOL, table: 254 })).toEqual([])
    }),
  )

  rooted('lookups: on-link, by a gateway, local, none, unreachable, blackhole', () =>
    withKernel(({ netlink, d0 }) => {
      netlink.run(addRoute({ destination: '10.0.1.0/25', protocol: PROTOCOL, nextHops: [{ gateway: '172.16.0.9' }] }))
      for (const destination of ['10.0.2.0/25', 'fd02::/64']) {
        netlink.run(addRoute({ destination, protocol: PROTOCOL, type: 'unreachable' }))
      }
      netlink.run(addRoute({ destination: '10.0.3.0/25', protocol: PROTOCOL, type: 'blackhole' }))
      expect(netlink.lookup('172.16.0.2')).toMatchObject({ type: 'unicast', interface: d0, source: '172.16.0.1' })
      expect(netlink.lookup('172.16.0.2').gateway).toBeUndefined()
      expect(netlink.lookup('fd16::2')).toMatchObject({ type: 'unicast', interface: d0 })
      expect(netlink.lookup('10.0.1.1')).toMatchObject({ type: 'unicast', gateway: '172.16.0.9' })
      expect(netlink.lookup('172.16.0.1').type).toBe('local')
      for (const nowhere of ['192.0.2.1', '2001:db8::1', '10.0.2.1', 'fd02::1']) {
        expect(netlink.lookup(nowhere)).toEqual({ destination: nowhere, type: 'unreachable', table: 0 })
      }
      expect(netlink.lookup('10.0.3.1').type).toBe('blackhole')
    }),
  )

  rooted('the route that matches an address: connected, by a gateway, the default, local, none', () =>
    withKernel(({ netlink, d0 }) => {
      for (const destination of ['0.0.0.0/0', '::/0']) {
        netlink.run(addRoute({ destination, protocol: PROTOCOL, nextHops: [{ interface: d0 }] }))
      }
      netlink.run(addRoute({ destination: '10.0.1.0/25', protocol: PROTOCOL, nextHops: [{ gateway: 'fd16::9' }] }))
      netlink.run(addRoute({ destination: '10.0.2.0/25', protocol: PROTOCOL, type: 'unreachable' }))
      const matched = (address: string) => netlink.match(address)?.destination
      expect(['172.16.0.2', 'fd16::2', '10.0.1.1', '192.0.2.1', '2001:db8::1', '10.0.2.1'].map(matched)).toEqual([
        '172.16.0.0/24',
        'fd16::/64',
        '10.0.1.0/25',
        '0.0.0.0/0',
        '::/0',
        undefined,
      ])
      expect(netlink.match('10.0.1.1')?.nextHops).toEqual([{ gateway: 'fd16::9', interface: d0 }])
      expect([netlink.match('172.16.0.1')?.type, netlink.match('fd16::1')?.type]).toEqual(['local', 'local'])
    }),
  )
})

describe('links', () => {
  rooted('a veth pair with the peer born in another namespace', () =>
    withKernel(async ({ netlink, network }) => {
      const pod = network.namespace('pod')
      const inside = Rtnetlink.open({ netns: network.path(pod) })
      const fd = openFile(network.path(pod))
      try {
        const peer = { name: 'eth0', mtu: 1400, namespaceFd: fd, address: '02:00:00:00:00:09' }
        netlink.run(addVeth({ name: 'te1', mtu: 1400, up: true, peer }))
        const near = netlink.getLink('te1')
        const far = inside.getLink('eth0')
        expect(far).toMatchObject({ kind: 'veth', mtu: 1400, up: false, address: '02:00:00:00:00:09' })
        expect(near).toMatchObject({ kind: 'veth', mtu: 1400, up: true, carrier: false, peer: far?.index ?? -1 })
        inside.run(setLink('eth0', { up: true }))
        expect(netlink.getLink('te1')?.carrier).toBe(true)
        netlink.run(setLink(near?.index ?? 0, { name: 'te2', alias: 'pod x', mtu: 1300 }))
        expect(netlink.getLink('te1')).toBeUndefined()
        expect(netlink.getLink('te2')).toMatchObject({ alias: 'pod x', mtu: 1300, index: near?.index ?? -1 })
        netlink.run(deleteLink('te2'))
        expect(inside.getLink('eth0')).toBeUndefined()
        expect(refusal(() => netlink.run(deleteLink('te2')))?.code).toBe('ENODEV')
      } finally {
        closeFile(fd)
        inside.close()
      }
    }),
  )

  rooted('links of a group go with one request, and no others', () =>
    withKernel(({ netlink }) => {
      const pair = (name: string) => addVeth({ name, peer: { name: `${name}p` } })
      for (const name of ['te1', 'te2', 'te3']) netlink.run(pair(name))
      for (const name of ['te1', 'te3']) netlink.run(setLink(name, { group: 0x4000_0007 }))
      netlink.run(deleteLinkGroup(0x4000_0007))
      expect(['te1', 'te1p', 'te2', 'te2p', 'te3'].filter(name => netlink.getLink(name))).toEqual(['te2', 'te2p'])
      expect(refusal(() => netlink.run(deleteLinkGroup(0x4000_0007)))?.code).toBe('ENODEV')
      expect(refusal(() => netlink.run(deleteLinkGroup(0)))?.code).toBe('EPERM')
    }),
  )

  rooted('a port of a bridge, up and down', () =>
    withKernel(({ netlink, network, namespace, d0 }) => {
      network.ip(namespace, 'link add br0 up type bridge')
      const bridge = netlink.getLink('br0')?.index ?? 0
      netlink.run(setLink('d0', { master: bridge }))
      netlink.run(setLink('d0', { up: false }))
      const links = netlink.dumpLinks()
      expect(links.map(({ name }) => name).sort()).toEqual(['br0', 'd0', 'd1', 'lo'])
      expect(links.find(({ index }) => index === d0)).toMatchObject({ master: bridge, up: false })
      expect(links.find(({ name }) => name === 'lo')?.loopback).toBe(true)
    }),
  )
})

rooted('addresses, neighbours and rules are read back as written', () =>
  withKernel(({ netlink, d0 }) => {
    expect(netlink.dumpAddresses().filter(other => other.interface === d0 && other.scope === 0)).toMatchObject([
      { family: 'ipv4', address: '172.16.0.1', prefixLength: 24 },
      { family: 'ipv6', address: 'fd16::1', prefixLength: 64 },
    ])
    netlink.run(replaceNeighbour({ address: '172.16.0.9', interface: d0, hardwareAddress: '02:00:00:00:00:09' }))
    // beside those that the kernel makes for multicast
    const ours = netlink.dumpNeighbours().filter(({ state }) => state === NUD.PERMANENT)
    expect(ours).toMatchObject([{ address: '172.16.0.9', hardwareAddress: '02:00:00:00:00:09' }])
    const rule = { family: 'ipv6', priority: 100, table: 1000, protocol: PROTOCOL, source: 'fd01::/64' } as const
    netlink.run(addRule(rule))
    expect(netlink.dumpRules()).toContainEqual(rule)
    netlink.run(deleteRule(rule))
    expect(netlink.dumpRules()).not.toContainEqual(rule)
  }),
)

rooted('a namespace that does not exist', () => {
  expect(() => Rtnetlink.open({ netns: '/run/netns/te-none' })).toThrow('ENOENT')
})

rooted('the far end of a tunnel, where it has one', () =>
  withKernel(({ netlink, network, namespace }) => {
    network.ip(namespace, 'link add t0 type vxlan id 1 local 172.16.0.1 remote 198.51.100.7 dstport 4789')
    network.ip(namespace, 'link add t1 type vxlan id 2 local fd16::1 remote fd99::7 dstport 4789')
    network.ip(namespace, 'link add t2 type vxlan id 3 group 239.1.1.1 dev d0 dstport 4789')
    network.ip(namespace, 'link add t3 type vxlan id 4 local 172.16.0.1 dstport 4790')
    const remotes = ['t0', 't1', 't2', 't3'].map(name => netlink.getLink(name)?.remote)
    expect(remotes).toEqual(['198.51.100.7', 'fd99::7', undefined, undefined])
  }),
)

rooted('whether packets are wrapped by IPsec', () =>
  withKernel(({ network, namespace }) => {
    const netns = network.path(namespace)
    expect(hasIpsec({ netns })).toBe(false)
    const ends = 'src 172.16.0.1 dst 198.51.100.7'
    network.ip(namespace, `xfrm policy add ${ends} dir out tmpl ${ends} proto esp mode tunnel`)
    expect(hasIpsec({ netns })).toBe(true)
    network.ip(namespace, 'xfrm policy flush')
    expect(hasIpsec({ netns })).toBe(false)
  }),
)
