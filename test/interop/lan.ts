/**
 * A LAN for interop tests: a node with our speaker, a switch with a real router, a wire between them. The speaker runs in the test's
 * process; only its sockets are opened inside the node's namespace.
 */
import { createSpeaker } from '../../src/bgp/speaker.ts'
import type { Announcement, PeerConfig, SessionEvent, Speaker } from '../../src/bgp/speaker-types.ts'
import { createTransport } from '../../src/bgp/transport.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import type { Neighbour, Router, RouterConfig } from './router-types.ts'
import { createRouter, type RouterKind } from './routers.ts'

export const NODE = { ipv4: '10.9.0.1', ipv6: 'fd00:9::1' } as const
export const SWITCH = { ipv4: '10.9.0.254', ipv6: 'fd00:9::254' } as const
export const LOCAL_AS = 65010
export const SWITCH_AS = 65001

export const KEY = 'lan'

/** What differs from: eBGP over IPv4, IPv4 prefixes, the router waits, we dial. */
export interface LanOptions {
  readonly over?: 'ipv4' | 'ipv6'
  readonly families?: readonly ('ipv4' | 'ipv6')[]
  readonly neighbour?: Partial<Neighbour>
  readonly switchAs?: number
  readonly peer?: Partial<PeerConfig>
}

export class Lan {
  readonly network = new TestNetwork()
  readonly router: Router
  readonly node: string
  readonly switch: string
  readonly config: PeerConfig
  readonly routerConfig: RouterConfig
  readonly #speakers: RunningSpeaker[] = []

  constructor(kind: RouterKind, options: LanOptions = {}) {
    this.node = this.network.namespace('node')
    this.switch = this.network.namespace('switch')
    for (const namespace of [this.node, this.switch]) {
      // Addresses are good at once, and routers that advertise prefixes give us no others.
      const off = ['net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.default.accept_ra=0']
      this.network.exec(namespace, ['sysctl', '-qw', ...off])
    }
    this.network.connect(
      { namespace: this.node, interface: 'eth0', addresses: [`${NODE.ipv4}/24`, `${NODE.ipv6}/64`] },
      { namespace: this.switch, interface: 'eth0', addresses: [`${SWITCH.ipv4}/24`, `${SWITCH.ipv6}/64`] },
    )
    const over = options.over ?? 'ipv4'
    const families = options.families ?? [over]
    const switchAs = options.switchAs ?? SWITCH_AS
    const neighbour: Neighbour = {
      address: NODE[over],
      asNumber: options.neighbour?.asNumber ?? options.peer?.localAs ?? LOCAL_AS,
      families,
      passive: true,
      ...options.neighbour,
    }
    this.routerConfig = { asNumber: switchAs, routerId: SWITCH.ipv4, neighbour }
    this.router = createRouter(kind, this.network, this.switch, this.routerConfig)
    this.config = {
      key: KEY,
      localAs: LOCAL_AS,
      peerAs: switchAs,
      peerAddress: SWITCH[over],
      peerPort: 179,
      routerId: NODE.ipv4,
      holdTimeSeconds: 90,
      connectRetrySeconds: 5,
      gracefulRestart: { enabled: true, restartTimeSeconds: 120 },
      families,
      passive: false,
      ...(neighbour.password !== undefined && { password: new Secret(neighbour.password) }),
      ...(neighbour.ttlSecurity !== undefined && { ttlSecurity: neighbour.ttlSecurity }),
      ...options.peer,
    }
  }

  /** A speaker on the node that announces and has its peer; it is closed with the LAN. */
  speaker(announcements: readonly Announcement[], options: { restarting?: boolean } = {}): RunningSpeaker {
    const speaker = createSpeaker({
      clock: systemClock,
      log: silentLog,
      listen: { port: 179 },
      restarting: options.restarting ?? false,
      transport: createTransport({
        clock: systemClock,
        within: action => inNetworkNamespace(this.network.path(this.node), action),
      }),
    })
    const running = new RunningSpeaker(speaker)
    this.#speakers.push(running)
    speaker.setAnnouncements(KEY, announcements)
    speaker.setPeers([this.config])
    return running
  }

