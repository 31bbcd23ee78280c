/**
 * Whose turn it is at the server: one request after the other, with a turn of the event loop
 * between two. DELs that wait share a turn, for the kernel deletes their links together
 * (detach.ts), and so do a few ADDs, which are recorded with one write (add.ts). A request is done
 * here, declined, or put off while another process holds the lock.
 */
import { statSync } from 'node:fs'
import { errorCode } from '../lib/errors.ts'
import { isObject } from '../lib/json.ts'
import type { Log } from '../lib/log.ts'
import type { CniCounter } from './counts.ts'
import { FORMAT, SERVED, type ServedReply, type ServedRequest } from './exchange.ts'
import { answerAll } from './plugin.ts'

/** Milliseconds for which this process stands still when a plugin process holds the lock. */
const LOCK_PATIENCE_MILLISECONDS = 5
/** After which it looks whether the lock is free now; others have their turn meanwhile. */
const LOCK_PAUSE_MILLISECONDS = 10
/**
 * With less than this until its deadline, a request is declined: on a busy machine its answer might
 * come when the plugin is at it itself.
 */
const RESERVE_MILLISECONDS = 2000
/** With less than this until its deadline, a request that waits for the lock is declined. */
const LOCK_RESERVE_MILLISECONDS = 5000

/**
 * How many requests share a turn. A pod takes some milliseconds, in which the others wait, and all
 * of the turn for their answers.
 */
const TOGETHER: Readonly<Partial<Record<string, number>>> = { ADD: 8, DEL: 128 }

/** A request that wants its turn. */
export interface Waiting {
  readonly line: string
  /** Asked when its turn has come. */
  readonly isWanted: () => boolean
  readonly answer: (reply: ServedReply) => void
}

export interface TurnsOptions {
  readonly log: Log
  readonly counter: Pick<CniCounter, 'count'>
  /** As `repliesTo`, which it is when absent. */
  readonly perform?: (lines: readonly string[]) => readonly ServedReply[]
}

export class Turns {
  readonly #options: TurnsOptions
  /** Those that wait to share a turn, by operation. */
  readonly #waiting = new Map<string, Waiting[]>()

  constructor(options: TurnsOptions) {
    this.#options = options
  }

  take(waiting: Waiting): void {
    const operation = operationOf(waiting.line) ?? ''
    const most = TOGETHER[operation]
    if (most === undefined) {
      setImmediate(() => this.#perform([waiting]))
      return
    }
    const others = this.#waiting.get(operation) ?? []
    this.#waiting.set(operation, others)
    if (others.push(waiting) === 1) setImmediate(() => this.#next(others, most))
  }

  #next(waiting: Waiting[], most: number): void {
    const now = waiting.splice(0, most)
    if (waiting.length > 0) setImmediate(() => this.#next(waiting, most))
    this.#perform(now)
  }

  #perform(all: readonly Waiting[]): void {
    const waiting = all.filter(({ isWanted }) => isWanted())
    const began = performance.now()
    const { perform = repliesTo } = this.#options
    const replies = perform(waiting.map(({ line }) => line))
    const seconds = (performance.now() - began) / 1000
    for (const [index, one] of waiting.entries()) {
      const reply = replies[index] ?? DECLINED
      if (reply === BUSY) setTimeout(() => this.take(one), LOCK_PAUSE_MILLISECONDS)
      else this.#answer(one, reply, seconds)
    }
  }

  #answer({ line, answer }: Waiting, reply: ServedReply, seconds: number): void {
    const operation = operationOf(line)
    const { log, counter } = this.#options
    if (reply.exitStatus !== undefined && operation !== undefined)
      counter.count(operation, { failed: reply.exitStatus !== 0, seconds })
    log.debug({ state: STATES[reply.exitStatus ?? 'declined'] }, 'CNI request')
    answer(reply)
  }
}

/** In a request of our own plugin, as JSON.stringify writes it. */
const OPERATION = /"CNI_COMMAND":"([A-Z]+)"/
const DECLINED: ServedReply = {}
/** Another process holds the lock: it may be asked again. */
export const BUSY: ServedReply = {}
const STATES = { 0: 'done', 1: 'refused', declined: 'declined' } as const

function operationOf(line: string): string | undefined {
  return OPERATION.exec(line)?.[1]
}

/**
 * Performs requests of one kind in one go, or declines them; `BUSY` where they had better be tried
 * again. As many replies as lines.
 */
export function repliesTo(lines: readonly string[]): ServedReply[] {
  const requests = lines.map(admitted)
  const wanted = requests.filter(request => request !== undefined)
  const replies = performed(wanted)
  return requests.map(request => (request && replies[wanted.indexOf(request)]) ?? DECLINED)
}

function performed(requests: readonly ServedRequest[]): readonly ServedReply[] {
  try {
    return answerAll(requests, { patience: LOCK_PATIENCE_MILLISECONDS })
  } catch {
    // StoreBusy: nothing was made, and what a DEL took away it will not find again
    return requests.map(({ deadline }) => (deadline - Date.now() > LOCK_RESERVE_MILLISECONDS ? BUSY : DECLINED))
  }
}

/** A request that is for this process to perform. */
function admitted(line: string): ServedRequest | undefined {
  const request = decodeServed(line)
  if (request === undefined || request.deadline - Date.now() < RESERVE_MILLISECONDS) return undefined
  if (inode('/proc/self/ns/net') !== request.ownNamespace) return undefined
  const { CNI_COMMAND = '', CNI_NETNS = '' } = request.environment
  if (!SERVED.includes(CNI_COMMAND) || inode(CNI_NETNS) !== request.podNamespace) return undefined
  return request
}

function decodeServed(line: string): ServedRequest | undefined {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!isObject(json) || json.format !== FORMAT) return undefined
  const { deadline, environment, stdin, ownNamespace, podNamespace } = json
  if (typeof deadline !== 'number' || typeof stdin !== 'string' || typeof ownNamespace !== 'number') return undefined
  if (!isObject(environment)) return undefined
  const variables: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) if (typeof value === 'string') variables[name] = value
  return {
    format: FORMAT,
    deadline,
    environment: variables,
    stdin,
    ownNamespace,
    ...(typeof podNamespace === 'number' && { podNamespace }),
  }
}

/** Undefined when there is nothing at `path`, as the plugin says it. */
function inode(path: string): number | undefined {
  if (path === '') return undefined
  try {
    return statSync(path).ino
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined
    return -1
  }
}
