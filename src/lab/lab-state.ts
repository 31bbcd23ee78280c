/**
 * The state of a lab as `lab status` shows it, and what is wrong with it: one list of problems that
 * decides over `--check`. Pure.
 *
 * Does not ask anybody (observe.ts does), and does not believe either side of a session alone: both
 * must say Established.
 */
import { reportedSession } from '../kube/speaker-entry.ts'
import { FAMILIES, FAMILY_NAMES, type Family, familyOf } from '../lib/ip.ts'
import { type Column, formatTable } from '../lib/table.ts'
import type { BgpSession } from '../model/session.ts'
import type { ClusterState } from './cluster.ts'
import { addressesOf, type LabPlan } from './plan.ts'
import type { Probe } from './probe.ts'
import type { LabRecord, PageRecord } from './record.ts'
import type { KernelRoute, RouterSession } from './router-state.ts'

export interface NodeRow {
  readonly node: string
  readonly addresses: readonly string[]
  readonly lan: string
  readonly podCIDRs: readonly string[]
  readonly pod: readonly string[]
}

/** A node of the cloud, as its ENINode says. */
export interface CloudNodeRow {
  readonly node: string
  readonly addresses: readonly string[]
  readonly mode: 'eni-ecs' | 'eni-ens'
  /** Of elastic network interfaces, with how many pods they have addresses for. */
  readonly interfaces: readonly { readonly id: string; readonly state: string; readonly addresses: number }[]
  readonly inUse: number
  readonly pod: readonly string[]
}

/** A session from both of its ends. */
export interface LabSession {
  /** As the speaker reports it in the BGPPeer's status. */
  readonly session: BgpSession
  readonly switch: string
  readonly router: string
  /** As the switch itself says it. */
  readonly switchState: string
  readonly received: number
  /** Of either end. */
  readonly lastError?: string
}

/**
 * A pod CIDR in the kernel of its own LAN's switch: it must lead to the owning node, not to the
 * speaker.
 */
export interface RouteRow {
  readonly switch: string
  readonly podCIDR: string
  readonly node: string
  readonly expectedVia: string
  readonly via: readonly string[]
}

export interface LabState {
  readonly nodes: readonly NodeRow[]
  readonly cloudNodes: readonly CloudNodeRow[]
  readonly sessions: readonly LabSession[]
  readonly routes: readonly RouteRow[]
  readonly matrix: readonly Probe[]
  readonly pages: readonly PageRecord[]
  readonly problems: readonly string[]
}

/** What was observed, each by the name of its switch. */
export interface ObservedLab {
  readonly cluster: ClusterState
  readonly sessions: ReadonlyMap<string, readonly RouterSession[]>
  readonly routes: ReadonlyMap<string, readonly KernelRoute[]>
  readonly matrix: readonly Probe[]
  readonly deadProcesses: readonly string[]
  /** What the cloud's networks dropped, as its sender did not own the source. */
  readonly foreignPackets: number
}

export function labState(plan: LabPlan, record: LabRecord, observed: ObservedLab): LabState {
  const pods = new Map(record.pods.map(pod => [pod.node, pod.addresses]))
  const nodes = plan.lans.flatMap(lan =>
    lan.nodes.map(
      (node): NodeRow => ({
        node: node.name,
        addresses: addressesOf(node),
        lan: lan.bgpPeer,
        podCIDRs: observed.cluster.podCIDRs.get(node.name) ?? [],
        pod: pods.get(node.name) ?? [],
      }),
    ),
  )
  const state = {
    nodes,
    cloudNodes: cloudNodeRows(plan, observed, pods),
    sessions: sessionRows(plan, observed),
    routes: routeRows(plan, observed, nodes),
    matrix: observed.matrix,
    pages: record.pages,
  }
  return { ...state, problems: problemsOf(plan, state, observed) }
}

