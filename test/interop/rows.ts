/**
 * The rows of the interop matrix: what a session with any router is put through. Each runs in a LAN
 * of its own (lan.ts); column.ts runs them for one router, and scripts/interop makes
 * docs/interop.md of a run.
 */
import type { Lan, LanOptions } from './lan.ts'
import { RESTART_ROWS } from './rows-restart.ts'
import { SESSION_ROWS } from './rows-session.ts'

export interface Row {
  /** As in the table; names the RFCs. */
  readonly title: string
  readonly options?: LanOptions
  /** Starts the router; a result is a note for the table. */
  readonly run: (lan: Lan) => Promise<string | undefined> | Promise<void>
}

export const ROWS = { ...SESSION_ROWS, ...RESTART_ROWS } as const satisfies Readonly<Record<string, Row>>

export type RowName = keyof typeof ROWS
