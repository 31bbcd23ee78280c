/**
 * How the operator's commands print: a table for people, JSON, YAML or names for programs, once or
 * again and again (`--watch`), and a hint on stderr where there is nothing to show.
 */

import { sleep, systemClock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { jsonText } from '../lib/json-text.ts'
import { print, stdoutIsRead, stdoutTerminal } from '../lib/stdout.ts'
import { type Column, formatAge, formatTable } from '../lib/table.ts'
import { yamlText } from '../lib/yaml.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { type AskOptions, addAskOptions } from '../status/ask.ts'
import { createProgram, runProgram } from './program.ts'
import { readSnapshot } from './read-snapshot.ts'
import { CLEAR_SCREEN, coloured, showsColours, type Tone, terminalWidth } from './terminal.ts'

/** A column of a table of `Row`s. */
export interface Field<Row> extends Column {
  /**
   * `now` is when the snapshot was taken, in milliseconds: ages are right even where clocks differ.
   */
  readonly cell: (row: Row, now: number) => string
  /** Only with `-o wide`. */
  readonly wide?: boolean
  /** For the colour of the cell on a terminal. */
  readonly tone?: (row: Row) => Tone | undefined
}

/** A list as it can be printed. */
export interface Listing<Row> {
  readonly rows: readonly Row[]
  readonly fields: readonly Field<Row>[]
  /** For `-o name`. */
  readonly name: (row: Row) => string
  /** What to say when there are no rows. */
  readonly none: string
}

/** What a command says, and its exit status. */
export interface Said {
  readonly text: string
  readonly status: number
  /** For people alone, on stderr. */
  readonly hint?: string
}

export interface ListCommand<Row> {
  readonly name: string
  readonly description: string
  readonly examples: readonly string[]
  readonly listing: (snapshot: Snapshot) => Listing<Row>
}

/** A command that shows one list of the snapshot. */
export function runListCommand<Row>(command: ListCommand<Row>, args: readonly string[]): Promise<number> {
  const program = addAskOptions(createProgram(command.name, command.description, command.examples))
  return runProgram<AskOptions>(program, args, options =>
    show(options, async () => {
      const snapshot = await readSnapshot(options)
      return listOf(command.listing(snapshot), snapshot, options)
    }),
  )
}

const WATCH_MILLISECONDS = 2000

/** Prints what `say` says: once, or with `--watch` whenever that is something else. */
export async function show(options: AskOptions, say: () => Promise<Said>): Promise<number> {
  if (options.watch !== true) {
    const { text, status, hint } = await say()
    print(text)
    if (hint !== undefined) process.stderr.write(`${hint}\n`)
    return status
  }
  const screen = stdoutTerminal() !== undefined && isForPeople(options)
  let last: string | undefined
  for (;;) {
    const said = await say().catch((error: unknown): Said => ({ text: '', status: 1, hint: errorText(error) }))
    const text = said.text === '' ? `${said.hint ?? ''}\n` : said.text
    if (text !== last) print(`${screen ? CLEAR_SCREEN : last === undefined ? '' : '\n'}${text}`)
    last = text
    if (!(await stdoutIsRead())) return said.status
    await sleep(systemClock, WATCH_MILLISECONDS)
  }
}

function isForPeople({ output }: AskOptions): boolean {
  return output === undefined || output === 'table' || output === 'wide'
}

/** A list as `-o` wants it. */
export function listOf<Row>(listing: Listing<Row>, { time }: Pick<Snapshot, 'time'>, { output }: AskOptions): Said {
  const { rows, fields, name, none } = listing
  const data = dataText(rows, output)
  if (data !== undefined) return { text: data, status: 0 }
  if (output === 'name') return { text: rows.map(row => `${name(row)}\n`).join(''), status: 0 }
  if (rows.length === 0) return { text: '', status: 0, hint: none }
  return { text: tableOf(fields, rows, { now: Date.parse(time), wide: output === 'wide' }), status: 0 }
}

/** `value` for programs; undefined where people ask. */
export function dataText(value: unknown, output: AskOptions['output']): string | undefined {
  if (output === 'json') return `${jsonText(value, 2)}\n`
  return output === 'yaml' ? yamlText(JSON.parse(JSON.stringify(value))) : undefined
}

export function tableOf<Row>(
  fields: readonly Field<Row>[],
  rows: readonly Row[],
  { now, wide }: { now: number; wide: boolean },
): string {
  const shown = fields.filter(field => wide || field.wide !== true)
  const colours = showsColours()
  return formatTable(
    shown,
    rows.map(row => shown.map(field => orDash(field.cell(row, now)))),
    {
      width: wide ? undefined : terminalWidth(),
      paint: (text, at, column) => {
        const row = rows[at]
        return colours && row !== undefined ? coloured(text, shown[column]?.tone?.(row)) : text
      },
    },
  )
}

export function printJson(value: unknown): number {
  print(`${jsonText(value, 2)}\n`)
  return 0
}

/** How long ago `time` (RFC 3339) was, as kubectl says it. */
export function ageOf(time: string | undefined, now: number): string {
  return time === undefined || time === '' ? '' : formatAge(now - Date.parse(time))
}

function orDash(text: string): string {
  return text === '' ? '-' : text
}
