/**
 * A switch that runs a real daemon on exactly the text that `switch-config` printed, and speakers
 * of ours beside it: one LAN in network namespaces. What a daemon needs beside that text (log,
 * control socket, kernel protocols) is added outside of it.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBfd } from '../../../src/bfd/bfd.ts'
import type { Bfd } from '../../../src/bfd/bfd-types.ts'
import { createSpeaker } from '../../../src/bgp/speaker.ts'
import type { Announcement, Speaker } from '../../../src/bgp/speaker-types.ts'
import { createTransport } from '../../../src/bgp/tcp/transport.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { inNetworkNamespace } from '../../../src/lib/libc.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { compareSwitch, type Difference, type SwitchFacts } from '../../../src/planner/vendors/facts.ts'
import { frr } from '../../../src/planner/vendors/frr.ts'
import { isInternal, type SwitchIntent } from '../../../src/planner/vendors/intent.ts'
import { switchConfigText } from '../../../src/planner/vendors/vendor.ts'
import { VENDORS } from '../../../src/planner/vendors/vendors.ts'
import { OPENBGPD } from '../../interop/router-openbgpd.ts'
import { startFrr } from '../../support/frr.ts'
import { FRR_NEEDS } from '../../support/frr-daemons.ts'
import { eventually, run, TestNetwork } from '../../support/namespaces.ts'
import { programPath } from '../../support/requires.ts'

export type DaemonName = 'frr' | 'bird' | 'gobgp' | 'openbgpd'

export const DAEMON_NEEDS: Readonly<Record<DaemonName, readonly string[]>> = {
  frr: ['root', ...FRR_NEEDS],
  bird: ['root', 'bird', 'birdc'],
  gobgp: ['root', 'gobgpd', 'gobgp'],
  openbgpd: ['root', OPENBGPD, 'bgpctl'],
}

export const PEER_KEY = 'peer'

const readNothing: SwitchFacts = { gracefulRestart: false, neighbours: new Map(), ranges: [] }

export class SwitchLan {
  readonly network = new TestNetwork()
  readonly #name: DaemonName
  readonly #intent: SwitchIntent
  readonly #node: string
  readonly #switch: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'switch-'))
  readonly #speakers: Speaker[] = []
  #bfd: Bfd | undefined
  #control: (...words: string[]) => string = () => ''

  constructor(name: DaemonName, intent: SwitchIntent) {
    this.#name = name
    this.#intent = intent
    this.#node = this.network.namespace('nodes')
    this.#switch = this.network.namespace('switch')
    chmodSync(this.#folder, 0o777)
    for (const namespace of [this.#node, this.#switch])
      this.network.exec(namespace, ['sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0'])
    const long = (address: string) => `${address}/${address.includes(':') ? 64 : 24}`
    this.network.connect(
      { namespace: this.#node, interface: 'eth0', addresses: intent.speakers.map(({ address }) => long(address)) },
      { namespace: this.#switch, interface: 'eth0', addresses: [long(intent.switchAddress)] },
    )
    if (intent.sessionFamily === 'ipv4' && intent.families.includes('ipv6')) {
      this.network.ip(this.#node, 'addr add fd00:16::11/64 dev eth0 nodad')
      this.network.ip(this.#switch, 'addr add fd00:16::1/64 dev eth0 nodad')
    }
  }

  /**
   * Starts the daemon on the text for `intent`, after `edit`; fails when it does not take every
   * line.
   */
  async start(edit: (text: string) => string = text => text): Promise<void> {
    const vendor = VENDORS.find(({ name }) => name === this.#name)
    if (vendor === undefined) throw new Error(`no vendor ${this.#name}`)
    const text = edit(switchConfigText(vendor, this.#intent))
    await { frr: this.#startFrr, bird: this.#startBird, gobgp: this.#startGobgp, openbgpd: this.#startOpenbgpd }[
      this.#name
    ].call(this, text)
  }

  async #startFrr(text: string): Promise<void> {
    this.#control = await startFrr({
      network: this.network,
      namespace: this.#switch,
      folder: this.#folder,
      daemons: this.#intent.bfd === undefined ? [] : ['bfdd'],
      text,
      speakers: this.#intent.speakers.map(({ address }) => address),
    })
  }

  async #startBird(text: string): Promise<void> {
    const folder = this.#folder
    writeFileSync(`${folder}/switch.conf`, text)
    writeFileSync(
      `${folder}/bird.conf`,
      [
        'router id 192.0.2.1;',
        'log stderr all;',
        'protocol device {}',
        'protocol direct { ipv4; ipv6; }',
        'protocol kernel { ipv4 { export where source = RTS_BGP; }; merge paths on; }',
        'protocol kernel { ipv6 { export where source = RTS_BGP; }; merge paths on; }',
        `include "${folder}/switch.conf";`,
      ].join('\n'),
    )
    run([programPath('bird') ?? 'bird', '-p', '-c', `${folder}/bird.conf`])
    this.#control = (...words) => run(['birdc', '-s', `${folder}/bird.ctl`, ...words], { mayFail: true }).stdout
    this.network.spawn(this.#switch, [
      programPath('bird') ?? 'bird',
      '-f',
      '-c',
      `${folder}/bird.conf`,
      '-s',
      `${folder}/bird.ctl`,
    ])
    await eventually('BIRD answers', () => this.#control('show', 'status').includes('up and running'))
  }

  async #startGobgp(text: string): Promise<void> {
    writeFileSync(`${this.#folder}/gobgp.toml`, text)
    this.#control = (...words) => this.network.exec(this.#switch, ['gobgp', ...words], { mayFail: true }).stdout
    const command = ['gobgpd', '-t', 'toml', '-f', `${this.#folder}/gobgp.toml`, '--api-hosts', '127.0.0.1:50051']
    this.network.spawn(this.#switch, command)
    await eventually('GoBGP answers', () =>
      this.#control('neighbor').includes(this.#intent.speakers[0]?.address ?? '?'),
    )
  }

  async #startOpenbgpd(text: string): Promise<void> {
    const file = `${this.#folder}/bgpd.conf`
    const socket = `${this.#folder}/control`
    writeFileSync(file, `socket "${socket}"\n${text}`)
    chmodSync(file, 0o600)
    run([OPENBGPD, '-n', '-f', file])
    this.#control = (...words) => run(['bgpctl', '-s', socket, ...words], { mayFail: true }).stdout
    // its root is the home of its user, which is not there as long as the service is not
    const script = 'mount -t tmpfs none /run && mkdir /run/openbgpd && exec "$0" "$@"'
    this.network.spawn(this.#switch, ['sh', '-c', script, OPENBGPD, '-d', '-f', file])
    await eventually('OpenBGPD answers', () => this.#control('show').includes('Neighbor'))
  }

  /** A speaker of ours for each in the BGPPeer, all with the same announcements. */
  startSpeakers(announcements: readonly Announcement[], password = this.#intent.password): readonly Speaker[] {
    const { switchAs, switchAddress, port, nodesAs, dials } = this.#intent
    const started = this.#intent.speakers.map(({ address }, index) => {
      const speaker = createSpeaker({
        clock: systemClock,
        log: silentLog,
        ...(dials && { listen: { port: 179, addresses: [address] } }),
        restarting: false,
        transport: createTransport({
          clock: systemClock,
          within: action => inNetworkNamespace(this.network.path(this.#node), action),
        }),
      })
      speaker.setAnnouncements(PEER_KEY, announcements)
      speaker.setPeers([
        {
          key: PEER_KEY,
          localAs: nodesAs,
          peerAs: switchAs,
          peerAddress: switchAddress,
          peerPort: port,
          sourceAddress: address,
          routerId: `192.0.2.${11 + index}`,
          holdTimeSeconds: this.#intent.holdTimeSeconds,
          connectRetrySeconds: 2,
          gracefulRestart: {
            enabled: this.#intent.restartTimeSeconds !== undefined,
            restartTimeSeconds: this.#intent.restartTimeSeconds ?? 120,
          },
          families: this.#intent.families,
          passive: dials,
          ...(password !== undefined && { password: new Secret(password) }),
          ...(this.#intent.ttlSecurity !== undefined && { ttlSecurity: this.#intent.ttlSecurity }),
          ...(this.#intent.multihop !== undefined &&
            !isInternal(this.#intent) && { ebgpMultihop: this.#intent.multihop }),
        },
      ])
      return speaker
    })
    this.#speakers.push(...started)
    return started
  }

  async established(speakers: readonly Speaker[], seconds = 60): Promise<void> {
    const states = () => speakers.map(speaker => speaker.sessions()[0])
    try {
      await eventually(
        'all sessions are up',
        () => states().every(session => session?.state === 'Established'),
        seconds,
      )
    } catch (error) {
      throw new Error(`${JSON.stringify(states())}\n${this.show()}`, { cause: error })
    }
  }

  /** The next hops of what the switch took from us, by prefix. */
  routes(): Record<string, string> {
    const found = this.#intent.families.flatMap(family => [...this.#routesOf(family)])
    return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  *#routesOf(family: 'ipv4' | 'ipv6'): Generator<[string, string]> {
    if (this.#name === 'frr' || this.#name === 'bird') {
      const routes = JSON.parse(
        this.network.ip(this.#switch, `-j ${family === 'ipv4' ? '-4' : '-6'} route show`) || '[]',
      ) as {
        dst: string
        gateway?: string
        via?: { host: string }
      }[]
      for (const { dst, gateway, via } of routes) {
        const hop = gateway ?? via?.host
        if (hop !== undefined) yield [dst, hop]
      }
      return
    }
    if (this.#name === 'gobgp') {
      const table = JSON.parse(this.#control('global', 'rib', '-a', family, '-j') || '{}') as Record<
        string,
        { attrs: { nexthop?: string }[] }[]
      >
      for (const [prefix, paths] of Object.entries(table))
        yield [prefix, paths[0]?.attrs.find(({ nexthop }) => nexthop !== undefined)?.nexthop ?? '']
      return
    }
    const { rib = [] } = JSON.parse(
      this.#control('-j', 'show', 'rib', family === 'ipv4' ? 'inet' : 'inet6') || '{}',
    ) as {
      rib?: { prefix: string; exit_nexthop: string }[]
    }
    for (const { prefix, exit_nexthop } of rib) yield [prefix, exit_nexthop]
  }

  async routesBecome(expected: Readonly<Record<string, string>>, seconds = 60): Promise<void> {
    const wanted = JSON.stringify(Object.entries(expected).sort(([a], [b]) => (a < b ? -1 : 1)))
    await eventually(
      `the switch has ${wanted}`,
      () => {
        const actual = JSON.stringify(Object.entries(this.routes()))
        if (actual !== wanted) throw new Error(`${actual}\n${this.show()}`)
        return true
      },
      seconds,
    )
  }

  /** BFD beside the first speaker; it is up when this returns. */
  async startBfd(speaker: Speaker): Promise<Bfd> {
    const { bfd, switchAddress } = this.#intent
    const running = createBfd({ clock: systemClock, log: silentLog, networkNamespace: this.network.path(this.#node) })
    this.#bfd = running
    running.onEvent(event => {
      if (event.kind === 'down') speaker.failSession(PEER_KEY, { kind: 'bfd-down', reason: event.reason })
    })
    running.setSessions([
      {
        key: PEER_KEY,
        peerAddress: switchAddress,
        interface: 'eth0',
        minimumIntervalMilliseconds: bfd?.intervalMilliseconds ?? 300,
        multiplier: bfd?.multiplier ?? 3,
      },
    ])
    await eventually('BFD is up here and there', () => running.sessions()[0]?.state === 'Up' && this.#bfdIs('up'))
    return running
  }

  /**
   * The nodes lose their power: nothing leaves or enters, nobody says goodbye. Returns when BFD
   * told the switch.
   */
  async powerFailure(): Promise<void> {
    const rules = 'add table inet dead; add chain inet dead out { type filter hook output priority 0; policy drop; }'
    this.network.exec(this.#node, ['nft', rules])
    await eventually('the switch finds BFD down', () => this.#bfdIs('down'))
  }

  #bfdIs(state: 'up' | 'down'): boolean {
    const shown = this.#name === 'frr' ? this.#control('show bfd peers') : this.#control('show', 'bfd', 'sessions')
    return (this.#name === 'frr' ? /Status: (\w+)/ : /\beth0\s+(\w+)/).exec(shown)?.[1]?.toLowerCase() === state
  }

  /** Does what the output says takes all of it back. */
  takeBack(): void {
    const vendor = VENDORS.find(({ name }) => name === this.#name)
    const lines = vendor?.undo(this.#intent) ?? []
    if (this.#name === 'gobgp')
      for (const line of lines.filter(one => one.startsWith('gobgp '))) this.#control(...line.split(' ').slice(1))
    else this.#control('configure terminal', ...lines.map(line => line.trim()))
  }

  /**
   * What `--verify` says of the running configuration, of FRR as FRR writes it; of others nothing.
   */
  differences(): readonly Difference[] {
    if (this.#name !== 'frr') return []
    return compareSwitch(this.#intent, frr.read?.(this.#control('show running-config')) ?? readNothing)
  }

  show(): string {
    const words: Readonly<Record<DaemonName, readonly string[]>> = {
      frr: ['show bgp summary', 'show running-config'],
      bird: ['show', 'protocols', 'all'],
      gobgp: ['neighbor'],
      openbgpd: ['show', 'neighbor'],
    }
    return this.#control(...words[this.#name])
  }

  async close(): Promise<void> {
    await this.#bfd?.close()
    await Promise.all(this.#speakers.map(speaker => speaker.close({ mode: 'restart' })))
    await this.network.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
