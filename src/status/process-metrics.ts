/**
 * What Prometheus' own libraries tell of every process, by the same names: processor time, memory,
 * open files, when it started (proc_pid_stat(5), proc_pid_limits(5)). What cannot be read is left
 * out.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { counter, gauge, type Metric, one, renderMetrics } from './metric.ts'

/** sysconf(_SC_CLK_TCK), 100 on every architecture that there is an executable for. */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

export function processMetricsText(): string {
  const usage = process.cpuUsage()
  const memory = read('/proc/self/statm').split(' ').map(Number)
  const stat = read('/proc/self/stat')
    .replace(/^.*\) /s, '')
    .split(' ')
  const boot = Number(/^btime (\d+)$/m.exec(read('/proc/stat'))?.[1])
  const metrics: Metric[] = [
    counter(
      'process_cpu_seconds_total',
      'Total user and system CPU time spent in seconds.',
      known((usage.user + usage.system) / 1e6),
    ),
    gauge(
      'process_virtual_memory_bytes',
      'Virtual memory size in bytes.',
      known((memory[0] ?? Number.NaN) * PAGE_BYTES),
    ),
    gauge(
      'process_resident_memory_bytes',
      'Resident memory size in bytes.',
      known((memory[1] ?? Number.NaN) * PAGE_BYTES),
    ),
    gauge('process_open_fds', 'Number of open file descriptors.', known(openFiles())),
    gauge(
      'process_max_fds',
      'Maximum number of open file descriptors.',
      known(Number(/^Max open files\s+(\d+)/m.exec(read('/proc/self/limits'))?.[1])),
    ),
    gauge(
      'process_start_time_seconds',
      'Start time of the process since unix epoch in seconds.',
      known(boot + Number(stat[19]) / TICKS_PER_SECOND),
    ),
  ]
  return renderMetrics(metrics)
}

function known(value: number) {
  return one(Number.isFinite(value) ? value : undefined)
}

function openFiles(): number {
  try {
    return readdirSync('/proc/self/fd').length
  } catch {
    return Number.NaN
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}
