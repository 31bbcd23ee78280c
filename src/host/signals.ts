/** Waits for the signals that end a service, or drain it. Starts and ends no part by itself. */
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
