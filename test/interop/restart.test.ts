/**
 * Ends and returns against real routers: graceful restart of ours (RFC 4724), shutdown (RFC 9003), removal (RFC 4486), a router that
 * hangs (hold timer) or dies, its limit of prefixes, route refresh (RFC 2918, 7313).
 */
import { expect } from 'bun:test'
import { eventually } from '../support/namespaces.ts'
import { testNeeding } from '../support/requires.ts'
import { KEY, Lan, type LanOptions } from './lan.ts'
import { ROUTER_NEEDS, type RouterKind } from './routers.ts'

const FIRST = { prefix: '10.0.1.0/25', nextHop: '10.9.0.11' }
const SECOND = { prefix: '10.0.2.0/25', nextHop: '10.9.0.12' }
const SIXTH = { prefix: 'fd01:1::/64', nextHop: 'fd00:9::11' }
const ALL_ROUTES = { '10.0.1.0/25': '10.9.0.11', '10.0.2.0/25': '10.9.0.12', 'fd01:1::/64': 'fd00:9::11' }

for (const kind of ['bird', 'frr'] satisfies RouterKind[]) {
  const withLan = (name: string, options: LanOptions, body: (lan: Lan) => Promise<void>) =>
    testNeeding(...ROUTER_NEEDS[kind])(
      `${kind}: ${name}`,
      async () => {
        const lan = new Lan(kind, { families: ['ipv4', 'ipv6'], ...options })
        try {
          await lan.router.start()
          await body(lan)
        } finally {
          await lan.close()
        }
      },
      60_000,
    )

  withLan(
    'restart, twice in a row: no route leaves, and what is not announced again goes after End-of-RIB',
    {},
    async lan => {
      const first = lan.speaker([FIRST, SECOND, SIXTH])
      await lan.established(first)
      await lan.routesBecome(ALL_ROUTES)
      const removed = await lan.watchRemovedRoutes()
      await first.speaker.close({ mode: 'restart' })
      await eventually('the router sees the session down', () => !lan.router.established())
      expect(lan.kernelRoutes()).toEqual(ALL_ROUTES)

      const second = lan.speaker([FIRST, SECOND, SIXTH], { restarting: true })
      await lan.established(second)
      await second.speaker.close({ mode: 'restart' })

      const third = lan.speaker([FIRST, SIXTH], { restarting: true })
      await lan.established(third)
      await lan.routesBecome({ '10.0.1.0/25': '10.9.0.11', 'fd01:1::/64': 'fd00:9::11' })
      expect(await removed()).toEqual(['10.0.2.0/25'])
    },
  )

  withLan(
    'a router that dials while we restart',
    { neighbour: { passive: false }, peer: { passive: true } },
    async lan => {
      const first = lan.speaker([FIRST, SECOND, SIXTH])
      await lan.established(first)
      await lan.routesBecome(ALL_ROUTES)
      const removed = await lan.watchRemovedRoutes()
      await first.speaker.close({ mode: 'restart' })
      const second = lan.speaker([FIRST, SECOND, SIXTH], { restarting: true })
      await lan.established(second, 30)
      await lan.routesBecome(ALL_ROUTES)
      expect(await removed()).toEqual([])
    },
  )

  withLan(
    'the restart time passes without us: the routes go',
    {
      peer: { gracefulRestart: { enabled: true, restartTimeSeconds: 2 } },
    },
    async lan => {
      const running = lan.speaker([FIRST])
      await lan.established(running)
      await lan.routesBecome({ '10.0.1.0/25': '10.9.0.11' })
      await running.speaker.close({ mode: 'restart' })
      await lan.routesBecome({}, 30)
    },
  )

  withLan(
    'without graceful restart a closed session takes the routes along',
    {
      peer: { gracefulRestart: { enabled: false, restartTimeSeconds: 120 } },
    },
    async lan => {
      const running = lan.speaker([FIRST])
      await lan.established(running)
      await lan.routesBecome({ '10.0.1.0/25': '10.9.0.11' })
      expect(running.speaker.sessions()[0]?.negotiated?.gracefulRestartSeconds).toBeUndefined()
      await running.speaker.close({ mode: 'restart' })
      await lan.routesBecome({})
    },
  )

  withLan('shutdown withdraws and says why', {}, async lan => {
    const running = lan.speaker([FIRST, SECOND, SIXTH])
    await lan.established(running)
    await lan.routesBecome(ALL_ROUTES)
    await running.speaker.close({ mode: 'shutdown', reason: 'node leaves' })
    await lan.routesBecome({})
    await eventually('the router knows the reason', () =>
      /node leaves|Administrative shutdown/i.test(lan.router.show()),
    )
  })

  withLan('a removed peer: withdrawn, then Cease', {}, async lan => {
    const running = lan.speaker([FIRST, SECOND, SIXTH])
    await lan.established(running)
    await lan.routesBecome(ALL_ROUTES)
    running.speaker.setPeers([])
    await lan.routesBecome({})
    expect(running.speaker.sessions()).toEqual([])
    await eventually('the router sees the session down', () => !lan.router.established())
  })

  withLan('changed timers: opened anew without a route leaving', {}, async lan => {
    const running = lan.speaker([FIRST, SECOND, SIXTH])
    await lan.established(running)
    await lan.routesBecome(ALL_ROUTES)
    const removed = await lan.watchRemovedRoutes()
    running.speaker.setPeers([{ ...lan.config, holdTimeSeconds: 30 }])
    await eventually('the new hold time is agreed', () => {
      return running.speaker.sessions()[0]?.negotiated?.holdTimeSeconds === 30
    })
    await lan.routesBecome(ALL_ROUTES)
    expect(await removed()).toEqual([])
  })

  withLan(
    'a router that hangs: the hold timer expires, and the session comes back with it',
    {
      peer: { holdTimeSeconds: 3 },
    },
    async lan => {
      const running = lan.speaker([FIRST, SECOND, SIXTH])
      await lan.established(running)
      await lan.routesBecome(ALL_ROUTES)
      lan.router.signal('SIGSTOP')
      const lost = await running.event('lost')
      lan.router.signal('SIGCONT')
      expect(lost.error.kind).toBe('hold-timer-expired')
      expect(lost.error.notification).toMatchObject({ sent: true, code: 4 })
      await eventually('established again', () => running.speaker.sessions()[0]?.state === 'Established', 40)
      await lan.routesBecome(ALL_ROUTES)
      expect(running.speaker.sessions()[0]?.flaps).toBe(1)
    },
  )

  withLan('a router that dies and comes back gets everything again', {}, async lan => {
    const running = lan.speaker([FIRST, SECOND, SIXTH])
    await lan.established(running)
    await lan.routesBecome(ALL_ROUTES)
    lan.router.signal('SIGKILL')
    const lost = await running.event('lost')
    expect(['closed', 'reset']).toContain(lost.error.kind)
    await lan.router.start()
    await lan.established(running, 40)
    await lan.routesBecome(ALL_ROUTES)
  })

  withLan('route refresh is answered', {}, async lan => {
    const running = lan.speaker([FIRST, SECOND, SIXTH])
    await lan.established(running)
    await lan.routesBecome(ALL_ROUTES)
    const removed = await lan.watchRemovedRoutes()
    const sent = () => running.speaker.sessions()[0]?.messages.sent ?? 0
    const before = sent()
    lan.router.refresh()
    await eventually('answered', () => sent() - before >= 3)
    expect(lan.kernelRoutes()).toEqual(ALL_ROUTES)
    expect(await removed()).toEqual([])
  })

  withLan(
    'the limit of prefixes: told, and not hammered',
    { families: ['ipv4'], neighbour: { maximumPrefixes: 1 } },
    async lan => {
      const running = lan.speaker([FIRST, SECOND])
      await running.event('established')
      // FRR counts when the next UPDATE arrives.
      await Bun.sleep(300)
      running.speaker.setAnnouncements(KEY, [FIRST, SECOND, { prefix: '10.0.3.0/25', nextHop: '10.9.0.13' }])
      const lost = await running.event('lost', event => event.error.kind === 'notification-received')
      expect(lost.error.notification).toMatchObject({ sent: false, code: 6 })
      expect(lost.error.message).toMatch(/Maximum Number of Prefixes Reached.*: raise its limit of prefixes/)
      await Bun.sleep(3000)
      expect(running.events.filter(event => event.kind === 'established').length).toBe(1)
      expect(running.speaker.sessions()[0]?.state).toBe('Idle')
    },
  )
}
