/**
 * A machine for tests whose process 1 is a real systemd: Debian's, with its journal and D-Bus, on
 * this machine's own files under an overlay, in a network namespace given and in all other
 * namespaces of its own. What is written there stays there, from one boot to the next.
 *
 * It has no hardware, no udev, no consoles and no kernel of its own: kernel settings outside of the
 * network are read-only, and the boot id stays when it boots again. All of it is bound to one
 * process here: mounts, processes and cgroups go when that or the test ends.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CommandResult, eventually, run } from './namespaces.ts'

const SCRIPT = `${import.meta.dir}/systemd-machine.sh`

/** What a test must ask for (`testNeeding`) before it starts one. */
export const SYSTEMD_NEEDS: readonly string[] = [
  ...['root', 'mounts'],
  ...['ip', 'mount', 'unshare', 'nsenter', 'systemctl', 'journalctl', 'dbus-daemon', '/usr/lib/systemd/systemd'],
]

export interface MachineOptions {
  /** Its network namespace, as `ip netns` names it. */
  readonly namespace: string
  /** Its host name. */
  readonly name: string
}

export class SystemdMachine {
  readonly #folder = mkdtempSync(join(tmpdir(), 'te-systemd-'))
  readonly #holder: Bun.Subprocess<'pipe', 'pipe', 'pipe'>
  #boot: Bun.Subprocess | undefined

  /** Makes its disk, switches it on and waits until all of its units are up. */
  static async start({ namespace, name }: MachineOptions): Promise<SystemdMachine> {
    const machine = new SystemdMachine(name)
    try {
      await machine.#ready()
      await machine.boot(namespace)
      return machine
    } catch (error) {
      await machine.close()
      throw error
    }
  }

  private constructor(name: string) {
    const command = ['unshare', '--mount', '--propagation', 'private', SCRIPT, 'hold', this.#folder, name]
    this.#holder = Bun.spawn(command, { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' })
  }

  async #ready(): Promise<void> {
    const { value } = await this.#holder.stdout.getReader().read()
    if (value === undefined) throw new Error(`its disk cannot be made: ${await this.#holder.stderr.text()}`)
  }

  /**
   * Switches it on, with the disk as it was left, in a network namespace that may be another one.
   */
  async boot(namespace: string): Promise<void> {
    const log = Bun.file(join(this.#folder, 'boot.log'))
    const inside = ['nsenter', `--mount=/proc/${this.#holder.pid}/ns/mnt`, `--net=/run/netns/${namespace}`]
    const alone = [
      'unshare',
      '--mount',
      '--uts',
      '--ipc',
      '--pid',
      '--fork',
      '--kill-child',
      '--propagation',
      'private',
    ]
    this.#boot = Bun.spawn([...inside, ...alone, SCRIPT, 'boot', this.#folder], {
      stdin: 'ignore',
      stdout: log,
      stderr: log,
    })
    const ended = () => this.#boot?.exitCode !== null
    const up = () => existsSync(this.#path('pid')) && this.#state() === 'running'
    await eventually('systemd is up', () => ended() || up())
    if (ended()) throw new Error(`it did not start: ${readFileSync(this.#path('boot.log'), 'utf8')}`)
  }

  /** Has systemd stop everything and power off. */
  async powerOff(): Promise<void> {
    this.exec(['systemctl', 'poweroff'])
    await this.#off()
  }

  /** A power cut. */
  async cutPower(): Promise<void> {
    this.#boot?.kill('SIGKILL') // and its child, process 1, and all others with that
    await this.#off()
  }

  async #off(): Promise<void> {
    await this.#boot?.exited
    rmSync(this.#path('pid'), { force: true })
  }

  /** Runs a command on the machine to its end. */
  exec(
    command: readonly string[],
    options: { mayFail?: boolean; stdin?: string; timeoutMilliseconds?: number } = {},
  ): CommandResult {
    return run([...this.#enter(), ...command], { timeoutMilliseconds: 120_000, ...options })
  }

  /** The path, on this machine, of a file of that one. */
  path(path: string): string {
    return `/proc/${this.#pid()}/root${path}`
  }

  /** Files and links that are on its disk other than on this machine's. */
  changedFiles(): string[] {
    const script = `cd ${this.#path('disk/upper')} && find . -type f -o -type l`
    const { stdout } = run(['nsenter', `--mount=/proc/${this.#holder.pid}/ns/mnt`, 'sh', '-c', script])
    return stdout
      .split('\n')
      .filter(Boolean)
      .map(path => path.slice(1))
      .sort()
  }

  /** What the journal holds of a unit since this boot. */
  journal(unit: string): string {
    return this.exec(['journalctl', '--no-pager', '--output=cat', `--unit=${unit}`]).stdout
  }

  /** Power off; nothing of it is left. */
  async close(): Promise<void> {
    if (this.#boot !== undefined) await this.cutPower()
    this.#holder.stdin.end()
    await this.#holder.exited
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #state(): string {
    return this.exec(['systemctl', 'is-system-running'], { mayFail: true }).stdout.trim()
  }

  #pid(): string {
    return readFileSync(this.#path('pid'), 'utf8').trim()
  }

  #enter(): string[] {
    const namespaces = ['--mount', '--uts', '--ipc', '--pid', '--net', '--cgroup']
    return ['nsenter', `--target=${this.#pid()}`, ...namespaces, '--']
  }

  #path(name: string): string {
    return join(this.#folder, name)
  }
}
