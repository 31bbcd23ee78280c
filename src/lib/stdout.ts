/**
 * The one way to stdout, for every command and for the CNI plugin. Texts go out whole and in order,
 * however slow the reader is, and whether or not stdout is non-blocking (a pipe may be left so by
 * whoever shares it). A reader that went away (`| head`) is no failure and stops no work; a full
 * disk stops none either, but it is told at the end and the exit status is not 0.
 *
 * Neither `process.stdout` nor Bun's writer can do that: both make stdout non-blocking for all who
 * share it. `Bun.write` starts a text again from its beginning after EAGAIN, and makes a file
 * longer before it writes more than 1024 octets, which leaves a hole after `>>`. So long texts go
 * through write(2) of node:fs; short ones go through `Bun.write`, which loads nothing, in pieces of
 * which a pipe takes all or nothing (pipe(7), PIPE_BUF): the plugin is waited for, and node:fs
 * takes longer than all of its work.
 */
import { errorCode } from './errors.ts'

const PIECE = 1024
/** From here on it is worth to load node:fs. */
const LONG = 4096
/** While a non-blocking stdout takes nothing. */
const RETRY_MILLISECONDS = 5

let queue: Promise<void> = Promise.resolve()
let closed = false
let failure: unknown

/**
 * Has `text` written after all before it. Who prints without end asks `stdoutIsRead` now and then.
 */
export function print(text: string): void {
  queue = queue.then(() => write(text))
}

/** Resolves when all of that is written: whether anybody can still read more. */
export async function stdoutIsRead(): Promise<boolean> {
  await queue
  return !closed && failure === undefined
}

/** Resolves when all of that is written: with what went wrong first, if anything did. */
export async function stdoutFailure(): Promise<unknown> {
  await queue
  return failure
}

/** The terminal that stdout is, if it is one: its width in columns, where that is known. */
export function stdoutTerminal(): { readonly columns: number | undefined } | undefined {
  return process.stdout.isTTY ? { columns: process.stdout.columns || undefined } : undefined
}

async function write(text: string): Promise<void> {
  if (closed || failure !== undefined || text === '') return
  try {
    const octets = new TextEncoder().encode(text)
    if (octets.length > LONG) await writeLong(octets)
    else {
      for (let offset = 0; offset < octets.length; offset += PIECE)
        await Bun.write(Bun.stdout, octets.subarray(offset, offset + PIECE))
    }
  } catch (error) {
    if (errorCode(error) === 'EPIPE') closed = true
    else failure = error
  }
}

async function writeLong(octets: Uint8Array): Promise<void> {
  const { write } = await import('node:fs')
  for (let offset = 0; offset < octets.length; ) {
    offset += await new Promise<number>((resolve, reject) =>
      write(1, octets, offset, octets.length - offset, null, (error, count) => {
        if (error === null) resolve(count)
        else if (errorCode(error) === 'EAGAIN') setTimeout(resolve, RETRY_MILLISECONDS, 0)
        else reject(error)
      }),
    )
  }
}
