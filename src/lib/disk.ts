/**
 * The disk as the files of this program use it: the steps of which a careful write is made, one
 * method each, so that a test can lose power between any two of them. `files.ts` puts them
 * together; programs use `systemDisk`.
 *
 * Errors are those of node:fs, with their `code`.
 */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
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
  open: (path, flags, mode) => openSync(path, flags, mode),
  write: (file, bytes, offset) => writeSync(file, bytes, offset),
  sync: file => fsyncSync(file),
  close: file => closeSync(file),
  chmod: (path, mode) => chmodSync(path, mode),
  makeFolder(path) {
    mkdirSync(path, { recursive: true, mode: 0o755 })
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
