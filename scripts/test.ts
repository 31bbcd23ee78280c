/**
 * Runs the checks and every test file, each in a process of its own so that none can disturb
 * another, as many at a time as there are cores. Prints a line per step, the whole output of what
 * failed, and last the counts. Files that failed beside others are run once more with the machine
 * to themselves, where they are few: many tests wait for real packets and timers. What passes only
 * then is named before the counts.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'

interface Step {
  readonly name: string
  readonly command: readonly string[]
  /** Where `bun test` writes its counts; a step without is one test that passes or fails. */
  readonly junit?: string
}

interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

interface Outcome {
  readonly step: Step
  readonly counts: Counts
}

/** No file may take longer than this. */
const STEP_LIMIT_MILLISECONDS = 15 * 60_000

/** More files than these that fail are no accident of the load: they are not tried again. */
const MOST_TRIED_AGAIN = 4

const words = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'terway-edge-test-'))
const running = new Set<Bun.Subprocess>()
let interrupted = false
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interrupted = true
    for (const child of running) child.kill('SIGTERM')
  })
}

function checks(): Step[] {
  return [
    { name: 'types', command: ['node_modules/.bin/tsc', '--noEmit'] },
    { name: 'types of the page', command: ['node_modules/.bin/tsc', '--noEmit', '-p', 'ui'] },
    { name: 'format and lint', command: ['node_modules/.bin/biome', 'check', '--error-on-warnings'] },
  ]
}

function testFiles(): Step[] {
  const files = [...new Bun.Glob('test/**/*.test.ts').scanSync('.')].sort(slowestFirst)
  return files
    .filter(file => words.length === 0 || words.some(word => file.includes(word)))
    .map((file, index) => {
      const junit = join(folder, `${index}.xml`)
      return {
        name: file,
        junit,
        command: [
          process.execPath,
          'test',
          '--timeout=120000',
          `./${file}`,
          '--reporter=junit',
          `--reporter-outfile=${junit}`,
        ],
      }
    })
}

/** End to end first, then interop, then the rest: the long ones must not come last. */
function slowestFirst(a: string, b: string): number {
  const rank = (file: string) => ['test/e2e', 'test/interop', 'test/lab', ''].findIndex(start => file.startsWith(start))
  return rank(a) - rank(b) || a.localeCompare(b)
}

async function runStep(step: Step): Promise<Counts> {
  const started = performance.now()
  const child = Bun.spawn([...step.command], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    timeout: STEP_LIMIT_MILLISECONDS,
  })
  running.add(child)
  const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  running.delete(child)
  const counts = countsOf(step, status)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const bad = counts.failed > 0
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
  process.stdout.write(
    `${bad ? 'FAILED' : 'ok    '} ${step.name} (${counts.passed} passed${bad ? `, ${counts.failed} failed` : ''}${skipped}, ${seconds} s)\n`,
  )
  for (const line of stderr.split('\n').filter(text => text.startsWith('SKIPPED:')))
    process.stdout.write(`       ${line}\n`)
  if (bad) process.stdout.write(`${stdout}${stderr}\n`)
  return counts
}

/**
 * A process that failed without a failed test (a crash, a time-out, no test at all) counts as one
 * failure.
 */
function countsOf(step: Step, status: number): Counts {
  if (step.junit === undefined) return { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 }
  const counts = junitCounts(step.junit)
  const none = counts.passed + counts.failed + counts.skipped === 0
  return counts.failed === 0 && (status !== 0 || none) ? { ...counts, failed: 1 } : counts
}

function junitCounts(file: string): Counts {
  let xml = ''
  try {
    xml = readFileSync(file, 'utf8')
  } catch {
    return { passed: 0, failed: 0, skipped: 0 }
  }
  const root = /<testsuites\b[^>]*>/.exec(xml)?.[0] ?? ''
  const number = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(root)?.[1] ?? 0)
  const [tests, failed, skipped] = [number('tests'), number('failures') + number('errors'), number('skipped')]
  return { passed: tests - failed - skipped, failed, skipped }
}

async function runAll(steps: readonly Step[], atOnce: number): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = []
  const queue = [...steps]
  const worker = async () => {
    for (let step = queue.shift(); step !== undefined && !interrupted; step = queue.shift())
      outcomes.push({ step, counts: await runStep(step) })
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return outcomes
}

/** What failed beside others, once more and one after the other; the second outcome counts. */
async function tryAgainAlone(outcomes: readonly Outcome[]): Promise<readonly Outcome[]> {
  const again = outcomes.filter(({ step, counts }) => counts.failed > 0 && step.junit !== undefined)
  if (again.length === 0 || again.length > MOST_TRIED_AGAIN || outcomes.length === again.length) return outcomes
  process.stdout.write(`Once more, with nothing beside: ${again.map(({ step }) => step.name).join(', ')}\n`)
  const second = await runAll(
    again.map(({ step }) => step),
    1,
  )
  const alone = second.filter(({ counts }) => counts.failed === 0).map(({ step }) => step.name)
  if (alone.length > 0) process.stdout.write(`Passed only with nothing beside: ${alone.join(', ')}\n`)
  return [...outcomes.filter(outcome => !again.includes(outcome)), ...second]
}

try {
  const steps = [...(words.length === 0 ? checks() : []), ...testFiles()]
  if (steps.length === 0) process.stderr.write(`no test file has ${words.join(' or ')} in its path\n`)
  const outcomes = await tryAgainAlone(await runAll(steps, availableParallelism()))
  const sum = (of: keyof Counts) => outcomes.reduce((all, { counts }) => all + counts[of], 0)
  const [passed, failed, skipped] = [sum('passed'), sum('failed'), sum('skipped')]
  const strict = process.env.CI === 'true' && skipped > 0
  if (strict) process.stdout.write('Under CI a skip is a failure.\n')
  if (interrupted) process.stdout.write('Interrupted: not all was run.\n')
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`)
  process.exitCode = failed > 0 || strict || interrupted || passed === 0 ? 1 : 0
} finally {
  rmSync(folder, { recursive: true, force: true })
}
