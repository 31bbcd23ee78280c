/**
 * The state of a lab as `lab status` shows it, and what is wrong with it: one list of problems that
 * decides over `--check`. Pure.
 *
 * Does not ask anybody (observe.ts does), and does not believe either side of a session alone: both
 * must say Established.
 */
import { reportedSession } from '../kube/speaker-entry.ts'
import { FAMILIES, familyOf } from '../lib/ip.ts'
import { type Column, formatTable } from '../lib/table.ts'
import type { BgpSession } from '../model/session.ts'
import type { ClusterState } from './cluster.ts'
import { addressesOf, type LabPlan, nodesOf } from './plan.ts'
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
    sessions: sessionRows(plan, observed),
    routes: routeRows(plan, observed, nodes),
    matrix: observed.matrix,
    pages: record.pages,
  }
  return { ...state, problems: problemsOf(plan, state, observed.deadProcesses) }
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

function problemsOf(plan: LabPlan, state: Omit<LabState, 'problems'>, dead: readonly string[]): readonly string[] {
  const { nodes, sessions, routes, matrix } = state
  const hosts = nodesOf(plan).length + 1
  const paths = hosts * (hosts - 1) * (plan.vpc.address6 === undefined ? 1 : 2)
  return [
    ...dead.map(name => `the process ${name} has ended`),
    ...nodes.filter(row => row.podCIDRs.length === 0).map(row => `${row.node} has no pod CIDR`),
    ...nodes.filter(row => row.pod.length === 0).map(row => `${row.node} has no pod`),
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

function sessionProblem({ session, ...row }: LabSession): string {
  const why = row.lastError === undefined ? '' : ` (${row.lastError})`
  return `${session.bgpPeer}: the session of ${session.node} with ${row.switch} is ${session.state} here and ${row.switchState} there${why}`
}

function viaText(via: readonly string[]): string {
  return via.length === 0 ? 'not at all' : `via ${via.join(' and ')}`
}

/** The state as tables for people. */
export function formatState(state: LabState): string {
  const { nodes, sessions, routes, matrix, pages } = state
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
    const title = `Ping by ${family === 'ipv4' ? 'IPv4' : 'IPv6'} from row to column, with the source address that the receiver saw:`
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