  /** Waits for the session on both sides. */
  async established({ speaker }: RunningSpeaker, seconds = 15): Promise<void> {
    try {
      await eventually('session established', () => speaker.sessions()[0]?.state === 'Established', seconds)
      await eventually('session established at the router', () => this.router.established())
    } catch (error) {
      throw new Error(`${this.router.show()}\n${JSON.stringify(speaker.sessions())}`, { cause: error })
    }
  }

  /** The gateways of the routes in the switch's kernel, by prefix; an IPv4 route via IPv6 has that gateway. */
  kernelRoutes(): Record<string, string> {
    const routes = ['-4', '-6'].flatMap(
      family =>
        JSON.parse(this.network.ip(this.switch, `-j ${family} route show`) || '[]') as {
          dst: string
          gateway?: string
          via?: { host: string }
        }[],
    )
    return Object.fromEntries(
      routes.flatMap(({ dst, gateway, via }) => {
        const hop = gateway ?? via?.host
        return hop === undefined ? [] : [[dst, hop]]
      }),
    )
  }

  /** Waits until the router itself has exactly these routes from us: for those that do not install them. */
  async learns(expected: Readonly<Record<string, string>>): Promise<void> {
    const wanted = JSON.stringify(sorted(expected))
    await eventually(`the router has ${wanted}`, () => {
      const actual = JSON.stringify(sorted(this.router.routes()))
      if (actual !== wanted) throw new Error(actual)
      return true
    })
  }

  /** Waits until the switch's kernel has exactly these routes with gateways. */
  async routesBecome(expected: Readonly<Record<string, string>>, seconds = 15): Promise<void> {
    const wanted = JSON.stringify(sorted(expected))
    await eventually(
      `routes in the switch's kernel are ${wanted}`,
      () => {
        const actual = JSON.stringify(sorted(this.kernelRoutes()))
        if (actual !== wanted) throw new Error(actual)
        return true
      },
      seconds,
    )
  }

  /** From now on notes every route via a gateway that the switch's kernel loses; the result gives their prefixes so far. */
  async watchRemovedRoutes(): Promise<() => Promise<string[]>> {
    const monitor = this.network.spawn(this.switch, ['ip', 'monitor', 'route'])
    let text = ''
    void (async () => {
      for await (const chunk of monitor.stdout) text += new TextDecoder().decode(chunk)
    })()
    let marks = 0
    // A route that comes and goes, seen by the monitor: everything before it was seen too.
    const upToNow = async () => {
      const mark = `192.0.2.${++marks}`
      await eventually('ip monitor works', () => {
        this.network.ip(this.switch, `route replace ${mark} via ${NODE.ipv4}`)
        this.network.ip(this.switch, `route del ${mark}`)
        return text.includes(`Deleted ${mark}`)
      })
    }
    await upToNow()
    return async () => {
      await upToNow()
      const removed = [...text.matchAll(/^Deleted (\S+) .*\bvia\b/gm)].map(([, prefix = '']) => prefix)
      return removed.filter(prefix => !prefix.startsWith('192.0.2.'))
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#speakers.map(({ speaker }) => speaker.close({ mode: 'restart' })))
    this.router.close()
    await this.network.close()
  }
}

/** A speaker and everything it has told so far. */
export class RunningSpeaker {
  readonly speaker: Speaker
  readonly events: SessionEvent[] = []

  constructor(speaker: Speaker) {
    this.speaker = speaker
    speaker.onEvent(event => this.events.push(event))
  }

  async event<K extends SessionEvent['kind']>(
    kind: K,
    accept: (event: Extract<SessionEvent, { kind: K }>) => boolean = () => true,
    seconds = 15,
  ): Promise<Extract<SessionEvent, { kind: K }>> {
    const found = (event: SessionEvent): event is Extract<SessionEvent, { kind: K }> => event.kind === kind
    return await eventually(`event ${kind}`, () => this.events.filter(found).find(accept), seconds)
  }
}

function sorted(routes: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(routes).sort(([a], [b]) => (a < b ? -1 : 1))
}
