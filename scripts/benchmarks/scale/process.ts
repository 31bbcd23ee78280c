/** What the kernel knows of a process: CPU time, memory, and whether it is still there. */
import { readFileSync } from 'node:fs'

/** USER_HZ: the unit of times in /proc/PID/stat on every architecture that Linux has today. */
const TICKS_PER_SECOND = 100

/** User and system time in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export interface Memory {
  /** VmRSS and VmHWM. */
  readonly resident: number
  readonly peak: number
  /** RssAnon: what cannot be dropped, as the pages of the executable can. */
  readonly anonymous: number
  /** Proportional set size: what several processes share counts by its share. */
  readonly proportional: number
}

/** In MB. */
export function memory(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
  const of = (text: string, name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? NaN) / 1024
  return {
    resident: of(status, 'VmRSS'),
    peak: of(status, 'VmHWM'),
    anonymous: of(status, 'RssAnon'),
    proportional: of(rollup, 'Pss'),
  }
}

/** Starts VmHWM anew from what is resident now. */
export function forgetPeak(pid: number): void {
  Bun.spawnSync(['sh', '-c', `echo 5 > /proc/${pid}/clear_refs`])
}

/** Of an interface of a network namespace, in bytes. */
export function receivedBytes(namespace: string, name: string): number {
  const file = `/sys/class/net/${name}/statistics/rx_bytes`
  return Number(Bun.spawnSync(['ip', 'netns', 'exec', namespace, 'cat', file]).stdout.toString())
}
