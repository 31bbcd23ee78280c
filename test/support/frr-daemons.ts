/**
 * FRR's daemons inside a network namespace, with files and sockets in a folder of their own, so
 * that any number of routers run beside each other. What differs from version to version is asked
 * of the daemons themselves: FRR 10 has one that manages the others, and a bfdd with one option
 * less.
 *
 * They run as a user of their own, so the folder must be one that others may write to.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type CommandResult, eventually, run, type TestNetwork } from './namespaces.ts'
import { programPath } from './requires.ts'

export const FRR_NEEDS: readonly string[] = ['zebra', 'vtysh']

export type FrrDaemon = 'zebra' | 'bgpd' | 'bfdd'

/**
 * The management daemon has its sockets in /run/frr and reads the files in /etc/frr whatever it is
 * told, and the others look for it there: for each of them the one is the router's folder, and the
 * other is empty.
 */
const PRIVATE = `mount -t tmpfs none /run && mkdir /run/frr && mount --bind "$0" /run/frr &&
  { [ ! -d /etc/frr ] || mount -t tmpfs none /etc/frr; } && exec "$@"`

export class FrrDaemons {
  readonly #network: TestNetwork
  readonly #namespace: string
  readonly #folder: string
  readonly #processes: Bun.Subprocess[] = []

  constructor(network: TestNetwork, namespace: string, folder: string) {
    this.#network = network
    this.#namespace = namespace
    this.#folder = folder
    writeFileSync(`${folder}/vtysh.conf`, '')
  }

  /** Starts a daemon with an empty configuration, and returns when it answers. */
  async start(daemon: FrrDaemon, options: readonly string[] = []): Promise<Bun.Subprocess> {
    if (daemon === 'zebra' && isManaged()) await this.#start('mgmtd', [])
    writeFileSync(`${this.#folder}/${daemon}.conf`, '')
    const bfdctl = daemon === 'bfdd' && takes('bfdd', '--bfdctl') ? ['--bfdctl', `${this.#folder}/bfdd.sock`] : []
    return await this.#start(daemon, ['-f', `${this.#folder}/${daemon}.conf`, ...bfdctl, ...options])
  }

  /** Commands to vtysh, one after the other. */
  vtysh(...commands: readonly string[]): CommandResult {
    return this.vtyshWords(...commands.flatMap(command => ['-c', command]))
  }

  vtyshWords(...words: readonly string[]): CommandResult {
    return run(['vtysh', '--vty_socket', this.#folder, '--config_dir', this.#folder, ...words], { mayFail: true })
  }

  signal(name: NodeJS.Signals): void {
    for (const process of this.#processes) process.kill(name)
  }

  async #start(daemon: FrrDaemon | 'mgmtd', options: readonly string[]): Promise<Bun.Subprocess> {
    const folder = this.#folder
    const command = [
      daemonPath(daemon),
      ...options,
      ...['-i', `${folder}/${daemon}.pid`, '-z', `${folder}/zserv.api`, '--vty_socket', folder],
      ...['-A', '127.0.0.1', '-P', '0', '--log', `file:${folder}/${daemon}.log`],
    ]
    const within = isManaged() ? ['unshare', '--mount', 'sh', '-c', PRIVATE, folder, ...command] : command
    const child = this.#network.spawn(this.#namespace, within)
    this.#processes.push(child)
    const answers = () =>
      run(['vtysh', '--vty_socket', folder, '--config_dir', folder, '-d', daemon, '-c', 'show version'], {
        mayFail: true,
      })
    await eventually(`${daemon} answers`, () => existsSync(`${folder}/${daemon}.vty`) && answers().status === 0)
    return child
  }
}

/** Beside zebra: OpenBGPD has a bgpd as well. */
function daemonPath(daemon: string): string {
  return join(dirname(programPath('zebra') ?? '/usr/lib/frr/zebra'), daemon)
}

function isManaged(): boolean {
  return existsSync(daemonPath('mgmtd'))
}

function takes(daemon: FrrDaemon, option: string): boolean {
  return run([daemonPath(daemon), '--help'], { mayFail: true }).stdout.includes(option)
}
