/**
 * What the kernel says of a process: memory and processor time (proc(5)).
 */
import { readFileSync } from 'node:fs'

/**
 * Ticks per second of the times in /proc: USER_HZ, which is 100 on every Linux that Bun runs on.
 */
const TICKS = 100

/** Resident memory now (`VmRSS`) or at its highest (`VmHWM`), in megabytes. */
export function memoryMegabytes(pid: number, what: 'VmRSS' | 'VmHWM'): number {
  const kibibytes = new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return (Number(kibibytes) * 1024) / 1e6
}

/** Processor seconds of all its threads so far, user and system. */
export function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}
