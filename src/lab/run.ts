/**
 * Programs that the lab runs to their end, and whether they are there at all: iproute2, ping,
 * birdc, vtysh, the CNI plugin.
 *
 * Not for what stays in the background: see processes.ts.
 */
import { UserError } from '../lib/errors.ts'
import { DEFAULT_DIRECTORY } from './plan.ts'

/** Where Debian keeps programs that are not on every user's PATH. */
export const PROGRAM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/frr:/usr/libexec/frr'

export interface Finished {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * FRR's daemons, where Debian and its own packages keep them: OpenBGPD has a `bgpd` too, which is
 * on PATH.
 */
const FRR_DAEMONS: readonly string[] = ['mgmtd', 'zebra', 'bgpd']
const FRR_PATH = '/usr/lib/frr:/usr/libexec/frr'

/** The path of a program, or undefined. */
export function findProgram(name: string): string | undefined {
  const path = FRR_DAEMONS.includes(name) ? `${FRR_PATH}:${PROGRAM_PATH}` : PROGRAM_PATH
  return Bun.which(name, { PATH: path }) ?? Bun.which(name) ?? undefined
}

/** Runs a program to its end; does not judge its exit status. */
export async function attempt(command: readonly string[], options: { stdin?: string } = {}): Promise<Finished> {
  const [name = '', ...rest] = command
  const child = Bun.spawn([findProgram(name) ?? name, ...rest], {
    stdin: options.stdin === undefined ? 'ignore' : Buffer.from(options.stdin),
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: 60_000,
  })
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { status, stdout, stderr }
}

/** Runs a program to its end and returns what it printed. Throws when it fails. */
export async function run(command: readonly string[], options: { stdin?: string } = {}): Promise<string> {
  const { status, stdout, stderr } = await attempt(command, options)
  if (status === 0) return stdout
  throw new UserError(`${command.join(' ')} ended with status ${status}: ${(stderr || stdout).trim()}`)
}

/**
 * What a person types to reach the lab in `directory`: with the path of this executable where a
 * shell does not find it.
 */
export function labCommandLine(subcommand: 'up' | 'status' | 'down', directory: string): string {
  const elsewhere = import.meta.path.startsWith('/$bunfs/') && Bun.which('terway-edge') !== process.execPath
  const program = elsewhere ? process.execPath : 'terway-edge'
  return `${program} lab ${subcommand}${directory === DEFAULT_DIRECTORY ? '' : ` --dir ${directory}`}`
}

/** Where iproute2 keeps a network namespace. */
export function namespacePath(namespace: string): string {
  return `/run/netns/${namespace}`
}

/** `command` inside a network namespace. */
export function inside(namespace: string, command: readonly string[]): readonly string[] {
  return ['ip', 'netns', 'exec', namespace, ...command]
}

const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  bird: 'bird2',
  birdc: 'bird2',
  zebra: 'frr',
  bgpd: 'frr',
  vtysh: 'frr',
  ping: 'iputils-ping',
  nft: 'nftables',
}

/** Throws one line that says what to install when a program is missing. */
export function requirePrograms(names: readonly string[]): void {
  const missing = names.filter(name => findProgram(name) === undefined)
  if (missing.length === 0) return
  const packages = [...new Set(missing.map(name => PACKAGES[name] ?? name))]
  throw new UserError(
    `the lab needs ${missing.join(', ')}: install with: apt-get install --no-install-recommends ${packages.join(' ')}`,
  )
}
