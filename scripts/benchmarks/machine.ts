/** The machine that the numbers are of. */
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os'

/** `2 x Intel Xeon …, 24 GB, Linux 6.18, Debian 12, load 0.5`. */
export function machineText(): string {
  const [load = 0] = loadavg()
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`
  const processor = `${availableParallelism()} x ${cpus()[0]?.model.trim() ?? process.arch}`
  return [
    processor,
    memory,
    `Linux ${/^[\d.]+/.exec(release())?.[0] ?? release()}`,
    distribution(),
    `load before ${load.toFixed(1)}`,
  ].join(', ')
}

function distribution(): string {
  const text = readFileSync('/etc/os-release', 'utf8')
  return /^PRETTY_NAME="?([^"\n]*)/m.exec(text)?.[1] ?? 'unknown distribution'
}
