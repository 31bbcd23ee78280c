/**
 * `terway-edge doctor`: checks this node, says what is wrong and how to mend it, and lists what
 * terway-edge changed on this machine. Changes nothing itself. Exit status 0: nothing is wrong; 3:
 * problems were found; 2: wrong usage.
 */
import { existsSync } from 'node:fs'
import { type ConfigFlags, DEFAULT_CONFIG_FILE, loadConfig, parseConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { checksOf, isHealthy } from '../doctor/checks.ts'
import type { HostChange } from '../doctor/facts.ts'
import { inspectNode } from '../doctor/inspect.ts'
import { type Check, helpOf } from '../doctor/verdicts.ts'
import { errorText, UserError } from '../lib/errors.ts'
import { print } from '../lib/stdout.ts'
import { formatTable, printable } from '../lib/table.ts'
import { addNodeOptions, createProgram, runProgram } from './program.ts'
import { printJson } from './show.ts'

const PROBLEMS_FOUND = 3
/** Routes of a large cluster are counted from here on; `-o json` has them all. */
const ROUTES_SHOWN = 20

export function doctorCommand(args: string[]): Promise<number> {
  const program = addNodeOptions(
    createProgram(
      'doctor',
      'Checks this node and says what is wrong and how to mend it. Exit status 3 when there are problems.',
      ['sudo terway-edge doctor', 'terway-edge doctor -o json | jq \'.checks[] | select(.result == "problem")\''],
    ),
  ).option('-o, --output <format>', 'json; leave it out for a table', text => {
    if (text === 'json') return text
    throw new UserError(`-o ${text}: there is json; leave it out for a table`, { exitStatus: 2 })
  })
  return runProgram<ConfigFlags & { output?: 'json' }>(program, args, async ({ output, ...flags }) => {
    const file = flags.config ?? DEFAULT_CONFIG_FILE
    const { config, problem } = readConfig(flags, file)
    const { facts, changes } = await inspectNode(config, file, problem)
    const checks = checksOf(facts)
    const healthy = isHealthy(checks)
    if (output === 'json') {
      const explained = checks.map(check => ({ ...check, help: helpOf(check.name) }))
      printJson({ node: config.node, healthy, checks: explained, ...(changes !== undefined && { changes }) })
    } else print(formatDoctor(checks, changes))
    return healthy ? 0 : PROBLEMS_FOUND
  })
}

/**
 * A file with problems is one of the things to find: the rest is checked with the defaults. A file
 * that is not there is wrong usage.
 */
function readConfig(flags: ConfigFlags, file: string): { config: Config; problem?: string } {
  try {
    return { config: loadConfig(flags) }
  } catch (error) {
    if (!(error instanceof UserError) || !existsSync(file)) throw error
    const { config: _, ...others } = flags
    return { config: parseConfig('', 'the command line', others), problem: errorText(error) }
  }
}

/** The text for people. */
export function formatDoctor(checks: readonly Check[], changes: readonly HostChange[] | undefined): string {
  const table = formatTable(
    [{ title: 'CHECK' }, { title: 'RESULT' }, { title: 'DETAIL' }],
    checks.map(({ name, result, detail }) => [name, result, detail.split('\n', 1)[0] ?? '']),
  )
  return `${table}\n${remedies(checks)}\n${changesText(changes)}`
}

function remedies(checks: readonly Check[]): string {
  const told = (['problem', 'warning'] as const).flatMap(kind => checks.filter(({ result }) => result === kind))
  if (told.length === 0) return 'Nothing is wrong.\n'
  const lines = told.flatMap(({ name, result, detail, remedy }) => [
    `${result === 'problem' ? 'PROBLEM' : 'Warning'}: ${printable(name)}`,
    ...detail.split('\n').map(line => `  ${printable(line)}`),
    ...(remedy === undefined ? [] : [`  To mend it: ${printable(remedy)}`]),
    `  More: ${helpOf(name)}`,
  ])
  return `${lines.join('\n')}\n`
}

function changesText(changes: readonly HostChange[] | undefined): string {
  if (changes === undefined) return 'What terway-edge changed on this machine cannot be read: run it as root.\n'
  if (changes.length === 0) return 'terway-edge changed nothing on this machine.\n'
  const routes = changes.filter(({ kind }) => kind === 'route')
  const more = routes.length - ROUTES_SHOWN
  const hidden = new Set(routes.slice(ROUTES_SHOWN))
  const table = formatTable(
    [{ title: 'CHANGED' }, { title: 'WHAT' }, { title: 'FORMER' }, { title: 'NOW' }],
    changes
      .filter(change => !hidden.has(change))
      .map(({ kind, what, former, now }) => [kind, what, former ?? '', now ?? '']),
  )
  const rest = more > 0 ? `and ${more} more routes (terway-edge routes)\n` : ''
  return `On this machine because of terway-edge (terway-edge uninstall takes it away):\n${table}${rest}`
}
