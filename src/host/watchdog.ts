/**
 * Feeds systemd's watchdog (WatchdogSec of systemd.service(5)) from the event loop: a process whose
 * loop stands still, whatever holds it, is not heard, and systemd starts it again. Nothing happens
 * outside of systemd.
 */
import { environment } from '../config/environment.ts'
import type { Cancel, Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { notifyService } from './notify.ts'

/** How often in the time that systemd waits. */
const TIMES = 4

/** Starts to feed it. Returns how to stop, after which systemd waits for nothing but the end. */
export function feedWatchdog({ clock, log }: { readonly clock: Clock; readonly log: Log }): Cancel {
  const milliseconds = environment.watchdogMicroseconds() / 1000
  if (!(milliseconds > 0)) return () => {}
  let cancel: Cancel = () => {}
  const feed = () => {
    notifyService('WATCHDOG=1', log)
    cancel = clock.after(milliseconds / TIMES, feed)
  }
  feed()
  return () => cancel()
}
