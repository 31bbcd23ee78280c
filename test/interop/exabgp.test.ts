/**
 * Sessions with ExaBGP. It has no routing table, so what it received is computed from its own output; no graceful restart to test, as
 * it keeps nothing.
 */
import { expect } from 'bun:test'
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
  testNeeding(...ROUTER_NEEDS.exabgp)(
    `exabgp: ${name}`,
    async () => {
      const lan = new Lan('exabgp', options)
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

withLan('both families over one session, and a change', { families: ['ipv4', 'ipv6'] }, async lan => {
  const running = lan.speaker([...IPV4, ...IPV6])
  await lan.established(running)
  await lan.learns({ ...IPV4_ROUTES, ...IPV6_ROUTES })
  running.speaker.setAnnouncements(KEY, [...IPV4.slice(1), ...IPV6])
  await lan.learns({ '10.0.2.0/25': '10.9.0.12', ...IPV6_ROUTES })
})

withLan('iBGP', { switchAs: 65010 }, async lan => {
  const running = lan.speaker(IPV4)
  await lan.established(running)
  await lan.learns(IPV4_ROUTES)
})

withLan('the peer dials us', { neighbour: { passive: false }, peer: { passive: true } }, async lan => {
  const running = lan.speaker(IPV4)
  await lan.established(running, 30)
  await lan.learns(IPV4_ROUTES)
})

withLan('shutdown withdraws', {}, async lan => {
  const running = lan.speaker(IPV4)
  await lan.established(running)
  await lan.learns(IPV4_ROUTES)
  await running.speaker.close({ mode: 'shutdown', reason: 'node leaves' })
  await lan.learns({})
  expect(lan.router.established()).toBe(false)
})
