/**
 * Files that are either the old ones or the new ones, never half of each, also after a power cut:
 * written beside, synced, renamed, and the folder synced (rename(2), fsync(2)).
 */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { errorCode } from './errors.ts'

/** Writes `text` to `path` whole; makes the folder if it is missing. `mode` defaults to 0600. */
export function writeFileWhole(path: string, text: string, options: { mode?: number } = {}): void {
  const folder = dirname(path)
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const beside = join(folder, `.${process.pid}.${Date.now()}.part`)
  try {
    writeSynced(openSync(beside, 'wx', options.mode ?? 0o600), text)
    if (options.mode !== undefined) chmodSync(beside, options.mode) // whatever the umask
    renameSync(beside, path)
  } catch (error) {
    rmSync(beside, { force: true })
    throw new Error(`cannot write ${path}`, { cause: error })
  }
  syncFolder(folder)
}

/**
 * Removes what a process left in `folder` that was killed within `writeFileWhole`. Only for whom
 * the folder belongs to alone.
 */
export function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder))
    if (/^\.\d+\.\d+\.part$/.test(name)) rmSync(join(folder, name), { force: true })
}

/**
 * As `writeFileWhole`, for one writer at a time who names the file `beside` (leftovers of a killed
 * one are overwritten) and is content with the old or the new file after a power cut: the folder is
 * not synced.
 */
export function replaceFile(path: string, beside: string, text: string): void {
  try {
    writeSynced(openSync(beside, 'w', 0o600), text)
    renameSync(beside, path)
  } catch (error) {
    throw new Error(`cannot write ${path}`, { cause: error })
  }
}

/** The text of `path`, or undefined when there is no such file. */
export function readFileIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw new Error(`cannot read ${path}`, { cause: error })
  }
}

/** Changes whenever a file is replaced or written; empty while there is none. */
export function fileStamp(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? '' : `${found.ino} ${found.mtimeMs} ${found.size}`
}

/** Removes `path` for good, if it is there. */
export function removeFile(path: string): void {
  rmSync(path, { force: true })
  try {
    syncFolder(dirname(path))
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

/** Writes all of `text`, syncs and closes. */
function writeSynced(file: number, text: string): void {
  try {
    const bytes = Buffer.from(text)
    for (let written = 0; written < bytes.length; ) written += writeSync(file, bytes, written)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function syncFolder(folder: string): void {
  const file = openSync(folder, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
