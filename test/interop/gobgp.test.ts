/**
 * Sessions with GoBGP. It does not install routes, so what it learned is asked of itself; the kernel's table is checked with BIRD and
 * FRR (sessions.test.ts). Nor does it ask for a route refresh: it keeps what it received and looks at that again.
 */
import { expect } from 'bun:test'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { KEY, Lan, type LanOptions } from './lan.ts'
import { ROUTER_NEEDS } from './routers.ts'

const IPV4 = [
  { prefix: '10.0.1.0/25', nextHop: '10.9.0.11' },
  { prefix: '10.0.2.0/25', nextHop: '10.9.0.12' },
]
const IPV4_ROUTES = { '10.0.1.0/25': '10.9.0.11', '10.0.2.0/25': '10.9.0.12' }
const IPV6 = [{ prefix: 'fd01:1::/64', nextHop: 'fd00:9::11' }]
const IPV6_ROUTES = { 'fd01:1::/64': 'fd00:9::11' }

function withLan(name: string, options: LanOptions, body: (lan: Lan) => Promise<void>): void {
  testNeeding(...ROUTER_NEEDS.gobgp)(
    `gobgp: ${name}`,
    async () => {
      const lan = new Lan('gobgp', options)
      try {
        await lan.router.start()
        await body(lan)
      } finally {
        await lan.close()
      }
    },
    60_000,
  )
}

withLan(
  'both families over one session, TCP MD5, a change',
  { families: ['ipv4', 'ipv6'], neighbour: { password: 'correct-horse' } },
  async lan => {
    const running = lan.speaker([...IPV4, ...IPV6])
    await lan.established(running)
    await lan.learns({ ...IPV4_ROUTES, ...IPV6_ROUTES })
    running.speaker.setAnnouncements(KEY, IPV4)
    await lan.learns(IPV4_ROUTES)
  },
)

withLan('iBGP over IPv6', { over: 'ipv6', switchAs: 65010 }, async lan => {
  const running = lan.speaker(IPV6)
  await lan.established(running)
  await lan.learns(IPV6_ROUTES)
})

withLan('the peer dials us', { neighbour: { passive: false }, peer: { passive: true } }, async lan => {
  const running = lan.speaker(IPV4)
  await lan.established(running, 30)
  await lan.learns(IPV4_ROUTES)
})

withLan('graceful restart: the routes stay, what is gone goes after End-of-RIB', {}, async lan => {
  const first = lan.speaker(IPV4)
  await lan.established(first)
  await lan.learns(IPV4_ROUTES)
  await first.speaker.close({ mode: 'restart' })
  await eventually('the router sees the session down', () => !lan.router.established())
  expect(lan.router.routes()).toEqual(IPV4_ROUTES)
  const second = lan.speaker(IPV4.slice(0, 1), { restarting: true })
  await lan.established(second)
  await lan.learns({ '10.0.1.0/25': '10.9.0.11' })
})

withLan('shutdown: a Hard Reset (RFC 8538) or a Cease, and no route is kept', {}, async lan => {
  const running = lan.speaker(IPV4)
  await lan.established(running)
  await lan.learns(IPV4_ROUTES)
  await running.speaker.close({ mode: 'shutdown', reason: 'node leaves' })
  await lan.learns({})
})
