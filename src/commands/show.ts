/**
 * How the operator's commands print: a table for people, JSON for programs, and a hint on stderr
 * where there is nothing to show.
 */

import { jsonText } from '../lib/json-text.ts'
import { print } from '../lib/stdout.ts'
import { type Column, formatAge, formatTable } from '../lib/table.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { type AskOptions, addAskOptions, askSnapshot } from '../status/ask.ts'
import { createProgram, runProgram } from './program.ts'

/** A column of a table of `Row`s. */
export interface Field<Row> extends Column {
  /**
   * `now` is when the snapshot was taken, in milliseconds: ages are right even where clocks differ.
   */
  readonly cell: (row: Row, now: number) => string
  /** Only with `-o wide`. */
  readonly wide?: boolean
}

export interface ListCommand<Row> {
  readonly name: string
  readonly description: string
  readonly examples: readonly string[]
  readonly rows: (snapshot: Snapshot) => readonly Row[]
  readonly fields: readonly Field<Row>[]
  /** What to say when there are no rows. */
  readonly none: (snapshot: Snapshot) => string
}

/** A command that shows one list of the snapshot. */
export function runListCommand<Row>(command: ListCommand<Row>, args: readonly string[]): Promise<number> {
  const program = addAskOptions(createProgram(command.name, command.description, command.examples))
  return runProgram<AskOptions>(program, args, async options => {
    const snapshot = await askSnapshot(options)
    const { fields } = command
    return listOf({ rows: command.rows(snapshot), fields, none: command.none(snapshot) }, snapshot, options)
  })
}

/** Prints a list as `-o` wants it; `none` where it is empty. */
export function listOf<Row>(
  { rows, fields, none }: { rows: readonly Row[]; fields: readonly Field<Row>[]; none: string },
  { time }: Snapshot,
  { output }: AskOptions,
): number {
  if (output === 'json') return printJson(rows)
  if (rows.length === 0) process.stderr.write(`${none}\n`)
  else print(tableOf(fields, rows, { now: Date.parse(time), wide: output === 'wide' }))
  return 0
}

export function tableOf<Row>(
  fields: readonly Field<Row>[],
  rows: readonly Row[],
  { now, wide }: { now: number; wide: boolean },
): string {
  const shown = fields.filter(field => wide || field.wide !== true)
  return formatTable(
    shown,
    rows.map(row => shown.map(field => orDash(field.cell(row, now)))),
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
