/**
 * The lab's folder: where everything lies, that only one command works on it at a time, and that
 * nothing of anybody else's is in it when it is removed.
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { errorCode, UserError } from '../lib/errors.ts'
import { flock, LOCK } from '../lib/libc.ts'

/** What the lab puts into its folder: all that `removeFolder` removes. */
const ENTRIES = [
  'lab.json',
  'lock',
  'logs',
  'nodes',
  'routers',
  'api',
  'controller',
  'cloud',
  'relay',
  'kubeconfig',
  'kubeconfig.host',
] as const

/** Entries and the unfinished writes (lib/files.ts) of a lab that was killed. */
function isOurs(name: string): boolean {
  return ENTRIES.some(entry => entry === name) || /^\.\d+\.\d+\.part$/.test(name)
}

export function inFolder(directory: string, entry: (typeof ENTRIES)[number], ...rest: string[]): string {
  return join(directory, entry, ...rest)
}

export function logFile(directory: string, name: string): string {
  return inFolder(directory, 'logs', `${name}.log`)
}

/** Makes the folder; refuses one that holds anything else. */
export function makeFolder(directory: string): void {
  const foreign = existsSync(directory) ? readdirSync(directory).filter(name => !isOurs(name)) : []
  if (foreign.length > 0) {
    throw new UserError(
      `${directory} holds things that are not the lab's (${foreign.slice(0, 3).join(', ')}): name another folder with --dir`,
      {
        exitStatus: 2,
      },
    )
  }
  mkdirSync(join(directory, 'logs'), { recursive: true, mode: 0o755 })
}

/** Removes what is the lab's, and the folder when nothing else is in it. */
export function removeFolder(directory: string): void {
  if (!existsSync(directory)) return
  for (const name of readdirSync(directory).filter(isOurs))
    rmSync(join(directory, name), { recursive: true, force: true })
  try {
    rmdirSync(directory)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTEMPTY') throw error
  }
}

/**
 * Runs `action` while no other command works on the lab in `directory`; leaves no folder behind
 * that holds nothing but the lock.
 */
export async function exclusively<T>(directory: string, action: () => Promise<T>): Promise<T> {
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  const path = inFolder(directory, 'lock')
  const file = openSync(path, 'a', 0o600)
  try {
    if (!lock(file, path)) {
      throw new UserError(`another "terway-edge lab" is at work in ${directory}: wait until it is done`)
    }
    try {
      return await action()
    } finally {
      if (existsSync(path) && readdirSync(directory).length === 1) removeFolder(directory)
    }
  } finally {
    closeSync(file)
  }
}

/**
 * Whether the lock could be had, and is still the one of that path: whoever had it before may have
 * removed it.
 */
function lock(file: number, path: string): boolean {
  try {
    flock(file, LOCK.EX | LOCK.NB)
  } catch (error) {
    if (errorCode(error) !== 'EAGAIN') throw error
    return false
  }
  return statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(file).ino
}
