/**
 * Waiting for something to come true: no longer than it may take, not without the process it needs,
 * not when the answer will stay no, and not once the person has had enough (Ctrl-C). Everything in
 * the lab that waits, waits here or for a process to end.
 */
import { type Clock, sleep } from '../lib/clock.ts'
import { errorText, UserError } from '../lib/errors.ts'
import { isAlive } from './processes.ts'
import type { ProcessRecord } from './record.ts'

export interface Patience {
  readonly clock: Clock
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal
  readonly seconds: number
  /** Without it there is nothing to wait for. */
  readonly needs?: ProcessRecord
  /** Errors that waiting does not cure. */
  readonly hopeless?: (error: unknown) => boolean
}

/** Tries `action` until it works; throws why it did not the last time. */
export async function retry<T>(patience: Patience, action: () => Promise<T> | T): Promise<T> {
  const { clock, signal, seconds, needs, hopeless } = patience
  const deadline = clock.monotonic() + seconds * 1000
  for (;;) {
    if (signal.aborted) throw new UserError('interrupted')
    const ended = needs !== undefined && !isAlive(needs)
    try {
      return await action()
    } catch (error) {
      if (hopeless?.(error) === true) throw error
      if (ended) throw new UserError(`${needs.name} has ended: ${errorText(error)}`)
      if (clock.monotonic() > deadline) throw new UserError(`${errorText(error)} (waited ${seconds} s)`)
      await sleep(clock, 200, signal)
    }
  }
}
