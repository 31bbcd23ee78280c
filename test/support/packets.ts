/**
 * Packets, counted: one about each millisecond from one namespace to an address, and how many had
 * no answer. Where the machine lets it, the sender goes before every other program: a machine that
 * is busy sends as many.
 */
import { resolve } from 'node:path'
import { run } from './namespaces.ts'

export interface Counted {
  readonly sent: number
  readonly lost: number
}

/** What starts the sender in a namespace, and ends it if need be. */
interface Spawner {
  spawn(namespace: string, command: readonly string[]): Bun.Subprocess<'ignore', 'pipe', 'pipe'>
}

/** For how long it goes on sending afterwards: what was lost at the end is followed by answers. */
const AFTERWARDS_MILLISECONDS = 500

/** What a test that counts must ask for. */
export const COUNTING_NEEDS: readonly string[] = ['root', 'ip']

const SENDER = resolve(import.meta.dir, 'packet-sender.ts')

/**
 * Sends until `during`, which begins when the first packet leaves, has ended, and a moment longer.
 * (iputils' ping spends a core on one packet each millisecond; what fping says of how many it sent
 * depends on when it was ended.)
 */
export async function countingPackets(
  network: Spawner,
  from: { readonly namespace: string; readonly to: string },
  during: () => Promise<unknown>,
): Promise<Counted> {
  const child = network.spawn(from.namespace, [...first(), process.execPath, SENDER, from.to])
  const text = child.stdout.getReader()
  const decoder = new TextDecoder()
  const said = async () => {
    const { value } = await text.read()
    if (value === undefined) throw new Error(`the sender of packets ended: ${await child.stderr.text()}`)
    return decoder.decode(value)
  }
  try {
    await said()
    await during()
    await Bun.sleep(AFTERWARDS_MILLISECONDS)
  } finally {
    child.kill('SIGINT') // upon which it says how many it sent
  }
  const counted: Counted = JSON.parse(await said())
  return counted
}

/** What runs a program before all others, where that is allowed. */
function first(): readonly string[] {
  const command = ['chrt', '-f', '10']
  return run([...command, 'true'], { mayFail: true }).status === 0 ? command : []
}
