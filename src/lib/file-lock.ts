/**
 * Locks on open files that die with their holder, whatever ends it (flock(2)): between processes,
 * never left behind. Which file stands for what is its owner's business; such a file is never
 * removed, or two processes could hold locks on two files of one name.
 */
import { ERRNO, SystemError } from './errno.ts'
import { flock, LOCK } from './libc.ts'

/**
 * Locks an open file for this process alone, until it is closed. Waits for as long as it takes.
 * Throws `SystemError`.
 */
export function waitForLock(file: number): void {
  for (;;) {
    try {
      flock(file, LOCK.EX)
      return
    } catch (error) {
      if (!hasErrno(error, ERRNO.EINTR)) throw error
    }
  }
}

/** Whether the lock was had within `patience` milliseconds; 0 tries once. Throws `SystemError`. */
export function tryLock(file: number, patience: number): boolean {
  for (let waited = 0; ; waited++) {
    try {
      flock(file, LOCK.EX | LOCK.NB)
      return true
    } catch (error) {
      if (!hasErrno(error, ERRNO.EAGAIN) && !hasErrno(error, ERRNO.EINTR)) throw error
      if (waited >= patience) return false
      Bun.sleepSync(1)
    }
  }
}

function hasErrno(error: unknown, errno: number): boolean {
  return error instanceof SystemError && error.errno === errno
}
