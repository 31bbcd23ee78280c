/**
 * `terway-edge controller`: pod CIDRs, BGPPeers, RouteSlices. Puts the rooms together, waits for a
 * signal. No decisions here.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { controllerProblems } from '../config/controller-problems.ts'
import { type ConfigFlags, DEFAULT_CONFIG_FILE, loadConfig } from '../config/load.ts'
import { createController } from '../controller/reconcile.ts'
import { type SeenSessions, seeSessions } from '../controller/session-history.ts'
import { CloudPart } from '../eni/cloud-part.ts'
import { notifyService } from '../host/notify.ts'
import { endSoon, untilSignal } from '../host/signals.ts'
import { createKubeApi } from '../kube/client.ts'
import { createEventRecorder } from '../kube/event-recorder.ts'
import { loadKubeconfig } from '../kube/kubeconfig.ts'
import { keepTokenFresh, renewedTokenFile } from '../kube/token-renewal.ts'
import { watchExpiry } from '../kube/watch-expiry.ts'
import { systemClock } from '../lib/clock.ts'
import { problemsError } from '../lib/errors.ts'
import { Listeners } from '../lib/listeners.ts'
import { createLog } from '../lib/log.ts'
import { type NodeSelector, parseNodeSelector } from '../lib/node-selector.ts'
import { Parting } from '../lib/parting.ts'
import { timestamp } from '../lib/timestamp.ts'
import { sourceAddresses } from '../paths/source-address.ts'
import { readStatusCredentials, servedCertificates } from '../status/credentials.ts'
import { EventLog } from '../status/event-log.ts'
import { startStatusServer } from '../status/server.ts'
import { startControllerPaths } from './controller-paths.ts'
import { controllerSnapshot } from './controller-snapshot.ts'
import { readShownPlan } from './network-file.ts'
import { addConfigOptions, createProgram, runProgram } from './program.ts'
import { removalLimits } from './removal-limits.ts'
import { buildInfo, versionInfo } from './version.ts'

/** How long the last words to the API server and to the cloud may take. */
const LONG_MILLISECONDS = 3000

export function controllerCommand(args: string[]): Promise<number> {
  const program = addConfigOptions(
    createProgram(
      'controller',
      'Allocates a pod CIDR per node, evaluates BGPPeers, publishes RouteSlices. Run one to three: one leads.',
      [
        'terway-edge controller --config /etc/terway-edge/config.yaml',
        'terway-edge controller --kubeconfig ~/.kube/config --status-listen 127.0.0.1:0',
      ],
    ),
  )
  return runProgram<ConfigFlags>(program, args, async flags => {
    const config = loadConfig(flags)
    const problems = controllerProblems(config)
    if (problems.length > 0) throw problemsError(flags.config ?? DEFAULT_CONFIG_FILE, problems)
    const credentials = readStatusCredentials(config.status)
    // read once: a controller begins anew when its configuration changes
    const plan = config.plan === undefined ? undefined : readShownPlan(config.plan)
    const kubeconfig = loadKubeconfig(config.kubeconfig, renewedTokenFile(config.state))
    const clock = systemClock
    const log = createLog(config.logLevel)
    const startedAt = timestamp(clock.now())
    const { version } = versionInfo()
    // in containers of one host both the host's name and the number of the process may be the same
    const identity = `${hostname()}_${process.pid}_${randomUUID().slice(0, 8)}`

    await using parting = new Parting({ clock, log })
    parting.defer('the process', () => endSoon(log))
    const api = createKubeApi({ kubeconfig, clock, log: log.child({ room: 'kube' }) })
    parting.defer('the API client', () => api.close())
    const renewal = keepTokenFresh({ kubeconfig, stateDir: config.state, clock, log: log.child({ room: 'kube' }) })
    parting.defer('token renewal', () => renewal.close())
    const events = new EventLog(
      clock,
      createEventRecorder({ api, component: 'terway-edge-controller', host: hostname(), clock, log }),
    )
    parting.defer('Events', () => events.close())
    const controller = createController({
      api,
      events,
      clock,
      log: log.child({ room: 'controller' }),
      identity,
      ...(config.paths.enabled && { answersAt: sourceAddresses }),
      config: {
        ...config.network,
        edgeNodes: selectorOf(config.network.edgeNodes),
        allocatePodCIDRs: config.allocatePodCIDRs,
        removal: removalLimits(config),
        leaseNamespace: 'kube-system',
      },
    })
    parting.defer('the controller', () => controller.close(), LONG_MILLISECONDS)
    const changes = new Listeners()
    controller.onChange(changes.tell)
    const { bgpPeers } = controller
    let seen: SeenSessions = new Map()
    parting.defer(
      'the history of sessions',
      bgpPeers.onChange(() => {
        seen = seeSessions(seen, bgpPeers.objects.values(), timestamp(clock.now()))
      }),
    )
    const cloud = new CloudPart({
      api,
      controller,
      config: config.cloud,
      clock,
      log: log.child({ room: 'eni' }),
      events,
      newToken: randomUUID,
      onChange: changes.tell,
    })
    parting.defer('the part of the cloud', () => cloud.close(), LONG_MILLISECONDS)
    const expiries = watchExpiry({
      kubeconfig,
      served: servedCertificates(config.status),
      clock,
      log,
      onChange: changes.tell,
    })
    parting.defer('the look at credentials', () => expiries.close())
    const paths = startControllerPaths({
      controller,
      config: config.paths,
      events,
      log: log.child({ room: 'paths' }),
      parting,
      onChange: changes.tell,
    })
    const status = startStatusServer({
      listen: config.status.listen,
      ...credentials,
      log: log.child({ room: 'status' }),
      snapshot: () =>
        controllerSnapshot({
          version,
          build: buildInfo(),
          startedAt,
          now: clock.now(),
          view: controller.view(),
          seen,
          network: config.network,
          plan,
          paths: paths(),
          cloud: cloud.view(),
          counts: api.counts,
          expiries: expiries.all,
          events: events.rows,
        }),
      onChange: listener => changes.add(listener),
    })
    parting.defer('the status interface', () => status.close())
    log.info({ address: status.url, command: 'controller', name: identity, version }, 'terway-edge started')
    notifyService('READY=1', log)
    const signal = await untilSignal()
    log.info({ reason: signal }, 'stopping')
    notifyService('STOPPING=1', log)
    return 0
  })
}

/** The schema of the configuration has seen that it can be parsed. */
function selectorOf(text: string | undefined): NodeSelector | undefined {
  const parsed = text === undefined ? undefined : parseNodeSelector(text)
  return parsed !== undefined && 'selector' in parsed ? parsed.selector : undefined
}
