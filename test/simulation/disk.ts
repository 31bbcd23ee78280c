/**
 * A simulated disk of one machine. What a process sees is the page cache; what a power cut leaves
 * is what was synced, and of the rest as much as chance wants: names changed since the folder was
 * synced are there up to some point (a journal keeps their order), and the bytes of a file that was
 * not synced are torn anywhere. It may be full, and take fewer bytes than it is given.
 */
import type { Disk, OpenFile } from '../../src/lib/disk.ts'
import type { Random } from './random.ts'

interface File {
  bytes: Uint8Array
  synced: Uint8Array
}

type NameChange = { readonly path: string; readonly file: File | undefined }

const EMPTY = new Uint8Array()
const text = new TextDecoder()

export interface DiskFaults {
  /** The most bytes that one write takes; 0: all. */
  readonly writeBytes: number
}

export class SimDisk {
  /** As processes see it. */
  #names = new Map<string, File>()
  /** As it stands on the medium. */
  #lasting = new Map<string, File>()
  /** What has not been synced of the names, in order. */
  #pending: NameChange[] = []
  /** What the kernel shows as files: never on the medium. */
  readonly settings = new Map<string, string>()
  isFull = false
  /** Changes of files so far: nothing is written in the steady state. */
  writes = 0
  #writtenAt = 0
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  get paths(): readonly string[] {
    return [...this.#names.keys()].sort()
  }
  textOf(path: string): string | undefined {
    const file = this.#names.get(path)
    return file && text.decode(file.bytes)
  }
  /** For faults: bytes that somebody else put there. */
  put(path: string, content: string): void {
    const bytes = new TextEncoder().encode(content)
    const file = { bytes, synced: bytes }
    this.#names.set(path, file)
    this.#lasting.set(path, file)
  }

  /** Whether nothing was written for so long. */
  quietFor(milliseconds: number): boolean {
    return this.#now() - this.#writtenAt >= milliseconds
  }

  /** The machine loses power. */
  loseCurrent(random: Random): void {
    const kept = random.between(0, this.#pending.length)
    for (const { path, file } of this.#pending.slice(0, kept)) setName(this.#lasting, path, file)
    for (const file of new Set(this.#lasting.values())) {
      if (file.bytes !== file.synced) file.bytes = torn(file, random)
      file.synced = file.bytes
    }
    this.#names = new Map(this.#lasting)
    this.#pending = []
  }

  /** What one process works with. `gate` is asked before each step: throwing is its end. */
  door(gate: () => void, faults: DiskFaults): Disk & { release(): void } {
    const open = new Map<OpenFile, { readonly path: string; readonly file: File | undefined }>()
    let next = 3
    const rename = (path: string, file: File | undefined) => this.#rename(path, file)
    const fileAt = (path: string) => {
      const file = this.#names.get(path)
      if (file === undefined) throw errno('ENOENT', path)
      return file
    }
    const need = (handle: OpenFile) => {
      const found = open.get(handle)
      if (found === undefined) throw errno('EBADF', String(handle))
      return found
    }
    return {
      read: path => {
        gate()
        const setting = this.settings.get(path)
        if (setting !== undefined) return `${setting}\n`
        return text.decode(fileAt(path).bytes)
      },
      open: (path, flags) => {
        gate()
        const handle = next++
        if (this.settings.has(path) || (flags === 'r' && !this.#names.has(path))) {
          open.set(handle, { path, file: undefined }) // a setting, or a folder
          return handle
        }
        if (flags === 'wx' && this.#names.has(path)) throw errno('EEXIST', path)
        if (this.isFull && flags !== 'r' && !this.#names.has(path)) throw errno('ENOSPC', path)
        let file = this.#names.get(path)
        if (file === undefined) {
          file = { bytes: EMPTY, synced: EMPTY }
          rename(path, file)
        }
        if (flags === 'w') file.bytes = EMPTY
        open.set(handle, { path, file })
        return handle
      },
      write: (handle, bytes, offset) => {
        gate()
        const { path, file } = need(handle)
        if (file === undefined) {
          this.settings.set(path, text.decode(bytes).trim())
          return bytes.length - offset
        }
        if (this.isFull) throw errno('ENOSPC', path)
        const taken = faults.writeBytes === 0 ? bytes.length : Math.min(bytes.length, offset + faults.writeBytes)
        const longer = new Uint8Array(file.bytes.length + taken - offset)
        longer.set(file.bytes)
        longer.set(bytes.subarray(offset, taken), file.bytes.length)
        file.bytes = longer
        this.#written()
        return taken - offset
      },
      sync: handle => {
        gate()
        const { file } = need(handle)
        if (file !== undefined) file.synced = file.bytes
        else this.#syncNames()
      },
      close: handle => {
        open.delete(handle)
      },
      chmod: path => {
        gate()
        fileAt(path)
      },
      makeFolder: gate,
      rename: (from, to) => {
        gate()
        const file = fileAt(from)
        rename(to, file)
        rename(from, undefined)
      },
      link: (path, name) => {
        gate()
        if (this.#names.has(name)) throw errno('EEXIST', name)
        rename(name, fileAt(path))
      },
      remove: path => {
        gate()
        if (this.#names.has(path)) rename(path, undefined)
      },
      lock: () => {
        gate()
        return true // one process at a time runs here: a change is never interrupted by another's
      },
      release: () => open.clear(),
    }
  }

  #rename(path: string, file: File | undefined): void {
    setName(this.#names, path, file)
    this.#pending.push({ path, file })
    this.#written()
  }

  #written(): void {
    this.writes++
    this.#writtenAt = this.#now()
  }

  #syncNames(): void {
    for (const { path, file } of this.#pending) setName(this.#lasting, path, file)
    this.#pending = []
  }
}

function setName(names: Map<string, File>, path: string, file: File | undefined): void {
  if (file === undefined) names.delete(path)
  else names.set(path, file)
}

/** Some of what was written since it was synced; bytes that never arrived are zeros. */
function torn(file: File, random: Random): Uint8Array {
  const length = random.between(Math.min(file.synced.length, file.bytes.length), file.bytes.length)
  const left = file.bytes.slice(0, length)
  if (random.chance(0.3) && length > 0) left.fill(0, random.between(0, length - 1))
  return left
}

function errno(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
