/**
 * `terway-edge status`: what the local process is, whether it does its job, and what is in its way.
 */

import { blocksText, counted } from '../lib/count-text.ts'
import { formatAge, printable } from '../lib/table.ts'
import type {
  ApiContact,
  EventRow,
  InterfaceView,
  PathsView,
  PlannedLanView,
  PlanView,
  PoolView,
  RouteRow,
  Snapshot,
} from '../model/snapshot.ts'
import { totalOf } from '../paths/view.ts'
import { type AskOptions, addAskOptions } from '../status/ask.ts'
import { EVENT_FIELDS } from './events.ts'
import { createProgram, runProgram } from './program.ts'
import { readSnapshot } from './read-snapshot.ts'
import { ageOf, dataText, show, tableOf } from './show.ts'

export function statusCommand(args: string[]): Promise<number> {
  const program = addAskOptions(
    createProgram(
      'status',
      'What the local process does: readiness, API contact, sessions, routes, what packets proved, problems. Exit status 1 when there are any.',
      [
        'terway-edge status',
        'terway-edge status -o wide   # with the last events',
        'terway-edge status --watch',
        'terway-edge status --kubeconfig ~/.kube/config   # of the whole cluster, from a desk',
        'terway-edge status -o json | jq .problems',
      ],
    ),
  )
  return runProgram<AskOptions>(program, args, options =>
    show(options, async () => {
      const snapshot = await readSnapshot(options)
      const status = snapshot.problems.length === 0 ? 0 : 1
      const name = snapshot.node?.name ?? snapshot.role
      if (options.output === 'name') return { text: `${name}\n`, status }
      const text = dataText(snapshot, options.output) ?? formatStatus(snapshot, options.output === 'wide')
      return { text, status }
    }),
  )
}

/**
 * The text for people; `wide` adds the last events. Ages count from when the snapshot was taken.
 */
function formatStatus(snapshot: Snapshot, wide: boolean): string {
  const now = Date.parse(snapshot.time)
  const lines = factsOf(snapshot, now)
  const width = Math.max(...lines.map(([name]) => name.length)) + 1
  const facts = lines.map(([name, value]) => `${`${name}:`.padEnd(width)}  ${printable(value)}\n`)
  return [...facts, ...problemLines(snapshot), ...(wide ? eventLines(snapshot.events, now) : [])].join('')
}

function factsOf(snapshot: Snapshot, now: number): (readonly [string, string])[] {
  const { version, role, ready, startedAt, api, node, controller, sessions, nodes, lans } = snapshot
  const established = sessions.filter(session => session.state === 'Established').length
  return [
    ['terway-edge', `${version}, ${role}${node === undefined ? '' : ` ${node.name}`}`],
    ['Ready', ready ? 'yes' : 'no'],
    // a desk reads once and does not run
    ...(startedAt === snapshot.time ? [] : [['Running for', formatAge(now - Date.parse(startedAt))] as const]),
    ['API server', apiText(api, now)],
    ...(node === undefined ? [] : nodeFacts(node)),
    ...(controller === undefined ? [] : controllerFacts(controller)),
    ['Nodes', `${nodes.length} in ${counted(lans.length, 'BGPPeer')}`],
    ['Sessions', `${established} of ${sessions.length} Established`],
    ...(role === 'node' ? [['Routes', routesText(snapshot.routes)] as const] : []),
    ...(snapshot.paths === undefined ? [] : [['Proved', provedText(snapshot.paths)] as const]),
  ]
}

function apiText({ server, connected, lastContact, problem }: ApiContact, now: number): string {
  const contact = lastContact === undefined ? 'never reached' : `last contact ${ageOf(lastContact, now)} ago`
  return `${server} ${connected ? 'connected' : 'not connected'}, ${contact}${problem === undefined ? '' : `: ${problem}`}`
}

const VIEWS = {
  api: 'from the API server',
  state: 'from the state folder: what the API server said last',
  none: 'none: the API server has never answered',
} as const

