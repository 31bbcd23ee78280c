/**
 * `terway-edge node`: the route agent and the BGP speaker of one node in one process; `agent` and `speaker` run one of the two. Puts the rooms
 * together, waits for a signal, and ends them in the order that disturbs the network least. No decisions here.
 */
import { join } from 'node:path'
import { type Agent, createAgent } from '../agent/reconcile.ts'
import { createBfd } from '../bfd/bfd.ts'
import { createSpeaker } from '../bgp/speaker.ts'
import { AddressStore } from '../cni/address-store.ts'
import { podsOf } from '../cni/attachments.ts'
import { freeLeaks, leakedAttempts } from '../cni/leaks.ts'
import { type Readiness, writeReadiness } from '../cni/readiness.ts'
import { type Config, type ConfigFlags, loadConfig } from '../config.ts'
import { firewallConfig } from '../firewall/config.ts'
import { createFirewall, type NodeFirewall } from '../firewall/reconcile.ts'
import { requireCapabilities } from '../host/capabilities.ts'
import { localAddresses, watchLocalAddresses } from '../host/local-addresses.ts'
import { notifyService } from '../host/notify.ts'
import { untilSignal } from '../host/signals.ts'
import { claimStateFolder } from '../host/state-folder.ts'
import { createKubeApi } from '../kube/client.ts'
import { createClusterViewSource } from '../kube/cluster-view.ts'
import { createEventRecorder } from '../kube/event-recorder.ts'
import { loadKubeconfig } from '../kube/kubeconfig.ts'
import { systemClock } from '../lib/clock.ts'
import { errorText } from '../lib/errors.ts'
import { removeFile, writeFileWhole } from '../lib/files.ts'
import { createLog, type Log } from '../lib/log.ts'
import { Loop } from '../lib/loop.ts'
import { createSpeakerRoom, type SpeakerRoom } from '../speaker/reconcile.ts'
import { openRestartMarker } from '../speaker/restart-marker.ts'
import { readStatusCredentials } from '../status/credentials.ts'
import { apiContact, EventLog } from '../status/event-log.ts'
import { startStatusServer } from '../status/server.ts'
import { nodeSnapshot } from './node-snapshot.ts'
import { addNodeOptions, createProgram, runProgram } from './program.ts'
import { versionInfo } from './version.ts'

interface Parts {
  readonly command: 'node' | 'agent' | 'speaker'
  readonly agent: boolean
  readonly speaker: boolean
}

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
  return runProgram<ConfigFlags>(program, args, async flags => {
    const config = loadConfig(flags)
    const credentials = readStatusCredentials(config.status)
    const kubeconfig = loadKubeconfig(config.kubeconfig)
    requireCapabilities([
      ...(parts.agent ? (['CAP_NET_ADMIN'] as const) : []),
      ...(parts.speaker && config.bgp.listenPort > 0 && config.bgp.listenPort < 1024
        ? (['CAP_NET_BIND_SERVICE'] as const)
        : []),
    ])
    const log = createLog(config.logLevel)
    const release = claimStateFolder(config.state, { clock: systemClock, log })
    try {
      await serve({ config, credentials, kubeconfig, log, parts })
    } finally {
      release()
    }
    return 0
  })
}

interface Serve {
  readonly config: Config
  readonly credentials: ReturnType<typeof readStatusCredentials>
  readonly kubeconfig: ReturnType<typeof loadKubeconfig>
  readonly log: Log
  readonly parts: Parts
}

