/**
 * How often the server of the plugin was called, how often it refused and how long it took: counted
 * in memory, and written to the state folder now and then, where the node's process reads it for
 * its metrics. Never on the way of a call; what cannot be written is not.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Cancel, Clock } from '../lib/clock.ts'
import { readFileIfPresent, writeFileWhole } from '../lib/files.ts'
import { isObject } from '../lib/json.ts'
import type { CniCounts, CniOperation } from '../model/snapshot.ts'

const FILE = 'cni/counts.json'
const WRITE_AFTER_MILLISECONDS = 5000
const NONE: CniOperation = { requests: 0, failures: 0, seconds: 0 }

export class CniCounter {
  readonly #file: string
  readonly #clock: Clock
  readonly #counts = new Map<string, CniOperation>()
  #cancel: Cancel | undefined

  constructor(stateDir: string, clock: Clock) {
    this.#file = join(stateDir, FILE)
    this.#clock = clock
  }

  count(operation: string, { failed, seconds }: { readonly failed: boolean; readonly seconds: number }): void {
    const before = this.#counts.get(operation) ?? NONE
    this.#counts.set(operation, {
      requests: before.requests + 1,
      failures: before.failures + (failed ? 1 : 0),
      seconds: before.seconds + seconds,
    })
    this.#cancel ??= this.#clock.after(WRITE_AFTER_MILLISECONDS, () => this.#write())
  }

  /** A server that is gone counts nothing. */
  close(): void {
    this.#cancel?.()
    rmSync(this.#file, { force: true })
  }

  #write(): void {
    this.#cancel = undefined
    try {
      writeFileWhole(this.#file, JSON.stringify(Object.fromEntries(this.#counts)))
    } catch {
      // a full disk costs a number, not a pod
    }
  }
}

/** Undefined where no server has counted anything, or what it wrote cannot be read. */
export function readCniCounts(stateDir: string): CniCounts | undefined {
  try {
    const value: unknown = JSON.parse(readFileIfPresent(join(stateDir, FILE)) ?? 'null')
    if (!isObject(value)) return undefined
    return Object.fromEntries(Object.entries(value).flatMap(([name, one]) => (isOperation(one) ? [[name, one]] : [])))
  } catch {
    return undefined
  }
}

function isOperation(value: unknown): value is CniOperation {
  if (!isObject(value)) return false
  const { requests, failures, seconds } = value
  return [requests, failures, seconds].every(number => typeof number === 'number')
}