function nodeFacts({
  addresses,
  podCIDRs,
  viewSource,
  pods,
  mode,
  interfaces,
}: NonNullable<Snapshot['node']>): (readonly [string, string])[] {
  return [
    ['View', VIEWS[viewSource]],
    ...(mode === undefined ? [] : [['Mode', mode] as const]),
    ['Addresses', addresses.join(', ') || 'none'],
    ...(interfaces === undefined
      ? [['Pod CIDRs', podCIDRs.join(', ') || 'none'] as const]
      : interfaces.map(one => [`Interface ${one.id}`, interfaceText(one)] as const)),
    ...(pods === undefined ? [] : [['Pods', String(pods)] as const]),
  ]
}

function interfaceText({ link, state, vSwitchID, addresses, inUse, releasing }: InterfaceView): string {
  const place = link === undefined ? 'not among the links' : link
  const leaving = releasing === 0 ? '' : `, ${releasing} to leave`
  return `${place}, ${state} in ${vSwitchID}: ${inUse} of ${addresses} addresses in use${leaving}`
}

function controllerFacts({
  leader,
  isLeader,
  pools,
  plan,
}: NonNullable<Snapshot['controller']>): (readonly [string, string])[] {
  return [
    ['Leader', `${leader ?? 'none known'}${isLeader ? ' (this one)' : ''}`],
    ...pools.map(pool => [`Pool ${pool.podCIDR}`, poolText(pool)] as const),
    ...(plan?.lans ?? []).map(lan => [`LAN ${lan.lan}`, plannedText(lan)] as const),
    ...(plan === undefined ? [] : [['Plan', departuresText(plan)] as const]),
  ]
}

function poolText({ used, blocks, blockLength, fullIn, plannedFullIn }: PoolView): string {
  const forecasts = [
    ...(fullIn === undefined ? [] : [`, full in ${fullIn} at the pace of the last 90 days`]),
    ...(plannedFullIn === undefined ? [] : [`, full in ${plannedFullIn} by the plan`]),
  ]
  return `${used} of ${blocksText(blocks)} blocks (/${blockLength}) used${forecasts.join('')}`
}

function plannedText({ nodes, plannedNodes, growthPerYear, nodesInFiveYears }: PlannedLanView): string {
  const growth = growthPerYear === '0' ? '' : `, ${nodesInFiveYears} in five years (${growthPerYear} a year)`
  return `${nodes} of ${plannedNodes} planned nodes${growth}`
}

function departuresText({ departures }: PlanView): string {
  if (departures.length === 0) return 'the cluster is as planned'
  const [first] = departures
  const more = departures.length === 1 ? '' : `; and ${departures.length - 1} more (-o json, or plan --diff)`
  return `otherwise: ${first?.where}: planned ${first?.planned}, is ${first?.is}${more}`
}

function routesText(routes: readonly RouteRow[]): string {
  const count = (state: RouteRow['state']) => routes.filter(route => route.state === state).length
  return `${count('present')} of ${routes.length} present, ${count('missing')} missing, ${count('failed')} failed`
}

function provedText({ switches, kinds }: PathsView): string {
  const { sent, lost } = totalOf(kinds)
  const verified = switches.map(({ bgpPeer, status, verified }) =>
    status === 'Unknown'
      ? `${bgpPeer} not known`
      : `${bgpPeer} ${status === 'True' ? counted(verified.length, 'pod CIDR') : 'NOT'}`,
  )
  const proofs = verified.length === 0 ? '' : `; routes of the switch: ${verified.join(', ')}`
  return `${sent - lost} of the last ${sent} probes answered${proofs}`
}

function problemLines({ problems, remedies = {} }: Snapshot): string[] {
  if (problems.length === 0) return ['\nNo problems.\n']
  const lines = problems.flatMap(problem => {
    const remedy = remedies[problem]
    return [`  ${printable(problem)}\n`, ...(remedy ? [`    to do: ${printable(remedy)}\n`] : [])]
  })
  return ['\nProblems:\n', ...lines]
}

function eventLines(events: readonly EventRow[], now: number): string[] {
  return ['\n', events.length === 0 ? 'No events.\n' : tableOf(EVENT_FIELDS, events, { now, wide: true })]
}
