/** What the pictures of LANs and of the cloud are made of: places of boxes, centred texts. */
import { svgElement } from './dom.ts'

export const WIDTH = 320
export const MARGIN = 12
export const GAP = 5

export interface Place {
  readonly x: number
  readonly y: number
}

/** Upper left corners of `count` boxes, row by row, each row centred. */
export function grid(count: number, box: { width: number; height: number; perRow: number }, top: number): Place[] {
  return Array.from({ length: count }, (_, index) => {
    const row = Math.floor(index / box.perRow)
    const inRow = Math.min(box.perRow, count - row * box.perRow)
    const rowWidth = inRow * (box.width + GAP) - GAP
    return {
      x: (WIDTH - rowWidth) / 2 + (index % box.perRow) * (box.width + GAP),
      y: top + row * (box.height + GAP),
    }
  })
}

export function centred(kind: string, text: string, place: Place, width: number, down: number): SVGElement {
  return svgElement('text', { class: kind, x: place.x + width / 2, y: place.y + down, 'text-anchor': 'middle' }, text)
}
