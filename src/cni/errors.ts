/**
 * What may be thrown on the way to a pod's network; `failures.ts` says what CNI is told of it.
 * Pure.
 */
import { ERRNO, SystemError } from '../lib/errno.ts'
import { NetlinkError } from '../netlink/message.ts'

/** The file cannot be read or written: the message says which and why. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
}

/** The container's network namespace is not there (any more). */
export class NamespaceGone extends Error {
  override readonly name = 'NamespaceGone'
}

/** A link of that name is there and is not of our making. */
export class LinkNameTaken extends Error {
  override readonly name = 'LinkNameTaken'
}

/** Whether `error` is the kernel's refusal for want of rights. */
export function isPermissionError(error: unknown): boolean {
  const errno = error instanceof NetlinkError || error instanceof SystemError ? error.errno : 0
  return errno === ERRNO.EPERM || errno === ERRNO.EACCES
}
