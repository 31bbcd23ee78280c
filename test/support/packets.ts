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
    const command = `exec ${first()} ping -n -i 0.001 ${from.to} >${printed}`
    const child = network.spawn(from.namespace, ['sh', '-c', command])
    try {
      await during()
      await Bun.sleep(AFTERWARDS_MILLISECONDS)
    } finally {
      child.kill('SIGINT') // upon which it says how many it sent
    }
    await child.exited
    const text = await Bun.file(printed).text()
    const sent = Number(/(\d+) packets transmitted/.exec(text)?.[1] ?? 0)
    const sequences = [...text.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, sequence]) => Number(sequence))
    return { sent, lost: lostOf(sent, new Set(unwrapped(sequences))) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const WRAP = 2 ** 16

/**
 * Sequence numbers have 16 bits and begin anew after a minute; each is near the one before it, as
 * answers come about in the order of what was sent.
 */
export function unwrapped(sequences: readonly number[]): number[] {
  let last = 0
  return sequences.map(sequence => {
    const ahead = (((sequence - last) % WRAP) + WRAP) % WRAP
    last += ahead < WRAP / 2 ? ahead : ahead - WRAP
    return last
  })
}

/** What runs a program before all others, where that is allowed. */
function first(): string {
  const command = ['chrt', '-f', '10']
  return run([...command, 'true'], { mayFail: true }).status === 0 ? command.join(' ') : ''
}

/** More than these at the end were not under way when it ended: they were lost. */
const MOST_UNDER_WAY = 100

/** Those that never came back, but for the last ones, which may have been under way at the end. */
function lostOf(sent: number, answered: ReadonlySet<number>): number {
  const last = Math.max(0, ...answered)
  const behind = sent - last
  return last - answered.size + (behind > MOST_UNDER_WAY ? behind : 0)
}
