/**
 * Rows of the matrix: sessions that come up (or do not, saying why), and what the router learns
 * from them.
 */
import { expect } from 'bun:test'
import { createBfd } from '../../src/bfd/bfd.ts'
import type { Speaker } from '../../src/bgp/speaker-types.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { eventually } from '../support/namespaces.ts'
import { KEY } from './lan.ts'
import { ALL, ALL_ROUTES, FIRST, IPV4, IPV4_ROUTES, IPV6, IPV6_ROUTES, SIXTH } from './routes.ts'
import type { Row } from './rows.ts'

/** Of the first session. */
function messagesSent(speaker: Speaker): number {
  const { sent } = speaker.sessions()[0]?.neighbor ?? {}
  return Object.values(sent ?? {}).reduce((sum, count) => sum + count, 0)
}

const BOTH = ['ipv4', 'ipv6'] as const
const SECOND_ADDRESS = '10.9.0.3'
/** Pairs of numbers, none zero, so that addresses have one spelling. */
const MANY = Array.from({ length: 1500 }, (_, index) => [100 + Math.floor(index / 250), 1 + (index % 250)] as const)

export const SESSION_ROWS = {
  ipv4: {
    title: 'IPv4 (RFC 4271): the next hop is the owning node; only changes go out',
    async run(lan) {
      const running = await lan.comesUp(IPV4, IPV4_ROUTES)
      const sent = () => messagesSent(running.speaker)
      const before = sent()
      running.speaker.setAnnouncements(KEY, [FIRST, { prefix: '10.0.3.0/25', nextHop: '10.9.0.13' }])
      await lan.routesBecome({ '10.0.1.0/25': '10.9.0.11', '10.0.3.0/25': '10.9.0.13' })
      expect(sent() - before).toBe(2)
      running.speaker.setAnnouncements(KEY, [])
      await lan.routesBecome({})
    },
  },
  ipv6: {
    title: 'IPv6 (RFC 4760)',
    options: { over: 'ipv6' },
    async run(lan) {
      await lan.comesUp(IPV6, IPV6_ROUTES)
    },
  },
  both: {
    title: 'both families over one session',
    options: { families: BOTH },
    async run(lan) {
      await lan.comesUp(ALL, ALL_ROUTES)
    },
  },
  extendedNextHop: {
    title: 'IPv4 prefixes over IPv6 next hops, on a LAN of IPv6 alone (RFC 8950)',
    options: { over: 'ipv6', families: BOTH, neighbour: { extendedNextHop: true } },
    async run(lan) {
      const announcements = [{ prefix: '10.0.1.0/25', nextHop: 'fd00:9::11' }, ...IPV6]
      await lan.comesUp(announcements, { '10.0.1.0/25': 'fd00:9::11', ...IPV6_ROUTES })
    },
  },
  ebgp: {
    title: 'eBGP: our AS in AS_PATH, no LOCAL_PREF of ours',
    async run(lan) {
      await lan.comesUp(IPV4, IPV4_ROUTES)
      expect(lan.router.route(FIRST.prefix)).toContain('65010')
    },
  },
  ibgp: {
    title: 'iBGP: LOCAL_PREF 100, next hop kept',
    options: { switchAs: 65010 },
    async run(lan) {
      await lan.comesUp(IPV4, IPV4_ROUTES)
      expect(lan.router.route(FIRST.prefix)).toMatch(/local.?pref(erence)?"?:? ?100/i)
    },
  },
  multihop: {
    title: 'eBGP multihop, a router in between',
    options: { far: true, neighbour: { multihop: 2 }, peer: { ebgpMultihop: 2 } },
    async run(lan) {
      await lan.router.start()
      const running = lan.speaker(IPV4)
      await lan.established(running)
      await lan.learns(IPV4_ROUTES)
      if (!lan.router.installs) return
      // The next hops are nodes behind the router in between.
      await lan.routesBecome({
        '10.9.0.0/24': '10.8.0.2',
        '10.0.1.0/25': '10.8.0.2',
        '10.0.2.0/25': '10.8.0.2',
      })
    },
  },
  sourceAddress: {
    title: 'a source address that is not the first of the interface',
    options: { neighbour: { address: SECOND_ADDRESS }, peer: { sourceAddress: SECOND_ADDRESS } },
    async run(lan) {
      lan.network.ip(lan.node, `addr add ${SECOND_ADDRESS}/24 dev eth0`)
      const running = await lan.comesUp(IPV4, IPV4_ROUTES)
      expect(running.speaker.sessions()[0]?.localAddress).toBe(SECOND_ADDRESS)
    },
  },
  many: {
    title: '1,500 IPv6 prefixes at once, in messages as large as agreed (RFC 8654)',
    options: { families: BOTH },
    async run(lan) {
      const announcements = MANY.map(([byte, low]) => ({
        prefix: `fd01:${byte}:${low}::/64`,
        nextHop: SIXTH.nextHop,
      }))
      const routes = Object.fromEntries(announcements.map(({ prefix, nextHop }) => [prefix, nextHop]))
      const running = await lan.comesUp(announcements, routes)
      expect(running.speaker.sessions()[0]?.advertisedPrefixes).toBe(announcements.length)
      const both = running.speaker.sessions()[0]?.negotiated?.capabilities ?? []
      return both.includes('extended-message') ? 'messages of up to 65,535 octets' : undefined
    },
  },
  fourOctetAs: {
    title: '4-octet AS numbers on both sides (RFC 6793)',
    options: { switchAs: 4_200_000_001, peer: { localAs: 4_200_000_002 } },
    async run(lan) {
      await lan.comesUp(IPV4, IPV4_ROUTES)
      expect(lan.router.route(FIRST.prefix)).toContain('4200000002')
    },
  },
  twoOctetAs: {
    title: 'a peer of 2-octet AS numbers (RFC 6793)',
    options: { neighbour: { fourOctetAs: false } },
    async run(lan) {
      const running = await lan.comesUp(IPV4, IPV4_ROUTES)
      expect(running.speaker.sessions()[0]?.negotiated?.capabilities).not.toContain('four-octet-as')
      expect(lan.router.route(FIRST.prefix)).toContain('65010')
    },
  },
  asTrans: {
    title: 'a peer of 2-octet AS numbers, ours has 4: AS_TRANS and AS4_PATH (RFC 6793)',
    options: { neighbour: { fourOctetAs: false }, peer: { localAs: 4_200_000_002 } },
    async run(lan) {
      await lan.comesUp(IPV4, IPV4_ROUTES)
      const shown = lan.router.route(FIRST.prefix)
      expect(shown).toMatch(/4200000002|23456/)
      return shown.includes('4200000002') ? 'shows the 4-octet number, from AS4_PATH' : 'shows AS_TRANS'
    },
  },
  md5: {
    title: 'TCP MD5 (RFC 2385), the right password',
    options: { neighbour: { password: 'correct-horse' } },
    async run(lan) {
      await lan.comesUp(IPV4, IPV4_ROUTES)
    },
  },
  md5Wrong: {
    title: 'TCP MD5, a wrong password: suspected in the error; the right one heals it, live',
    options: { neighbour: { password: 'correct-horse' } },
    async run(lan) {
      await lan.router.start()
      const running = lan.speaker(IPV4)
      const wrong = { ...lan.config, password: new Secret('battery-staple'), connectRetrySeconds: 1 }
      running.speaker.setPeers([wrong])
      const failed = await running.event('failed', event => event.error.kind === 'timed-out', 20)
      expect(failed.error.message).toContain('a wrong password looks like this')
      running.speaker.setPeers([{ ...lan.config, connectRetrySeconds: 1 }])
      await lan.established(running)
      await lan.routesBecome(IPV4_ROUTES)
    },
  },
  md5Rotated: {
    title: 'TCP MD5, changed, removed and added while the session is up',
    options: { neighbour: { password: 'first' }, peer: { connectRetrySeconds: 1 } },
    async run(lan) {
      const running = await lan.comesUp(IPV4, IPV4_ROUTES)
      const { password: _first, ...neighbour } = lan.routerConfig.neighbour
      const { password: _secret, ...config } = lan.config
      const times = () => running.events.filter(({ kind }) => kind === 'established').length
      for (const password of ['second', undefined, 'third']) {
        const before = times()
        lan.router.configure({
          ...lan.routerConfig,
          neighbour: { ...neighbour, ...(password !== undefined && { password }) },
        })
        running.speaker.setPeers([{ ...config, ...(password !== undefined && { password: new Secret(password) }) }])
        await eventually(`established again with ${password ?? 'none'}`, () => times() > before)
        await lan.established(running)
        await lan.routesBecome(IPV4_ROUTES)
      }
    },
  },
  gtsm: {
    title: 'GTSM (RFC 5082)',
    options: { neighbour: { ttlSecurity: 1 } },
    async run(lan) {
      await lan.comesUp(IPV4, IPV4_ROUTES)
    },
  },
  peerDials: {
    title: 'the peer dials us (passive here), with TCP MD5 and GTSM',
    options: {
      neighbour: { passive: false, password: 'correct-horse', ttlSecurity: 1 },
      peer: { passive: true },
    },
    async run(lan) {
      await lan.comesUp(IPV4, IPV4_ROUTES, 40)
    },
  },
  bothDial: {
    title: 'both sides dial: one session remains (RFC 4271 section 6.8)',
    options: { neighbour: { passive: false } },
    async run(lan) {
      const running = await lan.comesUp(IPV4, IPV4_ROUTES)
      await Bun.sleep(2500) // longer than both sides' connect retry
      expect(running.events.filter(event => event.kind === 'lost')).toEqual([])
      expect(running.speaker.sessions()[0]).toMatchObject({ state: 'Established', flaps: 0 })
    },
  },
  wrongAs: {
    title: 'a wrong AS number: both are named',
    options: { peer: { peerAs: 65099 } },
    async run(lan) {
      await lan.router.start()
      const running = lan.speaker(IPV4)
      const failed = await running.event('failed')
      expect(failed.error.kind).toBe('wrong-as')
      expect(failed.error.message).toContain('the peer says AS 65001, the BGPPeer says 65099')
    },
  },
  role: {
    title: 'roles (RFC 9234): provider and customer fit, and ONLY_TO_CUSTOMER goes along; two customers do not fit',
    options: { neighbour: { role: 'customer' }, peer: { role: 'provider', connectRetrySeconds: 1 } },
    async run(lan) {
      const running = await lan.comesUp(IPV4, IPV4_ROUTES)
      expect(running.speaker.sessions()[0]?.negotiated?.capabilities).toContain('role')
      expect(lan.router.route(FIRST.prefix)).toMatch(/otc:? ?65010/i)
      running.speaker.setPeers([{ ...lan.config, role: 'customer' }])
      // Who speaks first says it: both sides check.
      const failed = await running.event('failed', ({ error }) => error.notification?.subcode === 11, 40)
      expect(failed.error.notification).toMatchObject({ code: 2 })
    },
  },
  refresh: {
    title: 'route refresh (RFC 2918, 7313) is answered',
    options: { families: BOTH },
    async run(lan) {
      const running = await lan.comesUp(ALL, ALL_ROUTES)
      const removed = await lan.watchRemovedRoutes()
      const sent = () => messagesSent(running.speaker)
      const before = sent()
      lan.router.refresh()
      await eventually('answered', () => sent() - before >= 3)
      expect(lan.routes()).toEqual(ALL_ROUTES)
      expect(await removed()).toEqual([])
      const both = running.speaker.sessions()[0]?.negotiated?.capabilities ?? []
      return both.includes('enhanced-route-refresh') ? 'with RFC 7313' : undefined
    },
  },
  maximumPrefixes: {
    title: 'its limit of prefixes: told, and not hammered',
    options: { neighbour: { maximumPrefixes: 1 } },
    async run(lan) {
      await lan.router.start()
      const running = lan.speaker(IPV4)
      await running.event('established')
      await Bun.sleep(300) // FRR counts when the next UPDATE arrives
      running.speaker.setAnnouncements(KEY, [...IPV4, { prefix: '10.0.3.0/25', nextHop: '10.9.0.13' }])
      const lost = await running.event('lost', event => event.error.kind === 'notification-received')
      expect(lost.error.notification).toMatchObject({ sent: false, code: 6 })
      expect(lost.error.message).toMatch(/Maximum Number of Prefixes Reached.*: raise its limit of prefixes/)
      await Bun.sleep(3000)
      expect(running.events.filter(event => event.kind === 'established').length).toBe(1)
      expect(running.speaker.sessions()[0]?.state).toBe('Idle')
    },
  },
  bfd: {
    title: 'BFD (RFC 5880, 5881): a path that is gone takes the session down at once',
    options: { neighbour: { bfd: true } },
    async run(lan) {
      const bfd = createBfd({ clock: systemClock, log: silentLog, networkNamespace: lan.network.path(lan.node) })
      try {
        bfd.setSessions([
          {
            key: KEY,
            peerAddress: lan.config.peerAddress,
            interface: 'eth0',
            minimumIntervalMilliseconds: 100,
            multiplier: 3,
          },
        ])
        const running = await lan.comesUp(IPV4, IPV4_ROUTES)
        bfd.onEvent(event => {
          if (event.kind === 'down' && !event.administrative)
            running.speaker.failSession(event.key, { kind: 'bfd-down', reason: event.reason })
        })
        await eventually('BFD is up', () => bfd.sessions()[0]?.state === 'Up')
        lan.router.signal('SIGSTOP')
        const lost = await running.event('lost')
        lan.router.signal('SIGCONT')
        expect(lost.error.kind).toBe('bfd-down')
      } finally {
        await bfd.close()
      }
    },
  },
} as const satisfies Readonly<Record<string, Row>>
