/**
 * GoBGP as a peer: https://osrg.github.io/gobgp. Keeps what it learns to itself: it installs
 * nothing in the kernel without zebra.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, type TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'
import type { Router, RouterConfig } from './router-types.ts'

/** Intervals in microseconds: 100 ms times 3. */
const BFD = {
  enabled: true,
  'desired-minimum-tx-interval': 100_000,
  'required-minimum-receive': 100_000,
  'detection-multiplier': 3,
}

export class GoBgp implements Router {
  readonly installs = false
  readonly #network: TestNetwork
  readonly #namespace: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'gobgp-'))
  #config: RouterConfig
  #process: Bun.Subprocess | undefined

  constructor(network: TestNetwork, namespace: string, config: RouterConfig) {
    this.#network = network
    this.#namespace = namespace
    this.#config = config
    this.#write()
  }

  async start({ recovering } = { recovering: false }): Promise<void> {
    const file = `${this.#folder}/gobgp.json`
    const command = [programPath('gobgpd') ?? 'gobgpd', '-t', 'json', '-f', file, '--api-hosts', '127.0.0.1:50051']
    if (recovering) command.push('-r')
    this.#process = this.#network.spawn(this.#namespace, command)
    await eventually('GoBGP answers', () => this.#gobgp('global').includes(this.#config.routerId))
  }

  configure(config: RouterConfig): void {
    this.#config = config
    this.#write()
    this.#process?.kill('SIGHUP')
  }

  deconfigure(): void {
    this.#gobgp('neighbor', 'del', this.#config.neighbour.address)
  }

  shutdown(text: string): void {
    this.#gobgp('neighbor', this.#config.neighbour.address, 'shutdown', '--reason', text)
  }

  established(): boolean {
    return /BGP state = (SESSION_STATE_)?ESTABLISHED/.test(this.show())
  }

  routes(): Record<string, string> {
    return Object.assign({}, ...this.#config.neighbour.families.map(family => this.#routesOf(family)))
  }

  route(prefix: string): string {
    return this.#gobgp('global', 'rib', prefix, '-a', prefix.includes(':') ? 'ipv6' : 'ipv4')
  }

  /** Looks at what it kept again; sends no ROUTE-REFRESH. */
  refresh(): void {
    this.#gobgp('neighbor', this.#config.neighbour.address, 'softresetin')
  }

  show(): string {
    return this.#gobgp('neighbor', this.#config.neighbour.address)
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name)
  }

  async stopForRestart(): Promise<void> {
    this.#process?.kill('SIGKILL')
    await this.#process?.exited
  }

  close(): void {
    this.#process?.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #routesOf(family: 'ipv4' | 'ipv6'): Record<string, string> {
    const shown = JSON.parse(this.#gobgp('global', 'rib', '-a', family, '-j') || '{}') as Record<
      string,
      { attrs: { nexthop?: string }[] }[]
    >
    const nextHop = (paths: { attrs: { nexthop?: string }[] }[]) =>
      paths[0]?.attrs.find(attribute => attribute.nexthop !== undefined)?.nexthop ?? ''
    return Object.fromEntries(Object.entries(shown).map(([prefix, paths]) => [prefix, nextHop(paths)]))
  }

  #gobgp(...words: string[]): string {
    const command = [programPath('gobgp') ?? 'gobgp', ...words]
    return this.#network.exec(this.#namespace, command, { mayFail: true }).stdout
  }

  #write(): void {
    const { asNumber, routerId, neighbour } = this.#config
    const holdTime = neighbour.holdTimeSeconds ?? 90
    const config = {
      global: {
        config: { as: asNumber, 'router-id': routerId },
        ...(neighbour.refuses !== undefined && {
          'apply-policy': { config: { 'import-policy-list': ['refuse'], 'default-import-policy': 'accept-route' } },
        }),
      },
      neighbors: [
        {
          config: {
            'neighbor-address': neighbour.address,
            'peer-as': neighbour.asNumber,
            ...(neighbour.password !== undefined && { 'auth-password': neighbour.password }),
          },
          transport: { config: { 'passive-mode': neighbour.passive === true } },
          timers: {
            config: { 'hold-time': holdTime, 'keepalive-interval': Math.floor(holdTime / 3), 'connect-retry': 2 },
          },
          ...(neighbour.multihop !== undefined && {
            'ebgp-multihop': { config: { enabled: true, 'multihop-ttl': neighbour.multihop } },
          }),
          ...(neighbour.ttlSecurity !== undefined && {
            'ttl-security': { config: { enabled: true, 'ttl-min': 256 - neighbour.ttlSecurity } },
          }),
          ...(neighbour.bfd === true && { bfd: { config: BFD } }),
          'graceful-restart': {
            config: {
              enabled: true,
              'restart-time': 120,
              'notification-enabled': true,
              'long-lived-enabled': neighbour.longLivedSeconds !== undefined,
            },
          },
          'afi-safis': neighbour.families.map(family => ({
            config: { 'afi-safi-name': `${family}-unicast` },
            'mp-graceful-restart': { config: { enabled: true } },
            ...(neighbour.longLivedSeconds !== undefined && {
              'long-lived-graceful-restart': { config: { enabled: true, 'restart-time': neighbour.longLivedSeconds } },
            }),
            ...(neighbour.maximumPrefixes !== undefined && {
              'prefix-limit': { config: { 'max-prefixes': neighbour.maximumPrefixes } },
            }),
          })),
        },
      ],
      ...(neighbour.bmp !== undefined && bmpAndPolicy(neighbour)),
    }
    writeFileSync(`${this.#folder}/gobgp.json`, JSON.stringify(config))
  }
}

function bmpAndPolicy({ address, bmp, refuses }: RouterConfig['neighbour']) {
  return {
    // 3.10 sends nothing at all with 'both'
    'bmp-servers': [{ config: { address, port: bmp, 'route-monitoring-policy': 'all' } }],
    ...(refuses !== undefined && {
      'defined-sets': {
        'prefix-sets': [{ 'prefix-set-name': 'refused', 'prefix-list': [{ 'ip-prefix': refuses }] }],
      },
      'policy-definitions': [
        {
          name: 'refuse',
          statements: [
            {
              name: 'refuse',
              conditions: { 'match-prefix-set': { 'prefix-set': 'refused' } },
              actions: { 'route-disposition': 'reject-route' },
            },
          ],
        },
      ],
    }),
  }
}
