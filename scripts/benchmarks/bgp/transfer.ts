/**
 * Many prefixes to BIRD: the time from the session being established until BIRD holds them all, the
 * time from the start of the process, and the sender's peak memory.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestNetwork } from '../../../test/support/namespaces.ts'
import { Bird } from './bird.ts'
import { memoryMegabytes } from './proc.ts'
import { LINK_LENGTH, SENDER, SINK, type Workload } from './routes.ts'
import type { Sender } from './senders.ts'

export interface Transfer {
  /** From Established, as BIRD notes it, until BIRD holds all. */
  readonly transferMilliseconds: number
  /**
   * From the start of the process: reading its configuration and waiting before it dials included.
   */
  readonly totalMilliseconds: number
  readonly peakMegabytes: number
}

const POLL_MILLISECONDS = 2

/** A bare sink: no kernel routes. */
const SINK_CONFIG = [
  `router id ${SINK.address};`,
  'protocol device {}',
  'protocol bgp sender {',
  `  local ${SINK.address} as ${SINK.asNumber}; neighbor ${SENDER.address} as ${SENDER.asNumber};`,
  '  passive on; hold time 240; error wait time 1, 2;',
  '  ipv4 { import all; export none; };',
  '}',
]

/** Undefined when it is not done within the limit. */
export async function transfer(
  sender: Sender,
  workload: Workload,
  limitMilliseconds: number,
): Promise<Transfer | undefined> {
  const network = new TestNetwork()
  const folder = mkdtempSync(join(tmpdir(), 'terway-edge-bench-'))
  let sink: Bird | undefined
  try {
    const [from, to] = [network.namespace('sender'), network.namespace('sink')]
    network.connect(
      { namespace: from, interface: 'eth0', addresses: [`${SENDER.address}/${LINK_LENGTH}`] },
      { namespace: to, interface: 'eth0', addresses: [`${SINK.address}/${LINK_LENGTH}`] },
    )
    sink = await Bird.start(network, to, SINK_CONFIG)
    const start = sender.prepare({ network, namespace: from, folder, workload })
    const startedAt = now()
    const { pid } = await start()
    for (;;) {
      const { establishedAt, held } = await sink.progress('sender')
      const at = now()
      if (establishedAt !== undefined && held >= workload.prefixes) {
        return {
          transferMilliseconds: at - establishedAt,
          totalMilliseconds: at - startedAt,
          peakMegabytes: memoryMegabytes(pid, 'VmHWM'),
        }
      }
      if (at - startedAt > limitMilliseconds) return undefined
      await Bun.sleep(POLL_MILLISECONDS)
    }
  } finally {
    sink?.close()
    await network.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Milliseconds since the epoch with their fraction: BIRD's time stamps are of the same clock. */
function now(): number {
  return performance.timeOrigin + performance.now()
}
