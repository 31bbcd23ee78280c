/**
 * Packets, counted: one each millisecond from one namespace to an address, and how many had an
 * answer. Where the machine lets it, the sender goes before every other program: a machine that is
 * busy sends as many.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, type TestNetwork } from './namespaces.ts'

export interface Counted {
  readonly sent: number
  readonly lost: number
}

/** For how long it goes on sending afterwards: what was lost at the end is followed by answers. */
const AFTERWARDS_MILLISECONDS = 500

/** What a test that counts must ask for. (iputils' ping spends a core on one packet each ms.) */
export const COUNTING_NEEDS: readonly string[] = ['root', 'ip', 'fping']

/** An answer that comes later is none, ms. */
const PATIENCE_MILLISECONDS = 5000

/** So many at the end may have been under way when it ended; more were lost. */
const MOST_UNDER_WAY = 100

/** Sends until `during` has ended, and a moment longer. */
export async function countingPackets(
  network: TestNetwork,
  from: { readonly namespace: string; readonly to: string },
  during: () => Promise<unknown>,
): Promise<Counted> {
  const folder = mkdtempSync(join(tmpdir(), 'te-packets-'))
  try {
    // into a file: a pipe is full while the test waits for another program, and then nothing is
    // sent
    const printed = join(folder, 'printed')
    const words = ['-l', '-i', '1', '-p', '1', '-t', String(PATIENCE_MILLISECONDS), from.to]
    const command = `exec ${first()} fping ${words.join(' ')} >${printed} 2>&1`
    const child = network.spawn(from.namespace, ['sh', '-c', command])
    try {
      await during()
      await Bun.sleep(AFTERWARDS_MILLISECONDS)
    } finally {
      child.kill('SIGINT') // upon which it says how many it sent
    }
    await child.exited
    const text = await Bun.file(printed).text()
    // its own counts: numbers of packets have gaps where none was sent
    const [, sent = 0, received = 0] = /xmt\/rcv\/%loss = (\d+)\/(\d+)\//.exec(text)?.map(Number) ?? []
    const last = [...text.matchAll(/ : \[(\d+)\], /g)].reduce((most, [, index]) => Math.max(most, Number(index)), -1)
    // it leaves numbers out where it is late, and then the last one says nothing of the end
    const behind = Math.max(0, sent - 1 - last)
    return { sent, lost: Math.max(0, sent - received - (behind <= MOST_UNDER_WAY ? behind : 0)) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** What runs a program before all others, where that is allowed. */
function first(): string {
  const command = ['chrt', '-f', '10']
  return run([...command, 'true'], { mayFail: true }).status === 0 ? command.join(' ') : ''
}
