/**
 * The attachments on disk, `<state>/cni/attachments.json`, shared by all plugin processes of a node. Safe against kill -9 and loss of
 * power at any instruction: a change happens under a lock that the kernel releases when its holder dies (flock(2)), and the file is
 * written whole, synced and renamed, so it holds the state before or after a change and nothing between.
 *
 * It decides nothing: changes are functions from `attachments.ts` and `address-pool.ts`.
 */

import { closeSync, mkdirSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../lib/errors.ts'
import { tryLock, waitForLock } from '../lib/file-lock.ts'
import { readFileIfPresent, replaceFile } from '../lib/files.ts'
import { type Attachments, formatAttachments, NO_ATTACHMENTS, parseAttachments } from './attachments.ts'
import { StoreError } from './errors.ts'

/** Another process holds the lock for longer than the caller has patience. */
export class StoreBusy extends Error {
  override readonly name = 'StoreBusy'
}

export interface StoreOptions {
  /** Milliseconds to wait for the lock, for a process that has other things to do; absent: for as long as it takes. */
  readonly patience?: number
}

/** What a change answers: the attachments to keep (absent: those that were there, nothing is written) and a result. */
export interface Change<T> {
  readonly attachments?: Attachments
  readonly result: T
}

export class AddressStore {
  readonly #folder: string
  readonly #file: string

  readonly #patience: number | undefined

  constructor(stateDir: string, options: StoreOptions = {}) {
    this.#patience = options.patience
    this.#folder = join(stateDir, 'cni')
    this.#file = join(this.#folder, 'attachments.json')
  }

  /** Where they are. */
  get file(): string {
    return this.#file
  }

  /** The attachments as they are now; without the lock, as the file is only ever replaced. Throws `StoreError`. */
  read(): Attachments {
    try {
      const text = readFileIfPresent(this.#file)
      return text === undefined ? NO_ATTACHMENTS : parseAttachments(text)
    } catch (error) {
      throw new StoreError(`cannot read ${this.#file}`, { cause: error })
    }
  }

  /** Runs `change` while no other process can, and keeps what it answers before it returns. Throws `StoreError`, `StoreBusy`. */
  update<T>(change: (attachments: Attachments) => Change<T>): T {
    const lock = this.#lock()
    try {
      const { attachments, result } = change(this.read())
      if (attachments !== undefined) this.#write(attachments)
      return result
    } finally {
      closeSync(lock)
    }
  }

  /** Waits for the lock: it is held for one small write at a time, and the kernel hands it on in turn. */
  #lock(): number {
    let file: number | undefined
    try {
      file = this.#openLock()
      if (this.#patience === undefined) waitForLock(file)
      else if (!tryLock(file, this.#patience)) throw new StoreBusy(`another process holds the lock in ${this.#folder}`)
      return file
    } catch (error) {
      if (file !== undefined) closeSync(file)
      if (error instanceof StoreBusy) throw error
      throw new StoreError(`cannot lock the state in ${this.#folder}`, { cause: error })
    }
  }

  #openLock(): number {
    const path = join(this.#folder, 'lock')
    try {
      return openSync(path, 'a', 0o600)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      mkdirSync(this.#folder, { recursive: true, mode: 0o755 })
      return openSync(path, 'a', 0o600)
    }
  }

  /** No pod outlives a power cut, so the records before it are as good as those after: the file must only be whole. */
  #write(attachments: Attachments): void {
    try {
      replaceFile(this.#file, `${this.#file}.part`, formatAttachments(attachments))
    } catch (error) {
      throw new StoreError(`cannot write ${this.#file}`, { cause: error })
    }
  }
}
