/**
 * The attachments on disk, `<state>/cni/attachments.json`, shared by all plugin processes of a
 * node. Safe against kill -9 and loss of power at any instruction: a change happens under a lock
 * that the kernel releases when its holder dies (flock(2)), and the file is written whole, synced
 * and renamed, so it holds the state before or after a change and nothing between.
 *
 * It decides nothing: changes are functions from `attachments.ts` and `address-pool.ts`. A file
 * that is damaged all the same (a disk that lies, an editor) is set aside by the next change, and
 * what it said is read from the kernel (rebuild.ts): pods go on starting and ending.
 */

import { statSync } from 'node:fs'
import { join } from 'node:path'
import { type Disk, type OpenFile, systemDisk } from '../lib/disk.ts'
import { errorCode } from '../lib/errors.ts'
import { readFileIfPresent, replaceFile } from '../lib/files.ts'
import { type Attachments, formatAttachments, NO_ATTACHMENTS, parseAttachments } from './attachments.ts'
import { StoreError } from './errors.ts'
import { rebuiltAttachments } from './rebuild.ts'

/** Another process holds the lock for longer than the caller has patience. */
export class StoreBusy extends Error {
  override readonly name = 'StoreBusy'
}

export interface StoreOptions {
  /**
   * Milliseconds to wait for the lock, for a process that has other things to do; absent: for as
   * long as it takes.
   */
  readonly patience?: number
  /** Absent: the machine's. */
  readonly disk?: Disk
  /** What a damaged file said; absent: as the kernel knows it. */
  readonly rebuild?: () => Attachments
}

/**
 * What a change answers: the attachments to keep (absent: those that were there, nothing is
 * written) and a result.
 */
export interface Change<T> {
  readonly attachments?: Attachments
  readonly result: T
}

/**
 * When a damaged file was set aside in the state folder, and where it is; undefined when there is
 * none.
 */
export function damageOf(stateDir: string): { readonly file: string; readonly at: Date } | undefined {
  const file = damagedPath(join(stateDir, 'cni'))
  const found = statSync(file, { throwIfNoEntry: false })
  return found === undefined ? undefined : { file, at: found.ctime }
}

/** What an operator should know of that. */
export function damageProblems(stateDir: string): string[] {
  const damage = damageOf(stateDir)
  if (damage === undefined) return []
  const { file, at } = damage
  return [
    `attachments.json was damaged and was made anew from the kernel (${at.toISOString()}): look at ${file}, then remove it`,
  ]
}

function damagedPath(folder: string): string {
  return join(folder, 'attachments.damaged')
}

/** Undefined when it is not what this program writes. */
function attachmentsIn(text: string): Attachments | undefined {
  try {
    return parseAttachments(text)
  } catch {
    return undefined
  }
}

export class AddressStore {
  readonly stateDir: string
  readonly #folder: string
  readonly #file: string
  readonly #disk: Disk
  readonly #rebuild: () => Attachments
  readonly #patience: number | undefined

  constructor(stateDir: string, options: StoreOptions = {}) {
    this.#patience = options.patience
    this.#disk = options.disk ?? systemDisk
    this.#rebuild = options.rebuild ?? rebuiltAttachments
    this.stateDir = stateDir
    this.#folder = join(stateDir, 'cni')
    this.#file = join(this.#folder, 'attachments.json')
  }

  /** Where they are. */
  get file(): string {
    return this.#file
  }

  /**
   * The attachments as they are now; without the lock, as the file is only ever replaced. Of a
   * damaged file those of the pods that the kernel knows, in the network namespace of the caller.
   * Throws `StoreError`.
   */
  read(): Attachments {
    return this.#readOrRebuild().attachments
  }

  #readOrRebuild(): { readonly attachments: Attachments; readonly damaged: boolean } {
    try {
      const text = readFileIfPresent(this.#file, this.#disk)
      if (text === undefined) return { attachments: NO_ATTACHMENTS, damaged: false }
      const attachments = attachmentsIn(text)
      return { attachments: attachments ?? this.#rebuild(), damaged: attachments === undefined }
    } catch (error) {
      throw new StoreError(`cannot read ${this.#file}`, { cause: error })
    }
  }

  /**
   * Runs `change` while no other process can, and keeps what it answers before it returns. Throws
   * `StoreError`, `StoreBusy`.
   */
  update<T>(change: (attachments: Attachments) => Change<T>): T {
    const lock = this.#lock()
    try {
      const before = this.#readOrRebuild()
      const { attachments, result } = change(before.attachments)
      if (before.damaged) this.#setAside()
      if (attachments !== undefined || before.damaged) this.#write(attachments ?? before.attachments)
      return result
    } finally {
      this.#disk.close(lock)
    }
  }

  /** Keeps a damaged file for people to look at; only the last one. */
  #setAside(): void {
    try {
      this.#disk.rename(this.#file, damagedPath(this.#folder))
    } catch (error) {
      throw new StoreError(`cannot set the damaged ${this.#file} aside`, { cause: error })
    }
  }

  /**
   * Waits for the lock: it is held for one small write at a time, and the kernel hands it on in
   * turn.
   */
  #lock(): OpenFile {
    let file: OpenFile | undefined
    try {
      file = this.#openLock()
      if (!this.#disk.lock(file, this.#patience))
        throw new StoreBusy(`another process holds the lock in ${this.#folder}`)
      return file
    } catch (error) {
      if (file !== undefined) this.#disk.close(file)
      if (error instanceof StoreBusy) throw error
      throw new StoreError(`cannot lock the state in ${this.#folder}`, { cause: error })
    }
  }

  #openLock(): OpenFile {
    const path = join(this.#folder, 'lock')
    try {
      return this.#disk.open(path, 'a', 0o600)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      this.#disk.makeFolder(this.#folder)
      return this.#disk.open(path, 'a', 0o600)
    }
  }

  /**
   * No pod outlives a power cut, so the records before it are as good as those after: the file must
   * only be whole.
   */
  #write(attachments: Attachments): void {
    try {
      replaceFile(this.#file, `${this.#file}.part`, formatAttachments(attachments), { disk: this.#disk })
    } catch (error) {
      throw new StoreError(`cannot write ${this.#file}`, { cause: error })
    }
  }
}
