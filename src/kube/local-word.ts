/**
 * The operator's word on one node that what it holds may go (mass-removal.ts): a file in its state
 * folder, for where the API server is out of reach and the word cannot stand on RouteSlices.
 * Written by `terway-edge confirm --local`, taken away by the process that has heard it.
 */
import { join } from 'node:path'
import { type Disk, systemDisk } from '../lib/disk.ts'
import { readFileIfPresent, removeFile, writeFileWhole } from '../lib/files.ts'

/** Where the word stands. */
export function localWordPath(stateDir: string): string {
  return join(stateDir, 'removals-confirmed')
}

/** `time` (RFC 3339) only grows. Throws when the folder cannot be written. */
export function sayLocally(stateDir: string, time: string): void {
  writeFileWhole(localWordPath(stateDir), `${time}\n`)
}

/** The word, once: undefined where there is none. Throws when it cannot be read or removed. */
export function hearLocalWord(stateDir: string, disk: Disk = systemDisk): string | undefined {
  const text = readFileIfPresent(localWordPath(stateDir), disk)
  if (text === undefined) return undefined
  removeFile(localWordPath(stateDir), disk)
  return text.trim()
}
