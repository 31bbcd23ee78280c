/**
 * Network namespaces for tests: machines on one machine, made with iproute2 under names of their
 * own and removed with all that runs in them.
 */
import { rmSync } from 'node:fs'

export interface CommandResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. Throws when it fails, unless `mayFail`. */
export function run(
  command: readonly string[],
  options: { mayFail?: boolean; stdin?: string; timeoutMilliseconds?: number } = {},
): CommandResult {
  const done = Bun.spawnSync([...command], {
    stdin: options.stdin === undefined ? 'ignore' : Buffer.from(options.stdin),
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: options.timeoutMilliseconds ?? 120_000,
  })
  const result = { status: done.exitCode ?? -1, stdout: done.stdout.toString(), stderr: done.stderr.toString() }
  if (result.status !== 0 && options.mayFail !== true) {
    throw new Error(`${command.join(' ')}: exit status ${result.status}: ${result.stderr || result.stdout}`)
  }
  return result
}

let count = 0
const open = new Set<TestNetwork>()

let isCleaned = false

/** A test run that is ended leaves nothing behind either. */
function cleanWhenEnded(): void {
  if (isCleaned) return
  isCleaned = true
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      void Promise.allSettled([...open].map(network => network.close())).then(() => process.exit(1))
    })
  }
}

/** A set of namespaces that live and die together. */
export class TestNetwork {
  readonly #prefix = `te-t${process.pid}-${++count}`
  readonly #namespaces: string[] = []
  readonly #processes: Bun.Subprocess[] = []

  constructor() {
    cleanWhenEnded()
    open.add(this)
  }

  /** Makes a namespace with loopback up and returns its name, as `ip netns` knows it. */
  namespace(name: string): string {
    const full = `${this.#prefix}-${name}`
    run(['ip', 'netns', 'add', full])
    this.#namespaces.push(full)
    this.ip(full, 'link set lo up')
    return full
  }

  /** The path of a namespace, for setns(2) and CNI_NETNS. */
  path(namespace: string): string {
    return `/run/netns/${namespace}`
  }

  /** `ip` with `words` (split at spaces) inside a namespace. */
  ip(namespace: string, words: string, options: { mayFail?: boolean } = {}): string {
    return run(['ip', '-n', namespace, ...words.split(' ')], options).stdout
  }

  /** Runs a command inside a namespace to its end. */
  exec(
    namespace: string,
    command: readonly string[],
    options: { mayFail?: boolean; timeoutMilliseconds?: number } = {},
  ): CommandResult {
    return run(['ip', 'netns', 'exec', namespace, ...command], options)
  }

  /** A veth pair between two namespaces, both ends up, with the addresses given (`10.0.0.1/24`). */
  connect(
    a: { namespace: string; interface: string; addresses?: readonly string[] },
    b: { namespace: string; interface: string; addresses?: readonly string[] },
  ): void {
    run([
      'ip',
      'link',
      'add',
      a.interface,
      'netns',
      a.namespace,
      'type',
      'veth',
      'peer',
      'name',
      b.interface,
      'netns',
      b.namespace,
    ])
    for (const end of [a, b]) {
      for (const address of end.addresses ?? []) {
        const nodad = address.includes(':') ? ' nodad' : ''
        this.ip(end.namespace, `addr add ${address} dev ${end.interface}${nodad}`)
      }
      this.ip(end.namespace, `link set ${end.interface} up`)
    }
  }

  /** Starts a program inside a namespace; it is killed by `close`. */
  spawn(
    namespace: string,
    command: readonly string[],
    options: { env?: Record<string, string> } = {},
  ): Bun.Subprocess<'ignore', 'pipe', 'pipe'> {
    const child = Bun.spawn(['ip', 'netns', 'exec', namespace, ...command], {
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
      env: { ...process.env, ...options.env },
    })
    this.#processes.push(child)
    return child
  }

  /** Kills what was started here, and removes the namespaces. */
  async close(): Promise<void> {
    for (const child of this.#processes) child.kill('SIGKILL')
    await Promise.all(this.#processes.map(child => child.exited))
    for (const namespace of this.#namespaces) {
      for (const pid of run(['ip', 'netns', 'pids', namespace], { mayFail: true })
        .stdout.split(/\s+/)
        .filter(Boolean)) {
        try {
          process.kill(Number(pid), 'SIGKILL')
        } catch {
          // it ended by itself
        }
      }
      run(['ip', 'netns', 'del', namespace], { mayFail: true })
      rmSync(`/etc/netns/${namespace}`, { recursive: true, force: true })
    }
    open.delete(this)
  }
}

/**
 * Less than the 30 s after which each keeper looks by itself: what is mended by then was mended on
 * an event.
 */
export const BY_EVENT_SECONDS = 20

/**
 * Waits until `condition` gives something true, at most `seconds`; throws what `what` says if it
 * never does.
 */
export async function eventually<T>(
  what: string,
  condition: () => T | Promise<T>,
  seconds = 60,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + seconds * 1000
  let last: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value) return value
      last = value
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline) throw new Error(`${what}: not within ${seconds} s; last: ${String(last)}`)
    await Bun.sleep(50)
  }
}