function cloudNodeRows(
  plan: LabPlan,
  { cluster }: ObservedLab,
  pods: ReadonlyMap<string, readonly string[]>,
): readonly CloudNodeRow[] {
  return (plan.cloud?.nodes ?? []).map(node => {
    const status = cluster.eniNodes.find(({ name }) => name === node.name)?.status
    return {
      node: node.name,
      addresses: addressesOf(node),
      mode: node.product === 'ecs' ? 'eni-ecs' : 'eni-ens',
      interfaces: (status?.interfaces ?? []).map(({ id, state, addresses }) => ({
        id,
        state,
        addresses: addresses.filter(address => familyOf(address) === 'ipv4').length,
      })),
      inUse: status?.node?.inUse ?? 0,
      pod: pods.get(node.name) ?? [],
    }
  })
}

function sessionRows(plan: LabPlan, { cluster, sessions }: ObservedLab): readonly LabSession[] {
  return plan.lans.flatMap(lan => {
    const peer = cluster.peers.find(({ metadata }) => metadata.name === lan.bgpPeer)
    const about = {
      name: lan.bgpPeer,
      peerIP: lan.switch.address,
      peerAsNumber: lan.switch.asNumber,
      localAsNumber: lan.localAsNumber,
    }
    return lan.speakers.map((node): LabSession => {
      const entry = peer?.status?.speakers?.find(speaker => speaker.node === node.name)
      const session = reportedSession(about, node.name, entry)
      const seen = sessions.get(lan.switch.name)?.find(({ peerAddress }) => peerAddress === node.address)
      const lastError = session.lastError ?? seen?.lastError
      return {
        session,
        switch: lan.switch.name,
        router: lan.switch.router,
        switchState: seen?.state ?? 'unknown',
        received: seen?.received ?? 0,
        ...(lastError === undefined ? {} : { lastError }),
      }
    })
  })
}

function routeRows(plan: LabPlan, { routes }: ObservedLab, nodes: readonly NodeRow[]): readonly RouteRow[] {
  return plan.lans.flatMap(lan =>
    lan.nodes.flatMap(node =>
      (nodes.find(row => row.node === node.name)?.podCIDRs ?? []).map(podCIDR => ({
        switch: lan.switch.name,
        podCIDR,
        node: node.name,
        expectedVia: podCIDR.includes(':') ? (node.address6 ?? '') : node.address,
        via: routes.get(lan.switch.name)?.find(route => route.destination === podCIDR)?.via ?? [],
      })),
    ),
  )
}

function problemsOf(
  plan: LabPlan,
  state: Omit<LabState, 'problems'>,
  observed: Pick<ObservedLab, 'deadProcesses' | 'foreignPackets'>,
): readonly string[] {
  const { nodes, cloudNodes, sessions, routes, matrix } = state
  const paths = FAMILIES.reduce((sum, family) => sum + pathsOf(plan, family), 0)
  const { deadProcesses, foreignPackets } = observed
  return [
    ...deadProcesses.map(name => `the process ${name} has ended`),
    ...nodes.filter(row => row.podCIDRs.length === 0).map(row => `${row.node} has no pod CIDR`),
    ...[...nodes, ...cloudNodes].filter(row => row.pod.length === 0).map(row => `${row.node} has no pod`),
    ...cloudNodes
      .filter(row => !row.interfaces.some(({ state }) => state === 'InUse'))
      .map(row => `${row.node} has no elastic network interface for pods`),
    ...(foreignPackets === 0
      ? []
      : [`the cloud dropped ${foreignPackets} packets that came from an interface which does not own their source`]),
    ...sessions
      .filter(row => row.session.state !== 'Established' || row.switchState !== 'Established')
      .map(row => sessionProblem(row)),
    ...routes
      .filter(row => row.via.length !== 1 || row.via[0] !== row.expectedVia)
      .map(row => `${row.switch} has ${row.podCIDR} of ${row.node} ${viaText(row.via)}, not via ${row.expectedVia}`),
    ...matrix.filter(cell => !cell.ok).map(cell => `${cell.from} to ${cell.to}: ${cell.problem}`),
    ...(matrix.length === paths ? [] : [`${matrix.length} of ${paths} paths were tried`]),
  ]
}

