/**
 * The picture of the network: per LAN its switches, its nodes and the sessions between them, as
 * SVG. The tables say the same in words, so each picture is one image with a sentence for those who
 * do not see it.
 */
import type { BgpSession } from '../src/model/session.ts'
import type { LanView, NodeView } from '../src/model/snapshot.ts'
import { type CloudSite, isInTrouble } from './cloud-model.ts'
import { byId, element, svgElement } from './dom.ts'
import { compareNames, type Lan, matches, shorten } from './model.ts'
import { cloudFigure } from './picture-cloud.ts'
import { centred, GAP, grid, MARGIN, type Place, WIDTH } from './picture-parts.ts'

const LANS_SHOWN = 12
const NODES_SHOWN = 12

const SWITCH = { width: 144, height: 46, perRow: 2 }
const NODE = { width: 98, height: 40, perRow: 3 }
/** Between the switches and the nodes: where the sessions are seen. */
const SPACE = 46

let before = ''

/** Draws the LANs and places of the cloud that match `words`. */
export function drawNetwork(lans: readonly Lan[], sites: readonly CloudSite[], words: readonly string[]): void {
  const found = lans
    .filter(lan => matches(words, textsOf(lan)))
    .sort((a, b) => Number(needsLook(b)) - Number(needsLook(a)))
  const shown = found.slice(0, LANS_SHOWN)
  const shownSites = sites.filter(site => matches(words, siteTexts(site)))
  const signature = JSON.stringify([shown, found.length, lans.length, shownSites])
  if (signature === before) return
  before = signature
  byId('network').hidden = lans.length + sites.length === 0
  byId('cloud-legend').hidden = sites.length === 0
  byId('picture').replaceChildren(...shown.map(figureOf), ...shownSites.map(cloudFigure))
  const more = found.length - shown.length
  byId('picture-more').textContent =
    found.length + shownSites.length === 0
      ? 'Nothing here matches the filter.'
      : more > 0
        ? `… and ${more} more ${more === 1 ? 'LAN: filter to see it.' : 'LANs: filter to see them.'}`
        : ''
}

function needsLook({ peers, nodes, sessions }: Lan): boolean {
  return (
    peers.some(peer => peer.problem !== undefined) ||
    sessions.some(session => lineKind(session) === 'down' || lineKind(session) === 'up lost' || session.lastError) ||
    nodes.some(isNodeTroubled)
  )
}

function isNodeTroubled(node: NodeView): boolean {
  return node.problem !== undefined || node.ready === false
}

function textsOf({ peers, nodes }: Lan): string[] {
  return [
    ...peers.flatMap(peer => [peer.bgpPeer, peer.peerIP, String(peer.peerAsNumber), peer.gateway ?? '']),
    ...nodes.flatMap(node => [node.name, ...node.addresses, ...node.podCIDRs]),
  ]
}

function siteTexts({ title, vSwitchIDs, nodes }: CloudSite): string[] {
  return [
    title,
    ...vSwitchIDs,
    ...nodes.flatMap(node => [
      node.name,
      ...node.addresses,
      node.mode,
      ...node.interfaces.map(({ id }) => id),
      isInTrouble(node) ? (node.problem ?? 'waiting') : '',
    ]),
  ]
}

function figureOf(lan: Lan): HTMLElement {
  const { peers, nodes, sessions } = lan
  const established = sessions.filter(isEstablished).length
  const title = peers.length === 0 ? 'Without a BGPPeer' : peers.map(peer => peer.bgpPeer).join(', ')
  const gateways = [...new Set(peers.flatMap(peer => peer.gateway ?? []))]
  const facts = [
    `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}`,
    ...(sessions.length === 0 ? [] : [`${established} of ${sessions.length} sessions Established`]),
    ...(gateways.length === 0 ? [] : [`gateway ${gateways.join(', ')}`]),
  ].join(' · ')
  const switches = peers.map(peer => `switch ${peer.peerIP} of AS ${peer.peerAsNumber}`).join(', ')
  return element(
    'figure',
    {},
    element('figcaption', {}, element('strong', {}, title), element('span', {}, facts)),
    drawingOf(lan, `${title}: ${switches === '' ? '' : `${switches}; `}${facts}`),
  )
}

