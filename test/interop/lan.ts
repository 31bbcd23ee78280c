/**
 * A LAN for interop tests: a node with our speaker, a switch with a real router, a wire between
 * them, or a router. The speaker runs in the test's process; only its sockets are opened inside the
 * node's namespace.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Announcement, PeerConfig, SessionEvent, Speaker } from '../../src/bgp/speaker-types.ts'
import { createTransport } from '../../src/bgp/tcp/transport.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../src/lib/libc.ts'
import { type Log, type LogFields, silentLog } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { recordedSpeaker } from '../bgp/replay/recorder.ts'
import { type Recording, recordingText } from '../bgp/replay/recording.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import type { Neighbour, Router, RouterConfig } from './router-types.ts'
import { createRouter, type RouterKind } from './routers.ts'

export const NODE = { ipv4: '10.9.0.1', ipv6: 'fd00:9::1' } as const
export const SWITCH = { ipv4: '10.9.0.254', ipv6: 'fd00:9::254' } as const
export const LOCAL_AS = 65010
export const SWITCH_AS = 65001

export const KEY = 'lan'

/** The switch when a router is between it and the node. */
export const FAR_SWITCH = '10.8.0.254'

/** What differs from: eBGP over IPv4, IPv4 prefixes, the router waits, we dial. */
export interface LanOptions {
  readonly over?: 'ipv4' | 'ipv6'
  readonly families?: readonly ('ipv4' | 'ipv6')[]
  readonly neighbour?: Partial<Neighbour>
  readonly switchAs?: number
  readonly peer?: Partial<PeerConfig>
  /** A router between node and switch, which is then at FAR_SWITCH. */
  readonly far?: boolean
  /** Another node in the LAN, 10.9.0.11, with a pod at 10.0.1.1. */
  readonly owner?: boolean
}

export class Lan {
  readonly network = new TestNetwork()
  readonly router: Router
  readonly node: string
  readonly switch: string
  readonly config: PeerConfig
  readonly routerConfig: RouterConfig
  /** What the speakers have logged as a warning or an error. */
  readonly logLines: (LogFields & { readonly msg: string })[] = []
  /** Names the row in recordings. */
  row = ''
  readonly #speakers: RunningSpeaker[] = []
  readonly #recordings: (() => Recording)[] = []
  readonly #kind: RouterKind

  constructor(kind: RouterKind, options: LanOptions = {}) {
    this.#kind = kind
    this.node = this.network.namespace('node')
    this.switch = this.network.namespace('switch')
    for (const namespace of [this.node, this.switch]) {
      // Addresses are good at once, and routers that advertise prefixes give us no others.
      const off = ['net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.default.accept_ra=0']
      this.network.exec(namespace, ['sysctl', '-qw', ...off])
    }
    if (options.far === true) this.#wireFar()
    else this.#wire()
    if (options.owner === true) this.#addOwner()
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
    const address = options.far === true ? FAR_SWITCH : SWITCH[over]
    this.routerConfig = { asNumber: switchAs, routerId: SWITCH.ipv4, address, neighbour }
    this.router = createRouter(kind, this.network, this.switch, this.routerConfig)
    this.config = {
      key: KEY,
      localAs: LOCAL_AS,
      peerAs: switchAs,
      peerAddress: address,
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

  #log(): Log {
    const note = (fields: LogFields, msg: string) => {
      this.logLines.push({ ...fields, msg })
    }
    const log: Log = { ...silentLog, warn: note, error: note, child: () => log }
    return log
  }

  #wire(): void {
    this.network.connect(
      { namespace: this.node, interface: 'eth0', addresses: [`${NODE.ipv4}/24`, `${NODE.ipv6}/64`] },
      { namespace: this.switch, interface: 'eth0', addresses: [`${SWITCH.ipv4}/24`, `${SWITCH.ipv6}/64`] },
    )
  }

  #wireFar(): void {
    const between = this.network.namespace('between')
    this.network.exec(between, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    this.network.connect(
      { namespace: this.node, interface: 'eth0', addresses: [`${NODE.ipv4}/24`] },
      { namespace: between, interface: 'eth0', addresses: ['10.9.0.2/24'] },
    )
    this.network.connect(
      { namespace: between, interface: 'eth1', addresses: ['10.8.0.2/24'] },
      { namespace: this.switch, interface: 'eth0', addresses: [`${FAR_SWITCH}/24`] },
    )
    this.network.ip(this.node, 'route add 10.8.0.0/24 via 10.9.0.2')
    this.network.ip(this.switch, 'route add 10.9.0.0/24 via 10.8.0.2')
  }

