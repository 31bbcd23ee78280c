/**
 * Sessions against real routers, and what their kernels make of our announcements: families, TCP MD5, GTSM, eBGP and iBGP, who dials.
 */
import { expect } from 'bun:test'
import { Secret } from '../../src/lib/secret.ts'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { KEY, Lan, type LanOptions } from './lan.ts'
import { ROUTER_NEEDS, type RouterKind } from './routers.ts'

const IPV4 = [
  { prefix: '10.0.1.0/25', nextHop: '10.9.0.11' },
  { prefix: '10.0.2.0/25', nextHop: '10.9.0.12' },
]
const IPV4_ROUTES = { '10.0.1.0/25': '10.9.0.11', '10.0.2.0/25': '10.9.0.12' }
const IPV6 = [{ prefix: 'fd01:1::/64', nextHop: 'fd00:9::11' }]
const IPV6_ROUTES = { 'fd01:1::/64': 'fd00:9::11' }

for (const kind of ['bird', 'frr'] satisfies RouterKind[]) {
  const withLan = (name: string, options: LanOptions, body: (lan: Lan) => Promise<void>) =>
    testNeeding(...ROUTER_NEEDS[kind])(
      `${kind}: ${name}`,
      async () => {
        const lan = new Lan(kind, options)
        try {
          await lan.router.start()
          await body(lan)
        } finally {
          await lan.close()
        }
      },
      60_000,
    )

  withLan('IPv4: the next hop in the kernel is the owning node, and only changes go out', {}, async lan => {
    const running = lan.speaker(IPV4)
    await lan.established(running)
    await lan.routesBecome(IPV4_ROUTES)
    const sent = () => running.speaker.sessions()[0]?.messages.sent ?? 0
    const before = sent()
    running.speaker.setAnnouncements(KEY, [
      { prefix: '10.0.1.0/25', nextHop: '10.9.0.11' },
      { prefix: '10.0.3.0/25', nextHop: '10.9.0.13' },
    ])
    await lan.routesBecome({ '10.0.1.0/25': '10.9.0.11', '10.0.3.0/25': '10.9.0.13' })
    expect(sent() - before).toBe(2)
    running.speaker.setAnnouncements(KEY, [])
    await lan.routesBecome({})
  })

  withLan('IPv6', { over: 'ipv6' }, async lan => {
    const running = lan.speaker(IPV6)
    await lan.established(running)
    await lan.routesBecome(IPV6_ROUTES)
  })

  withLan(
    'both families over one session, TCP MD5 and GTSM',
    {
      families: ['ipv4', 'ipv6'],
      neighbour: { password: 'correct-horse', ttlSecurity: 1 },
    },
    async lan => {
      const running = lan.speaker([...IPV4, ...IPV6])
      await lan.established(running)
      await lan.routesBecome({ ...IPV4_ROUTES, ...IPV6_ROUTES })
    },
  )

  withLan('iBGP', { switchAs: 65010 }, async lan => {
    const running = lan.speaker(IPV4)
    await lan.established(running)
    await lan.routesBecome(IPV4_ROUTES)
  })

  withLan('4-octet AS on both sides', { switchAs: 4_200_000_001, peer: { localAs: 4_200_000_002 } }, async lan => {
    const running = lan.speaker(IPV4)
    await lan.established(running)
    await lan.routesBecome(IPV4_ROUTES)
  })

  withLan(
    'the peer dials us, with TCP MD5 and GTSM',
    {
      neighbour: { passive: false, password: 'correct-horse', ttlSecurity: 1 },
      peer: { passive: true },
    },
    async lan => {
      const running = lan.speaker(IPV4)
      await lan.established(running)
      await lan.routesBecome(IPV4_ROUTES)
    },
  )

  withLan('both sides dial: one session remains and stays', { neighbour: { passive: false } }, async lan => {
    const running = lan.speaker(IPV4)
    await lan.established(running)
    await lan.routesBecome(IPV4_ROUTES)
    await Bun.sleep(2500) // longer than both sides' connect retry
    expect(running.events.filter(event => event.kind === 'lost')).toEqual([])
    expect(running.speaker.sessions()[0]).toMatchObject({ state: 'Established', flaps: 0 })
  })

  withLan(
    'a wrong password is suspected, the right one heals it, live',
    { neighbour: { password: 'correct-horse' } },
    async lan => {
      const running = lan.speaker(IPV4)
      const wrong = { ...lan.config, password: new Secret('battery-staple'), connectRetrySeconds: 2 }
      running.speaker.setPeers([wrong])
      const failed = await running.event('failed', event => event.error.kind === 'timed-out', 20)
      expect(failed.error.message).toContain('a wrong password looks like this')
      running.speaker.setPeers([{ ...lan.config, connectRetrySeconds: 2 }])
      await lan.established(running)
      await lan.routesBecome(IPV4_ROUTES)
    },
  )

  withLan(
    'a password rotated on both sides, without the routes leaving',
    {
      neighbour: { password: 'first', passive: true },
    },
    async lan => {
      const running = lan.speaker(IPV4)
      await lan.established(running)
      await lan.routesBecome(IPV4_ROUTES)
      const { neighbour } = lan.routerConfig
      running.speaker.setPeers([{ ...lan.config, password: new Secret('second') }])
      lan.router.configure({ ...lan.routerConfig, neighbour: { ...neighbour, password: 'second' } })
      await running.event('lost')
      await eventually(
        'established again',
        () => running.events.filter(({ kind: what }) => what === 'established').length > 1,
        30,
      )
      await lan.routesBecome(IPV4_ROUTES)
    },
  )

  withLan(
    'IPv4 prefixes over IPv6 next hops, on a LAN with IPv6 only (RFC 8950)',
    { over: 'ipv6', families: ['ipv4', 'ipv6'], neighbour: { extendedNextHop: true } },
    async lan => {
      const running = lan.speaker([{ prefix: '10.0.1.0/25', nextHop: 'fd00:9::11' }, ...IPV6])
      await lan.established(running)
      await lan.routesBecome({ '10.0.1.0/25': 'fd00:9::11', ...IPV6_ROUTES })
    },
  )

  withLan('wrong AS says which', { peer: { peerAs: 65099 } }, async lan => {
    const running = lan.speaker(IPV4)
    const failed = await running.event('failed')
    expect(failed.error.kind).toBe('wrong-as')
    expect(failed.error.message).toContain('the peer says AS 65001, the BGPPeer says 65099')
  })

  withLan('refused, when no router listens', { peer: { peerPort: 1179 } }, async lan => {
    const running = lan.speaker(IPV4)
    const failed = await running.event('failed')
    expect(failed.error.kind).toBe('refused')
    expect(failed.error.message).toBe('connection refused: is BGP running on 10.9.0.254 port 1179?')
  })
}

testNeeding(...ROUTER_NEEDS.bird)(
  'bird: a peer of 2-octet AS numbers (RFC 6793)',
  async () => {
    const lan = new Lan('bird', { neighbour: { fourOctetAs: false } })
    try {
      await lan.router.start()
      const running = lan.speaker(IPV4)
      await lan.established(running)
      await lan.routesBecome(IPV4_ROUTES)
      expect(running.speaker.sessions()[0]?.negotiated?.capabilities).not.toContain('four-octet-as')
    } finally {
      await lan.close()
    }
  },
  60_000,
)
