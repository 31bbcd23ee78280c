/**
 * The operator's word on one node that what it holds may go (mass-removal.ts): a file in its state
 * folder, for where the API server is out of reach and the word cannot stand on RouteSlices.
 * Written by `terway-edge confirm --local`, taken away by the process that has heard it; one that
 * holds nothing does not listen.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, sleep } from '../lib/clock.ts'
import { type Disk, systemDisk } from '../lib/disk.ts'
import { readFileIfPresent, removeFile, writeFileWhole } from '../lib/files.ts'
import { timestamp } from '../lib/timestamp.ts'

/** Where the word stands. */
export function localWordPath(stateDir: string): string {
  return join(stateDir, 'removals-confirmed')
}

/** How long the node's process may take: it looks each second while it holds anything. */
const HEARD_MILLISECONDS = 5000
const LOOK_MILLISECONDS = 100

/**
 * Says it and waits: whether the process has heard it; one that was not heard is taken back. Throws
 * when the folder cannot be written.
 */
export async function sayLocally(stateDir: string, clock: Clock): Promise<boolean> {
  const file = localWordPath(stateDir)
  writeFileWhole(file, `${timestamp(clock.now())}\n`)
  const deadline = clock.monotonic() + HEARD_MILLISECONDS
  while (clock.monotonic() < deadline) {
    if (!existsSync(file)) return true
    await sleep(clock, LOOK_MILLISECONDS)
  }
  removeFile(file)
  return false
}

/** The word, once: undefined where there is none. Throws when it cannot be read or removed. */
export function hearLocalWord(stateDir: string, disk: Disk = systemDisk): string | undefined {
  const text = readFileIfPresent(localWordPath(stateDir), disk)
  if (text === undefined) return undefined
  removeFile(localWordPath(stateDir), disk)
  return text.trim()
}
