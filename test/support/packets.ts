/**
 * Packets, counted: one each millisecond from one namespace to an address, and how many had an
 * answer.
 */
import type { TestNetwork } from './namespaces.ts'

export interface Counted {
  readonly sent: number
  readonly lost: number
}

/** Sends until `during` has ended. */
export async function countingPackets(
  network: TestNetwork,
  from: { readonly namespace: string; readonly to: string },
  during: () => Promise<unknown>,
): Promise<Counted> {
  const child = network.spawn(from.namespace, ['ping', '-n', '-i', '0.001', from.to])
  const printed = new Response(child.stdout).text()
  try {
    await during()
  } finally {
    child.kill('SIGINT') // upon which it says how many it sent
  }
  const text = await printed
  const sent = Number(/(\d+) packets transmitted/.exec(text)?.[1] ?? 0)
  const answered = new Set([...text.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, sequence]) => Number(sequence)))
  return { sent, lost: lostOf(sent, answered) }
}

/** More than these at the end were not under way when it ended: they were lost. */
const MOST_UNDER_WAY = 200

/** Those that never came back, but for the last ones, which may have been under way at the end. */
function lostOf(sent: number, answered: ReadonlySet<number>): number {
  const last = Math.max(0, ...answered)
  const behind = sent - last
  return last - answered.size + (behind > MOST_UNDER_WAY ? behind : 0)
}
