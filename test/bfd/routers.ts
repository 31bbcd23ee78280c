/**
 * BFD daemons of others for interop tests: BIRD's `protocol bfd` and FRR's bfdd, each inside a
 * network namespace with files and control sockets of its own.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FrrDaemons } from '../support/frr-daemons.ts'
import { eventually, run, type TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'

/**
 * What a switch makes of BFD for BGP: nothing; the session ends with it; or only when no graceful
 * restart is under way.
 */
export type BfdWord = 'off' | 'plain' | 'graceful'

export interface BfdRouterConfig {
  /** Our addresses. */
  readonly neighbours: readonly string[]
  readonly intervalMilliseconds: number
  readonly multiplier: number
  /** BGP with the first neighbour as well, which listens to BFD. */
  readonly bgp?: { readonly asNumber: number; readonly neighbourAs: number; readonly bfd: BfdWord }
}

/** What the router says of its session with one of us. */
export interface RouterSession {
  readonly state: 'down' | 'init' | 'up' | 'admin-down'
  /** As negotiated, in milliseconds. */
  readonly detectionTimeMilliseconds?: number
}

export interface BfdRouter {
  start(): Promise<void>
  session(neighbour: string): RouterSession | undefined
  /** Takes the sessions out of service and back (AdminDown). */
  shutdown(down: boolean): void
  /** The prefixes that it has from us by BGP. */
  prefixes(): readonly string[]
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void
  show(): string
  close(): void
}

export type BfdRouterKind = 'bird' | 'frr'

/** What each kind needs, for `testNeeding`. */
export const BFD_ROUTER_NEEDS: Readonly<Record<BfdRouterKind, readonly string[]>> = {
  bird: ['root', 'bird', 'birdc'],
  frr: ['root', 'zebra', 'vtysh'],
}

export function createBfdRouter(
  kind: BfdRouterKind,
  network: TestNetwork,
  namespace: string,
  config: BfdRouterConfig,
): BfdRouter {
  return kind === 'bird' ? new Bird(network, namespace, config) : new Frr(network, namespace, config)
}

class Bird implements BfdRouter {
  readonly #network: TestNetwork
  readonly #namespace: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'bird-bfd-'))
  #process: Bun.Subprocess | undefined

  constructor(
    network: TestNetwork,
    namespace: string,
    { neighbours, intervalMilliseconds, multiplier, bgp }: BfdRouterConfig,
  ) {
    this.#network = network
    this.#namespace = namespace
    const lines = [
      'router id 10.9.0.254;',
      'log stderr all;',
      'protocol device {}',
      'protocol bfd peer {',
      `  interface "eth0" { interval ${intervalMilliseconds} ms; multiplier ${multiplier}; };`,
      ...neighbours.map(address => `  neighbor ${address} dev "eth0";`),
      '}',
      ...(bgp === undefined
        ? []
        : [
            'protocol bgp switch {',
            `  local as ${bgp.asNumber};`,
            `  neighbor ${neighbours[0]} as ${bgp.neighbourAs};`,
            '  passive on; graceful restart on;',
            `  bfd ${bgp.bfd === 'plain' ? 'on' : bgp.bfd};`,
            '  ipv4 { import all; export none; };',
            '}',
          ]),
    ]
    writeFileSync(`${this.#folder}/bird.conf`, `${lines.join('\n')}\n`)
  }

  async start(): Promise<void> {
    this.#process = this.#network.spawn(this.#namespace, [
      programPath('bird') ?? 'bird',
      '-f',
      ...['-c', `${this.#folder}/bird.conf`],
      ...['-s', `${this.#folder}/bird.ctl`],
    ])
    await eventually('BIRD answers', () => this.#control('show', 'status').includes('up and running'))
  }

  session(neighbour: string): RouterSession | undefined {
    // IP address, interface, state, since, interval (s), timeout (s)
    const row = this.show()
      .split('\n')
      .map(line => line.trim().split(/\s+/))
      .find(([address]) => address === neighbour)
    if (row === undefined) return undefined
    const states = { Up: 'up', Init: 'init', Down: 'down', AdminDown: 'admin-down' } as const
    const state = Object.entries(states).find(([name]) => name === row[2])?.[1] ?? 'down'
    const timeout = Number(row.at(-1))
    return { state, ...(timeout > 0 && { detectionTimeMilliseconds: timeout * 1000 }) }
  }

  shutdown(down: boolean): void {
    this.#control(down ? 'disable' : 'enable', 'peer')
  }

  prefixes(): readonly string[] {
    return [...this.#control('show', 'route').matchAll(/^(\S+\/\d+)/gm)].map(([prefix]) => prefix)
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name)
  }

  show(): string {
    return this.#control('show', 'bfd', 'sessions')
  }

  close(): void {
    this.#process?.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #control(...words: string[]): string {
    return run(['birdc', '-s', `${this.#folder}/bird.ctl`, ...words], { mayFail: true }).stdout
  }
}

