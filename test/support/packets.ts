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
  const child = network.spawn(from.namespace, ['ping', '-n', '-q', '-i', '0.001', from.to])
  const printed = new Response(child.stdout).text()
  try {
    await during()
  } finally {
    child.kill('SIGINT') // upon which it says what it counted
  }
  const [, sent, received] = /(\d+) packets transmitted, (\d+) received/.exec(await printed) ?? []
  // one or two were under way when it ended
  return { sent: Number(sent), lost: Math.max(0, Number(sent) - Number(received) - 2) }
}
