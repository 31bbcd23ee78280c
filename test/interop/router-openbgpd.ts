/**
 * OpenBGPD as a peer: https://www.openbgpd.org. On Linux it has no way into the kernel's table, so
 * what it learned is asked of itself.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { eventually, run, type TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'
import type { Router, RouterConfig } from './router-types.ts'
import { routerVersion } from './versions.ts'

/** Beside its bgpctl: FRR has a bgpd as well. */
export const OPENBGPD = join(dirname(programPath('bgpctl') ?? '/usr/sbin/bgpctl'), 'bgpd')

export class OpenBgpd implements Router {
  readonly installs = false
  readonly #network: TestNetwork
  readonly #namespace: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'openbgpd-'))
  #config: RouterConfig
  #process: Bun.Subprocess | undefined

  constructor(network: TestNetwork, namespace: string, config: RouterConfig) {
    this.#network = network
    this.#namespace = namespace
    this.#config = config
    chmodSync(this.#folder, 0o755)
    this.#write(neighbourLines(config))
  }

  async start(): Promise<void> {
    rmSync(this.#socket, { force: true })
    // It changes its root to the home of its user, which is not there as long as the service is
    // not; this one is seen by it alone.
    const script = 'mount -t tmpfs none /run && mkdir /run/openbgpd && exec "$0" "$@"'
    const command = ['sh', '-c', script, OPENBGPD, '-d', '-f', `${this.#folder}/bgpd.conf`]
    this.#process = this.#network.spawn(this.#namespace, command)
    await eventually('OpenBGPD answers', () => this.show().includes('BGP neighbor'))
  }

  configure(config: RouterConfig): void {
    const password = config.neighbour.password !== this.#config.neighbour.password
    this.#config = config
    this.#write(neighbourLines(config))
    this.#control('reload')
    // bgpctl(8): keys count after a reset
    if (password) this.#control('neighbor', config.neighbour.address, 'clear')
  }

  deconfigure(): void {
    this.#write([])
    this.#control('reload')
  }

  shutdown(text: string): void {
    this.#control('neighbor', this.#config.neighbour.address, 'down', text)
  }

  established(): boolean {
    return this.show().includes('BGP state = Established')
  }

  routes(): Record<string, string> {
    const { rib = [] } = JSON.parse(this.#control('-j', 'show', 'rib') || '{}') as {
      rib?: { prefix: string; exit_nexthop: string; true_nexthop?: string }[]
    }
    return Object.fromEntries(rib.map(({ prefix, exit_nexthop }) => [prefix, exit_nexthop]))
  }

  route(prefix: string): string {
    return this.#control('show', 'rib', 'detail', prefix)
  }

  refresh(): void {
    this.#control('neighbor', this.#config.neighbour.address, 'refresh')
  }

  show(): string {
    return this.#control('show', 'neighbor', this.#config.neighbour.address)
  }

  signal(name: NodeJS.Signals): void {
    const children = run(['pgrep', '-P', `${this.#process?.pid}`], { mayFail: true })
      .stdout.split('\n')
      .filter(Boolean)
    for (const pid of children) {
      try {
        process.kill(Number(pid), name)
      } catch {
        // it ended by itself
      }
    }
    this.#process?.kill(name)
  }

  async stopForRestart(): Promise<void> {
    this.signal('SIGKILL')
    await this.#process?.exited
  }

  close(): void {
    this.signal('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }

  get #socket(): string {
    return `${this.#folder}/control`
  }

  #control(...words: string[]): string {
    return run(['bgpctl', '-s', this.#socket, ...words], { mayFail: true }).stdout
  }

  #write(neighbour: readonly string[]): void {
    const { asNumber, routerId, neighbour: peer } = this.#config
    const lines = [
      `AS ${asNumber}`,
      `router-id ${routerId}`,
      `socket "${this.#socket}"`,
      `listen on ${peer.address.includes(':') ? '::' : '0.0.0.0'}`,
      'allow from any',
      // what IPv4 prefixes over IPv6 next hops take; on Linux it has no FIB
      ...(peer.extendedNextHop === true ? ['fib-update no'] : []),
      ...neighbour,
    ]
    writeFileSync(`${this.#folder}/bgpd.conf`, `${lines.join('\n')}\n`)
    chmodSync(`${this.#folder}/bgpd.conf`, 0o600)
  }
}

function neighbourLines({ neighbour }: RouterConfig): string[] {
  const announce = (family: 'ipv4' | 'ipv6') => (neighbour.families.includes(family) ? 'unicast' : 'none')
  return [
    `neighbor ${neighbour.address} {`,
    `  remote-as ${neighbour.asNumber}`,
    ...(neighbour.passive === true ? ['  passive'] : []),
    `  holdtime ${neighbour.holdTimeSeconds ?? 90}`,
    `  announce IPv4 ${announce('ipv4')}`,
    `  announce IPv6 ${announce('ipv6')}`,
    '  announce enhanced refresh yes',
    ...(neighbour.fourOctetAs === false ? ['  announce as-4byte no'] : []),
    ...(neighbour.multihop === undefined ? [] : [`  multihop ${neighbour.multihop}`]),
    ...(neighbour.ttlSecurity === undefined ? [] : ['  ttl-security yes']),
    ...(neighbour.password === undefined ? [] : [`  tcp md5sig password "${neighbour.password}"`]),
    ...(neighbour.maximumPrefixes === undefined ? [] : [`  max-prefix ${neighbour.maximumPrefixes}`]),
    ...(neighbour.role === undefined ? [] : roleLines(neighbour.role)),
    ...(neighbour.extendedNextHop === true ? ['  announce extended nexthop yes'] : []),
    '}',
  ]
}

function roleLines(role: string): string[] {
  return routerVersion('openbgpd') < 8 ? [`  announce policy ${role}`] : [`  role ${role}`, '  announce policy yes']
}
