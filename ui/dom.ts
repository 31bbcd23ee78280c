/**
 * Elements made of typed parts. Text becomes text nodes and nothing else: no string is ever read as
 * HTML, so no name, message or error from elsewhere can become markup.
 */
import { formatAge } from './model.ts'

export type Child = Node | string

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  return filled(document.createElement(tag), attributes, children)
}

export function svgElement<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[Tag] {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children)
}

function filled<T extends Element>(node: T, attributes: Attributes, children: readonly Child[]): T {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : String(value))
  }
  node.append(...children)
  return node
}

/** An element that index.html has. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id)
  if (found === null) throw new Error(`index.html has no #${id}`)
  return found
}

export function inputById(id: string): HTMLInputElement {
  const found = byId(id)
  if (!(found instanceof HTMLInputElement)) throw new Error(`#${id} is not an input`)
  return found
}

/** A label with a mark before it, so that its meaning does not hang on a colour. */
export function badge(kind: 'good' | 'bad' | 'wait' | 'plain', text: string): HTMLElement {
  return element('span', { class: `badge ${kind}` }, text)
}

/** How far the clock of the server is ahead of this browser's, in milliseconds. */
let clockAhead = 0

export function setServerTime(time: string): void {
  const milliseconds = Date.parse(time)
  if (!Number.isNaN(milliseconds)) clockAhead = milliseconds - Date.now()
}

/** How long ago `time` (RFC 3339) was; keeps counting. */
export function ago(time: string, suffix = ''): HTMLElement {
  const node = element('time', { datetime: time, title: localTime(time), 'data-suffix': suffix })
  tickOne(node)
  return node
}

export function localTime(time: string): string {
  const date = new Date(time)
  return Number.isNaN(date.getTime())
    ? time
    : date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
}

/** Brings every age on the page up to date. */
export function tick(): void {
  for (const node of document.querySelectorAll('time')) tickOne(node)
}

function tickOne(node: HTMLTimeElement): void {
  const text = formatAge(Date.now() + clockAhead - Date.parse(node.dateTime)) + (node.dataset.suffix ?? '')
  if (node.textContent !== text) node.textContent = text
}
