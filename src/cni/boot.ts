/**
 * Which boot of the machine this is: no pod and no link outlives it, but files do. A record of an
 * address says in which boot it was made, so that after a power cut nobody has to be asked what is
 * still there.
 */
import { readFileSync } from 'node:fs'

/** /proc/sys/kernel/random/boot_id, see random(4). */
export function currentBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}
