/**
 * scripts/simulate: plays seeds, says how many node-hours a second that is, and of the first
 * failure the seed and the shortest script, which it writes to a file.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { generate } from './generate.ts'
import type { Script } from './script.ts'
import { shorten } from './shorten.ts'
import { type Outcome, World } from './world.ts'

const HELP = `usage: scripts/simulate [--seeds N] [--from SEED] [--seconds N] [--twice] [--keep-going]
       scripts/simulate --seed SEED [--trace]
       scripts/simulate --script FILE [--trace]

Plays whole sites (API server, controllers, nodes with kernels and disks) in virtual time, each drawn
from a seed: which faults there are, how strong, and what happens when. Invariants are checked after
every step. The same seed always plays the same.

  --seeds N       how many seeds (default 100)
  --from SEED     the first of them (default 1)
  --seconds N     stop after that long
  --twice         play each twice and compare the traces
  --keep-going    do not stop at the first failure
  --seed SEED     one seed; of a failure the shortest script is written to simulation-SEED.json
  --script FILE   replay such a file
  --trace         print what happens
  --as-it-is      of a failure say the seed alone: no shortening

Exit status: 0 all held, 1 an invariant was hurt, 2 wrong usage.

  scripts/simulate --seeds 1000
  scripts/simulate --seed 4711 --trace | tail -50
  scripts/simulate --script test/simulation/cases/a-case.json`

function main(): number {
  let values: ReturnType<typeof parse>
  try {
    values = parse()
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${HELP}`)
    return 2
  }
  if (values.help) {
    console.error(HELP)
    return 0
  }
  if (values.script !== undefined) return one(readScript(values.script), values)
  if (values.seed !== undefined) return one(generate(Number(values.seed)), values)
  return many(values)
}

/** A script, or a kept case with one in it. */
function readScript(path: string): Script {
  const document = JSON.parse(readFileSync(path, 'utf8')) as Script | { readonly script: Script }
  return 'script' in document ? document.script : document
}

function parse() {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      seconds: { type: 'string' },
      twice: { type: 'boolean', default: false },
      'keep-going': { type: 'boolean', default: false },
      seed: { type: 'string' },
      script: { type: 'string' },
      trace: { type: 'boolean', default: false },
      'as-it-is': { type: 'boolean', default: false },
    },
  })
  for (const name of ['seeds', 'from', 'seconds', 'seed'] as const) {
    const value = values[name]
    if (value !== undefined && !/^\d+$/.test(value)) throw new Error(`--${name} takes a number, not ${value}`)
  }
  return values
}

function one(script: Script, { trace: isTold, 'as-it-is': asItIs }: ReturnType<typeof parse>): number {
  const outcome = new World(script, { isTold }).play()
  for (const line of outcome.lines) console.error(line)
  console.error(`seed ${script.seed}: trace ${outcome.trace}, ${outcome.steps} steps, ${hours(outcome)} node-hours`)
  if (outcome.violation === undefined) return 0
  console.error(outcome.violation.message)
  if (!isTold && !asItIs) report(script, outcome)
  return 1
}

function many(values: ReturnType<typeof parse>): number {
  const first = Number(values.from)
  const last = first + Number(values.seeds) - 1
  const startedAt = Bun.nanoseconds()
  const elapsed = () => (Bun.nanoseconds() - startedAt) / 1e9
  const worked = () => (process.cpuUsage().user + process.cpuUsage().system) / 1e6
  let nodeHours = 0
  let steps = 0
  let failures = 0
  let seed = first
  for (; seed <= last && (values.seconds === undefined || elapsed() < Number(values.seconds)); seed++) {
    const script = generate(seed)
    const outcome = new World(script).play()
    nodeHours += hours(outcome)
    steps += outcome.steps
    if (values.twice && new World(script).play().trace !== outcome.trace) {
      console.error(`seed ${seed} does not play the same twice`)
      return 1
    }
    if (outcome.violation === undefined) continue
    failures++
    console.error(`seed ${seed}: ${outcome.violation.message}`)
    if (values['keep-going']) continue
    if (values['as-it-is']) break
    report(script, outcome)
    break
  }
  const seconds = elapsed()
  const played = Math.min(seed, last + 1) - first
  console.error(
    `${played} seeds, ${failures} failed; ${Math.round(nodeHours)} node-hours in ${seconds.toFixed(1)} s: ` +
      `${(nodeHours / seconds).toFixed(1)} node-hours/s, ${Math.round(steps / seconds)} steps/s ` +
      `(${worked().toFixed(1)} s of processor, ${(nodeHours / worked()).toFixed(1)} node-hours/s)`,
  )
  return failures > 0 ? 1 : 0
}

function report(script: Script, outcome: Outcome): void {
  const kind = outcome.violation?.kind
  const least = shorten(script, candidate => new World(candidate).play().violation?.kind === kind)
  const file = `simulation-${script.seed}.json`
  writeFileSync(file, `${JSON.stringify(least, undefined, 1)}\n`)
  console.error(
    `shortened from ${script.events.length} to ${least.events.length} events: scripts/simulate --script ${file} --trace`,
  )
}

function hours({ nodeMilliseconds }: Outcome): number {
  return nodeMilliseconds / 3_600_000
}

process.exit(main())
