/**
 * FRR as a peer: zebra and bgpd, https://frrouting.org. Installs what it learns in the kernel's
 * table.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FrrDaemons } from '../support/frr-daemons.ts'
import type { TestNetwork } from '../support/namespaces.ts'
import type { Router, RouterConfig } from './router-types.ts'
import { routerVersion } from './versions.ts'

export class Frr implements Router {
  readonly installs = true
  readonly #folder = mkdtempSync(join(tmpdir(), 'frr-'))
  readonly #daemons: FrrDaemons
  #bgpd: Bun.Subprocess | undefined
  #config: RouterConfig

  constructor(network: TestNetwork, namespace: string, config: RouterConfig) {
    this.#config = config
    chmodSync(this.#folder, 0o777)
    this.#daemons = new FrrDaemons(network, namespace, this.#folder)
  }

  async start({ recovering } = { recovering: false }): Promise<void> {
    if (recovering) return await this.#startBgp()
    await this.#daemons.start('zebra')
    if (this.#config.neighbour.bfd === true) await this.#daemons.start('bfdd')
    await this.#startBgp()
  }

  async #startBgp(): Promise<void> {
    const bmp = this.#config.neighbour.bmp === undefined ? [] : ['-M', 'bmp']
    this.#bgpd = await this.#daemons.start('bgpd', bmp)
    this.configure(this.#config)
  }

  configure(config: RouterConfig): void {
    this.#config = config
    const done = this.#daemons.vtysh('configure terminal', ...configuration(config))
    if (done.status !== 0) throw new Error(`vtysh: ${done.stdout}${done.stderr}`)
  }

  deconfigure(): void {
    const { asNumber, neighbour } = this.#config
    this.#daemons.vtysh('configure terminal', `router bgp ${asNumber}`, `no neighbor ${neighbour.address}`)
  }

  shutdown(text: string): void {
    const { asNumber, neighbour } = this.#config
    this.#daemons.vtysh(
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
    return this.#daemons.vtysh(`show bgp ${prefix.includes(':') ? 'ipv6' : 'ipv4'} unicast ${prefix}`).stdout
  }

  refresh(): void {
    for (const family of this.#config.neighbour.families) {
      this.#daemons.vtysh(`clear bgp ${family} unicast ${this.#config.neighbour.address} soft in`)
    }
  }

  show(): string {
    return this.#daemons.vtysh(`show bgp neighbors ${this.#config.neighbour.address} json`).stdout
  }

  signal(name: NodeJS.Signals): void {
    this.#daemons.signal(name)
  }

  /** bgpd dies, zebra keeps its routes. */
  async stopForRestart(): Promise<void> {
    this.#bgpd?.kill('SIGKILL')
    await this.#bgpd?.exited
  }

  close(): void {
    this.signal('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #routesOf(family: 'ipv4' | 'ipv6'): Record<string, string> {
    const shown = JSON.parse(this.#daemons.vtysh(`show bgp ${family} unicast json`).stdout) as {
      routes?: Record<string, { nexthops: { ip: string }[] }[]>
    }
    return Object.fromEntries(
      Object.entries(shown.routes ?? {}).map(([prefix, [best]]) => [prefix, best?.nexthops[0]?.ip ?? '']),
    )
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
    // FRR 10 compares the neighbour's number with AS_TRANS before it looks at AS4_PATH
    ...(neighbour.fourOctetAs === false && neighbour.asNumber > 0xffff && routerVersion('frr') >= 10
      ? [`no ${peer} enforce-first-as`]
      : []),
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
