/**
 * Programs and files for a release: each call either does its whole job or throws with the
 * program's words.
 */
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

/** The standard output of a program that succeeded. */
export function run(command: readonly string[], { cwd, env }: RunOptions = {}): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    ...(cwd !== undefined && { cwd }),
    env: { ...process.env, ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  if (exitCode === 0) return stdout.toString()
  throw new Error(`${command.join(' ')}: ${stderr.toString().trim() || `exit status ${exitCode}`}`)
}

export function sha256(content: string | Uint8Array): string {
  return new Bun.CryptoHasher('sha256').update(content).digest('hex')
}

/**
 * A tar archive of a folder's content that is the same for the same content: order, owner and time
 * are fixed.
 */
export function tarOf(folder: string, seconds: number): Uint8Array {
  const names = readdirSync(folder).sort()
  const fixed = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu', `--mtime=@${seconds}`]
  const { exitCode, stdout, stderr } = Bun.spawnSync(['tar', '-C', folder, ...fixed, '-cf', '-', ...names], {
    stdout: 'pipe',
    stderr: 'pipe',
    maxBuffer: 2 ** 31,
  })
  if (exitCode !== 0) throw new Error(`tar of ${folder}: ${stderr.toString()}`)
  return stdout
}

/** gzip without a name or a time in it. */
export function gzip(content: Uint8Array): Uint8Array {
  return Bun.gzipSync(new Uint8Array(content), { level: 6, library: 'libdeflate' })
}

export function emptyFolder(...parts: string[]): string {
  const folder = join(...parts)
  run(['rm', '-rf', folder])
  mkdirSync(folder, { recursive: true })
  return folder
}
