/**
 * Files that are either the old ones or the new ones, never half of each, also after a power cut:
 * written beside, synced, renamed, and the folder synced (rename(2), fsync(2)).
 */
import { readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Disk, type OpenFile, systemDisk } from './disk.ts'
import { errorCode } from './errors.ts'

/** Writes `text` to `path` whole; makes the folder if it is missing. `mode` defaults to 0600. */
export function writeFileWhole(path: string, text: string, options: { mode?: number; disk?: Disk } = {}): void {
  const { mode, disk = systemDisk } = options
  const folder = dirname(path)
  disk.makeFolder(folder)
  const beside = join(folder, `.${process.pid}.${Date.now()}.part`)
  try {
    writeSynced(disk, disk.open(beside, 'wx', mode ?? 0o600), text)
    if (mode !== undefined) disk.chmod(beside, mode) // whatever the umask
    disk.rename(beside, path)
  } catch (error) {
    disk.remove(beside)
    throw new Error(`cannot write ${path}`, { cause: error })
  }
  syncPath(folder, disk)
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
export function replaceFile(
  path: string,
  beside: string,
  text: string,
  { mode, disk = systemDisk }: { mode?: number; disk?: Disk } = {},
): void {
  try {
    disk.remove(beside)
    writeSynced(disk, disk.open(beside, 'wx', mode ?? 0o600), text)
    if (mode !== undefined) disk.chmod(beside, mode) // whatever the umask
    disk.rename(beside, path)
  } catch (error) {
    throw new Error(`cannot write ${path}`, { cause: error })
  }
}

/** The text of `path`, or undefined when there is no such file. */
export function readFileIfPresent(path: string, disk: Disk = systemDisk): string | undefined {
  try {
    return disk.read(path)
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
export function removeFile(path: string, disk: Disk = systemDisk): void {
  disk.remove(path)
  try {
    syncPath(dirname(path), disk)
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
  }
}

/** Writes all of `text`, syncs and closes. */
function writeSynced(disk: Disk, file: OpenFile, text: string): void {
  try {
    const bytes = Buffer.from(text)
    for (let written = 0; written < bytes.length; ) written += disk.write(file, bytes, written)
    disk.sync(file)
  } finally {
    disk.close(file)
  }
}

/** Has what is in a file, or which names are in a folder, on the disk (fsync(2)). */
export function syncPath(path: string, disk: Disk = systemDisk): void {
  const file = disk.open(path, 'r')
  try {
    disk.sync(file)
  } finally {
    disk.close(file)
  }
}
