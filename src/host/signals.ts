/** Waits for the signals that end a service, or drain it, and sees that it ends. */
import type { Log } from '../lib/log.ts'

type Stop = 'SIGTERM' | 'SIGINT'

/**
 * Resolves at the first SIGTERM or SIGINT; `onDrain` is called at each SIGUSR2. A second stop
 * signal ends the process at once.
 */
export function untilSignal(onDrain?: () => void): Promise<Stop> {
  return new Promise(resolve => {
    if (onDrain !== undefined) process.on('SIGUSR2', onDrain)
    let stopping = false
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (stopping) process.exit(1)
        stopping = true
        resolve(signal)
      })
    }
  })
}

/** How long what is left open may take to end by itself. */
const LEFT_MILLISECONDS = 500

/**
 * Ends the process, all of whose parts are ended, also where something is left that keeps it
 * (a program that it runs, a connection). Its exit status is the one that it has set.
 */
export function endSoon(log: Log): void {
  setTimeout(() => {
    log.warn({}, 'something was left running when the process ended')
    process.exit()
  }, LEFT_MILLISECONDS).unref()
}
