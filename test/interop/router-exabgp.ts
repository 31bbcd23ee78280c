/**
 * ExaBGP as a peer: https://github.com/Exa-Networks/exabgp. It has no RIB: it prints what it
 * receives as JSON lines, and from these `routes` is computed. It keeps nothing over a restart of
 * its peer.
 */
import { appendFileSync, chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, type TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'
import type { Router, RouterConfig } from './router-types.ts'

/** One line of its output, as far as it is used here. */
interface Line {
  readonly type: string
  readonly neighbor: {
    readonly state?: string
    readonly message?: {
      readonly update?: {
        readonly attribute?: object
        readonly announce?: Record<string, Record<string, { nlri: string }[]>>
        readonly withdraw?: Record<string, { nlri: string }[]>
      }
    }
  }
}

export class ExaBgp implements Router {
  readonly installs = false
  readonly #network: TestNetwork
  readonly #namespace: string
  readonly #folder = mkdtempSync(join(tmpdir(), 'exabgp-'))
  readonly #address: string
  readonly #neighbour: string
  readonly #families: readonly string[]
  #process: Bun.Subprocess | undefined

  constructor(network: TestNetwork, namespace: string, config: RouterConfig) {
    this.#network = network
    this.#namespace = namespace
    this.#neighbour = config.neighbour.address
    this.#families = config.neighbour.families
    this.#address = config.address
    // Keeps its output open: to ExaBGP, a helper that closed it is dead.
    const script = `#!/bin/sh\ncat >> ${this.#folder}/lines\nexit\n`
    writeFileSync(`${this.#folder}/log.sh`, script)
    chmodSync(`${this.#folder}/log.sh`, 0o755)
    // Its other helper hands on what is appended to a file.
    writeFileSync(`${this.#folder}/ask.sh`, `#!/bin/sh\nexec tail -n +1 -f ${this.#folder}/commands\n`)
    chmodSync(`${this.#folder}/ask.sh`, 0o755)
    writeFileSync(`${this.#folder}/commands`, '')
    // The helpers run as nobody.
    writeFileSync(`${this.#folder}/lines`, '')
    chmodSync(`${this.#folder}/lines`, 0o666)
    chmodSync(this.#folder, 0o755)
    this.#write(config)
  }

  async start(): Promise<void> {
    const env = {
      exabgp_daemon_drop: 'false',
      exabgp_daemon_user: 'root',
      exabgp_api_cli: 'false',
      exabgp_log_destination: `${this.#folder}/log`,
    }
    const command = [programPath('exabgp') ?? 'exabgp', `${this.#folder}/exabgp.conf`]
    this.#process = this.#network.spawn(this.#namespace, command, { env })
    await eventually('ExaBGP listens', () => {
      return this.#network.exec(this.#namespace, ['ss', '-Hltn', 'sport = :179']).stdout.includes('LISTEN')
    })
  }

  configure(config: RouterConfig): void {
    this.#write(config)
    this.#process?.kill('SIGUSR1')
  }

  deconfigure(): void {
    writeFileSync(`${this.#folder}/exabgp.conf`, `${this.#processes().join('\n')}\n`)
    this.#process?.kill('SIGUSR1')
  }

  /** It has no words for us. */
  shutdown(): void {
    this.#ask('teardown 2')
  }

  #processes(): string[] {
    return [
      `process lines { run ${this.#folder}/log.sh; encoder json; }`,
      `process ask { run ${this.#folder}/ask.sh; encoder text; }`,
    ]
  }

  #ask(words: string): void {
    appendFileSync(`${this.#folder}/commands`, `neighbor ${this.#neighbour} ${words}\n`)
  }

  #write({ asNumber, routerId, neighbour }: RouterConfig): void {
    const holdTime = neighbour.holdTimeSeconds ?? 90
    const lines = [
      ...this.#processes(),
      `neighbor ${neighbour.address} {`,
      `  router-id ${routerId}; local-address ${this.#address};`,
      `  local-as ${asNumber}; peer-as ${neighbour.fourOctetAs === false && neighbour.asNumber > 0xffff ? 23456 : neighbour.asNumber}; hold-time ${holdTime};`,
      `  listen 179; passive ${neighbour.passive === true};`,
      ...(neighbour.password === undefined ? [] : [`  md5-password "${neighbour.password}";`]),
      ...(neighbour.ttlSecurity === undefined
        ? []
        : [`  incoming-ttl ${256 - neighbour.ttlSecurity}; outgoing-ttl 255;`]),
      `  family { ${neighbour.families.map(family => `${family} unicast;`).join(' ')} }`,
      `  capability { graceful-restart 120; route-refresh enable; asn4 ${neighbour.fourOctetAs === false ? 'disable' : 'enable'}; nexthop ${neighbour.extendedNextHop === true ? 'enable' : 'disable'}; }`,
      ...(neighbour.extendedNextHop === true ? ['  nexthop { ipv4 unicast ipv6; }'] : []),
      '  api { processes [ lines ask ]; neighbor-changes; receive { parsed; update; } }',
      '}',
    ]
    writeFileSync(`${this.#folder}/exabgp.conf`, `${lines.join('\n')}\n`)
  }

  established(): boolean {
    return this.#states().at(-1) === 'up'
  }

  routes(): Record<string, string> {
    const routes: Record<string, string> = {}
    for (const { neighbor } of this.#lines()) {
      if (neighbor.state === 'down') for (const prefix of Object.keys(routes)) delete routes[prefix]
      const update = neighbor.message?.update
      for (const withdrawn of Object.values(update?.withdraw ?? {})) {
        for (const { nlri } of withdrawn) delete routes[nlri]
      }
      for (const byNextHop of Object.values(update?.announce ?? {})) {
        for (const [nextHop, prefixes] of Object.entries(byNextHop)) {
          for (const { nlri } of prefixes) if (nlri !== undefined) routes[nlri] = nextHop
        }
      }
    }
    return routes
  }

  route(prefix: string): string {
    const announcing = this.#lines().filter(({ neighbor }) =>
      Object.values(neighbor.message?.update?.announce ?? {}).some(byNextHop =>
        Object.values(byNextHop).some(prefixes => prefixes.some(({ nlri }) => nlri === prefix)),
      ),
    )
    return JSON.stringify(announcing.at(-1)?.neighbor.message?.update?.attribute ?? {})
  }

  refresh(): void {
    for (const family of this.#families) this.#ask(`announce route-refresh ${family} unicast`)
  }

  show(): string {
    return readFileSync(`${this.#folder}/lines`, 'utf8')
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

  #states(): string[] {
    return this.#lines().flatMap(({ neighbor }) => neighbor.state ?? [])
  }

  #lines(): Line[] {
    const whole = this.show().split('\n').slice(0, -1)
    return whole.map(line => JSON.parse(line) as Line).filter(({ neighbor }) => neighbor !== undefined)
  }
}
