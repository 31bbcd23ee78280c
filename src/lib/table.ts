/**
 * Tables and ages for people at a terminal, in the manner of kubectl: columns three spaces apart,
 * no lines; nothing is cut off unless it is asked to fit a width, and colours are the caller's.
 * Cells may hold text that came from elsewhere (a peer's message, a name), so control characters
 * are written out and cannot steer the terminal. Pure.
 */

export interface Column {
  readonly title: string
  /** Default: left. Numbers read best to the right. */
  readonly align?: 'left' | 'right'
  /** Long text that may be cut where the table would not fit. */
  readonly flexible?: boolean
}

export interface TableOptions {
  /** Columns of the terminal; absent: as wide as it gets. */
  readonly width?: number | undefined
  /** What is written for a cell, padded already; changes nothing of its width. */
  readonly paint?: (text: string, row: number, column: number) => string
}

const GAP = '   '

/** A flexible column is not cut shorter than this. */
const LEAST_WIDTH = 12

/**
 * The table with its line of titles, ending in a newline. A missing cell is empty; cells beyond the
 * columns are not shown.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  { width, paint = text => text }: TableOptions = {},
): string {
  const cells = rows.map(row => columns.map((_, index) => printable(row[index] ?? '')))
  const titles = columns.map(column => column.title)
  const natural = columns.map((_, index) =>
    [titles, ...cells].reduce((widest, row) => Math.max(widest, Bun.stringWidth(row[index] ?? '')), 0),
  )
  const widths = width === undefined ? natural : fitted(columns, natural, width)
  const line = (row: readonly string[], at: number) =>
    columns
      .map(({ align }, index) => {
        const space = widths[index] ?? 0
        const padded = pad(cut(row[index] ?? '', space), space, align ?? 'left')
        return at === 0 ? padded : paint(padded, at - 1, index)
      })
      .join(GAP)
      .trimEnd()
  return `${[titles, ...cells].map(line).join('\n')}\n`
}

/** The widest flexible column gives way until all fit, or none can. */
function fitted(columns: readonly Column[], natural: readonly number[], width: number): number[] {
  const widths = [...natural]
  const total = () => widths.reduce((sum, one) => sum + one, GAP.length * (widths.length - 1))
  for (;;) {
    const excess = total() - width
    if (excess <= 0) return widths
    const candidates = columns.flatMap(({ flexible }, index) =>
      flexible === true && (widths[index] ?? 0) > LEAST_WIDTH ? [index] : [],
    )
    const widest = candidates.toSorted((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0))[0]
    if (widest === undefined) return widths
    widths[widest] = Math.max(LEAST_WIDTH, (widths[widest] ?? 0) - excess)
  }
}

/** At most so many columns wide, with an ellipsis where something is missing. */
function cut(text: string, width: number): string {
  if (Bun.stringWidth(text) <= width) return text
  let short = ''
  for (const character of text) {
    if (Bun.stringWidth(short + character) > width - 1) break
    short += character
  }
  return `${short}…`
}

/**
 * The text with control characters (C0, DEL, C1, and the marks that turn the direction of writing)
 * as `\x1b` or `\u202e`.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu, character => {
    const code = character.charCodeAt(0)
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}

/**
 * How long `milliseconds` are, as kubectl's AGE column says it: `45s`, `3m10s`, `12m`, `5h`, `2d`,
 * `1y20d`. Below zero: `0s`.
 */
export function formatAge(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000))
  if (!Number.isFinite(seconds)) return '<unknown>'
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  const years = Math.floor(days / 365)
  if (seconds < 120) return `${seconds}s`
  if (minutes < 10) return two(minutes, 'm', seconds % 60, 's')
  if (hours < 3) return `${minutes}m`
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  if (days < 8) return two(days, 'd', hours % 24, 'h')
  if (years < 2) return `${days}d`
  if (years < 8) return two(years, 'y', days % 365, 'd')
  return `${years}y`
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`
}

function pad(text: string, width: number, align: 'left' | 'right'): string {
  const space = ' '.repeat(Math.max(0, width - Bun.stringWidth(text)))
  return align === 'left' ? text + space : space + text
}
