/**
 * Makes Debian's kube-apiserver 1.20.2 fit for custom resources.
 *
 * It is built with Go 1.19 but vendors reflect2 1.0.1, which calls the runtime's map iterator as it
 * was before Go 1.18. The first custom resource that is created (its metadata is a map, written by
 * json-iterator) crashes the server: SIGSEGV below `UnsafeMapType.UnsafeIterate`. In a copy of the
 * program, json-iterator's `Marshal` becomes a jump to encoding/json's, which writes the same text.
 * Any other build is used as it is.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const BROKEN = 'k8s.io/kubernetes/vendor/github.com/json-iterator/go.(*frozenConfig).Marshal'
const SOUND = 'encoding/json.Marshal'
/** Where tools keep what they can make again. */
const CACHE = join(import.meta.dir, '../../node_modules/.cache/terway-edge')
/** A source file of the reflect2 versions that know Go 1.18. */
const FIXED_REFLECT2 = 'reflect2/go_above_118.go'
/** First bytes of the function table of Go 1.18 and 1.19 (little-endian 0xfffffff0). */
const FUNCTION_TABLE_MAGIC = 0xfffffff0

/**
 * The path of a program that serves custom resources: `path` itself where it does, else a mended
 * copy.
 */
export function mendedApiServer(path: string): string {
  const { size, mtimeMs } = statSync(path)
  const folder = join(CACHE, `kube-apiserver-${size}-${Math.floor(mtimeMs)}`)
  const copy = join(folder, 'kube-apiserver')
  if (existsSync(copy)) return copy
  const program = readFileSync(path)
  const patch = patchFor(program)
  if (patch === undefined) return path
  program.set(patch.bytes, patch.offset)
  mkdirSync(folder, { recursive: true })
  const part = `${copy}.${process.pid}`
  writeFileSync(part, program)
  chmodSync(part, 0o755)
  renameSync(part, copy)
  return copy
}

/** Where to write what, or undefined for a program that needs no mending. */
function patchFor(program: Buffer): { offset: number; bytes: Uint8Array } | undefined {
  const x86 = program.length > 64 && program.readUInt32BE(0) === 0x7f454c46 && program.readUInt16LE(18) === 62
  if (!x86 || program.includes(FIXED_REFLECT2)) return undefined
  const sections = sectionsOf(program)
  const table = sections.get('.gopclntab')
  const text = sections.get('.text')
  if (table === undefined || text === undefined) return undefined
  const entries = functionEntries(program, table.offset, [BROKEN, SOUND])
  const broken = entries.get(BROKEN)
  const sound = entries.get(SOUND)
  if (broken === undefined || sound === undefined) return undefined
  // Go's register convention: (receiver, value type, value) in rax, rbx, rcx becomes (value type,
  // value) in rax, rbx
  // mov rax, rbx; mov rbx, rcx; jmp
  const bytes = new Uint8Array([0x48, 0x89, 0xd8, 0x48, 0x89, 0xcb, 0xe9, 0, 0, 0, 0])
  new DataView(bytes.buffer).setInt32(7, sound - (broken + bytes.length), true)
  return { offset: broken - text.address + text.offset, bytes }
}

/** The sections of an ELF64 file by name. */
function sectionsOf(program: Buffer): Map<string, { address: number; offset: number }> {
  const headers = Number(program.readBigUInt64LE(40))
  const size = program.readUInt16LE(58)
  const count = program.readUInt16LE(60)
  const at = (index: number) => {
    const header = headers + index * size
    return {
      name: program.readUInt32LE(header),
      address: Number(program.readBigUInt64LE(header + 16)),
      offset: Number(program.readBigUInt64LE(header + 24)),
    }
  }
  const names = at(program.readUInt16LE(62)).offset
  return new Map(
    Array.from({ length: count }, (_, index) => {
      const { name, address, offset } = at(index)
      return [textAt(program, names + name), { address, offset }]
    }),
  )
}

/**
 * Addresses of the named functions, from the table that the Go runtime keeps for stack traces
 * (debug/gosym describes it).
 */
function functionEntries(program: Buffer, table: number, names: readonly string[]): Map<string, number> {
  if (program.readUInt32LE(table) !== FUNCTION_TABLE_MAGIC) return new Map()
  const word = (index: number) => Number(program.readBigUInt64LE(table + 8 + index * 8))
  const [count, textStart, nameOffset, functionOffset] = [word(0), word(2), word(3), word(7)]
  const found = new Map<string, number>()
  for (let index = 0; index < count; index++) {
    const entry = table + functionOffset + index * 8
    const record = table + functionOffset + program.readUInt32LE(entry + 4)
    const name = textAt(program, table + nameOffset + program.readInt32LE(record + 4), names)
    if (name !== undefined) found.set(name, textStart + program.readUInt32LE(entry))
  }
  return found
}

/**
 * The zero-terminated text at `offset`; with `wanted`, only if it is one of these (without decoding
 * all others).
 */
function textAt(program: Buffer, offset: number): string
function textAt(program: Buffer, offset: number, wanted: readonly string[]): string | undefined
function textAt(program: Buffer, offset: number, wanted?: readonly string[]): string | undefined {
  if (wanted === undefined) return program.toString('latin1', offset, program.indexOf(0, offset))
  return wanted.find(
    text => program[offset + text.length] === 0 && program.toString('latin1', offset, offset + text.length) === text,
  )
}
