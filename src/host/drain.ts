/**
 * `terway-edge drain`, both ends of it: who asks the process that serves, by a signal, and waits
 * until the file in the state folder says that it is done; and what that process does when it is
 * asked. What is withdrawn, and how, is the speaker's business.
 */
import { existsSync } from 'node:fs'
import { type Clock, sleep } from '../lib/clock.ts'
import { errorText, UserError } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { drainedFile, drainedPath } from './drained-file.ts'
import { runningProcess } from './state-folder.ts'

/** A process that can be drained. */
export interface Drain {
  readonly drained: boolean
  /** Takes the sessions out of service, once. */
  readonly begin: () => void
}

export interface DrainOptions {
  readonly stateDir: string
  readonly log: Log
  /** Takes the sessions out of service; undefined: it announces nothing. */
  readonly leave: () => Promise<void> | undefined
  readonly onDrained: () => void
}

/** Forgets what a former process said. */
export function prepareDrain({ stateDir, log, leave, onDrained }: DrainOptions): Drain {
  const file = drainedFile(stateDir, log)
  file.forget()
  let drained = false
  return {
    get drained() {
      return drained
    },
    begin() {
      if (drained) return
      const leaving = leave()
      if (leaving === undefined) return file.tell()
      drained = true
      log.info({}, 'draining: all announcements are marked for graceful shutdown, then withdrawn')
      leaving
        .then(() => {
          onDrained()
          file.tell()
        })
        .catch(error => log.error({ detail: errorText(error) }, 'it could not be drained'))
    },
  }
}

/** How long a drain may take: its pause, then what BGP and the API server may need for the rest. */
export function drainTimeoutSeconds({ bgp }: { readonly bgp: { readonly drainSeconds: number } }): number {
  return bgp.drainSeconds + 15
}

const LOOK_MILLISECONDS = 100

/**
 * Asks the process on `stateDir` to drain and waits until it says that it did. Throws a `UserError`
 * when none runs, or it ends or takes too long over that.
 */
export async function askToDrain(stateDir: string, clock: Clock, timeoutSeconds: number): Promise<void> {
  const running = runningProcess(stateDir)
  if (running === undefined)
    throw new UserError(`no terway-edge works with ${stateDir}: is the service running? systemctl status terway-edge`)
  process.kill(running.pid, 'SIGUSR2')
  const deadline = clock.monotonic() + timeoutSeconds * 1000
  while (clock.monotonic() < deadline) {
    if (existsSync(drainedPath(stateDir))) return
    if (runningProcess(stateDir) === undefined)
      throw new UserError(`process ${running.pid} ended while draining; see journalctl -u terway-edge`)
    await sleep(clock, LOOK_MILLISECONDS)
  }
  throw new UserError(`process ${running.pid} did not drain within ${timeoutSeconds} s; see journalctl -u terway-edge`)
}
