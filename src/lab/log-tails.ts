/**
 * The last words of processes that an error message is about, so that the reason is on the screen
 * before the logs are removed with the lab. Does not interpret them.
 */
import { readFileIfPresent } from '../lib/files.ts'
import { isAlive } from './processes.ts'
import type { ProcessRecord } from './record.ts'

const TAIL_LINES = 12

/**
 * The ends of the logs of processes that `message` names or that have ended, to be put after the
 * message.
 */
export function logTails(message: string, processes: readonly ProcessRecord[]): string {
  const relevant = processes.filter(process => message.includes(process.name) || !isAlive(process))
  const tails = relevant.map(({ name, logFile }) => {
    const lines = (readFileIfPresent(logFile) ?? '').trimEnd().split('\n').slice(-TAIL_LINES)
    return `\nThe log of ${name} ends with:\n${lines.map(line => `  ${line}`).join('\n')}`
  })
  return tails.join('')
}
