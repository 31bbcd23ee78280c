/**
 * Starts speaker-process.ts in a namespace and speaks its lines.
 */
import type { SpeakerTask } from './speaker-process.ts'

export interface SpeakerChild {
  readonly pid: number
  /**
   * Adds a prefix; resolves with the time at which the speaker was given the new set, in
   * milliseconds since the epoch.
   */
  add(): Promise<number>
}

/** Ends with the namespace's network, which kills what runs in its namespaces. */
export function startSpeaker(namespace: string, task: SpeakerTask): SpeakerChild {
  const command = [process.execPath, `${import.meta.dir}/speaker-process.ts`, JSON.stringify(task)]
  const child = Bun.spawn(['ip', 'netns', 'exec', namespace, ...command], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const lines = linesOf(child.stdout)
  const ready = lines.next()
  return {
    pid: child.pid,
    async add() {
      await ready
      child.stdin.write('add\n')
      child.stdin.flush()
      return Number((await lines.next()).value)
    },
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = ''
  for await (const chunk of stream) {
    text += new TextDecoder().decode(chunk)
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    yield* lines
  }
}
