/**
 * The lab's processes: started in the background with a log each, known by pid and start time, and
 * ended only when both still fit. Each carries the lab's folder in its environment, so that one
 * that was started but not yet recorded when the lab was killed is found too.
 */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type Clock, sleep } from '../lib/clock.ts'
import { errorCode, UserError } from '../lib/errors.ts'
import { logFile } from './folders.ts'
import type { LabBook, ProcessRecord } from './record.ts'
import { inside, PROGRAM_PATH } from './run.ts'

/** The variable that marks a process as a lab's; its value is the lab's folder. */
const MARK = 'TERWAY_EDGE_LAB'

/** Settings of Bun that must not reach our own executable. */
const SCRUBBED = ['BUN_OPTIONS', 'BUN_BE_BUN', 'NOTIFY_SOCKET', 'CNI_COMMAND']

export interface ProcessPlan {
  readonly name: string
  /** Absent: the host's. */
  readonly namespace?: string
  readonly command: readonly string[]
}

/** Starts a process that outlives this one, and records it. */
export function startProcess(book: LabBook, { name, namespace, command }: ProcessPlan): ProcessRecord {
  const { directory } = book.record.options
  const file = logFile(directory, name)
  mkdirSync(dirname(file), { recursive: true })
  const marked = [
    'env',
    ...SCRUBBED.map(variable => `--unset=${variable}`),
    `PATH=${PROGRAM_PATH}`,
    `${MARK}=${directory}`,
    ...command,
  ]
  const [program = '', ...args] = namespace === undefined ? marked : inside(namespace, marked)
  const log = openSync(file, 'a', 0o644)
  try {
    const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log], cwd: '/' })
    child.on('error', () => {}) // it has no pid then, which is told below
    child.unref()
    const { pid } = child
    if (pid === undefined) throw new UserError(`cannot start ${command.join(' ')}`)
    const startTime = startTimeOf(pid)
    if (startTime === undefined) throw new UserError(`${name} has ended at once: ${command.join(' ')}`)
    const started: ProcessRecord = { name, pid, startTime, logFile: file }
    book.update(({ processes }) => ({ processes: [...processes.filter(other => other.name !== name), started] }))
    return started
  } finally {
    closeSync(log)
  }
}

/**
 * Field 22 of /proc/PID/stat; undefined when there is no such process or it is only waiting to be
 * reaped.
 */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ') // from field 3, the state
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

export function isAlive({ pid, startTime }: Pick<ProcessRecord, 'pid' | 'startTime'>): boolean {
  return startTimeOf(pid) === startTime
}

/** Processes that bear the mark of the lab in `directory`, whether recorded or not. */
function markedProcesses(directory: string): readonly Pick<ProcessRecord, 'pid' | 'startTime'>[] {
  const mark = `\0${MARK}=${directory}\0`
  return readdirSync('/proc').flatMap(entry => {
    const pid = Number(entry)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    try {
      if (!`\0${readFileSync(`/proc/${pid}/environ`, 'utf8')}`.includes(mark)) return []
    } catch {
      return [] // it ended, or is not ours to read
    }
    const startTime = startTimeOf(pid)
    return startTime === undefined ? [] : [{ pid, startTime }]
  })
}

/** How long processes may take to end by themselves. */
const PATIENCE_MILLISECONDS = 3000

/** Ends all processes of a lab: first asked to, then killed. */
export async function endProcesses(directory: string, recorded: readonly ProcessRecord[], clock: Clock): Promise<void> {
  const alive = () => [...recorded, ...markedProcesses(directory)].filter(isAlive)
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const { pid } of alive()) send(pid, signal)
    const deadline = clock.monotonic() + PATIENCE_MILLISECONDS
    while (alive().length > 0 && clock.monotonic() < deadline) await sleep(clock, 50)
    if (alive().length === 0) return
  }
  throw new UserError(
    `processes do not end: ${alive()
      .map(({ pid }) => pid)
      .join(', ')}`,
  )
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error
  }
}
