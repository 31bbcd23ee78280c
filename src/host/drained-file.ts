/**
 * The file in the state folder by which a process that was asked to drain says that it has: what
 * `terway-edge drain` waits for. A disk that cannot be written any more must keep no node from its
 * network, so whatever fails here is told and no more.
 */
import { join } from 'node:path'
import { errorText } from '../lib/errors.ts'
import { removeFile, writeFileWhole } from '../lib/files.ts'
import type { Log } from '../lib/log.ts'

export interface DrainedFile {
  /** Forgets what a former process said. */
  forget(): void
  /**
   * Says that it is done. A process that ended over this would be started again, and announce
   * again.
   */
  tell(): void
}

export function drainedPath(stateDir: string): string {
  return join(stateDir, 'drained')
}

export function drainedFile(stateDir: string, log: Log): DrainedFile {
  const file = drainedPath(stateDir)
  return {
    forget() {
      try {
        removeFile(file)
      } catch (error) {
        log.warn({ file, detail: errorText(error) }, 'that this node was drained once cannot be forgotten')
      }
    },
    tell() {
      try {
        writeFileWhole(file, '')
      } catch (error) {
        log.error({ detail: errorText(error) }, 'drained, but nobody can be told')
      }
    },
  }
}
