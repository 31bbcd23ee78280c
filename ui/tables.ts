/** The tables of the page: which columns of which rows, and what needs a look first. */
import type { BgpSession, SessionTransition } from '../src/model/session.ts'
import type {
  Departure,
  EventRow,
  LanView,
  NodeView,
  PlannedLanView,
  PoolView,
  RouteRow,
  Snapshot,
} from '../src/model/snapshot.ts'
import { type CloudInterface, interfacesOf } from './cloud-model.ts'
import { DataTable, lines, problemBadge } from './data-table.ts'
import { ago, badge, element } from './dom.ts'
import { formatBlocks, sorted } from './model.ts'

export interface Tables {
  /** Shows `snapshot`, filtered by `words`; gives how many rows are shown. */
  update(snapshot: Snapshot, words: readonly string[]): number
}

export function createTables(): Tables {
  const sessions = sessionTable()
  const nodes = nodeTable()
  const interfaces = interfaceTable()
  const lans = lanTable()
  const routes = routeTable()
  const pools = poolTable()
  const plan = planTable()
  const departures = departureTable()
  const events = eventTable()
  const history = historyTable()
  return {
    update(snapshot, words) {
      return [
        sessions.update(
          sorted(snapshot.sessions, row => row.state !== 'Established' || row.lastError !== undefined, sessionName),
          words,
        ),
        nodes.update(
          sorted(
            snapshot.nodes,
            row => row.problem !== undefined || row.ready === false,
            row => row.name,
          ),
          words,
        ),
        interfaces.update(
          sorted(
            interfacesOf(snapshot),
            row => row.state !== 'InUse',
            row => `${row.node} ${row.id}`,
          ),
          words,
        ),
        lans.update(
          sorted(
            snapshot.lans,
            row => row.problem !== undefined,
            row => row.bgpPeer,
          ),
          words,
        ),
        routes.update(
          sorted(
            snapshot.routes,
            row => row.state !== 'present',
            row => row.destination,
          ),
          words,
        ),
        pools.update(snapshot.controller?.pools ?? [], words),
        plan.update(
          sorted(
            snapshot.controller?.plan?.lans ?? [],
            row => row.nodes > row.plannedNodes,
            row => row.lan,
          ),
          words,
        ),
        departures.update(snapshot.controller?.plan?.departures ?? [], words),
        history.update(historyOf(snapshot.sessions), words),
        events.update(snapshot.events, words),
      ].reduce((sum, count) => sum + count, 0)
    },
  }
}

function sessionName({ bgpPeer, node }: BgpSession): string {
  return `${bgpPeer} ${node}`
}

/**
 * A badge for a state of RFC 4271: Idle is down, Established is up, the others are on their way.
 */
function stateBadge(state: string): HTMLElement {
  return badge(state === 'Established' ? 'good' : state === 'Idle' ? 'bad' : 'wait', state)
}

function sessionTable(): DataTable<BgpSession> {
  return new DataTable<BgpSession>({
    id: 'sessions',
    caption: 'BGP sessions',
    key: row => JSON.stringify([row.bgpPeer, row.node, row.peerIP]),
    none: 'No sessions: no BGPPeer names a speaker here.',
    columns: [
      { title: 'BGPPeer', text: row => row.bgpPeer },
      { title: 'Node', text: row => row.node },
      { title: 'State', text: row => row.state, show: row => stateBadge(row.state) },
      { title: 'Since', text: row => row.since, show: row => ago(row.since), class: 'number' },
      {
        title: 'Peer',
        text: row => `${row.peerIP} AS ${row.peerAsNumber}`,
        show: row => lines([row.peerIP, `AS ${row.peerAsNumber}`]),
        class: 'mono',
      },
      {
        title: 'Local',
        text: row => `${row.localAddress ?? ''} AS ${row.localAsNumber}`,
        show: row => lines([...(row.localAddress === undefined ? [] : [row.localAddress]), `AS ${row.localAsNumber}`]),
        class: 'mono',
      },
      { title: 'Advertised', text: row => String(row.advertisedPrefixes), class: 'number' },
      { title: 'Received', text: row => String(row.receivedPrefixes), class: 'number' },
      { title: 'Flaps', text: row => String(row.flaps), class: 'number' },
      {
        title: 'Hold time',
        text: row => (row.holdTimeSeconds === undefined ? '' : `${row.holdTimeSeconds}s`),
        class: 'number',
      },
      { title: 'BFD', text: row => row.bfd?.state ?? '' },
      { title: 'Last error', text: row => row.lastError ?? '', class: 'wide' },
    ],
  })
}

