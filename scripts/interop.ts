/**
 * Runs the columns of the interop matrix (test/interop), two at a time, and writes what the cells
 * left behind: the table of this machine's routers in docs/interop.md, and the recordings that
 * test/bgp/replay runs again; or, given a folder of scripts/newer-routers and the suite of Debian
 * that it is of, the second table.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Cell } from '../test/interop/column.ts'
import type { RouterKind } from '../test/interop/routers.ts'
import { ROWS, type RowName } from '../test/interop/rows.ts'
import { pageWide } from './page-wide.ts'

interface Column {
  readonly kind: RouterKind
  readonly name: string
  readonly package: string
  readonly checked: string
}

const KERNEL = "the kernel's table"
const GOBGP = { kind: 'gobgp', name: 'GoBGP', package: 'gobgpd' } as const
const OPENBGPD = { kind: 'openbgpd', name: 'OpenBGPD', package: 'openbgpd' } as const
const EXABGP = { kind: 'exabgp', name: 'ExaBGP', package: 'exabgp' } as const
const OTHERS: readonly Column[] = [
  { kind: 'frr', name: 'FRR', package: 'frr', checked: KERNEL },
  { ...GOBGP, checked: 'its own RIB (without zebra it installs nothing)' },
  { ...OPENBGPD, checked: 'its own RIB (on Linux it installs nothing)' },
  { ...EXABGP, checked: 'what it prints (it has no routing table)' },
]

interface Matrix {
  readonly heading: string
  readonly columns: readonly Column[]
  /** The folders of each column's programs, to be looked at before PATH. */
  readonly programs: (column: Column) => readonly string[]
  readonly version: (column: Column) => string
  readonly record: boolean
}

const OWN: Matrix = {
  heading: '## The routers of Debian 12',
  columns: [{ kind: 'bird', name: 'BIRD', package: 'bird2', checked: KERNEL }, ...OTHERS],
  programs: () => [],
  version: column => wordAfter(column.package, Bun.spawnSync(['dpkg-query', '-W', column.package]).stdout.toString()),
  record: true,
}

/** The routers in a folder that scripts/newer-routers filled. */
function newer(folder: string, suite: string): Matrix {
  return {
    heading: `## Newer routers: Debian ${suite}`,
    columns: [
      { kind: 'bird', name: 'BIRD 3', package: 'bird3', checked: KERNEL },
      { kind: 'bird', name: 'BIRD 2', package: 'bird2', checked: KERNEL },
      ...OTHERS,
    ],
    programs: column => [join(folder, column.package === 'bird2' ? 'bird2' : 'bin'), join(folder, 'frr')],
    version: column => wordAfter(column.package, readFileSync(join(folder, 'versions'), 'utf8')),
    record: false,
  }
}

const AT_ONCE = 2
const PAGE = 'docs/interop.md'
const CORPUS = 'test/bgp/replay/corpus'

const [routers, suite] = process.argv.slice(2)
const matrix = routers === undefined || suite === undefined ? OWN : newer(routers, suite)
const results = mkdtempSync(join(tmpdir(), 'terway-edge-interop-'))
for (const column of matrix.columns) mkdirSync(join(resultsOf(column), 'recordings'), { recursive: true })
try {
  const started = performance.now()
  const failed = await runAll()
  const seconds = Math.round((performance.now() - started) / 1000)
  if (failed.length > 0) {
    process.stderr.write(`not written: failed with ${failed.join(', ')}\n`)
    process.exitCode = 1
  } else {
    writeFileSync(PAGE, pageWide(withSection(readFileSync(PAGE, 'utf8'), matrix.heading, section(seconds))))
    if (matrix.record) for (const column of matrix.columns) keepRecordings(column)
    process.stdout.write(`${PAGE} ${matrix.record ? `and ${CORPUS} ` : ''}written; ${seconds} s\n`)
  }
} finally {
  rmSync(results, { recursive: true, force: true })
}

function resultsOf(column: Column): string {
  return join(results, column.package)
}

