/**
 * FRR as a peer: zebra and bgpd, https://frrouting.org. Installs what it learns in the kernel's
 * table.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { eventually, run, type TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'
import type { Router, RouterConfig } from './router-types.ts'

export class Frr implements Router {
  readonly installs = true
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
    writeFileSync(`${this.#folder}/bfdd.conf`, '')
    writeFileSync(`${this.#folder}/vtysh.conf`, '')
  }

  async start({ recovering } = { recovering: false }): Promise<void> {
    if (recovering) return await this.#startBgp()
    this.#spawn('zebra')
    await eventually(
      'zebra listens',
      () => run(['test', '-S', `${this.#folder}/zserv.api`], { mayFail: true }).status === 0,
    )
    if (this.#config.neighbour.bfd === true) {
      this.#spawn('bfdd')
      await eventually('bfdd answers', () => this.#vtysh('show bfd peers').status === 0)
    }
    await this.#startBgp()
  }

  async #startBgp(): Promise<void> {
    this.#spawn('bgpd')
    await eventually('bgpd answers', () => this.#vtysh('show bgp summary').status === 0)
    this.configure(this.#config)
  }

  configure(config: RouterConfig): void {
    this.#config = config
    const done = this.#vtysh('configure terminal', ...configuration(config))
    if (done.status !== 0) throw new Error(`vtysh: ${done.stdout}${done.stderr}`)
  }

  deconfigure(): void {
    const { asNumber, neighbour } = this.#config
    this.#vtysh('configure terminal', `router bgp ${asNumber}`, `no neighbor ${neighbour.address}`)
  }

  shutdown(text: string): void {
    const { asNumber, neighbour } = this.#config
    this.#vtysh(
      'configure terminal',
      `router bgp ${asNumber}`,
      `neighbor ${neighbour.address} shutdown message ${text}`,
    )
  }

  established(): boolean {
    return this.show().includes('"bgpState":"Established"')
  }

  routes(): Record<string, string> {
    return Object.assign({}, ...this.#config.neighbour.families.map(family => this.#routesOf(family)))
  }

  route(prefix: string): string {
    return this.#vtysh(`show bgp ${prefix.includes(':') ? 'ipv6' : 'ipv4'} unicast ${prefix}`).stdout
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

  /** bgpd dies, zebra keeps its routes. */
  async stopForRestart(): Promise<void> {
    const bgpd = this.#processes.pop()
    bgpd?.kill('SIGKILL')
    await bgpd?.exited
  }

  close(): void {
    this.signal('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #routesOf(family: 'ipv4' | 'ipv6'): Record<string, string> {
    const shown = JSON.parse(this.#vtysh(`show bgp ${family} unicast json`).stdout) as {
      routes?: Record<string, { nexthops: { ip: string }[] }[]>
    }
    return Object.fromEntries(
      Object.entries(shown.routes ?? {}).map(([prefix, [best]]) => [prefix, best?.nexthops[0]?.ip ?? '']),
    )
  }

  #spawn(daemon: 'zebra' | 'bgpd' | 'bfdd'): void {
    const folder = this.#folder
    const child = this.#network.spawn(this.#namespace, [
      // Beside zebra: OpenBGPD has a bgpd as well.
      join(dirname(programPath('zebra') ?? '/usr/lib/frr/zebra'), daemon),
      ...['-f', `${folder}/${daemon}.conf`, '-i', `${folder}/${daemon}.pid`, '-z', `${folder}/zserv.api`],
      ...(daemon === 'bfdd' ? ['--bfdctl', `${folder}/bfdd.sock`] : []),
      ...(daemon === 'bgpd' && this.#config.neighbour.bmp !== undefined ? ['-M', 'bmp'] : []),
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
  const policy = neighbour.refuses !== undefined || neighbour.nextHop !== undefined
  return [
    'no route-map import',
    'no ip prefix-list refused',
    ...(neighbour.refuses === undefined
      ? []
      : [
          `ip prefix-list refused permit ${neighbour.refuses}`,
          'route-map import deny 1',
          ...['match ip address prefix-list refused'],
        ]),
    ...(policy ? ['route-map import permit 2'] : []),
    ...(neighbour.nextHop === undefined ? [] : [`set ip next-hop ${neighbour.nextHop}`]),
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
    ...(neighbour.fourOctetAs === false ? [`${peer} dont-capability-negotiate`] : []),
    ...(neighbour.multihop === undefined ? [] : [`${peer} ebgp-multihop ${neighbour.multihop}`]),
    ...(neighbour.role === undefined ? [] : [`${peer} local-role ${neighbour.role}`]),
    ...(neighbour.bfd === true ? [`${peer} bfd 3 100 100`] : []),
    ...(neighbour.longLivedSeconds === undefined
      ? []
      : [`bgp long-lived-graceful-restart stale-time ${neighbour.longLivedSeconds}`]),
    ...(neighbour.extendedNextHop === true ? [`${peer} capability extended-nexthop`] : []),
    ...neighbour.families.flatMap(family => [
      `address-family ${family} unicast`,
      `${peer} activate`,
      ...(neighbour.maximumPrefixes === undefined ? [] : [`${peer} maximum-prefix ${neighbour.maximumPrefixes}`]),
      // without it FRR forgets what it refused, and BMP cannot tell that it was received
      ...(neighbour.bmp === undefined ? [] : [`${peer} soft-reconfiguration inbound`]),
      ...(neighbour.bmp === undefined ? [] : [`${off(policy)}${peer} route-map import in`]),
      'exit-address-family',
    ]),
    ...(neighbour.bmp === undefined ? [] : bmpLines(neighbour.address, neighbour.bmp)),
  ]
}

function bmpLines(address: string, port: number): string[] {
  return [
    'bmp targets speaker',
    `bmp connect ${address} port ${port} min-retry 100 max-retry 1000`,
    ...['pre-policy', 'post-policy'].map(table => `bmp monitor ipv4 unicast ${table}`),
    'exit',
  ]
}
