/**
 * A table that follows its rows: it makes anew only the rows that changed, so focus, selection and
 * place on the page stay. Columns with nothing in them are left out, and of very many rows only the
 * first are made until someone asks for all.
 */
import { badge, byId, type Child, element } from './dom.ts'
import { matches } from './model.ts'

export interface Column<Row> {
  readonly title: string
  /** The text that is filtered by and compared. An empty one in all rows hides the column. */
  readonly text: (row: Row) => string
  /** What stands in the cell; the text where absent. */
  readonly show?: (row: Row) => Child
  readonly class?: 'number' | 'mono' | 'wide'
}

export interface DataTableOptions<Row> {
  /** The section of index.html that it fills. */
  readonly id: string
  readonly caption: string
  readonly key: (row: Row) => string
  /** The first is the header of its row. */
  readonly columns: readonly Column<Row>[]
  /** What to say when there are no rows. Without it, the section is hidden then. */
  readonly none?: string
}

const FIRST_ROWS = 200

interface MadeRow {
  readonly signature: string
  readonly node: HTMLTableRowElement
}

export class DataTable<Row> {
  readonly #options: DataTableOptions<Row>
  readonly #section: HTMLElement
  readonly #count = element('span', { class: 'count' })
  readonly #head = element('tr', { role: 'row' })
  readonly #body = element('tbody', { role: 'rowgroup' })
  readonly #table: HTMLTableElement
  readonly #note = element('p', { class: 'more' })
  readonly #all = element('button', { type: 'button' })
  #made = new Map<string, MadeRow>()
  #shownColumns = ''
  #showAll = false
  #last: { rows: readonly Row[]; words: readonly string[] } = { rows: [], words: [] }

  constructor(options: DataTableOptions<Row>) {
    this.#options = options
    this.#section = byId(options.id)
    this.#table = element(
      'table',
      { role: 'table' },
      element('caption', {}, options.caption, ' ', this.#count),
      element('thead', { role: 'rowgroup' }, this.#head),
      this.#body,
    )
    this.#all.addEventListener('click', () => {
      this.#showAll = true
      this.update(this.#last.rows, this.#last.words)
    })
    const scroll = element(
      'div',
      { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': options.caption },
      this.#table,
      this.#note,
    )
    this.#section.append(scroll, this.#all)
  }

  /** Shows `rows` that hold all of `words`; gives their number. */
  update(rows: readonly Row[], words: readonly string[]): number {
    this.#last = { rows, words }
    const { columns, none } = this.#options
    const found = rows.filter(row =>
      matches(
        words,
        columns.map(column => column.text(row)),
      ),
    )
    const shown = this.#showAll ? found : found.slice(0, FIRST_ROWS)
    this.#section.hidden = rows.length === 0 && none === undefined
    this.#table.classList.toggle('empty', found.length === 0)
    this.#count.textContent = words.length === 0 ? String(rows.length) : `${found.length} of ${rows.length}`
    this.#note.textContent = found.length > 0 ? '' : rows.length > 0 ? 'Nothing here matches the filter.' : (none ?? '')
    this.#all.hidden = shown.length === found.length
    this.#all.textContent = `Show all ${found.length}`
    this.#makeRows(
      shown,
      columns.filter(column => rows.some(row => column.text(row) !== '')),
    )
    return found.length
  }

  #makeRows(rows: readonly Row[], columns: readonly Column<Row>[]): void {
    const titles = columns.map(column => column.title).join('\n')
    if (titles !== this.#shownColumns) {
      this.#shownColumns = titles
      this.#made.clear()
      this.#head.replaceChildren(...columns.map(headerCell))
    }
    const made = new Map<string, MadeRow>()
    for (const row of rows) {
      const key = this.#options.key(row)
      const signature = JSON.stringify(row)
      const before = this.#made.get(key)
      made.set(key, before?.signature === signature ? before : { signature, node: tableRow(row, columns) })
    }
    this.#made = made
    placeInOrder(
      this.#body,
      [...made.values()].map(({ node }) => node),
    )
  }
}

/** Makes `nodes` the children of `parent`, moving only what stands elsewhere. */
function placeInOrder(parent: Element, nodes: readonly Element[]): void {
  const wanted = new Set(nodes)
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove()
  let next = parent.firstElementChild
  for (const node of nodes) {
    if (node === next) next = next.nextElementSibling
    else parent.insertBefore(node, next)
  }
}

function headerCell<Row>({ title, class: kind }: Column<Row>): HTMLElement {
  return element('th', { scope: 'col', role: 'columnheader', class: kind }, title)
}

/**
 * Roles are written out because the narrow layout takes away the display that browsers derive them
 * from.
 */
function tableRow<Row>(row: Row, columns: readonly Column<Row>[]): HTMLTableRowElement {
  const cells = columns.map((column, index) => {
    const text = column.text(row)
    const classes = [column.class ?? '', text === '' ? 'none' : ''].join(' ').trim()
    const attributes = { class: classes === '' ? undefined : classes, 'data-title': column.title }
    const child = text === '' ? '–' : (column.show?.(row) ?? text)
    return index === 0
      ? element('th', { ...attributes, scope: 'row', role: 'rowheader' }, child)
      : element('td', { ...attributes, role: 'cell' }, child)
  })
  return element('tr', { role: 'row' }, ...cells)
}

/** Texts as one cell, each on a line of its own. */
export function lines(texts: readonly string[]): HTMLElement {
  return element('span', { class: 'lines' }, ...texts.map(text => element('span', {}, text)))
}

export function problemBadge(text: string): HTMLElement {
  return badge('bad', text)
}
