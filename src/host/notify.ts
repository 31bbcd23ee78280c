/**
 * Tells systemd what the service does (sd_notify(3)): a datagram to the socket that it names.
 * Nothing happens outside of systemd, and what cannot be told is a warning, never a failure.
 */
import { environment } from '../config/environment.ts'
import { AF } from '../lib/address-family.ts'
import { errorText } from '../lib/errors.ts'
import { close, SOCK, sendTo, socket } from '../lib/libc.ts'
import type { Log } from '../lib/log.ts'

/** Tells systemd a state such as `READY=1` (sd_notify(3)); nothing happens outside of systemd. */
export function notifyService(state: string, log: Log): void {
  const path = environment.notifySocket()
  if (path === undefined || path === '') return
  try {
    const name = Buffer.from(path.startsWith('@') ? `\0${path.slice(1)}` : `${path}\0`)
    const address = new Uint8Array(2 + name.length)
    address[0] = AF.UNIX
    address.set(name, 2)
    const fd = socket(AF.UNIX, SOCK.DGRAM, 0)
    try {
      sendTo(fd, Buffer.from(state), address)
    } finally {
      close(fd)
    }
  } catch (error) {
    log.warn({ detail: errorText(error) }, 'systemd could not be notified')
  }
}
