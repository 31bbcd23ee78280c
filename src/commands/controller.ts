/**
 * `terway-edge controller`: pod CIDRs, BGPPeers, RouteSlices. Puts the rooms together, waits for a
 * signal. No decisions here.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { controllerProblems } from '../config/controller-problems.ts'
import { type ConfigFlags, DEFAULT_CONFIG_FILE, loadConfig } from '../config/load.ts'
import { createController } from '../controller/reconcile.ts'
import { notifyService } from '../host/notify.ts'
import { endSoon, untilSignal } from '../host/signals.ts'
import { createKubeApi } from '../kube/client.ts'
import { createEventRecorder } from '../kube/event-recorder.ts'
import { loadKubeconfig } from '../kube/kubeconfig.ts'
import { keepTokenFresh, renewedTokenFile } from '../kube/token-renewal.ts'
import { systemClock } from '../lib/clock.ts'
import { problemsError } from '../lib/errors.ts'
import { present } from '../lib/fields.ts'
import { createLog } from '../lib/log.ts'
import { type NodeSelector, parseNodeSelector } from '../lib/node-selector.ts'
import { Parting } from '../lib/parting.ts'
import { timestamp } from '../lib/timestamp.ts'
import { clockProblems, expiryProblems } from '../model/problems.ts'
import type { Snapshot } from '../model/snapshot.ts'
import { forecastPools } from '../planner/forecast.ts'
import { readStatusCredentials } from '../status/credentials.ts'
import { apiContact, EventLog } from '../status/event-log.ts'
import { startStatusServer } from '../status/server.ts'
import { CloudPart, cloudView, withCloudNodes } from './controller-cloud.ts'
import { addConfigOptions, createProgram, runProgram } from './program.ts'
import { removalLimits } from './removal-limits.ts'
import { buildInfo, versionInfo } from './version.ts'
import { watchExpiry } from './watch-expiry.ts'

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
      config: {
        ...config.network,
        edgeNodes: selectorOf(config.network.edgeNodes),
        allocatePodCIDRs: config.allocatePodCIDRs,
        removal: removalLimits(config),
        leaseNamespace: 'kube-system',
      },
    })
    parting.defer('the controller', () => controller.close(), LONG_MILLISECONDS)
    const leaders = { last: controller.view().leader, changes: 0 }
    parting.defer(
      'leaders counted',
      controller.onChange(() => {
        const { leader } = controller.view()
        if (leader === undefined || leader === leaders.last) return
        if (leaders.last !== undefined) leaders.changes++
        leaders.last = leader
      }),
    )
    const listeners = new Set<() => void>()
    const cloud = new CloudPart({
      api,
      controller,
      config: config.cloud,
      clock,
      log: log.child({ room: 'eni' }),
      events,
      onChange: () => {
        for (const listener of listeners) listener()
      },
    })
    parting.defer('the part of the cloud', () => cloud.close(), LONG_MILLISECONDS)
    const tell = () => {
      for (const listener of listeners) listener()
    }
    const expiries = watchExpiry({ status: config.status, kubeconfig, clock, log, onChange: tell })
    parting.defer('the look at credentials', () => expiries.close())
    const status = startStatusServer({
      listen: config.status.listen,
      ...credentials,
      log: log.child({ room: 'status' }),
      snapshot: () => {
        const view = controller.view()
        const ofCloud = cloud.view()
        const inCloud = cloudView(ofCloud)
        return present<Snapshot>({
          version,
          build: buildInfo(),
          role: 'controller',
          time: timestamp(clock.now()),
          startedAt,
          ready: view.ready,
          problems: [
            ...view.problems,
            ...(ofCloud?.problems ?? []),
            ...clockProblems(apiContact(view.contact, api.counts)),
            ...expiryProblems(expiries.all, clock.now()),
          ],
          api: apiContact(view.contact, api.counts),
          nodes: withCloudNodes(view.nodes, ofCloud),
          lans: view.lans,
          sessions: view.sessions,
          heldRemovals: view.heldRemovals,
          expiries: expiries.all,
          routes: [],
          paths: undefined,
          node: undefined,
          events: events.rows,
          controller: {
            leader: view.leader,
            isLeader: view.isLeader,
            leaderChanges: leaders.changes,
            pools: forecastPools(view.pools, view.createdAt, clock.now()),
            ...(inCloud === undefined ? {} : { cloud: inCloud }),
          },
        })
      },
      onChange: listener => {
        listeners.add(listener)
        const stop = controller.onChange(listener)
        return () => {
          listeners.delete(listener)
          stop()
        }
      },
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
