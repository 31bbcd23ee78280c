/**
 * Runs the columns of the interop matrix (test/interop), two at a time, and writes what the cells
 * left behind: docs/interop.md, and the recordings that test/bgp/replay runs again.
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

const COLUMNS: readonly Column[] = [
  { kind: 'bird', name: 'BIRD', package: 'bird2', checked: "the kernel's table" },
  { kind: 'frr', name: 'FRR', package: 'frr', checked: "the kernel's table" },
  { kind: 'gobgp', name: 'GoBGP', package: 'gobgpd', checked: 'its own RIB (without zebra it installs nothing)' },
  { kind: 'openbgpd', name: 'OpenBGPD', package: 'openbgpd', checked: 'its own RIB (on Linux it installs nothing)' },
  { kind: 'exabgp', name: 'ExaBGP', package: 'exabgp', checked: 'what it prints (it has no routing table)' },
]
const AT_ONCE = 2
const CORPUS = 'test/bgp/replay/corpus'

const folder = mkdtempSync(join(tmpdir(), 'terway-edge-interop-'))
mkdirSync(join(folder, 'recordings'))
try {
  const started = performance.now()
  const failed = await runAll()
  const seconds = Math.round((performance.now() - started) / 1000)
  if (failed.length > 0) {
    process.stderr.write(`not written: failed with ${failed.join(', ')}\n`)
    process.exitCode = 1
  } else {
    mkdirSync('docs', { recursive: true })
    writeFileSync('docs/interop.md', pageWide(page(seconds)))
    for (const { kind } of COLUMNS)
      writeFileSync(
        join(CORPUS, `${kind}.jsonl.gz`),
        gzipSync(readFileSync(join(folder, 'recordings', `${kind}.jsonl`))),
      )
    process.stdout.write(`docs/interop.md and ${CORPUS} written; ${seconds} s\n`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

/** The names of the routers with a failed cell, whose output goes to stderr. */
async function runAll(): Promise<string[]> {
  const failed: string[] = []
  const queue = [...COLUMNS]
  const worker = async () => {
    for (let column = queue.shift(); column !== undefined; column = queue.shift()) {
      const child = Bun.spawn([process.execPath, 'test', '--timeout=120000', `./test/interop/${column.kind}.test.ts`], {
        env: {
          ...process.env,
          CI: 'true',
          TERWAY_EDGE_INTEROP_RESULTS: folder,
          TERWAY_EDGE_INTEROP_RECORDINGS: join(folder, 'recordings'),
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

function page(seconds: number): string {
  const notes: string[] = []
  const cells = new Map(COLUMNS.map(({ kind }) => [kind, cellsOf(kind)]))
  const text = (cell: Cell | undefined): string => {
    if (cell === undefined) throw new Error('a cell left no result')
    const said = cell.outcome === 'passed' ? 'yes' : 'peer cannot'
    if (cell.note === undefined) return said
    const known = notes.indexOf(cell.note)
    const number = known < 0 ? notes.push(cell.note) : known + 1
    return `${said} [${number}]`
  }
  const rows = (Object.keys(ROWS) as RowName[]).map(
    row => `| ${ROWS[row].title} | ${COLUMNS.map(({ kind }) => text(cells.get(kind)?.get(row))).join(' | ')} |`,
  )
  const [major = '', minor = ''] = release().split('.')
  const counted = (outcome: Cell['outcome']) =>
    [...cells.values()].flatMap(column => [...column.values()].filter(cell => cell.outcome === outcome)).length
  return `# The speaker and other people's routers

Written by \`scripts/interop\` on ${new Date().toISOString().slice(0, 10)}: ${counted('passed')} cells ran and passed, ${counted('peer cannot')} are things that the peer cannot do. Linux ${major}.${minor}, ${seconds} s.
Each cell is a LAN of its own in network namespaces, with a real router as the switch. A cell that fails stops the run, and nothing is written.

| | ${COLUMNS.map(({ name }) => name).join(' | ')} |
|---|${COLUMNS.map(() => '---').join('|')}|
| Debian package | ${COLUMNS.map(column => `${column.package} ${packageVersion(column.package)}`).join(' | ')} |
| routes are looked up in | ${COLUMNS.map(({ checked }) => checked).join(' | ')} |
${rows.join('\n')}

${notes.map((note, index) => `[${index + 1}] ${note}  `).join('\n')}

Beside the matrix: one node with two switches (\`test/interop/dual-switch.test.ts\`), strangers that flood the port (\`test/interop/flood.test.ts\`),
BFD in every state with BIRD and FRR (\`test/bfd/\`), and all of it under Kubernetes objects (\`test/e2e/\`).
`
}

function cellsOf(kind: RouterKind): Map<string, Cell> {
  const lines = readFileSync(join(folder, `${kind}.jsonl`), 'utf8')
    .split('\n')
    .filter(Boolean)
  return new Map(lines.map(line => JSON.parse(line) as Cell).map(cell => [cell.row, cell]))
}

function packageVersion(name: string): string {
  const [, version = ''] = Bun.spawnSync(['dpkg-query', '-W', name]).stdout.toString().trim().split('\t')
  return version
}
