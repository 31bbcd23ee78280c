/**
 * The attachments on disk, `<state>/cni/attachments.json`, shared by all plugin processes of a node. Safe against kill -9 and loss of
 * power at any instruction: a change happens under a lock that the kernel releases when its holder dies (flock(2)), and the file is
 * written whole, synced and renamed, so it holds the state before or after a change and nothing between.
 *
 * It decides nothing: changes are functions from `attachments.ts` and `address-pool.ts`.
 */
import { closeSync, mkdirSync, openSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { readFileIfPresent, removeFile, writeFileWhole } from '../lib/files.ts'
import { ERRNO, flock, LOCK, SystemError } from '../lib/libc.ts'
import { type Attachments, formatAttachments, NO_ATTACHMENTS, parseAttachments } from './attachments.ts'

/** The file cannot be read or written: the message says which and why. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
}

/** What a change answers: the attachments to keep (absent: those that were there, nothing is written) and a result. */
export interface Change<T> {
  readonly attachments?: Attachments
  readonly result: T
}

export class AddressStore {
  readonly #folder: string
  readonly #file: string

  constructor(stateDir: string) {
    this.#folder = join(stateDir, 'cni')
    this.#file = join(this.#folder, 'attachments.json')
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

  /** Runs `change` while no other process can, and keeps what it answers before it returns. Throws `StoreError`. */
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
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o755 })
      const file = openSync(join(this.#folder, 'lock'), 'a', 0o600)
      for (;;) {
        try {
          flock(file, LOCK.EX)
          return file
        } catch (error) {
          if (!(error instanceof SystemError) || error.errno !== ERRNO.EINTR) {
            closeSync(file)
            throw error
          }
        }
      }
    } catch (error) {
      throw new StoreError(`cannot lock the state in ${this.#folder}`, { cause: error })
    }
  }

  #write(attachments: Attachments): void {
    try {
      writeFileWhole(this.#file, formatAttachments(attachments))
      // What a killed process left half written; only the holder of the lock writes, so none of these is in use.
      for (const name of readdirSync(this.#folder)) if (name.endsWith('.part')) removeFile(join(this.#folder, name))
    } catch (error) {
      throw new StoreError(`cannot write ${this.#file}`, { cause: error })
    }
  }
}
