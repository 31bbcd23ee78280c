/**
 * Looks at a running lab from every side: the cluster's objects, the switches' own words, their
 * kernels' routes, the paths between pods.
 *
 * Does not judge what it sees (lab-state.ts does). A switch that does not answer has no sessions
 * and no routes.
 */
import type { KubeApi } from '../kube/api.ts'
import type { Clock } from '../lib/clock.ts'
import { FAMILIES, type Family, familyOf } from '../lib/ip.ts'
import { foreignPackets } from './cloud-fabric.ts'
import { readCluster } from './cluster.ts'
import { type LabState, labState } from './lab-state.ts'
import { addressesOf, type LabPlan, machinesOf } from './plan.ts'
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
  const { cloud } = plan
  const matrix = await Promise.all(FAMILIES.map(family => probeAll(hostsOf(plan, record, family), clock)))
  const foreign = cloud === undefined ? [] : await Promise.all([cloud.vpc, cloud.ens].map(foreignPackets))
  return labState(plan, record, {
    cluster,
    sessions: new Map(sessions),
    routes: new Map(routes),
    matrix: matrix.flat(),
    foreignPackets: foreign.reduce((sum, count) => sum + count, 0),
    deadProcesses: record.processes.filter(started => !isAlive(started)).map(({ name }) => name),
  })
}

/** The ends of the matrix of one family: every pod that there is, and the VPC host. */
function hostsOf(plan: LabPlan, record: LabRecord, family: Family): readonly Host[] {
  const host = (name: string, namespace: string, addresses: readonly string[]): readonly Host[] =>
    addresses.filter(address => familyOf(address) === family).map(address => ({ name, namespace, address }))
  const pods = machinesOf(plan).flatMap(node => {
    const addresses = record.pods.find(pod => pod.node === node.name)?.addresses ?? []
    return host(`pod-${node.name}`, node.podNamespace, addresses)
  })
  return [...pods, ...host(plan.vpc.name, plan.vpc.namespace, addressesOf(plan.vpc))]
}
