/**
 * System users of a machine, below the folder that stands for its `/`: looked up in its own
 * passwd(5), made by systemd-sysusers(8) or useradd(8), taken away by userdel(8).
 */
import { join } from 'node:path'
import { systemDisk } from '../lib/disk.ts'
import { UserError } from '../lib/errors.ts'
import { readFileIfPresent } from '../lib/files.ts'
import type { Owner } from './seen-machine.ts'

/** Undefined when there is no user of that name. */
export function userOf(root: string, name: string): Owner | undefined {
  const lines = (readFileIfPresent(join(root, 'etc/passwd')) ?? '').split('\n')
  const [, , uid, gid] = lines.map(line => line.split(':')).find(([first]) => first === name) ?? []
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) }
}

/** Makes a system user by a line of sysusers.d(5). Throws `UserError` where this machine cannot. */
export function makeUser(root: string, { name, line }: { readonly name: string; readonly line: string }): void {
  const below = root === '/' ? [] : [`--root=${root}`]
  const byHand = ['--system', '--user-group', '--no-create-home', '--home-dir', '/', '--shell', '/usr/sbin/nologin']
  systemDisk.makeFolder(join(root, 'etc'))
  const problem =
    call(['systemd-sysusers', ...below, '-'], line) && call(['useradd', ...below, ...byHand, name], undefined)
  if (userOf(root, name) !== undefined) return
  throw new UserError(`the user ${name} cannot be made: ${problem ?? 'nobody said why'}`)
}

/** Throws `UserError` where this machine cannot. */
export function removeUser(root: string, name: string): void {
  const below = root === '/' ? [] : [`--root=${root}`]
  const problem = call(['userdel', ...below, name], undefined)
  if (userOf(root, name) === undefined) return
  throw new UserError(`the user ${name} cannot be removed: ${problem ?? 'nobody said why'}`)
}

/** Why it failed; undefined when it did not. */
function call(command: readonly string[], input: string | undefined): string | undefined {
  const [program = ''] = command
  if (Bun.which(program, { PATH: FOLDERS }) === null) return `there is no ${program}`
  const stdin = input === undefined ? 'ignore' : Buffer.from(input)
  const { exitCode, stderr } = Bun.spawnSync([...command], {
    stdin,
    stdout: 'ignore',
    stderr: 'pipe',
    env: { PATH: FOLDERS },
  })
  return exitCode === 0 ? undefined : `${program}: ${stderr.toString().trim() || `exit status ${exitCode}`}`
}

const FOLDERS = '/usr/sbin:/sbin:/usr/bin:/bin'
