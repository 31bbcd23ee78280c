/**
 * Real routers as peers for interop tests: one interface, one class per implementation. Each runs inside a network namespace with files
 * and control sockets of its own, so that any number run beside each other.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, run, type TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'

/** Our speaker, as the router is told about it. */
export interface Neighbour {
  readonly address: string
  readonly asNumber: number
  readonly password?: string
  /** GTSM: the most hops our packets may have made. */
  readonly ttlSecurity?: number
  /** The router waits for us; else it dials as well. */
  readonly passive?: boolean
  readonly holdTimeSeconds?: number
  readonly maximumPrefixes?: number
  readonly families: readonly ('ipv4' | 'ipv6')[]
}

export interface RouterConfig {
  readonly asNumber: number
  readonly routerId: string
  readonly neighbour: Neighbour
}

export interface Router {
  /** Starts, and returns when the control socket answers. */
  start(): Promise<void>
  /** Puts a changed configuration into force without a restart. */
  configure(config: RouterConfig): void
  established(): boolean
  /** Asks the neighbour for its routes again (RFC 2918). */
  refresh(): void
  /** What the router shows of the session, for the message of a failed test. */
  show(): string
  /** Stops and continues the process: a router that hangs. */
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void
  close(): void
}

export type RouterKind = 'bird' | 'frr'

/** What each kind needs, for `testNeeding`. */
export const ROUTER_NEEDS: Readonly<Record<RouterKind, readonly string[]>> = {
  bird: ['root', 'bird', 'birdc'],
  frr: ['root', 'bgpd', 'zebra', 'vtysh'],
}

export function createRouter(kind: RouterKind, network: TestNetwork, namespace: string, config: RouterConfig): Router {
  return kind === 'bird' ? new Bird(network, namespace, config) : new Frr(network, namespace, config)
}

class Bird implements Router {
  readonly #network: TestNetwork
  readonly #namespace: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'bird-'))
  #process: Bun.Subprocess | undefined

  constructor(network: TestNetwork, namespace: string, config: RouterConfig) {
    this.#network = network
    this.#namespace = namespace
    this.#write(config)
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

  configure(config: RouterConfig): void {
    this.#write(config)
    this.#control('configure')
  }

  established(): boolean {
    return this.show().includes('BGP state:          Established')
  }

  refresh(): void {
    this.#control('reload', 'in', 'peer')
  }

  show(): string {
    return this.#control('show', 'protocols', 'all', 'peer')
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name)
  }

  close(): void {
    this.#process?.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #control(...words: string[]): string {
    return run(['birdc', '-s', `${this.#folder}/bird.ctl`, ...words], { mayFail: true }).stdout
  }

  #write({ asNumber, routerId, neighbour }: RouterConfig): void {
    const limit =
      neighbour.maximumPrefixes === undefined ? '' : `import limit ${neighbour.maximumPrefixes} action disable;`
    const lines = [
      `router id ${routerId};`,
      'log stderr all;',
      'protocol device {}',
      'protocol direct { ipv4; ipv6; }', // iBGP next hops are looked up here
      'protocol kernel { ipv4 { export where source = RTS_BGP; }; }',
      'protocol kernel { ipv6 { export where source = RTS_BGP; }; }',
      'protocol bgp peer {',
      `  local as ${asNumber};`,
      `  neighbor ${neighbour.address} as ${neighbour.asNumber};`,
      '  graceful restart on;',
      '  error wait time 1, 2;',
      '  connect delay time 1; connect retry time 2;',
      `  passive ${neighbour.passive === true ? 'on' : 'off'};`,
      `  hold time ${neighbour.holdTimeSeconds ?? 90};`,
      ...(neighbour.password === undefined ? [] : [`  password "${neighbour.password}";`]),
      ...(neighbour.ttlSecurity === undefined ? [] : ['  ttl security on;']),
      ...neighbour.families.map(family => `  ${family} { import all; export none; ${limit} };`),
      '}',
    ]
    writeFileSync(`${this.#folder}/bird.conf`, `${lines.join('\n')}\n`)
  }
}

