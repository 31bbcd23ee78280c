/**
 * The head of the page: who this is, whether it does its job, what is in its way, and the numbers
 * at a glance.
 */
import type { PlanView, PoolView, Snapshot } from '../src/model/snapshot.ts'
import { type CloudInterface, interfacesOf } from './cloud-model.ts'
import { lines } from './data-table.ts'
import { ago, badge, byId, type Child, element, localTime } from './dom.ts'
import { formatBlocks } from './model.ts'

export function showSummary(snapshot: Snapshot): void {
  const { role, version, ready, node, time } = snapshot
  const name = node?.name ?? (role === 'controller' ? 'controller' : 'node')
  document.title = `${ready ? '' : '(!) '}${name} · terway-edge`
  byId('title').textContent = name
  byId('subtitle').textContent = `terway-edge ${version}, ${role}`
  byId('taken').textContent = `As of ${localTime(time)}`
  showProblems(snapshot)
  byId('summary').replaceChildren(...factsOf(snapshot).map(([title, ...parts]) => fact(title, parts)))
}

type Fact = readonly [title: string, ...parts: readonly Child[]]

function fact(title: string, parts: readonly Child[]): HTMLElement {
  const [main, ...small] = parts
  const details = small.filter(part => part !== '').map(part => element('dd', { class: 'small' }, part))
  return element('div', {}, element('dt', {}, title), element('dd', {}, main ?? ''), ...details)
}

function factsOf(snapshot: Snapshot): readonly Fact[] {
  const { ready, startedAt, nodes, sessions, lans } = snapshot
  const interfaces = interfacesOf(snapshot)
  const established = sessions.filter(session => session.state === 'Established').length
  const allUp = established === sessions.length
  return [
    [
      'Ready',
      ready ? badge('good', 'Ready') : badge('bad', 'Not ready'),
      element('span', {}, 'running for ', ago(startedAt)),
    ],
    apiFact(snapshot.api),
    ...nodeFacts(snapshot),
    ...controllerFacts(snapshot),
    [
      'Sessions Established',
      ratio(established, sessions.length),
      sessions.length === 0 ? '' : allUp ? badge('good', 'all') : badge('bad', `${sessions.length - established} not`),
    ],
    ['Nodes', String(nodes.length), `${lans.length} ${lans.length === 1 ? 'BGPPeer' : 'BGPPeers'}`],
    ...(interfaces.length === 0 ? [] : [cloudFact(snapshot, interfaces)]),
  ]
}

/** Addresses of elastic network interfaces. */
function cloudFact({ nodes, node }: Snapshot, interfaces: readonly CloudInterface[]): Fact {
  const there = interfaces.reduce((sum, { addresses }) => sum + addresses, 0)
  const ownUse = node?.interfaces?.reduce((sum, { inUse }) => sum + inUse, 0)
  const inUse = ownUse ?? nodes.reduce((sum, { cloud }) => sum + (cloud?.inUse ?? 0), 0)
  const count = `${interfaces.length} elastic network ${interfaces.length === 1 ? 'interface' : 'interfaces'}`
  return [
    'Addresses of interfaces in use',
    ratio(inUse, there),
    count,
    node?.mode === undefined ? '' : `mode ${node.mode}`,
  ]
}

function apiFact({ server, connected, lastContact, problem }: Snapshot['api']): Fact {
  if (connected) return ['API server', badge('good', 'Connected'), server]
  const contact =
    lastContact === undefined ? 'never reached' : element('span', {}, 'last answer ', ago(lastContact, ' ago'))
  return ['API server', badge('bad', 'Not connected'), server, contact, problem ?? '']
}

const VIEWS = { api: 'view from the API server', state: 'view from the state folder', none: 'no view yet' } as const

function nodeFacts({ node, routes }: Snapshot): readonly Fact[] {
  if (node === undefined) return []
  const present = routes.filter(route => route.state === 'present').length
  if (node.interfaces !== undefined) return [['Pods', String(node.pods ?? 0), VIEWS[node.viewSource]]]
  return [
    [
      'Pod CIDRs',
      addressLines(node.podCIDRs),
      node.pods === undefined ? '' : `${node.pods} ${node.pods === 1 ? 'pod' : 'pods'}`,
    ],
    ['Addresses', addressLines(node.addresses), VIEWS[node.viewSource]],
    [
      'Routes present',
      ratio(present, routes.length),
      present === routes.length ? '' : badge('bad', `${routes.length - present} not`),
    ],
  ]
}

function controllerFacts({ controller }: Snapshot): readonly Fact[] {
  if (controller === undefined) return []
  const families = [
    ['', controller.pools.filter(pool => !pool.podCIDR.includes(':'))],
    ['IPv6 ', controller.pools.filter(pool => pool.podCIDR.includes(':'))],
  ] as const
  const uses = families.flatMap(([name, pools]) => (pools.length === 0 ? [] : [poolUse(name, pools)]))
  return [
    [
      'Leader',
      controller.isLeader ? badge('good', 'This one') : badge('plain', 'Standby'),
      controller.leader ?? 'no leader',
    ],
    ...(uses.length === 0 ? [] : [['Pod CIDR blocks used', ...uses] as const]),
    ...planFacts(controller.plan),
  ]
}

function planFacts(plan: PlanView | undefined): readonly Fact[] {
  if (plan === undefined) return []
  const count = plan.departures.length
  const planned = plan.lans.reduce((sum, lan) => sum + lan.plannedNodes, 0)
  const there = plan.lans.reduce((sum, lan) => sum + lan.nodes, 0)
  return [
    [
      'Nodes planned',
      ratio(there, planned),
      count === 0 ? badge('good', 'as planned') : badge('wait', `${count} otherwise`),
    ],
  ]
}

/** Of the pools of one family: a node takes a block of each. */
function poolUse(name: string, pools: readonly PoolView[]): HTMLElement {
  const used = pools.reduce((sum, pool) => sum + pool.used, 0)
  const blocks = pools.reduce((sum, pool) => sum + pool.blocks, 0)
  return element('span', {}, `${name}${used}`, element('span', { class: 'of' }, ` / ${formatBlocks(blocks)}`))
}

function addressLines(addresses: readonly string[]): Child {
  return addresses.length === 0 ? 'none' : element('span', { class: 'addresses' }, lines(addresses))
}

function ratio(part: number, whole: number): HTMLElement {
  return element('span', {}, String(part), element('span', { class: 'of' }, ` / ${whole}`))
}

/** Each with what to do about it beside it; what stands there already is not touched. */
function showProblems({ problems, remedies = {} }: Snapshot): void {
  byId('problems').hidden = problems.length === 0
  const list = byId('problem-list')
  const items = problems.map(problem => {
    const remedy = remedies[problem] ?? ''
    return element('li', {}, problem, ...(remedy === '' ? [] : [element('p', { class: 'remedy' }, remedy)]))
  })
  const textOf = (nodes: Iterable<Element>) => [...nodes].map(({ textContent }) => textContent).join('\n')
  if (textOf(list.children) !== textOf(items)) list.replaceChildren(...items)
}
