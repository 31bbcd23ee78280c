/**
 * Our speaker in a process of its own, as a benchmark needs it: announces a workload to one or more
 * peers until it is ended. Says `ready` on stdout; `add` on stdin adds one prefix, with the whole
 * set given again as the real node does.
 *
 * Argument: `SpeakerTask` as JSON.
 */
import { createSpeaker } from '../../../src/bgp/speaker.ts'
import type { PeerConfig } from '../../../src/bgp/speaker-types.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { createLog } from '../../../src/lib/log.ts'
import { announcementAt, announcementsOf, HOLD_SECONDS, SENDER, SINK, type Workload } from './routes.ts'

export interface SpeakerTask {
  readonly workload: Workload
  readonly peers: readonly { readonly address: string; readonly sourceAddress?: string }[]
  readonly holdTimeSeconds?: number
}

if (import.meta.main) await announce(JSON.parse(process.argv[2] ?? '') as SpeakerTask)

async function announce({ workload, peers, holdTimeSeconds = HOLD_SECONDS }: SpeakerTask): Promise<void> {
  const speaker = createSpeaker({ clock: systemClock, log: createLog('error'), restarting: false })
  let announcements = announcementsOf(workload)
  const announceAll = () => {
    for (const { address } of peers) speaker.setAnnouncements(address, announcements)
  }
  announceAll()
  speaker.setPeers(
    peers.map(
      ({ address, sourceAddress }): PeerConfig => ({
        key: address,
        localAs: SENDER.asNumber,
        peerAs: SINK.asNumber,
        peerAddress: address,
        ...(sourceAddress !== undefined && { sourceAddress }),
        peerPort: 179,
        routerId: SENDER.address,
        holdTimeSeconds,
        connectRetrySeconds: 1,
        gracefulRestart: { enabled: true, restartTimeSeconds: 120 },
        families: ['ipv4'],
        passive: false,
      }),
    ),
  )
  process.stdout.write('ready\n')
  for await (const line of console) {
    if (line !== 'add') continue
    announcements = [...announcements, announcementAt(announcements.length, workload)]
    process.stdout.write(`${performance.timeOrigin + performance.now()}\n`)
    announceAll()
  }
}