/** Every pod and the VPC host to every other that has the family: ENS has IPv4 alone. */
function pathsOf(plan: LabPlan, family: Family): number {
  if (family === 'ipv6' && plan.vpc.address6 === undefined) return 0
  const cloudNodes = (plan.cloud?.nodes ?? []).filter(node => family === 'ipv4' || node.address6 !== undefined)
  const hosts = plan.lans.flatMap(lan => lan.nodes).length + cloudNodes.length + 1
  return hosts * (hosts - 1)
}

function sessionProblem({ session, ...row }: LabSession): string {
  const why = row.lastError === undefined ? '' : ` (${row.lastError})`
  return `${session.bgpPeer}: the session of ${session.node} with ${row.switch} is ${session.state} here and ${row.switchState} there${why}`
}

function viaText(via: readonly string[]): string {
  return via.length === 0 ? 'not at all' : `via ${via.join(' and ')}`
}

/** The state as tables for people. */
export function formatState(state: LabState): string {
  const { nodes, cloudNodes, sessions, routes, matrix, pages } = state
  const table = (titles: readonly string[], rows: readonly (readonly string[])[]) =>
    formatTable(
      titles.map((title): Column => ({ title })),
      rows,
    )
  const sections = [
    table(
      ['NODE', 'ADDRESS', 'LAN', 'PODCIDR', 'POD'],
      nodes.map(row => [
        row.node,
        row.addresses.join(','),
        row.lan,
        row.podCIDRs.join(',') || '-',
        row.pod.join(',') || '-',
      ]),
    ),
    ...(cloudNodes.length === 0
      ? []
      : [
          table(
            ['CLOUD NODE', 'ADDRESS', 'MODE', 'INTERFACES', 'ADDRESSES', 'IN USE', 'POD'],
            cloudNodes.map(row => [
              row.node,
              row.addresses.join(','),
              row.mode,
              row.interfaces.map(({ id }) => id).join(',') || '-',
              String(row.interfaces.reduce((sum, { addresses }) => sum + addresses, 0)),
              String(row.inUse),
              row.pod.join(',') || '-',
            ]),
          ),
        ]),
    table(
      ['BGPPEER', 'SPEAKER', 'SAYS', 'ADVERTISED', 'SWITCH', 'SAYS', 'RECEIVED'],
      sessions.map(row => [
        row.session.bgpPeer,
        row.session.node,
        row.session.state,
        String(row.session.advertisedPrefixes),
        `${row.switch} (${row.router})`,
        row.switchState,
        String(row.received),
      ]),
    ),
    table(
      ['SWITCH', 'DESTINATION', 'VIA', 'OWNER'],
      routes.map(row => [row.switch, row.podCIDR, row.via.join(',') || '-', row.node]),
    ),
    ...formatMatrices(matrix),
    table(
      ['STATUS PAGE', 'ADDRESS'],
      pages.map(({ name, url }) => [name, url]),
    ),
  ]
  return sections.join('\n')
}

function formatMatrices(matrix: readonly Probe[]): readonly string[] {
  return FAMILIES.flatMap(family => {
    const cells = matrix.filter(cell => familyOf(cell.expectedSource) === family)
    if (cells.length === 0) return []
    const title = `Ping by ${FAMILY_NAMES[family]} from row to column, with the source address that the receiver saw:`
    return [`${title}\n${formatMatrix(cells)}`]
  })
}

function formatMatrix(matrix: readonly Probe[]): string {
  const names = [...new Set(matrix.map(({ from }) => from))]
  const cell = (from: string, to: string) => {
    const found = matrix.find(probe => probe.from === from && probe.to === to)
    if (found === undefined) return '-'
    return found.ok ? `ok ${found.sourceSeen}` : `FAILED ${found.problem}`
  }
  return formatTable(
    ['FROM', ...names.map(name => `TO ${name}`)].map((title): Column => ({ title })),
    names.map(from => [from, ...names.map(to => cell(from, to))]),
  )
}
