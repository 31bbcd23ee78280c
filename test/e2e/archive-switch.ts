/**
 * The layer 3 switches of `archive-site.ts`: BIRD or FRR in a namespace, on the very text that
 * `switch-config` printed. What a daemon needs beside it (control sockets, the way into the kernel)
 * is added here. Routes are read from the switch's kernel: what it forwards by.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startFrr, type Vtysh } from '../support/frr.ts'
import { FRR_NEEDS } from '../support/frr-daemons.ts'
import { eventually, run, type TestNetwork } from '../support/namespaces.ts'
import { programPath } from '../support/requires.ts'

export type RouterName = 'bird' | 'frr'

export const ROUTER_NEEDS: readonly string[] = ['bird', 'birdc', ...FRR_NEEDS]

/** A router that takes a configuration and says how it stands. */
export interface SwitchRouter {
  /** `speakers`: addresses of its neighbours. */
  start(text: string, speakers: readonly string[]): Promise<void>
  establishedSessions(): number
  /** All that it says of its sessions. */
  show(): string
}

export interface SwitchPlace {
  readonly network: TestNetwork
  readonly namespace: string
  /** Of its own, to be made. */
  readonly folder: string
  readonly address: string
}

export function switchRouter(name: RouterName, place: SwitchPlace): SwitchRouter {
  mkdirSync(place.folder)
  chmodSync(place.folder, 0o777) // which FRR's user makes sockets in
  return name === 'bird' ? new BirdSwitch(place) : new FrrSwitch(place)
}

/** Destination and gateway of the routes that a router gave the kernel of the switch, sorted. */
export function kernelRoutes({ network, namespace }: SwitchPlace): string[] {
  const lines = network.ip(namespace, '-4 route show').trim().split('\n')
  return lines
    .filter(line => /\bproto (bird|bgp)\b/.test(line))
    .map(line => `${line.split(' ')[0]} via ${/via (\S+)/.exec(line)?.[1]}`)
    .sort()
}

class BirdSwitch implements SwitchRouter {
  readonly #place: SwitchPlace

  constructor(place: SwitchPlace) {
    this.#place = place
  }

  async start(text: string): Promise<void> {
    const { network, namespace, folder, address } = this.#place
    writeFileSync(join(folder, 'terway-edge.conf'), text, { mode: 0o600 })
    const config = `router id ${address};
protocol device { }
protocol kernel { ipv4 { import none; export all; }; }
include "${folder}/terway-edge.conf";
`
    writeFileSync(join(folder, 'bird.conf'), config)
    const files = ['-c', join(folder, 'bird.conf'), '-s', join(folder, 'bird.ctl'), '-P', join(folder, 'bird.pid')]
    network.spawn(namespace, [programPath('bird') ?? 'bird', '-f', ...files])
    await eventually('BIRD answers', () => this.#birdc('show', 'status').includes('up and running'))
  }

  establishedSessions(): number {
    return this.#birdc('show', 'protocols').match(/Established/g)?.length ?? 0
  }

  show(): string {
    return this.#birdc('show', 'protocols', 'all')
  }

  #birdc(...words: string[]): string {
    const socket = join(this.#place.folder, 'bird.ctl')
    return run([programPath('birdc') ?? 'birdc', '-s', socket, ...words], { mayFail: true }).stdout
  }
}

class FrrSwitch implements SwitchRouter {
  readonly #place: SwitchPlace
  #ask: Vtysh = () => ''

  constructor(place: SwitchPlace) {
    this.#place = place
  }

  async start(text: string, speakers: readonly string[]): Promise<void> {
    const { network, namespace, folder } = this.#place
    this.#ask = await startFrr({ network, namespace, folder, text, speakers })
  }

  establishedSessions(): number {
    return this.show().match(/BGP state = Established/g)?.length ?? 0
  }

  show(): string {
    return this.#ask('show bgp neighbors')
  }
}
