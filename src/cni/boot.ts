/** Which boot of the machine this is: no pod and no link outlives it, files do. */
import { readFileSync } from 'node:fs'

/** /proc/sys/kernel/random/boot_id, see random(4). */
export function currentBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}
