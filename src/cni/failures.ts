/**
 * Errors that were thrown on the way, as the failures that CNI has for them, each with what an
 * operator can do. Pure: told by the class and number of an error, never by its text.
 */
import { errorText } from '../lib/errors.ts'
import { isPermissionError, LinkNameTaken, NamespaceGone, StoreError } from './errors.ts'
import { CNI_ERROR, type Failure, failure } from './protocol.ts'

/** `doing` says what could not be done: `cannot attach eth0 of 4f2a`. */
export function failureOf(error: unknown, doing: string): Failure {
  const msg = `${doing}: ${errorText(error)}`
  if (error instanceof NamespaceGone) {
    return failure(CNI_ERROR.unknownContainer, msg, 'the container has ended; DEL frees what is recorded for it')
  }
  if (error instanceof LinkNameTaken) {
    return failure(CNI_ERROR.nameClash, msg, 'remove or rename that interface, or ask for another CNI_IFNAME')
  }
  if (error instanceof StoreError) {
    return failure(
      CNI_ERROR.ioFailure,
      msg,
      'see that the disk of the state folder is writable and not full; if the file is damaged, move it away and restart the pods of this node',
    )
  }
  if (isPermissionError(error)) {
    return failure(
      CNI_ERROR.wiringFailed,
      msg,
      'the plugin must run as root of the host (CAP_NET_ADMIN and CAP_SYS_ADMIN)',
    )
  }
  return failure(
    CNI_ERROR.wiringFailed,
    msg,
    'the kernel refused this step; the runtime tries again by itself, and terway-edge doctor on this node may say more',
  )
}