  /** The switch gets a bridge with two ports. */
  #addOwner(): void {
    const owner = this.network.namespace('owner')
    this.network.connect(
      { namespace: owner, interface: 'eth0', addresses: ['10.9.0.11/24'] },
      { namespace: this.switch, interface: 'eth1' },
    )
    this.network.ip(owner, 'addr add 10.0.1.1/32 dev lo')
    this.network.ip(this.switch, 'link add br0 type bridge')
    for (const port of ['eth0', 'eth1']) {
      this.network.ip(this.switch, `addr flush dev ${port}`)
      this.network.ip(this.switch, `link set ${port} master br0`)
    }
    this.network.ip(this.switch, `addr add ${SWITCH.ipv4}/24 dev br0`)
    this.network.ip(this.switch, `addr add ${SWITCH.ipv6}/64 dev br0 nodad`)
    this.network.ip(this.switch, 'link set br0 up')
  }

  /**
   * Packets from the switch to the pod of the other node, 50 a second; the result ends that and
   * counts them.
   */
  async traffic(): Promise<() => Promise<{ sent: number; lost: number }>> {
    const ping = this.network.spawn(this.switch, ['ping', '-n', '-i', '0.02', '10.0.1.1'])
    let text = ''
    void (async () => {
      for await (const chunk of ping.stdout) text += new TextDecoder().decode(chunk)
    })()
    const answered = () => new Set([...text.matchAll(/icmp_seq=(\d+)/g)].map(([, sequence]) => Number(sequence)))
    await eventually('the pod answers', () => answered().size > 5)
    return async () => {
      const before = answered().size
      await eventually('the pod goes on to answer', () => answered().size > before + 5)
      ping.kill('SIGINT')
      await ping.exited
      const sent = Math.max(...answered())
      return { sent, lost: sent - answered().size }
    }
  }

  /**
   * What the switch has from us: in its kernel's table where the router installs routes, else as
   * the router says.
   */
  routes(): Record<string, string> {
    return this.router.installs ? this.kernelRoutes() : this.router.routes()
  }

  /** A speaker on the node that announces and has its peer; it is closed with the LAN. */
  speaker(announcements: readonly Announcement[], options: { restarting?: boolean } = {}): RunningSpeaker {
    const speakerOptions = {
      clock: systemClock,
      log: this.#log(),
      listen: { port: 179 },
      restarting: options.restarting ?? false,
      transport: createTransport({
        clock: systemClock,
        within: action => inNetworkNamespace(this.network.path(this.node), action),
      }),
    }
    const { speaker, recording } = recordedSpeaker(speakerOptions, { router: this.#kind, row: this.row })
    this.#recordings.push(recording)
    const running = new RunningSpeaker(speaker)
    this.#speakers.push(running)
    speaker.setAnnouncements(KEY, announcements)
    speaker.setPeers([this.config])
    return running
  }

  /** Waits for the session on both sides. */
  async established({ speaker }: RunningSpeaker, seconds = 60): Promise<void> {
    try {
      await eventually('session established', () => speaker.sessions()[0]?.state === 'Established', seconds)
      await eventually('session established at the router', () => this.router.established())
    } catch (error) {
      throw new Error(`${this.router.show()}\n${JSON.stringify(speaker.sessions())}`, { cause: error })
    }
  }

  /**
   * Starts the router and a speaker, and waits for the session and for these routes; most rows
   * begin so.
   */
  async comesUp(
    announcements: readonly Announcement[],
    routes: Readonly<Record<string, string>>,
    seconds?: number,
  ): Promise<RunningSpeaker> {
    await this.router.start()
    const running = this.speaker(announcements)
    await this.established(running, seconds)
    await this.routesBecome(routes)
    return running
  }

  /**
   * The gateways of the routes in the switch's kernel, by prefix; an IPv4 route via IPv6 has that
   * gateway.
   */
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

  /** Waits until the router itself has exactly these routes from us. */
  async learns(expected: Readonly<Record<string, string>>, seconds = 60): Promise<void> {
    await this.#become('the router has', { routes: () => this.router.routes(), expected, seconds })
  }

  /** Waits until the switch has exactly these routes (see `routes`). */
  async routesBecome(expected: Readonly<Record<string, string>>, seconds = 60): Promise<void> {
    const what = this.router.installs ? "the switch's kernel has" : 'the router has'
    await this.#become(what, { routes: () => this.routes(), expected, seconds })
  }

  async #become(
    what: string,
    {
      routes,
      expected,
      seconds,
    }: { routes: () => Record<string, string>; expected: Readonly<Record<string, string>>; seconds: number },
  ): Promise<void> {
    const wanted = JSON.stringify(sorted(expected))
    await eventually(
      `${what} ${wanted}`,
      () => {
        const actual = JSON.stringify(sorted(routes()))
        if (actual !== wanted) throw new Error(actual)
        return true
      },
      seconds,
    )
  }

  /**
   * From now on notes every route that the switch loses (see `routes`); the result gives their
   * prefixes so far.
   */
  watchRemovedRoutes(): Promise<() => Promise<string[]>> {
    return this.router.installs ? this.#watchKernel() : this.#watchRouter()
  }

  /** Asks the router many times a second. */
  async #watchRouter(): Promise<() => Promise<string[]>> {
    const removed: string[] = []
    let last = Object.keys(this.router.routes())
    const look = () => {
      const now = Object.keys(this.router.routes())
      removed.push(...last.filter(prefix => !now.includes(prefix)))
      last = now
    }
    const timer = setInterval(look, 100)
    return async () => {
      clearInterval(timer)
      look()
      return removed
    }
  }

  async #watchKernel(): Promise<() => Promise<string[]>> {
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

  /** With TERWAY_EDGE_INTEROP_RECORDINGS, a folder, all that speakers saw and did goes there. */
  #keepRecordings(): void {
    const folder = process.env.TERWAY_EDGE_INTEROP_RECORDINGS
    if (folder === undefined) return
    for (const recording of this.#recordings)
      appendFileSync(join(folder, `${this.#kind}.jsonl`), recordingText(recording()))
  }

  async close(): Promise<void> {
    await Promise.all(this.#speakers.map(({ speaker }) => speaker.close({ mode: 'restart' })))
    this.#keepRecordings()
    try {
      this.router.close()
    } finally {
      await this.network.close()
    }
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
    seconds = 60,
  ): Promise<Extract<SessionEvent, { kind: K }>> {
    const found = (event: SessionEvent): event is Extract<SessionEvent, { kind: K }> => event.kind === kind
    return await eventually(`event ${kind}`, () => this.events.filter(found).find(accept), seconds)
  }
}

function sorted(routes: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(routes).sort(([a], [b]) => (a < b ? -1 : 1))
}
