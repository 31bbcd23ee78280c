/** Looks at a running lab from every side: the cluster, the switches, their kernels, the paths between pods. */
import type { KubeApi } from '../kube/api.ts'
import type { Clock } from '../lib/clock.ts'
import { readCluster } from './cluster.ts'
import { type LabState, labState } from './lab-state.ts'
import { type LabPlan, nodesOf } from './plan.ts'
import { type Host, probeAll } from './probe.ts'
import { isAlive } from './processes.ts'
import type { LabRecord } from './record.ts'
import { switchRoutes, switchSessions } from './routers.ts'

export interface ObserveOptions {
  readonly plan: LabPlan
  readonly record: LabRecord
  readonly api: KubeApi
  readonly clock: Clock
}

export async function observeLab({ plan, record, api, clock }: ObserveOptions): Promise<LabState> {
  const switches = plan.lans.map(lan => lan.switch)
  const answers = <T>(ask: (device: (typeof switches)[number]) => Promise<readonly T[]>) =>
    Promise.all(switches.map(async device => [device.name, await ask(device).catch(() => [])] as const))
  const [cluster, sessions, routes] = await Promise.all([
    readCluster(api, plan),
    answers(device => switchSessions(plan.directory, device)),
    answers(switchRoutes),
  ])
  return labState(plan, record, {
    cluster,
    sessions: new Map(sessions),
    routes: new Map(routes),
    matrix: await probeAll(hostsOf(plan, record), clock),
    deadProcesses: record.processes.filter(started => !isAlive(started)).map(({ name }) => name),
  })
}

/** The ends of the matrix: every pod that there is, and the VPC host. */
function hostsOf(plan: LabPlan, record: LabRecord): readonly Host[] {
  const pods = nodesOf(plan).flatMap((node): Host[] => {
    const address = record.pods.find(pod => pod.node === node.name)?.address
    return address === undefined ? [] : [{ name: `pod-${node.name}`, namespace: node.podNamespace, address }]
  })
  return [...pods, { name: plan.vpc.name, namespace: plan.vpc.namespace, address: plan.vpc.address }]
}
