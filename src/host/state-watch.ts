/**
 * Whether the state folder can be written: asked of the file system every so often and never tried
 * by writing, for the disk of an edge node is a small flash chip. A node goes on without (routes
 * and sessions need no disk), but its next start would go back in time, so people are told.
 */
import { accessSync, constants, statfsSync } from 'node:fs'
import type { Clock } from '../lib/clock.ts'
import { errorCode, errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'

export interface StateWatch {
  /** What an operator should know; empty when all is well. */
  readonly problems: readonly string[]
  close(): Promise<void>
}

const EVERY_MILLISECONDS = 15_000

/** Asks at once, and tells `onChange` when the answer is another one. */
export function watchStateFolder(
  stateDir: string,
  { clock, log, onChange }: { readonly clock: Clock; readonly log: Log; readonly onChange: () => void },
): StateWatch {
  let problem = stateFolderProblem(stateDir)
  if (problem !== undefined) log.error({ detail: problem }, 'the state folder cannot be written')
  const loop = new Loop({
    clock,
    everyMilliseconds: EVERY_MILLISECONDS,
    run: () => {
      const now = stateFolderProblem(stateDir)
      if (now === problem) return
      if (now === undefined) log.info({ file: stateDir }, 'the state folder can be written again')
      else log.error({ detail: now }, 'the state folder cannot be written')
      problem = now
      onChange()
    },
    onError: error => log.warn({ detail: errorText(error) }, 'the state folder cannot be looked at'),
  })
  loop.wake()
  return {
    get problems() {
      return problem === undefined ? [] : [problem]
    },
    close: () => loop.close(),
  }
}

/** Why nothing can be written there, and what that means; undefined when it can. */
function stateFolderProblem(stateDir: string): string | undefined {
  const why = unwritable(stateDir)
  if (why === undefined) return undefined
  return `the state folder ${stateDir} cannot be written: ${why}; what changes from now on is forgotten at the next start`
}

function unwritable(stateDir: string): string | undefined {
  try {
    accessSync(stateDir, constants.W_OK | constants.X_OK)
    const { bavail, files, ffree } = statfsSync(stateDir)
    if (bavail === 0) return 'its disk is full'
    return files > 0 && ffree === 0 ? 'its disk has no inode left' : undefined
  } catch (error) {
    const code = errorCode(error)
    if (code === 'EROFS') return 'its disk is read-only'
    if (code === 'ENOENT') return 'it is gone'
    return code === 'EACCES' ? 'this process has no right to' : errorText(error)
  }
}
