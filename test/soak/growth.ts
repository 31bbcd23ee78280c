/**
 * Whether processes of a long run keep memory or files: a verdict over samples that were taken of
 * each while the site was at rest. Pure.
 */

/** One process at one moment. */
export interface Sample {
  /** Since the run began, s. */
  readonly at: number
  readonly name: string
  readonly pid: number
  /** Anonymous memory, resident, bytes: what is of files is shared and can be taken back. */
  readonly memory: number
  /** Open file descriptors. */
  readonly files: number
}

export interface Growth {
  readonly name: string
  readonly pid: number
  readonly minutes: number
  /** The medians of the first and of the last third, bytes and descriptors. */
  readonly memory: readonly [number, number]
  readonly files: readonly [number, number]
  /** Of the second half alone, by its least squares: what still grows when all is warm; bytes/h. */
  readonly perHour: number
  readonly verdict: 'steady' | 'memory grows' | 'files grow' | 'too short to tell'
}

/** A process younger than this is still warming up. */
const LEAST_MINUTES = 15
const LEAST_SAMPLES = 12
/** Growth that is none: what a collector leaves lying about. */
const BYTES_PER_HOUR = 8 * 1024 * 1024
const FILES = 3

/** One row for each process, in order of names, then of age. */
export function growthOf(samples: readonly Sample[]): readonly Growth[] {
  const processes = Map.groupBy(samples, ({ name, pid }) => `${name} ${pid}`)
  return [...processes.values()]
    .map(rowOf)
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : b.minutes - a.minutes))
}

function rowOf(samples: readonly Sample[]): Growth {
  const [first] = samples
  const last = samples.at(-1)
  if (first === undefined || last === undefined) throw new Error('a process without samples')
  const third = Math.max(1, Math.floor(samples.length / 3))
  const ends = (of: (sample: Sample) => number) =>
    [median(samples.slice(0, third).map(of)), median(samples.slice(-third).map(of))] as const
  const row = {
    name: first.name,
    pid: first.pid,
    minutes: (last.at - first.at) / 60,
    memory: ends(({ memory }) => memory),
    files: ends(({ files }) => files),
    perHour: slope(samples.slice(Math.floor(samples.length / 2))) * 3600,
  }
  return { ...row, verdict: verdictOf(row, samples.length) }
}

function verdictOf({ minutes, perHour, files }: Omit<Growth, 'verdict'>, count: number): Growth['verdict'] {
  if (minutes < LEAST_MINUTES || count < LEAST_SAMPLES) return 'too short to tell'
  if (files[1] - files[0] > FILES) return 'files grow'
  return perHour > BYTES_PER_HOUR ? 'memory grows' : 'steady'
}

/** Bytes a second, by least squares. */
function slope(samples: readonly Sample[]): number {
  const meanAt = mean(samples.map(({ at }) => at))
  const meanMemory = mean(samples.map(({ memory }) => memory))
  const spread = samples.reduce((sum, { at }) => sum + (at - meanAt) ** 2, 0)
  if (spread === 0) return 0
  return samples.reduce((sum, { at, memory }) => sum + (at - meanAt) * (memory - meanMemory), 0) / spread
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0
}