function nodeTable(): DataTable<NodeView> {
  return new DataTable<NodeView>({
    id: 'nodes',
    caption: 'Nodes',
    key: row => row.name,
    none: 'No nodes are known yet.',
    columns: [
      { title: 'Node', text: row => row.name },
      {
        title: 'Ready',
        text: row => (row.ready === undefined ? '' : row.ready ? 'Ready' : 'NotReady'),
        show: row => (row.ready ? badge('good', 'Ready') : badge('wait', 'NotReady')),
      },
      { title: 'Addresses', text: row => row.addresses.join(' '), show: row => lines(row.addresses), class: 'mono' },
      { title: 'Pod CIDRs', text: row => row.podCIDRs.join(' '), show: row => lines(row.podCIDRs), class: 'mono' },
      { title: 'Mode', text: row => row.cloud?.mode ?? (row.podCIDRs.length === 0 ? '' : 'route') },
      {
        title: 'Addresses in use',
        text: row => (row.cloud === undefined ? '' : `${row.cloud.inUse} of ${row.cloud.capacity}`),
        class: 'number',
      },
      { title: 'LAN', text: row => row.peers.join(' '), show: row => lines(row.peers) },
      {
        title: 'Speaker of',
        text: row => row.speakerOf.join(' '),
        show: row => element('span', { class: 'speaker' }, row.speakerOf.join(', ')),
      },
      { title: 'Problem', text: row => row.problem ?? '', show: row => problemBadge(row.problem ?? ''), class: 'wide' },
    ],
  })
}

function interfaceTable(): DataTable<CloudInterface> {
  return new DataTable<CloudInterface>({
    id: 'interfaces',
    caption: 'Elastic network interfaces for pods',
    key: row => JSON.stringify([row.node, row.id]),
    columns: [
      { title: 'Interface', text: row => row.id, class: 'mono' },
      { title: 'Node', text: row => row.node },
      { title: 'vSwitch', text: row => row.vSwitchID, class: 'mono' },
      {
        title: 'State',
        text: row => row.state,
        show: row => badge(row.state === 'InUse' ? 'good' : 'wait', row.state),
      },
      { title: 'Link', text: row => row.link ?? '', class: 'mono' },
      { title: 'Addresses', text: row => String(row.addresses), class: 'number' },
      { title: 'In use', text: row => (row.inUse === undefined ? '' : String(row.inUse)), class: 'number' },
      { title: 'Leaving', text: row => (row.releasing === 0 ? '' : String(row.releasing)), class: 'number' },
    ],
  })
}

function lanTable(): DataTable<LanView> {
  return new DataTable<LanView>({
    id: 'lans',
    caption: 'BGPPeers: LANs and their switches',
    key: row => row.bgpPeer,
    none: 'There is no BGPPeer.',
    columns: [
      { title: 'BGPPeer', text: row => row.bgpPeer },
      { title: 'Switch', text: row => row.peerIP, class: 'mono' },
      { title: 'Peer AS', text: row => String(row.peerAsNumber), class: 'number' },
      { title: 'Local AS', text: row => String(row.localAsNumber), class: 'number' },
      { title: 'Gateway', text: row => row.gateway ?? '', class: 'mono' },
      { title: 'Node selector', text: row => row.nodeSelector, class: 'mono' },
      { title: 'Speakers', text: row => row.speakers.join(' '), show: row => lines(row.speakers) },
      { title: 'Nodes', text: row => String(row.nodes.length), class: 'number' },
      { title: 'Problem', text: row => row.problem ?? '', show: row => problemBadge(row.problem ?? ''), class: 'wide' },
    ],
  })
}

const ROUTE_BADGES = { present: 'good', missing: 'wait', failed: 'bad' } as const

function routeTable(): DataTable<RouteRow> {
  return new DataTable<RouteRow>({
    id: 'routes',
    caption: 'Routes of this node: wanted, and what the kernel has',
    key: row => JSON.stringify([row.destination, row.via, row.interface]),
    columns: [
      { title: 'Destination', text: row => row.destination, class: 'mono' },
      { title: 'Via', text: row => row.via.join(' '), show: row => lines(row.via), class: 'mono' },
      { title: 'Interface', text: row => row.interface ?? '', class: 'mono' },
      { title: 'Kernel', text: row => row.state, show: row => badge(ROUTE_BADGES[row.state], row.state) },
      { title: 'Leads to', text: row => row.reason },
      { title: 'Problem', text: row => row.problem ?? '', show: row => problemBadge(row.problem ?? ''), class: 'wide' },
    ],
  })
}

