/**
 * The door to the kernel of one network namespace: a conversation, and a watch. What stands on it
 * need not know which namespace that is, nor whether it is the machine's or one of a test.
 */
import { Rtnetlink } from './rtnetlink.ts'
import { Watch, type WatchOptions } from './watch.ts'

export interface NetworkDoor {
  /** Throws `SystemError` when there is no such namespace, or no right to enter it. */
  open(): Rtnetlink
  /** From when it resolves on, no change goes unsaid. Throws `SystemError`. */
  watch(options: Omit<WatchOptions, 'netns'>): Promise<{ close(): void }>
}

/** The door to the namespace at that path; absent: to this one. */
export function networkDoor(netns?: string): NetworkDoor {
  const where = netns === undefined ? {} : { netns }
  return { open: () => Rtnetlink.open(where), watch: options => Watch.open({ ...options, ...where }) }
}
