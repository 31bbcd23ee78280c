/**
 * How long a process takes that does next to nothing, beside other programs: what a runtime waits
 * for before any work begins.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { peakMegabytes } from './peak-memory.ts'
import { markdownTable, median, type Section, type SectionOptions } from './section.ts'

export const EXECUTABLE = join(import.meta.dir, '../../dist/terway-edge')
const PLUGINS = '/usr/lib/cni'

interface Program {
  readonly name: string
  readonly command: readonly string[]
  readonly env?: Record<string, string>
}

const PATH = '/usr/sbin:/usr/bin'
const STDIN = Buffer.from('{"cniVersion":"1.0.0"}')
const VERSION = { CNI_COMMAND: 'VERSION' }
const PROGRAMS: readonly Program[] = [
  { name: '`true` of coreutils (the cost of measuring)', command: ['/bin/true'] },
  { name: '`terway-edge version`', command: [EXECUTABLE, 'version'] },
  { name: '`terway-edge`, CNI VERSION', command: [EXECUTABLE], env: VERSION },
  { name: '`ptp`, CNI VERSION', command: [`${PLUGINS}/ptp`], env: VERSION },
  { name: '`bird --version`', command: ['/usr/sbin/bird', '--version'] },
  { name: '`kubectl --help`', command: ['/usr/bin/kubectl', '--help'] },
]

export const start: Section = {
  title: 'Start of a process',
  versions: () => [versionOf(EXECUTABLE, ['version'])],
  async run({ rounds }: SectionOptions): Promise<string> {
    const programs = PROGRAMS.filter(({ command }) => existsSync(command[0] ?? ''))
    const runs = programs.map(program => ({ program, milliseconds: [] as number[] }))
    for (let round = 0; round < rounds; round++) {
      for (const run of runs) {
        const { command, env = {} } = run.program
        const began = performance.now()
        Bun.spawnSync([...command], { env: { PATH, ...env }, stdin: STDIN })
        run.milliseconds.push(performance.now() - began)
      }
    }
    const rows = runs.map(({ program, milliseconds }) => [
      program.name,
      median(milliseconds).toFixed(1),
      Math.min(...milliseconds).toFixed(1),
      peakMegabytes(program.command, { env: { PATH, ...program.env }, stdin: STDIN }).toFixed(0),
    ])
    return `Medians of ${rounds}.\n\n${markdownTable(['', 'median, ms', 'least, ms', 'memory, MB'], rows)}`
  },
}

/** The first line that a program prints of itself. */
export function versionOf(program: string, words: readonly string[]): string {
  const { stdout, stderr } = Bun.spawnSync([program, ...words])
  return (`${stdout}${stderr}`.split('\n')[0] ?? '').replace(' :', '').trim() // "ExaBGP : 4.2"
}