function keepRecordings(column: Column): void {
  const recorded = readFileSync(join(resultsOf(column), 'recordings', `${column.kind}.jsonl`))
  writeFileSync(join(CORPUS, `${column.kind}.jsonl.gz`), gzipSync(recorded))
}

/** `page` with another text below one of its headings; at the end when it has no such heading. */
function withSection(page: string, heading: string, text: string): string {
  const sections = page.trimEnd().split(/\n+(?=## )/)
  const same = (section: string) => section.split('\n', 1)[0]?.split(':')[0] === heading.split(':')[0]
  const found = sections.some(same)
  const fresh = `${heading}\n\n${text.trim()}`
  return `${[...sections.map(section => (same(section) ? fresh : section)), ...(found ? [] : [fresh])].join('\n\n')}\n`
}

/** The names of the routers with a failed cell, whose output goes to stderr. */
async function runAll(): Promise<string[]> {
  const failed: string[] = []
  const queue = [...matrix.columns]
  const worker = async () => {
    for (let column = queue.shift(); column !== undefined; column = queue.shift()) {
      const child = Bun.spawn([process.execPath, 'test', '--timeout=120000', `./test/interop/${column.kind}.test.ts`], {
        env: {
          ...process.env,
          PATH: [...matrix.programs(column), process.env.PATH].join(':'),
          CI: 'true',
          TERWAY_EDGE_INTEROP_RESULTS: resultsOf(column),
          TERWAY_EDGE_INTEROP_RECORDINGS: join(resultsOf(column), 'recordings'),
        },
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      })
      const [stdout, stderr, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
      process.stdout.write(`${status === 0 ? 'ok    ' : 'FAILED'} ${column.name}\n`)
      if (status === 0) continue
      failed.push(column.name)
      process.stderr.write(`${stdout}${stderr}\n`)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return failed
}

/** What came of this run. */
function section(seconds: number): string {
  const { columns } = matrix
  const notes: string[] = []
  const cells = new Map(columns.map(column => [column, cellsOf(column)]))
  const text = (cell: Cell | undefined): string => {
    if (cell === undefined) throw new Error('a cell left no result')
    const said = cell.outcome === 'passed' ? 'yes' : 'peer cannot'
    if (cell.note === undefined) return said
    const known = notes.indexOf(cell.note)
    const number = known < 0 ? notes.push(cell.note) : known + 1
    return `${said} [${number}]`
  }
  const rows = (Object.keys(ROWS) as RowName[]).map(
    row => `| ${ROWS[row].title} | ${columns.map(column => text(cells.get(column)?.get(row))).join(' | ')} |`,
  )
  const [major = '', minor = ''] = release().split('.')
  const counted = (outcome: Cell['outcome']) =>
    [...cells.values()].flatMap(column => [...column.values()].filter(cell => cell.outcome === outcome)).length
  return `Written by \`scripts/interop\` on ${new Date().toISOString().slice(0, 10)}: ${counted('passed')} cells ran and passed, ${counted('peer cannot')} are things that the peer cannot do. Linux ${major}.${minor}, ${seconds} s.

| | ${columns.map(({ name }) => name).join(' | ')} |
|---|${columns.map(() => '---').join('|')}|
| Debian package | ${columns.map(column => `${column.package} ${matrix.version(column)}`).join(' | ')} |
| routes are looked up in | ${columns.map(({ checked }) => checked).join(' | ')} |
${rows.join('\n')}

${notes.map((note, index) => `[${index + 1}] ${note}  `).join('\n')}
`
}

function cellsOf(column: Column): Map<string, Cell> {
  const lines = readFileSync(join(resultsOf(column), `${column.kind}.jsonl`), 'utf8')
    .split('\n')
    .filter(Boolean)
  return new Map(lines.map(line => JSON.parse(line) as Cell).map(cell => [cell.row, cell]))
}

/** The word after `name` at the start of one of the lines. */
function wordAfter(name: string, lines: string): string {
  return (
    lines
      .split('\n')
      .map(line => line.split(/\s+/))
      .find(([first]) => first === name)?.[1] ?? ''
  )
}
