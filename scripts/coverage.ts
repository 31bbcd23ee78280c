/**
 * Line coverage of the unit tests, room by room: see `scripts/coverage --help`. A unit test is a
 * file under test/ that neither needs a program, root or the executable, nor imports a file that
 * does.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'

const DOCUMENT = 'ARCHITECTURE.md'
const [START, END] = ['<!-- coverage: scripts/coverage --write -->', '<!-- /coverage -->']

/** Hits by line number, by file of src/. */
type Hits = Map<string, Map<number, number>>

function unitTests(): string[] {
  return [...new Bun.Glob('test/**/*.test.ts').scanSync('.')].sort().filter(file => {
    const needs = Bun.spawnSync([process.execPath, 'scripts/test-needs.ts', file])
    return needs.exitCode === 0 && needs.stdout.toString().trim() === '' && !file.startsWith('test/interop/')
  })
}

/**
 * Runs one file and adds what it reached, also of one that fails (measuring slows it). False when
 * it failed.
 */
async function measure(file: string, folder: string, hits: Hits): Promise<boolean> {
  const command = ['test', '--timeout=60000', '--coverage', '--coverage-reporter=lcov', `--coverage-dir=${folder}`]
  const child = Bun.spawn([process.execPath, ...command, `./${file}`], { stdout: 'ignore', stderr: 'ignore' })
  const passed = (await child.exited) === 0
  let source = ''
  for (const line of readFileSync(join(folder, 'lcov.info'), 'utf8').split('\n')) {
    if (line.startsWith('SF:')) source = line.slice(3)
    const [, number, count] = /^DA:(\d+),(\d+)/.exec(line) ?? []
    if (number === undefined || !source.startsWith('src/')) continue
    const lines = hits.get(source) ?? new Map<number, number>()
    lines.set(Number(number), (lines.get(Number(number)) ?? 0) + Number(count))
    hits.set(source, lines)
  }
  return passed
}

function roomOf(file: string): string {
  return file.split('/')[1] ?? file
}

function share(lines: Iterable<number>): string {
  const counts = [...lines]
  const run = counts.filter(count => count > 0).length
  return counts.length === 0 ? '-' : `${Math.round((100 * run) / counts.length)} %`
}

function table(hits: Hits): string {
  const files = [...new Bun.Glob('src/**/*.ts').scanSync('.')].filter(file => !file.endsWith('.d.ts'))
  const rooms = Map.groupBy(files, roomOf)
  const rows = [...rooms.keys()].sort().map(room => {
    const named = rooms.get(room) ?? []
    const seen = named.filter(file => hits.has(file))
    return `| \`${room}\` | ${named.length} | ${seen.length} | ${share(seen.flatMap(file => [...(hits.get(file)?.values() ?? [])]))} |`
  })
  return ['| room | files | loaded | lines of these |', '|---|---|---|---|', ...rows].join('\n')
}

function details(hits: Hits, room: string): string {
  return [...hits.keys()]
    .filter(file => roomOf(file) === room)
    .sort()
    .map(file => {
      const lines = hits.get(file) ?? new Map<number, number>()
      const missed = [...lines].filter(([, count]) => count === 0).map(([number]) => number)
      return `${file}  ${share(lines.values())}${missed.length === 0 ? '' : `  not run: ${ranges(missed)}`}`
    })
    .join('\n')
}

/** `[1, 2, 3, 7]` as `1-3, 7`. */
function ranges(numbers: readonly number[]): string {
  const runs: [number, number][] = []
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const last = runs.at(-1)
    if (last !== undefined && last[1] === number - 1) last[1] = number
    else runs.push([number, number])
  }
  return runs.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ')
}

const [argument] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'terway-edge-coverage-'))
const hits: Hits = new Map()
const failed: string[] = []
try {
  const queue = unitTests()
  const worker = async (number: number) => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift())
      if (!(await measure(file, join(folder, `${number}`), hits))) failed.push(file)
  }
  await Promise.all(Array.from({ length: availableParallelism() }, (_, number) => worker(number)))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
for (const file of failed) process.stderr.write(`failed while it was measured: ${file}\n`)
if (argument !== undefined && argument !== '--write') process.stdout.write(`${details(hits, argument)}\n`)
else process.stdout.write(`${table(hits)}\n`)
if (argument === '--write') {
  const text = readFileSync(DOCUMENT, 'utf8')
  const [from, to] = [text.indexOf(START), text.indexOf(END)]
  if (from < 0 || to < from) throw new Error(`${DOCUMENT} has no place for the table: ${START} … ${END}`)
  writeFileSync(DOCUMENT, `${text.slice(0, from)}${START}\n${table(hits)}\n${text.slice(to)}`)
}