function drawingOf({ peers, nodes, sessions }: Lan, label: string): SVGElement {
  const order = inOrder(nodes, peers)
  const shown = order.length > NODES_SHOWN ? order.slice(0, NODES_SHOWN - 1) : order
  const boxes = shown.length + (shown.length < order.length ? 1 : 0)
  const switchPlaces = grid(peers.length, SWITCH, MARGIN)
  const switchRows = Math.ceil(peers.length / SWITCH.perRow)
  const lanTop = peers.length === 0 ? 4 : MARGIN + switchRows * (SWITCH.height + GAP) - GAP + SPACE
  const nodePlaces = grid(boxes, NODE, lanTop + MARGIN)
  const lanBottom = lanTop + 2 * MARGIN + Math.ceil(boxes / NODE.perRow) * (NODE.height + GAP) - GAP
  const switchAt = new Map(peers.map((peer, index) => [peer.bgpPeer, switchPlaces[index]]))
  const nodeAt = new Map(shown.map((node, index) => [node.name, nodePlaces[index]]))
  const last = nodePlaces.at(-1)
  const more = order.length - shown.length
  return svgElement(
    'svg',
    { role: 'img', 'aria-label': label, viewBox: `0 0 ${WIDTH} ${lanBottom + 4}` },
    svgElement('rect', { class: 'lan', x: 4, y: lanTop, width: WIDTH - 8, height: lanBottom - lanTop, rx: 10 }),
    ...sessions.flatMap(session => sessionLine(session, switchAt.get(session.bgpPeer), nodeAt.get(session.node)) ?? []),
    ...peers.flatMap((peer, index) => switchBox(peer, switchPlaces[index])),
    ...shown.flatMap((node, index) => nodeBox(node, nodePlaces[index], isSpeaker(node, peers))),
    ...(more > 0 && last !== undefined
      ? [centred('more', `+ ${more} nodes`, last, NODE.width, NODE.height / 2 + 4)]
      : []),
  )
}

function sessionLine(session: BgpSession, from: Place | undefined, to: Place | undefined): SVGElement | undefined {
  if (from === undefined || to === undefined) return undefined
  const line = {
    class: `session ${lineKind(session)}`,
    x1: from.x + SWITCH.width / 2,
    y1: from.y + SWITCH.height,
    x2: to.x + NODE.width / 2,
    y2: to.y,
  }
  return svgElement('line', line, svgElement('title', {}, lineText(session)))
}

/** Packets have the last word: a session that is up proves no route. */
function lineKind(session: BgpSession): string {
  if (!isEstablished(session)) return 'down'
  if (session.routesVerified === 'False') return 'up lost'
  return session.routesVerified === 'True' ? 'up proved' : 'up'
}

const PROOFS = {
  True: ', its routes proved by packets',
  False: ', but packets do not take its routes',
  Unknown: '',
} as const

function lineText({ node, peerIP, state, routesVerified = 'Unknown' }: BgpSession): string {
  return `${node} – ${peerIP}: ${state}${PROOFS[routesVerified]}`
}

function switchBox(peer: LanView, place: Place | undefined): SVGElement[] {
  if (place === undefined) return []
  const kind = peer.problem === undefined ? 'switch' : 'switch problem'
  return [
    svgElement(
      'rect',
      { class: kind, x: place.x, y: place.y, width: SWITCH.width, height: SWITCH.height, rx: 6 },
      svgElement('title', {}, `${peer.bgpPeer}: switch ${peer.peerIP}`),
    ),
    centred('address', shorten(peer.peerIP, 19), place, SWITCH.width, 20),
    centred('detail', `switch, AS ${peer.peerAsNumber}`, place, SWITCH.width, 36),
  ]
}

function nodeBox(node: NodeView, place: Place | undefined, speaker: boolean): SVGElement[] {
  if (place === undefined) return []
  const kinds = ['node', ...(speaker ? ['speaker'] : []), ...(isNodeTroubled(node) ? ['problem'] : [])]
  const detail = node.podCIDRs[0] ?? 'no pod CIDR'
  return [
    svgElement(
      'rect',
      { class: kinds.join(' '), x: place.x, y: place.y, width: NODE.width, height: NODE.height, rx: 5 },
      svgElement(
        'title',
        {},
        [node.name, ...node.addresses, ...node.podCIDRs, ...((node.problem ?? '') ? [node.problem ?? ''] : [])].join(
          '\n',
        ),
      ),
    ),
    centred(speaker ? 'name on-speaker' : 'name', shorten(node.name, 12), place, NODE.width, 17),
    centred(speaker ? 'detail on-speaker' : 'detail', shorten(detail, 15), place, NODE.width, 32),
  ]
}

/** What needs a look first, so that it does not hide among those that are only counted. */
function inOrder(nodes: readonly NodeView[], peers: readonly LanView[]): NodeView[] {
  return [...nodes].sort(
    (a, b) =>
      Number(isNodeTroubled(b)) - Number(isNodeTroubled(a)) ||
      Number(isSpeaker(b, peers)) - Number(isSpeaker(a, peers)) ||
      compareNames(a.name, b.name),
  )
}

function isSpeaker(node: NodeView, peers: readonly LanView[]): boolean {
  return peers.some(peer => peer.speakers.includes(node.name))
}

function isEstablished(session: BgpSession): boolean {
  return session.state === 'Established'
}