class Frr implements BfdRouter {
  readonly #folder = mkdtempSync(join(tmpdir(), 'frr-bfd-'))
  readonly #daemons: FrrDaemons
  readonly #config: BfdRouterConfig

  constructor(network: TestNetwork, namespace: string, config: BfdRouterConfig) {
    this.#config = config
    chmodSync(this.#folder, 0o777)
    this.#daemons = new FrrDaemons(network, namespace, this.#folder)
  }

  async start(): Promise<void> {
    await this.#daemons.start('zebra')
    await this.#daemons.start('bfdd')
    const { intervalMilliseconds, multiplier } = this.#config
    this.#configure(() => [
      `receive-interval ${intervalMilliseconds}`,
      `transmit-interval ${intervalMilliseconds}`,
      `detect-multiplier ${multiplier}`,
      'no shutdown',
    ])
    if (this.#config.bgp !== undefined) await this.#startBgp(this.#config.bgp)
  }

  session(neighbour: string): RouterSession | undefined {
    const text = this.show()
    const peers = JSON.parse(text === '' ? '[]' : text) as {
      peer: string
      status: string
      'remote-transmit-interval'?: number
      'remote-detect-multiplier'?: number
    }[]
    const peer = peers.find(({ peer: address }) => address === neighbour)
    if (peer === undefined) return undefined
    const states = { up: 'up', init: 'init', down: 'down', shutdown: 'admin-down' } as const
    const state = Object.entries(states).find(([name]) => name === peer.status)?.[1] ?? 'down'
    const interval = Math.max(this.#config.intervalMilliseconds, peer['remote-transmit-interval'] ?? 0)
    return { state, detectionTimeMilliseconds: interval * (peer['remote-detect-multiplier'] ?? 0) }
  }

  prefixes(): readonly string[] {
    const shown = JSON.parse(this.#daemons.vtysh('show bgp ipv4 unicast json').stdout || '{}') as { routes?: object }
    return Object.keys(shown.routes ?? {})
  }

  shutdown(down: boolean): void {
    this.#configure(() => [down ? 'shutdown' : 'no shutdown'])
  }

  signal(name: NodeJS.Signals): void {
    this.#daemons.signal(name)
  }

  show(): string {
    return this.#daemons.vtysh('show bfd peers json').stdout
  }

  close(): void {
    this.signal('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #startBgp({ asNumber, neighbourAs, bfd }: NonNullable<BfdRouterConfig['bgp']>): Promise<void> {
    await this.#daemons.start('bgpd')
    const neighbour = `neighbor ${this.#config.neighbours[0]}`
    const done = this.#daemons.vtysh(
      ...['configure terminal', `router bgp ${asNumber}`, 'bgp router-id 10.9.0.254', 'no bgp ebgp-requires-policy'],
      ...['bgp graceful-restart', `${neighbour} remote-as ${neighbourAs}`, `${neighbour} passive`],
      ...(bfd === 'off' ? [] : [`${neighbour} bfd`]),
      ...(bfd === 'graceful' ? [`${neighbour} bfd check-control-plane-failure`] : []),
    )
    if (done.status !== 0) throw new Error(`vtysh: ${done.stdout}${done.stderr}`)
  }

  #configure(lines: () => readonly string[]): void {
    const commands = this.#config.neighbours.flatMap(address => [`peer ${address} interface eth0`, ...lines(), 'exit'])
    const done = this.#daemons.vtysh('configure terminal', 'bfd', ...commands)
    if (done.status !== 0) throw new Error(`vtysh: ${done.stdout}${done.stderr}`)
  }
}
