/**
 * Log lines: JSON on stderr, by pino. A line is a constant phrase plus fields; info is what an
 * operator would note, once per transition; the steady state is silent. No light path (`version`,
 * `cni`) imports this file.
 */
import { destination, type Logger, pino } from 'pino'
import type { LogLevel } from './log-level.ts'

/**
 * The fields a line may carry: a closed vocabulary, so that a query for one finds every line that
 * has it.
 */
export interface LogFields {
  readonly address?: string
  readonly bgpPeer?: string
  readonly change?: string
  readonly command?: string
  readonly count?: number
  readonly destination?: string
  readonly detail?: string
  readonly file?: string
  readonly gateway?: string
  readonly interface?: string
  readonly milliseconds?: number
  readonly name?: string
  readonly namespace?: string
  readonly node?: string
  readonly peer?: string
  readonly podCIDR?: string
  readonly port?: number
  readonly prefixes?: string
  readonly reason?: string
  readonly room?: string
  readonly seconds?: number
  readonly state?: string
  readonly version?: string
  readonly err?: unknown
}

type Write = (fields: LogFields, phrase: string) => void

export interface Log {
  readonly debug: Write
  readonly info: Write
  readonly warn: Write
  readonly error: Write
  /** A log whose every line also carries `fields`. */
  child(fields: LogFields): Log
}

/** A log on stderr. Writes are synchronous: the last line before a crash is never lost. */
export function createLog(level: LogLevel): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
    },
    destination({ fd: 2, sync: true }),
  )
  return wrap(logger)
}

/** A log that goes nowhere. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog }

function wrap(logger: Logger): Log {
  return {
    debug: (fields, phrase) => logger.debug(fields, phrase),
    info: (fields, phrase) => logger.info(fields, phrase),
    warn: (fields, phrase) => logger.warn(fields, phrase),
    error: (fields, phrase) => logger.error(fields, phrase),
    child: fields => wrap(logger.child(fields)),
  }
}
