/**
 * Rows of the matrix: ends and returns. Graceful restart of ours (RFC 4724, 8538, 9494) and of the
 * router, shutdown (RFC 8326, 9003), removal (RFC 4486), a router that hangs (hold timer) or dies.
 */
import { expect } from 'bun:test'
import { eventually } from '../support/namespaces.ts'
import type { Lan } from './lan.ts'
import { ALL, ALL_ROUTES, FIRST, IPV4, IPV4_ROUTES, SIXTH } from './routes.ts'
import type { Row } from './rows.ts'

const BOTH = { families: ['ipv4', 'ipv6'] } as const
const FIRST_ROUTES = { '10.0.1.0/25': '10.9.0.11' }

async function seesDown(lan: Lan): Promise<void> {
  await eventually('the router sees the session down', () => !lan.router.established())
}

export const RESTART_ROWS = {
  restart: {
    title:
      'graceful restart of ours (RFC 4724), twice in a row: no route leaves; what is not announced again goes after End-of-RIB',
    options: { ...BOTH, owner: true },
    async run(lan) {
      const first = await lan.comesUp(ALL, ALL_ROUTES, 40)
      const removed = await lan.watchRemovedRoutes()
      const traffic = lan.router.installs ? await lan.traffic() : undefined
      await first.speaker.close({ mode: 'restart' })
      await seesDown(lan)
      await Bun.sleep(1000)
      expect(lan.routes()).toEqual(ALL_ROUTES)

      const second = lan.speaker(ALL, { restarting: true })
      await lan.established(second, 40)
      await second.speaker.close({ mode: 'restart' })

      const third = lan.speaker([FIRST, SIXTH], { restarting: true })
      await lan.established(third, 40)
      await lan.routesBecome({ '10.0.1.0/25': '10.9.0.11', 'fd01:1::/64': 'fd00:9::11' })
      const { sent, lost } = (await traffic?.()) ?? { sent: 0, lost: 0 }
      expect(await removed()).toEqual(['10.0.2.0/25'])
      expect(lost).toBe(0)
      return traffic === undefined ? undefined : `${sent} packets sent through the switch meanwhile, ${lost} lost`
    },
  },
  restartDialled: {
    title: 'graceful restart of ours, and the router dials in meanwhile',
    options: { ...BOTH, neighbour: { passive: false }, peer: { passive: true } },
    async run(lan) {
      const first = await lan.comesUp(ALL, ALL_ROUTES, 40)
      const removed = await lan.watchRemovedRoutes()
      await first.speaker.close({ mode: 'restart' })
      const second = lan.speaker(ALL, { restarting: true })
      await lan.established(second, 40)
      await lan.routesBecome(ALL_ROUTES)
      expect(await removed()).toEqual([])
    },
  },
  restartExpires: {
    title: 'the restart time passes without us: the routes go',
    options: { peer: { gracefulRestart: { enabled: true, restartTimeSeconds: 2 } } },
    async run(lan) {
      const running = await lan.comesUp([FIRST], FIRST_ROUTES)
      await running.speaker.close({ mode: 'restart' })
      await seesDown(lan)
      await lan.routesBecome({}, 30)
    },
  },
  longLived: {
    title: 'long-lived graceful restart (RFC 9494): after the restart time the routes stay as a last resort',
    options: {
      neighbour: { longLivedSeconds: 60 },
      peer: { gracefulRestart: { enabled: true, restartTimeSeconds: 1, longLivedSeconds: 60 } },
    },
    async run(lan) {
      const running = await lan.comesUp([FIRST], FIRST_ROUTES)
      expect(running.speaker.sessions()[0]?.negotiated?.capabilities).toContain('long-lived-graceful-restart')
      await running.speaker.close({ mode: 'restart' })
      await eventually('the route is marked LLGR_STALE', () => {
        const shown = lan.router.route(FIRST.prefix)
        if (!/65535[:,] ?6\b|llgr.?stale/i.test(shown)) throw new Error(shown)
        return true
      })
      expect(lan.routes()).toEqual(FIRST_ROUTES)
    },
  },
  withoutRestart: {
    title: 'without graceful restart a closed session takes the routes along',
    options: { peer: { gracefulRestart: { enabled: false, restartTimeSeconds: 120 } } },
    async run(lan) {
      const running = await lan.comesUp([FIRST], FIRST_ROUTES)
      expect(running.speaker.sessions()[0]?.neighbor.gracefulRestart).toBeUndefined()
      await running.speaker.close({ mode: 'restart' })
      await lan.routesBecome({})
    },
  },
  timersChanged: {
    title: 'changed timers: opened anew without a route leaving',
    options: BOTH,
    async run(lan) {
      const running = await lan.comesUp(ALL, ALL_ROUTES, 40)
      const removed = await lan.watchRemovedRoutes()
      running.speaker.setPeers([{ ...lan.config, holdTimeSeconds: 30 }])
      await eventually(
        'the new hold time is agreed',
        () => running.speaker.sessions()[0]?.negotiated?.holdTimeSeconds === 30,
      )
      await lan.routesBecome(ALL_ROUTES)
      expect(await removed()).toEqual([])
    },
  },
  switchRestarts: {
    title: 'the router dies and comes back: it gets everything again',
    options: BOTH,
    async run(lan) {
      const running = await lan.comesUp(ALL, ALL_ROUTES, 40)
      lan.router.signal('SIGKILL')
      const lost = await running.event('lost')
      expect(['closed', 'reset']).toContain(lost.error.kind)
      await lan.router.start()
      await lan.established(running, 40)
      await lan.routesBecome(ALL_ROUTES)
    },
  },
  switchRestartsGracefully: {
    title: 'graceful restart of the router (RFC 4724): it gets everything and End-of-RIB; its kernel keeps the routes',
    options: { peer: { connectRetrySeconds: 1 } },
    async run(lan) {
      const running = await lan.comesUp(IPV4, IPV4_ROUTES)
      const removed = lan.router.installs ? await lan.watchRemovedRoutes() : undefined
      await lan.router.stopForRestart()
      await running.event('lost')
      if (lan.router.installs) expect(lan.routes()).toEqual(IPV4_ROUTES)
      await lan.router.start({ recovering: true })
      await lan.established(running, 40)
      await lan.routesBecome(IPV4_ROUTES)
      await running.event('graceful-restart', ({ detail }) => detail === 'the peer has restarted')
      if (removed !== undefined) expect(await removed()).toEqual([])
    },
  },
  holdTimer: {
    title: 'the router hangs: the hold timer expires, and the session comes back with it',
    options: { ...BOTH, peer: { holdTimeSeconds: 3 } },
    async run(lan) {
      const running = await lan.comesUp(ALL, ALL_ROUTES, 40)
      lan.router.signal('SIGSTOP')
      const lost = await running.event('lost')
      lan.router.signal('SIGCONT')
      expect(lost.error.kind).toBe('hold-timer-expired')
      expect(lost.error.notification).toMatchObject({ sent: true, code: 4 })
      await eventually('established again', () => running.speaker.sessions()[0]?.state === 'Established')
      await lan.routesBecome(ALL_ROUTES)
      expect(running.speaker.sessions()[0]?.flaps).toBe(1)
    },
  },
  shutdown: {
    title: 'administrative shutdown by us: withdrawn, then Cease with a message (RFC 4486, 9003)',
    options: BOTH,
    async run(lan) {
      const running = await lan.comesUp(ALL, ALL_ROUTES, 40)
      await running.speaker.close({ mode: 'shutdown', reason: 'node leaves' })
      await lan.routesBecome({})
      await seesDown(lan)
      return /node leaves/.test(lan.router.show()) ? 'shows the message' : undefined
    },
  },
  drain: {
    title: 'drain (RFC 8326): GRACEFUL_SHUTDOWN first, withdrawn after it',
    async run(lan) {
      const running = await lan.comesUp(IPV4, IPV4_ROUTES)
      const closed = running.speaker.close({ mode: 'shutdown', reason: 'drained', forewarnMilliseconds: 3000 })
      await eventually('the community is there', () => {
        const shown = lan.router.route(FIRST.prefix)
        if (!/65535[:,] ?0\b|graceful.?shutdown|planned-shut/i.test(shown)) throw new Error(shown)
        return true
      })
      expect(lan.routes()).toEqual(IPV4_ROUTES)
      await closed
      await lan.routesBecome({})
      await seesDown(lan)
    },
  },
  shutDownByPeer: {
    title: 'administrative shutdown by the router: its message is told (RFC 9003)',
    async run(lan) {
      await lan.router.start()
      const running = lan.speaker(IPV4)
      await lan.established(running)
      lan.router.shutdown('closing for lunch')
      const lost = await running.event('lost')
      expect(lost.error.notification).toMatchObject({ sent: false, code: 6 })
      const { message } = lost.error
      expect(message).toMatch(/Administrative Shutdown|Cease \/ Hard Reset/)
      if (!message.includes('closing for lunch')) return 'it sends no message'
      return message.includes('Administrative Shutdown') ? undefined : 'a Hard Reset that holds the message alone'
    },
  },
  removed: {
    title: 'the peer is de-configured here: withdrawn, then Cease (RFC 4486)',
    options: BOTH,
    async run(lan) {
      const running = await lan.comesUp(ALL, ALL_ROUTES, 40)
      running.speaker.setPeers([])
      await lan.routesBecome({})
      expect(running.speaker.sessions()).toEqual([])
      await seesDown(lan)
    },
  },
  removedByPeer: {
    title: 'the peer is de-configured there: the error says so',
    async run(lan) {
      await lan.router.start()
      const running = lan.speaker(IPV4)
      await lan.established(running)
      lan.router.deconfigure()
      const lost = await running.event('lost')
      expect(['notification-received', 'closed', 'reset']).toContain(lost.error.kind)
      return lost.error.kind === 'notification-received' ? lost.error.notification?.text : 'it closes without a word'
    },
  },
} as const satisfies Readonly<Record<string, Row>>
