/**
 * One column of the interop matrix: every row with one kind of router, each in a LAN of its own.
 * What a router cannot do is said with the reason. With TERWAY_EDGE_INTEROP_RESULTS, a folder, each
 * cell leaves a line there for scripts/interop.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { testNeeding } from '../support/requires.ts'
import { Lan } from './lan.ts'
import { ROUTER_NEEDS, type RouterKind } from './routers.ts'
import { ROWS, type Row, type RowName } from './rows.ts'

/** What became of a cell. */
export interface Cell {
  readonly row: RowName
  readonly outcome: 'passed' | 'peer cannot'
  readonly note?: string
}

/**
 * Registers the tests of a column. `cannot` gives the rows that this router cannot do, each with
 * the reason.
 */
export function column(kind: RouterKind, cannot: Partial<Readonly<Record<RowName, string>>> = {}): void {
  for (const [row, { title, options, run }] of Object.entries(ROWS) as [RowName, Row][]) {
    const reason = cannot[row]
    if (reason !== undefined) {
      record(kind, { row, outcome: 'peer cannot', note: reason })
      continue
    }
    testNeeding(...ROUTER_NEEDS[kind])(
      `${kind}: ${title}`,
      async () => {
        const lan = new Lan(kind, options)
        lan.row = row
        try {
          const note = await run(lan)
          record(kind, { row, outcome: 'passed', ...(typeof note === 'string' && { note }) })
        } catch (error) {
          throw new Error(`${lan.router.show()}`, { cause: error })
        } finally {
          await lan.close()
        }
      },
      120_000,
    )
  }
}

function record(kind: RouterKind, cell: Cell): void {
  const folder = process.env.TERWAY_EDGE_INTEROP_RESULTS
  if (folder !== undefined) appendFileSync(join(folder, `${kind}.jsonl`), `${JSON.stringify(cell)}\n`)
}
