/**
 * Frees the addresses that no runtime will give back (leaks.ts says which): at once what the last
 * process left, and from then on every few minutes what was a leak the time before already, for an
 * ADD may be under way in another process.
 */
import type { Clock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import type { Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { freeLeaks, leakedAttempts } from './leaks.ts'

const EVERY_MILLISECONDS = 300_000

/** Starts at once. A state folder that cannot be read or written is told once, and tried again. */
export function keepFreeingAddresses(stateDir: string, { clock, log }: { clock: Clock; log: Log }): Loop {
  let before: ReadonlySet<string> | undefined
  let failing = false
  const loop = new Loop({
    clock,
    everyMilliseconds: EVERY_MILLISECONDS,
    run: () => {
      for (const { containerId, addresses } of freeLeaks(stateDir, before)) {
        log.info({ name: containerId, address: addresses.join(' ') }, 'address freed: its pod is gone')
      }
      before = leakedAttempts(stateDir)
      failing = false
    },
    onError: error => {
      if (!failing) log.warn({ detail: errorText(error) }, 'the addresses of pods cannot be read or freed')
      failing = true
    },
  })
  loop.wake()
  return loop
}