class Frr implements Router {
  readonly #network: TestNetwork
  readonly #namespace: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'frr-'))
  readonly #processes: Bun.Subprocess[] = []
  #config: RouterConfig

  constructor(network: TestNetwork, namespace: string, config: RouterConfig) {
    this.#network = network
    this.#namespace = namespace
    this.#config = config
    chmodSync(this.#folder, 0o777)
    writeFileSync(`${this.#folder}/zebra.conf`, 'hostname zebra\n')
    writeFileSync(`${this.#folder}/bgpd.conf`, 'hostname bgpd\n')
    writeFileSync(`${this.#folder}/vtysh.conf`, '')
  }

  async start(): Promise<void> {
    this.#spawn('zebra')
    await eventually(
      'zebra listens',
      () => run(['test', '-S', `${this.#folder}/zserv.api`], { mayFail: true }).status === 0,
    )
    this.#spawn('bgpd')
    await eventually('bgpd answers', () => this.#vtysh('show bgp summary').status === 0)
    this.configure(this.#config)
  }

  configure(config: RouterConfig): void {
    this.#config = config
    const done = this.#vtysh('configure terminal', ...configuration(config))
    if (done.status !== 0) throw new Error(`vtysh: ${done.stdout}${done.stderr}`)
  }

  established(): boolean {
    return this.show().includes('"bgpState":"Established"')
  }

  refresh(): void {
    for (const family of this.#config.neighbour.families) {
      this.#vtysh(`clear bgp ${family} unicast ${this.#config.neighbour.address} soft in`)
    }
  }

  show(): string {
    return this.#vtysh(`show bgp neighbors ${this.#config.neighbour.address} json`).stdout
  }

  signal(name: NodeJS.Signals): void {
    for (const process of this.#processes) process.kill(name)
  }

  close(): void {
    this.signal('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #spawn(daemon: 'zebra' | 'bgpd'): void {
    const folder = this.#folder
    const child = this.#network.spawn(this.#namespace, [
      programPath(daemon) ?? daemon,
      ...['-f', `${folder}/${daemon}.conf`, '-i', `${folder}/${daemon}.pid`, '-z', `${folder}/zserv.api`],
      ...['--vty_socket', folder, '-A', '127.0.0.1', '-P', '0'],
      ...['--log', `file:${folder}/${daemon}.log`],
    ])
    this.#processes.push(child)
  }

  #vtysh(...commands: string[]): ReturnType<typeof run> {
    const words = commands.flatMap(command => ['-c', command])
    return run(['vtysh', '--vty_socket', this.#folder, '--config_dir', this.#folder, ...words], { mayFail: true })
  }
}

/** The lines of FRR's configuration; what is absent is taken back. */
function configuration({ asNumber, routerId, neighbour }: RouterConfig): string[] {
  const peer = `neighbor ${neighbour.address}`
  const off = (present: boolean) => (present ? '' : 'no ')
  return [
    `router bgp ${asNumber}`,
    `bgp router-id ${routerId}`,
    'no bgp ebgp-requires-policy',
    'no bgp default ipv4-unicast',
    'bgp graceful-restart',
    `${peer} remote-as ${neighbour.asNumber}`,
    `${peer} timers connect 2`,
    `${peer} timers ${Math.floor((neighbour.holdTimeSeconds ?? 90) / 3)} ${neighbour.holdTimeSeconds ?? 90}`,
    `${off(neighbour.passive === true)}${peer} passive`,
    neighbour.password === undefined ? `no ${peer} password` : `${peer} password ${neighbour.password}`,
    ...(neighbour.ttlSecurity === undefined ? [] : [`${peer} ttl-security hops ${neighbour.ttlSecurity}`]),
    ...neighbour.families.flatMap(family => [
      `address-family ${family} unicast`,
      `${peer} activate`,
      ...(neighbour.maximumPrefixes === undefined ? [] : [`${peer} maximum-prefix ${neighbour.maximumPrefixes}`]),
      'exit-address-family',
    ]),
  ]
}
