/**
 * Has an operator's word on BGPPeers (`terway-edge check --kubeconfig`) answered: tries all paths
 * from here and records what came of it as an Event on the BGPPeer. Put together alike on nodes,
 * for the LANs that they speak for, and on the controller, from the VPC.
 */
import type { EventRecorder } from '../kube/api.ts'
import { CHECK_REPORT, type CheckReport, PATHS_CHECKED } from '../kube/path-check.ts'
import { apiVersionOf } from '../kube/paths.ts'
import { BGP_PEERS } from '../kube/resources.ts'
import { systemClock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { checkPaths } from '../paths/check.ts'
import { ChecksOnDemand } from '../paths/checks-on-demand.ts'
import type { Stand } from '../paths/stand.ts'
import { isProved, pathsView, totalOf } from '../paths/view.ts'

export interface AnswerChecksOptions {
  readonly events: EventRecorder
  readonly log: Log
  /** As an Event names it, and the LAN that it stands in. */
  readonly who: () => Pick<CheckReport, 'node' | 'lan'>
  readonly asked: () => ReadonlyMap<string, string>
  readonly uidOf: (bgpPeer: string) => string | undefined
  readonly port: number
  readonly mtu: () => number | undefined
  readonly stand: (bgpPeers: readonly string[]) => Stand
}

export function answerChecks(options: AnswerChecksOptions): ChecksOnDemand {
  const { events, log, who, asked, uidOf, port, mtu, stand } = options
  return new ChecksOnDemand({
    clock: systemClock,
    log,
    asked,
    check: async bgpPeers => {
      const from = stand(bgpPeers)
      const { verdict, evidence } = await checkPaths({
        clock: systemClock,
        stand: from,
        port,
        mtu: mtu(),
        onProgress: () => {},
      })
      return pathsView({ verdict, histories: [...evidence.values()] })
    },
    report: (bgpPeer, word, paths) => {
      const report: CheckReport = { asked: word, ...who(), paths }
      const uid = uidOf(bgpPeer)
      events.record({
        regarding: {
          apiVersion: apiVersionOf(BGP_PEERS),
          kind: BGP_PEERS.kind,
          name: bgpPeer,
          ...(uid !== undefined && { uid }),
        },
        type: isProved(paths) ? 'Normal' : 'Warning',
        reason: PATHS_CHECKED,
        message: messageOf(report),
        annotations: { [CHECK_REPORT]: JSON.stringify(report) },
      })
    },
  })
}

function messageOf({ asked, node, paths: { kinds, findings } }: CheckReport): string {
  const { sent, lost } = totalOf(kinds)
  const found = findings.map(({ message }) => message)
  return [`${node}, as asked at ${asked}: ${sent - lost} of ${sent} probes answered`, ...found].join('; ')
}
