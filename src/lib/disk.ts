/**
 * The disk as the files of this program use it: the steps of which a careful write is made, one
 * method each, so that a test can lose power between any two of them. `files.ts` puts them
 * together; programs use `systemDisk`.
 *
 * What root makes in a folder belongs to whom the folder belongs: the state folder is that of the
 * services' user, and the CNI plugin, which root runs, works in it too. So root opens no file there
 * by way of a link, and gives away none but those that it made.
 *
 * Errors are those of node:fs, with their `code`.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchownSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { errorCode } from './errors.ts'
import { tryLock, waitForLock } from './file-lock.ts'

/** An open file: a file descriptor. */
export type OpenFile = number

export interface Disk {
  /** The whole text of a file. Throws ENOENT where there is none. */
  read(path: string): string
  /** As open(2): `r` to read or sync, `a` to append, `w` made anew, `wx` only if there is none. */
  open(path: string, flags: 'r' | 'a' | 'w' | 'wx', mode?: number): OpenFile
  /** Writes from `offset` on; the number of bytes that were taken, which may be fewer. */
  write(file: OpenFile, bytes: Uint8Array, offset: number): number
  /** After it a power cut loses nothing of the file; of a folder: of its names. */
  sync(file: OpenFile): void
  close(file: OpenFile): void
  chmod(path: string, mode: number): void
  /** Makes the folder and those above it, where they are missing. */
  makeFolder(path: string): void
  rename(from: string, to: string): void
  /** A second name for the file. */
  link(path: string, name: string): void
  /** Removes a name, if it is there. */
  remove(path: string): void
  /**
   * Locks an open file for this process until it is closed, waiting for at most `patience`
   * milliseconds (absent: for as long as it takes). Whether it was had.
   */
  lock(file: OpenFile, patience?: number): boolean
}

export const systemDisk: Disk = {
  read: path => readFileSync(path, 'utf8'),
  open: openOn,
  write: (file, bytes, offset) => writeSync(file, bytes, offset),
  sync: file => fsyncSync(file),
  close: file => closeSync(file),
  chmod: (path, mode) => chmodSync(path, mode),
  makeFolder(path) {
    const first = mkdirSync(path, { recursive: true, mode: 0o755 })
    const owner = first === undefined ? undefined : ownerToGive(dirname(first))
    if (first === undefined || owner === undefined) return
    for (let made = path; made.startsWith(first); made = dirname(made)) chownSync(made, owner.uid, owner.gid)
  },
  rename: (from, to) => renameSync(from, to),
  link: (path, name) => linkSync(path, name),
  remove: path => rmSync(path, { force: true }),
  lock(file, patience) {
    if (patience !== undefined) return tryLock(file, patience)
    waitForLock(file)
    return true
  },
}

function openOn(path: string, flags: 'r' | 'a' | 'w' | 'wx', mode?: number): OpenFile {
  switch (flags) {
    case 'r':
      return openSync(path, flags)
    case 'w':
      return openSync(path, TO_WRITE | constants.O_CREAT | constants.O_TRUNC, mode)
    case 'wx':
      return openNew(path, mode)
    case 'a':
      return openOrMake(path, mode)
    default:
      return flags satisfies never
  }
}

const TO_WRITE = constants.O_WRONLY | constants.O_NOFOLLOW

function openOrMake(path: string, mode: number | undefined): OpenFile {
  for (;;) {
    try {
      return openSync(path, TO_WRITE | constants.O_APPEND)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
    try {
      return openNew(path, mode)
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error // else it came meanwhile
    }
  }
}

function openNew(path: string, mode: number | undefined): OpenFile {
  const file = openSync(path, TO_WRITE | constants.O_CREAT | constants.O_EXCL, mode)
  const owner = ownerToGive(dirname(path))
  if (owner !== undefined) fchownSync(file, owner.uid, owner.gid)
  return file
}

/** Whose a new file in `folder` is to be; undefined: it is already. */
function ownerToGive(folder: string): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const { uid, gid } = statSync(folder)
  return uid === 0 ? undefined : { uid, gid }
}
