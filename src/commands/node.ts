/**
 * `terway-edge node`: the route agent and the BGP speaker of one node in one process; `agent` and
 * `speaker` run one of the two. Puts the rooms together, waits for a signal, and ends them in the
 * order that disturbs the network least. No decisions here; how each part is put together is in
 * node-parts.ts.
 */
import type { ConfigFlags } from '../config/load.ts'
import { bootConfig, keepConfig } from '../host/boot-config.ts'
import { requireCapabilities } from '../host/capabilities.ts'
import { workBelow } from '../host/chroot.ts'
import { notifyService } from '../host/notify.ts'
import { endSoon, untilSignal } from '../host/signals.ts'
import { claimStateFolder } from '../host/state-folder.ts'
import { feedWatchdog } from '../host/watchdog.ts'
import { nodeKubeconfig } from '../kube/patient-kubeconfig.ts'
import { systemClock } from '../lib/clock.ts'
import { Listeners } from '../lib/listeners.ts'
import { createLog } from '../lib/log.ts'
import { Parting } from '../lib/parting.ts'
import type { SpeakerRoom } from '../speaker/reconcile.ts'
import { startNetwork } from './node-network.ts'
import { startCluster, startDrain, startSpeaker, startStateWatch } from './node-parts.ts'
import { type NodeServices, Problems } from './node-services.ts'
import { startStatus } from './node-status.ts'
import { addNodeOptions, createProgram, runProgram } from './program.ts'
import { versionInfo } from './version.ts'

type Parts = NodeServices['parts']

export function nodeCommand(args: string[]): Promise<number> {
  return run(
    args,
    { command: 'node', agent: true, speaker: true },
    'The route agent and the BGP speaker of this node: what the service runs.',
  )
}

export function agentCommand(args: string[]): Promise<number> {
  return run(args, { command: 'agent', agent: true, speaker: false }, 'The route agent of this node alone.')
}

export function speakerCommand(args: string[]): Promise<number> {
  return run(args, { command: 'speaker', agent: false, speaker: true }, 'The BGP speaker of this node alone.')
}

function run(args: string[], parts: Parts, description: string): Promise<number> {
  const program = addNodeOptions(
    createProgram(parts.command, description, [
      `terway-edge ${parts.command} --config /etc/terway-edge/config.yaml`,
      `terway-edge ${parts.command} --kubeconfig node.kubeconfig --node shop-7 --log-level debug`,
    ]),
  ).addHelpText(
    'after',
    parts.speaker
      ? '\nSignals: SIGTERM ends it and keeps the routes, and by graceful restart the announcements too;\nSIGUSR2 drains (terway-edge drain).'
      : '\nSignals: SIGTERM ends it and keeps the routes.',
  )
  program.option('--chroot <dir>', 'work in the file system below this folder: a container, in that of its node')
  return runProgram<ConfigFlags & { chroot?: string }>(program, args, async flags => {
    if (flags.chroot !== undefined) workBelow(flags.chroot)
    const { config, problem } = bootConfig(flags)
    const kubeconfig = nodeKubeconfig(config.kubeconfig, config.state)
    requireCapabilities([
      ...(parts.agent ? (['CAP_NET_ADMIN'] as const) : []),
      ...(parts.speaker && config.bgp.listenPort > 0 && config.bgp.listenPort < 1024
        ? (['CAP_NET_BIND_SERVICE'] as const)
        : []),
    ])
    const log = createLog(config.logLevel)
    const release = claimStateFolder(config.state, { clock: systemClock, log })
    // ended in the reverse order, also when a later part cannot be started
    const parting = new Parting({ clock: systemClock, log })
    const problems = new Problems(log)
    if (problem === undefined) keepConfig(flags, config, log)
    else problems.add(problem)
    try {
      await serve({ config, kubeconfig, log, parts, parting, changes: new Listeners(), problems })
    } finally {
      await parting.end()
      release()
      endSoon(log)
    }
    return 0
  })
}

async function serve(services: NodeServices): Promise<void> {
  const { config, parts, log } = services
  const { version } = versionInfo()
  log.info({ command: parts.command, node: config.node, version }, 'terway-edge started')
  let speaker: SpeakerRoom | undefined
  const drain = startDrain(services, () => speaker)
  const stopped = untilSignal(drain.begin)
  const stopFeeding = feedWatchdog({ clock: systemClock, log })
  services.parting.defer('the watchdog', stopFeeding)
  const start = async () => {
    startStateWatch(services)
    const cluster = await startCluster(services)
    const network = parts.agent
      ? startNetwork(services, cluster, { drain, sessions: () => speaker?.sessions() ?? [] })
      : undefined
    speaker = parts.speaker ? await startSpeaker(services, cluster, () => network?.paths) : undefined
    speaker?.onChange(() => network?.wake()) // which gateways count may have changed
    await startStatus(services, { cluster, network, speaker, drain })
    notifyService('READY=1', log)
  }
  // a signal that comes while it starts is not kept waiting
  await Promise.race([start(), stopped])
  const signal = await stopped
  log.info({ reason: signal }, 'stopping; routes stay')
  notifyService('STOPPING=1', log)
}