async function serve({ config, credentials, kubeconfig, log, parts }: Serve): Promise<void> {
  const clock = systemClock
  const startedAt = clock.now()
  const { version } = versionInfo()
  const self = config.node
  const drainedFile = join(config.state, 'drained')
  forgetDrain(drainedFile, log)

  const listeners = new Set<() => void>()
  const changed = () => {
    for (const listener of listeners) listener()
  }
  // ended in the reverse order, also when a later part cannot be started
  await using parting = new AsyncDisposableStack()
  const api = createKubeApi({ kubeconfig, clock, log: log.child({ room: 'kube' }) })
  parting.defer(() => api.close())
  const view = createClusterViewSource({
    api,
    node: self,
    stateDir: config.state,
    clock,
    log: log.child({ room: 'kube' }),
  })
  parting.defer(() => view.close())
  const events = new EventLog(
    clock,
    createEventRecorder({ api, component: `terway-edge-${parts.command}`, host: self, clock, log }),
  )
  parting.defer(() => events.close())
  let speaker: SpeakerRoom | undefined
  let agent: Agent | undefined
  let drained = false

  const status = startStatusServer({
    listen: config.status.listen,
    ...credentials,
    log: log.child({ room: 'status' }),
    snapshot: () =>
      nodeSnapshot({
        version,
        now: clock.now(),
        startedAt,
        self,
        view: view.current(),
        api: apiContact(view.contact),
        ready: agent?.ready ?? view.current() !== undefined,
        problems: [...(agent?.problems ?? []), ...(speaker?.problems() ?? [])],
        routes: agent?.view() ?? [],
        sessions: speaker?.sessions() ?? [],
        events: events.rows,
        drained,
        pods: parts.agent ? countPods(config.state) : undefined,
      }),
    onChange: listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  })
  parting.defer(() => status.close())
  log.info({ address: status.url, command: parts.command, node: self, version }, 'terway-edge started')
  view.onChange(changed)
  // from here on a signal finds parts that are to be ended in order
  const stopped = untilSignal(() => {
    if (!parts.speaker) return tellDrained(drainedFile, log) // it announces nothing
    if (drained || speaker === undefined) return
    drained = true
    log.info({}, 'draining: all announcements are marked for graceful shutdown, then withdrawn')
    const forewarnMilliseconds = config.bgp.drainSeconds * 1000
    speaker
      .close({ mode: 'shutdown', reason: 'drained by the operator', forewarnMilliseconds })
      .then(() => {
        changed()
        tellDrained(drainedFile, log)
      })
      .catch(error => log.error({ detail: errorText(error) }, 'it could not be drained'))
  })
  if (parts.agent) {
    const firewall = createFirewall({
      clock,
      log: log.child({ room: 'agent' }),
      config: firewallConfig(config),
    })
    parting.defer(() => firewall.close())
    agent = startAgent({ config, view, firewall, log })
    const freeing = freeingAddresses(config.state, log.child({ room: 'cni' }))
    freeing.wake()
    parting.defer(() => freeing.close())
    const telling = readinessForPlugin(config.state, { agent, log })
    telling.wake()
    parting.defer(() => telling.close())
    agent.onChange(() => {
      telling.wake()
      changed()
    })
    parting.defer(() => agent?.close())
  }
  if (parts.speaker) {
    const marker = openRestartMarker(config.state, clock)
    speaker = createSpeakerRoom({
      self,
      view,
      api,
      events,
      marker,
      speaker: createSpeaker({
        clock,
        log: log.child({ room: 'bgp' }),
        ...(config.bgp.listenPort > 0 && { listen: { port: config.bgp.listenPort } }),
        restarting: marker.restarting,
      }),
      bfd: createBfd({ clock, log: log.child({ room: 'bfd' }) }), // starts when a BGPPeer asks for it
      localAddresses,
      clock,
      log: log.child({ room: 'speaker' }),
    })
    speaker.onChange(changed)
    parting.defer(() => speaker?.close({ mode: 'restart' })) // after a drain: waits until that is done
    const onChange = () => {
      speaker?.wake()
      changed() // a pod may have come or gone
    }
    const stopWatching = await watchLocalAddresses({ clock, log, onChange })
    parting.defer(stopWatching)
  }
  notifyService('READY=1', log)

  const signal = await stopped
  log.info({ reason: signal }, 'stopping; routes stay')
  notifyService('STOPPING=1', log)
}

/** A disk that cannot be written any more must not keep a node from its network. */
function forgetDrain(file: string, log: Log): void {
  try {
    removeFile(file)
  } catch (error) {
    log.warn({ file, detail: errorText(error) }, 'that this node was drained once cannot be forgotten')
  }
}

/** Says to `terway-edge drain` that it is done. A process that ended over this would be started again, and announce again. */
function tellDrained(file: string, log: Log): void {
  try {
    writeFileWhole(file, '')
  } catch (error) {
    log.error({ detail: errorText(error) }, 'drained, but nobody can be told')
  }
}

/** Undefined where the file cannot be read: the plugin says so, and `doctor`. */
function countPods(stateDir: string): number | undefined {
  try {
    return podsOf(new AddressStore(stateDir).read())
  } catch {
    return undefined
  }
}

const FREE_ADDRESSES_MILLISECONDS = 300_000

/** Frees the addresses that no runtime will give back: at once what the last process left, later what was a leak the time before. */
function freeingAddresses(stateDir: string, log: Log): Loop {
  let before: ReadonlySet<string> | undefined
  let failing = false
  return new Loop({
    clock: systemClock,
    everyMilliseconds: FREE_ADDRESSES_MILLISECONDS,
    run: () => {
      for (const { containerId, addresses } of freeLeaks(stateDir, before)) {
        log.info({ name: containerId, address: addresses.join(' ') }, 'address freed: its pod is gone')
      }
      before = leakedAttempts(stateDir)
      failing = false
    },
    onError: error => {
      if (!failing) log.warn({ detail: errorText(error) }, 'the addresses of pods cannot be read or freed')
      failing = true
    },
  })
}

/** Says to the CNI plugin whether pods can be served; writes only what changed, and tries until it could. */
function readinessForPlugin(stateDir: string, { agent, log }: { agent: Agent; log: Log }): Loop {
  let told = ''
  let failing = false
  return new Loop({
    clock: systemClock,
    run: () => {
      const reason = agent.problems.join('; ')
      const readiness: Readiness = agent.ready
        ? { state: 'ready' }
        : { state: 'unavailable', ...(reason !== '' && { reason }) }
      const text = JSON.stringify(readiness)
      if (text === told) return
      writeReadiness(stateDir, readiness)
      told = text
      failing = false
    },
    onError: error => {
      if (!failing) log.error({ detail: errorText(error) }, 'the CNI plugin cannot be told whether pods can be served')
      failing = true
    },
  })
}

function startAgent(from: {
  config: Config
  view: ReturnType<typeof createClusterViewSource>
  firewall: NodeFirewall
  log: Log
}): Agent {
  const { config, view, firewall } = from
  return createAgent({
    clock: systemClock,
    log: from.log.child({ room: 'agent' }),
    self: config.node,
    view,
    firewall,
    config: { protocol: config.route.protocol, table: config.route.table, stateDir: config.state, cni: config.cni },
  })
}
