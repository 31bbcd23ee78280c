/**
 * The picture of nodes whose pods sit on elastic network interfaces: the vSwitches, the nodes, and
 * their interfaces with as many addresses as there are, as SVG. The tables say the same in words.
 */
import { type CloudInterface, type CloudNode, type CloudSite, isInTrouble, useOf } from './cloud-model.ts'
import { element, svgElement } from './dom.ts'
import { compareNames, shorten } from './model.ts'
import { centred, GAP, grid, MARGIN, type Place, WIDTH } from './picture-parts.ts'

const NODES_SHOWN = 8
const SWITCH = { width: 144, height: 34, perRow: 2 }
const NODE = { width: 146, perRow: 2 }
const HEAD = 52
const ENI = { width: 66, height: 34, perRow: 2 }
/** Between vSwitches and nodes: where one sees which interface comes from where. */
const SPACE = 40

export function cloudFigure(site: CloudSite): HTMLElement {
  const { title, nodes, vSwitchIDs } = site
  const count = nodes.reduce((sum, { interfaces }) => sum + interfaces.length, 0)
  const facts = [
    `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}`,
    `${count} ${count === 1 ? 'interface' : 'interfaces'}`,
    `${nodes.reduce((sum, { inUse }) => sum + inUse, 0)} in use`,
  ].join(' · ')
  const label = `${title}: ${vSwitchIDs.length === 0 ? '' : `vSwitch ${vSwitchIDs.join(', ')}; `}${facts}`
  return element(
    'figure',
    {},
    element('figcaption', {}, element('strong', {}, title), element('span', {}, facts)),
    drawing(site, label),
  )
}

function drawing({ vSwitchIDs, nodes }: CloudSite, label: string): SVGElement {
  const order = [...nodes].sort(
    (a, b) => Number(isInTrouble(b)) - Number(isInTrouble(a)) || compareNames(a.name, b.name),
  )
  const shown = order.slice(0, NODES_SHOWN)
  const most = Math.max(0, ...shown.map(({ interfaces }) => interfaces.length))
  const height = HEAD + Math.max(1, Math.ceil(most / ENI.perRow)) * (ENI.height + GAP) + GAP
  const switchPlaces = grid(vSwitchIDs.length, SWITCH, MARGIN)
  const switchRows = Math.ceil(vSwitchIDs.length / SWITCH.perRow)
  const top = vSwitchIDs.length === 0 ? MARGIN : MARGIN + switchRows * (SWITCH.height + GAP) - GAP + SPACE
  const nodePlaces = grid(shown.length, { ...NODE, height }, top)
  const bottom = top + Math.ceil(shown.length / NODE.perRow) * (height + GAP)
  const more = order.length - shown.length
  const switchAt = new Map(vSwitchIDs.map((id, index) => [id, switchPlaces[index]]))
  const boxes = shown.map((node, index) => nodeBox(node, nodePlaces[index] ?? { x: 0, y: 0 }, height, switchAt))
  return svgElement(
    'svg',
    { role: 'img', 'aria-label': label, viewBox: `0 0 ${WIDTH} ${bottom + (more > 0 ? 20 : 4)}` },
    ...boxes.flatMap(({ lines }) => lines),
    ...vSwitchIDs.flatMap((id, index) => switchBox(id, switchPlaces[index])),
    ...boxes.flatMap(({ shapes }) => shapes),
    ...(more > 0 ? [centred('more', `+ ${more} nodes`, { x: 0, y: bottom }, WIDTH, 12)] : []),
  )
}

function switchBox(id: string, place: Place | undefined): SVGElement[] {
  if (place === undefined) return []
  return [
    svgElement('rect', { class: 'switch', x: place.x, y: place.y, width: SWITCH.width, height: SWITCH.height, rx: 6 }),
    centred('address', shorten(id, 19), place, SWITCH.width, 15),
    centred('detail', 'vSwitch', place, SWITCH.width, 28),
  ]
}

function nodeBox(
  node: CloudNode,
  place: Place,
  height: number,
  switchAt: ReadonlyMap<string, Place | undefined>,
): { readonly shapes: SVGElement[]; readonly lines: SVGElement[] } {
  const kind = isInTrouble(node) ? 'node problem' : 'node'
  const texts = [
    node.name,
    ...node.addresses,
    node.mode,
    useOf(node),
    ...((node.problem ?? '') ? [node.problem ?? ''] : []),
  ]
  const placed = node.interfaces.map((item, index) => ({ item, place: eniPlace(place, index) }))
  return {
    shapes: [
      svgElement(
        'rect',
        { class: kind, x: place.x, y: place.y, width: NODE.width, height, rx: 5 },
        svgElement('title', {}, texts.join('\n')),
      ),
      centred('name', shorten(node.name, 20), place, NODE.width, 16),
      centred('detail', node.mode, place, NODE.width, 30),
      centred('detail', useOf(node), place, NODE.width, 44),
      ...placed.flatMap(({ item, place: at }) => eniBox(item, at)),
    ],
    lines: placed.flatMap(({ item, place: at }) => line(switchAt.get(item.vSwitchID), at, item) ?? []),
  }
}

function eniPlace(node: Place, index: number): Place {
  return {
    x: node.x + GAP + (index % ENI.perRow) * (ENI.width + GAP - 1),
    y: node.y + HEAD + Math.floor(index / ENI.perRow) * (ENI.height + GAP),
  }
}

function eniBox(item: CloudInterface, place: Place): SVGElement[] {
  const { id, vSwitchID, state, addresses, inUse, releasing, link } = item
  const used = inUse === undefined ? `${addresses} addr.` : `${inUse} of ${addresses}`
  const title = [
    id,
    vSwitchID,
    state,
    ...(link === undefined ? [] : [link]),
    `${addresses} addresses${inUse === undefined ? '' : `, ${inUse} in use`}${releasing > 0 ? `, ${releasing} leave` : ''}`,
  ].join('\n')
  const kind = state === 'InUse' ? 'eni up' : 'eni moving'
  return [
    svgElement(
      'rect',
      { class: kind, x: place.x, y: place.y, width: ENI.width, height: ENI.height, rx: 4 },
      svgElement('title', {}, title),
    ),
    centred('detail', shorten(id.replace(/^eni-/, ''), 11), place, ENI.width, 14),
    centred('detail', state === 'InUse' ? used : state, place, ENI.width, 27),
  ]
}

function line(from: Place | undefined, to: Place, { id, vSwitchID }: CloudInterface): SVGElement | undefined {
  if (from === undefined) return undefined
  return svgElement(
    'line',
    {
      class: 'plug',
      x1: from.x + SWITCH.width / 2,
      y1: from.y + SWITCH.height,
      x2: to.x + ENI.width / 2,
      y2: to.y,
    },
    svgElement('title', {}, `${vSwitchID} – ${id}`),
  )
}
