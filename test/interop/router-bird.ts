/**
 * BIRD 2 or 3 as a peer: https://bird.network.cz. Installs what it learns in the kernel's table.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, run, type TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'
import type { Router, RouterConfig } from './router-types.ts'
import { routerVersion } from './versions.ts'

const BASE = [
  'router id 10.9.0.254;',
  'log stderr all;',
  'protocol device {}',
  'protocol direct { ipv4; ipv6; }', // iBGP next hops are looked up here
  // What others put into the kernel's table leads to the next hops of a multihop session.
  'protocol kernel { learn; graceful restart on; ipv4 { export where source = RTS_BGP; }; }',
  'protocol kernel { learn; graceful restart on; ipv6 { export where source = RTS_BGP; }; }',
]

export class Bird implements Router {
  readonly installs = true
  readonly #network: TestNetwork
  readonly #namespace: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'bird-'))
  #process: Bun.Subprocess | undefined

  constructor(network: TestNetwork, namespace: string, config: RouterConfig) {
    this.#network = network
    this.#namespace = namespace
    this.#write(config)
  }

  async start({ recovering } = { recovering: false }): Promise<void> {
    this.#process = this.#network.spawn(this.#namespace, [
      programPath('bird') ?? 'bird',
      '-f',
      ...(recovering ? ['-R'] : []),
      ...['-c', `${this.#folder}/bird.conf`],
      ...['-s', `${this.#folder}/bird.ctl`],
    ])
    await eventually('BIRD answers', () => this.#control('show', 'status').includes('up and running'))
  }

  configure(config: RouterConfig): void {
    this.#write(config)
    this.#control('configure')
  }

  deconfigure(): void {
    writeFileSync(`${this.#folder}/bird.conf`, `${BASE.join('\n')}\n`)
    this.#control('configure')
  }

  shutdown(text: string): void {
    this.#control('disable', 'peer', `"${text}"`)
  }

  established(): boolean {
    return this.show().includes('BGP state:          Established')
  }

  routes(): Record<string, string> {
    const shown = this.#control('show', 'route', 'protocol', 'peer', 'all')
    const pairs = [...shown.matchAll(/^(\S+\/\d+)[\s\S]*?(?:BGP\.|bgp_)next_hop: (\S+)/gm)]
    return Object.fromEntries(pairs.map(([, prefix = '', nextHop = '']) => [prefix, nextHop]))
  }

  route(prefix: string): string {
    return this.#control('show', 'route', 'all', 'for', prefix)
  }

  refresh(): void {
    if (this.#control('reload', 'in', 'peer').includes('No such command')) this.#control('reload', 'bgp', 'in', 'peer')
  }

  show(): string {
    return this.#control('show', 'protocols', 'all', 'peer')
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name)
  }

  async stopForRestart(): Promise<void> {
    // BIRD 3 at times takes its routes out of the kernel when asked: it is killed, which keeps them
    if (routerVersion('bird') < 3) this.#control('graceful', 'restart')
    else this.#process?.kill('SIGKILL')
    await this.#process?.exited
  }

  close(): void {
    this.#process?.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #control(...words: string[]): string {
    return run(['birdc', '-s', `${this.#folder}/bird.ctl`, ...words], { mayFail: true }).stdout
  }

  #write({ asNumber, neighbour }: RouterConfig): void {
    const limit =
      neighbour.maximumPrefixes === undefined ? '' : `import limit ${neighbour.maximumPrefixes} action disable;`
    const extended = neighbour.extendedNextHop === true ? 'extended next hop on;' : ''
    const lines = [
      ...BASE,
      ...(neighbour.bfd === true ? ['protocol bfd { interface "eth0" { interval 100 ms; multiplier 3; }; }'] : []),
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
      ...(neighbour.fourOctetAs === false ? ['  enable as4 off;'] : []),
      ...(neighbour.multihop === undefined ? [] : [`  multihop ${neighbour.multihop};`]),
      ...(neighbour.role === undefined ? [] : [`  local role ${neighbour.role};`]),
      ...(neighbour.bfd === true ? ['  bfd on;'] : []),
      ...(neighbour.longLivedSeconds === undefined
        ? []
        : [`  long lived graceful restart on; long lived stale time ${neighbour.longLivedSeconds};`]),
      ...neighbour.families.map(family => `  ${family} { import all; export none; ${limit} ${extended} };`),
      '}',
    ]
    writeFileSync(`${this.#folder}/bird.conf`, `${lines.join('\n')}\n`)
  }
}