function poolTable(): DataTable<PoolView> {
  return new DataTable<PoolView>({
    id: 'pools',
    caption: 'Pod CIDR pools',
    key: row => row.podCIDR,
    columns: [
      { title: 'Pool', text: row => row.podCIDR, class: 'mono' },
      { title: 'Block per node', text: row => `/${row.blockLength}`, class: 'number' },
      { title: 'Used', text: row => String(row.used), class: 'number' },
      { title: 'Blocks', text: row => formatBlocks(row.blocks), class: 'number' },
      {
        title: 'Full',
        text: row => `${row.blocks === 0 ? 0 : Math.round((row.used / row.blocks) * 100)} %`,
        show: row =>
          element(
            'meter',
            { min: 0, max: Math.max(1, row.blocks), high: row.blocks * 0.9, optimum: 0, value: row.used },
            `${row.used} of ${formatBlocks(row.blocks)}`,
          ),
      },
      { title: 'Full in, at the pace of 90 days', text: row => row.fullIn ?? '' },
      { title: 'Full in, by the plan', text: row => row.plannedFullIn ?? '' },
    ],
  })
}

function planTable(): DataTable<PlannedLanView> {
  return new DataTable<PlannedLanView>({
    id: 'plan',
    caption: 'LANs as planned',
    key: row => row.lan,
    columns: [
      { title: 'LAN', text: row => row.lan },
      { title: 'BGPPeers', text: row => row.bgpPeers.join(' '), show: row => lines(row.bgpPeers) },
      { title: 'Nodes', text: row => String(row.nodes), class: 'number' },
      { title: 'Planned', text: row => String(row.plannedNodes), class: 'number' },
      {
        title: 'There',
        text: row => `${Math.round((row.nodes / row.plannedNodes) * 100)} %`,
        show: row =>
          element(
            'meter',
            { min: 0, max: Math.max(row.plannedNodes, row.nodes), value: row.nodes },
            `${row.nodes} of ${row.plannedNodes}`,
          ),
      },
      { title: 'Growth a year', text: row => row.growthPerYear, class: 'number' },
      { title: 'Nodes in five years', text: row => String(row.nodesInFiveYears), class: 'number' },
    ],
  })
}

function departureTable(): DataTable<Departure> {
  return new DataTable<Departure>({
    id: 'departures',
    caption: 'Otherwise than planned',
    key: row => JSON.stringify(row),
    columns: [
      { title: 'Where', text: row => row.where },
      { title: 'Planned', text: row => row.planned, class: 'wide' },
      { title: 'Is', text: row => row.is, class: 'wide' },
    ],
  })
}

/** A transition of a session, with the session that it is of. */
interface HistoryRow {
  readonly session: string
  readonly transition: SessionTransition
}

/** Of all sessions, newest first. */
function historyOf(sessions: readonly BgpSession[]): HistoryRow[] {
  return sessions
    .flatMap(session => (session.history ?? []).map(transition => ({ session: sessionName(session), transition })))
    .sort((a, b) => (timeOf(a) < timeOf(b) ? 1 : -1))
}

function timeOf({ transition }: HistoryRow): string {
  return transition.lastTime ?? transition.time
}

const TRANSITIONS = {
  up: ['good', 'came up'],
  down: ['bad', 'went down'],
  failed: ['wait', 'failed'],
} as const

function historyTable(): DataTable<HistoryRow> {
  return new DataTable<HistoryRow>({
    id: 'history',
    caption: 'History of sessions',
    key: row => JSON.stringify([row.session, row.transition.time, row.transition.what]),
    columns: [
      { title: 'When', text: row => timeOf(row), show: row => ago(timeOf(row), ' ago') },
      { title: 'Session', text: row => row.session },
      {
        title: 'What',
        text: row => TRANSITIONS[row.transition.what][1],
        show: row => badge(TRANSITIONS[row.transition.what][0], TRANSITIONS[row.transition.what][1]),
      },
      { title: 'Times', text: row => (row.transition.times > 1 ? String(row.transition.times) : ''), class: 'number' },
      { title: 'Reason', text: row => row.transition.reason ?? '', class: 'wide' },
    ],
  })
}

function eventTable(): DataTable<EventRow> {
  return new DataTable<EventRow>({
    id: 'events',
    caption: 'Last events',
    key: row => JSON.stringify(row),
    none: 'No events yet.',
    columns: [
      { title: 'When', text: row => row.time, show: row => ago(row.time, ' ago') },
      { title: 'Type', text: row => row.type, show: row => badge(row.type === 'Warning' ? 'wait' : 'plain', row.type) },
      { title: 'Reason', text: row => row.reason },
      { title: 'Object', text: row => row.object },
      { title: 'Message', text: row => row.message, class: 'wide' },
    ],
  })
}
