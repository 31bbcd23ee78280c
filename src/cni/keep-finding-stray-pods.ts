/**
 * Looks for pods that nobody routes to (stray-pods.ts), each minute and when it is woken, and tells
 * when that changes.
 */
import type { Clock } from '../lib/clock.ts'
import { Loop } from '../lib/loop.ts'
import { AddressStore } from './address-store.ts'
import { strayPods } from './stray-pods.ts'

export interface StrayPodsOptions {
  readonly clock: Clock
  /** Those of this node; empty while nothing is known. */
  readonly podCIDRs: () => readonly string[]
  /** What was found, when there is something new. */
  readonly onFound: (problem: string) => void
}

const EVERY_MILLISECONDS = 60_000

export function keepFindingStrayPods(
  stateDir: string,
  { clock, podCIDRs, onFound }: StrayPodsOptions,
): { readonly problems: readonly string[]; wake(): void; close(): Promise<void> } {
  let found: string | undefined
  const loop = new Loop({
    clock,
    everyMilliseconds: EVERY_MILLISECONDS,
    run: () => {
      const before = found
      found = strayPods(new AddressStore(stateDir).read().records, podCIDRs())
      if (found !== undefined && found !== before) onFound(found)
    },
    onError: () => {}, // a store that cannot be read is told by who works with it
  })
  loop.wake()
  return {
    get problems() {
      return found === undefined ? [] : [found]
    },
    wake: () => loop.wake(),
    close: async () => {
      await loop.close()
      found = undefined
    },
  }
}
