/**
 * Who works with a state folder: one process at a time, by a lock that dies with its holder, and a
 * file beside it that names the process for `drain`, `uninstall` and `doctor`.
 */
import { closeSync, existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { systemDisk } from '../lib/disk.ts'
import { errorCode, errorText, UserError } from '../lib/errors.ts'
import { tryLock } from '../lib/file-lock.ts'
import { readFileIfPresent, removeFile, removeLeftovers, writeFileWhole } from '../lib/files.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'

interface Running {
  readonly pid: number
  /**
   * Clock ticks after boot (proc(5), field 22): tells a process from a later one of the same
   * number.
   */
  readonly startTicks: string
}

const FILE = 'process.json'
/**
 * Locked by the process that works with the folder, for as long as it lives. Who that is stands in
 * the other file.
 */
const LOCK_FILE = 'lock'
/** How long the holder of the lock may take to say who it is, or to end. */
const CLAIM_PATIENCE_MILLISECONDS = 1000
const CLAIM_PAUSE_MILLISECONDS = 5

/** The process that says in the state folder that it runs; undefined when it does not any more. */
export function runningProcess(stateDir: string): Running | undefined {
  const text = readFileIfPresent(join(stateDir, FILE))
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || !('pid' in value) || !('startTicks' in value)) return undefined
    const { pid, startTicks } = value
    if (typeof pid !== 'number' || typeof startTicks !== 'string') return undefined
    return startTicksOf(pid) === startTicks ? { pid, startTicks } : undefined
  } catch {
    return undefined
  }
}

/**
 * Claims the state folder for this process; a second one on the same folder is refused. Returns how
 * to give it back. It is the lock that claims: a folder that was in use and can be written no more
 * (its disk is full, its file system became read-only) is claimed too, for a node must start from
 * what it holds; who has it is written there as soon as that can be.
 */
export function claimStateFolder(stateDir: string, { clock, log }: { clock: Clock; log: Log }): () => void {
  const lock = lockFolder(stateDir)
  const sign = new Loop({
    clock,
    run: () => signFolder(stateDir),
    onError: () => {}, // it was told the first time
  })
  try {
    signFolder(stateDir)
  } catch (error) {
    log.error(
      { file: stateDir, reason: errorText(error) },
      'the state folder cannot be written; starting from what it holds',
    )
    sign.wake()
  }
  return () => {
    void sign.close()
    try {
      removeFile(join(stateDir, FILE))
    } catch {
      // it names a process that has ended, which says the same
    }
    closeSync(lock)
  }
}

/** Writes who works with the folder. */
function signFolder(stateDir: string): void {
  const running: Running = { pid: process.pid, startTicks: startTicksOf(process.pid) ?? '' }
  removeLeftovers(stateDir) // first, for the room that they take
  writeFileWhole(join(stateDir, FILE), `${JSON.stringify(running)}\n`)
}

/**
 * The open lock file; it is not handed on to programs that this process runs. Throws when another
 * process has it.
 */
function lockFolder(stateDir: string): number {
  const lock = openLock(stateDir)
  try {
    for (let waited = 0; !tryLock(lock, CLAIM_PAUSE_MILLISECONDS); waited += CLAIM_PAUSE_MILLISECONDS) {
      const other = runningProcess(stateDir)
      if (other === undefined && waited < CLAIM_PATIENCE_MILLISECONDS) continue
      const who = other === undefined ? '' : ` (process ${other.pid})`
      throw new UserError(
        `another terway-edge${who} works with ${stateDir}: stop it first, or name another folder with --state`,
      )
    }
    return lock
  } catch (error) {
    closeSync(lock)
    throw error
  }
}

/** For flock(2) it need not be open for writing. */
function openLock(stateDir: string): number {
  const path = join(stateDir, LOCK_FILE)
  try {
    systemDisk.makeFolder(stateDir)
    return systemDisk.open(path, 'a', 0o600)
  } catch (cause) {
    if (errorCode(cause) === 'EROFS' && existsSync(path)) return openSync(path, 'r')
    throw new UserError(`the state folder ${stateDir} cannot be written: name one that can with --state`, { cause })
  }
}

function startTicksOf(pid: number): string | undefined {
  const text = readFileIfPresent(`/proc/${pid}/stat`)
  // the second field, the name in parentheses, may hold spaces
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19]
}
