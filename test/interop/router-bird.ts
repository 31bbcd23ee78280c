/**
 * BIRD 2 as a peer: https://bird.network.cz. Installs what it learns in the kernel's table.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, run, type TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'
import type { Router, RouterConfig } from './router-types.ts'

export class Bird implements Router {
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

  routes(): Record<string, string> {
    const shown = this.#control('show', 'route', 'protocol', 'peer', 'all')
    const pairs = [...shown.matchAll(/^(\S+\/\d+)[\s\S]*?BGP\.next_hop: (\S+)/gm)]
    return Object.fromEntries(pairs.map(([, prefix = '', nextHop = '']) => [prefix, nextHop]))
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
    const extended = neighbour.extendedNextHop === true ? 'extended next hop on;' : ''
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
      ...(neighbour.fourOctetAs === false ? ['  enable as4 off;'] : []),
      ...neighbour.families.map(family => `  ${family} { import all; export none; ${limit} ${extended} };`),
      '}',
    ]
    writeFileSync(`${this.#folder}/bird.conf`, `${lines.join('\n')}\n`)
  }
}
