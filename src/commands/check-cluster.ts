/**
 * `terway-edge check --kubeconfig`: has every LAN, and the controller from the VPC, try every path
 * now (paths/cluster-check.ts), and prints what came of it.
 */
import { type CheckReport, VPC } from '../kube/path-check.ts'
import { systemClock } from '../lib/clock.ts'
import { print } from '../lib/stdout.ts'
import { formatTable, printable } from '../lib/table.ts'
import { timestamp } from '../lib/timestamp.ts'
import { askCluster, type ClusterAnswers } from '../paths/cluster-check.ts'
import { type LanPair, lanPairs, pairText } from '../paths/lan-matrix.ts'
import { isProved } from '../paths/view.ts'
import { countingLine, PROOF_TEXT, pathCells } from './check-text.ts'
import { withCluster } from './observe-cluster.ts'
import { printJson } from './show.ts'
import { terminalWidth } from './terminal.ts'

export interface CheckClusterOptions {
  readonly kubeconfig: string
  readonly output: 'wide' | 'json' | undefined
  readonly timeoutSeconds: number
}

/** The exit status: 0 when all packets arrive and all have answered. */
export function checkCluster({ kubeconfig, output, timeoutSeconds }: CheckClusterOptions): Promise<number> {
  return withCluster(kubeconfig, async api => {
    const word = `${timestamp(systemClock.now())}/${crypto.randomUUID().slice(0, 8)}`
    const progress = countingLine(output !== 'json', 'have answered')
    const stop = new AbortController()
    process.once('SIGINT', () => stop.abort())
    const answers = await askCluster({
      api,
      clock: systemClock,
      word,
      timeoutMilliseconds: timeoutSeconds * 1000,
      signal: stop.signal,
      onProgress: progress,
    })
    progress(0, 0)
    const places = placesOf(answers.reports)
    const pairs = lanPairs(answers.reports, places)
    const good = answers.silent.length === 0 && answers.reports.every(({ paths }) => isProved(paths))
    if (output === 'json') printJson({ asked: word, pairs, ...answers })
    else print(textOf(answers, { places, pairs, good, wide: output === 'wide' }))
    return good ? 0 : 1
  })
}

/** Where somebody stands or answered from: LANs in order, the VPC last. */
function placesOf(reports: readonly CheckReport[]): string[] {
  const seen = reports.flatMap(({ lan, paths }) => [
    lan,
    ...paths.kinds.flatMap(row => (row.kind === 'far' || row.kind === 'vpc' ? [row.lan] : [])),
  ])
  return [...new Set(seen)].sort((a, b) => Number(a === VPC) - Number(b === VPC) || (a < b ? -1 : 1))
}

interface Shown {
  readonly places: readonly string[]
  readonly pairs: readonly LanPair[]
  /** All packets arrive and all have answered. */
  readonly good: boolean
  readonly wide: boolean
}

function textOf({ reports, silent }: ClusterAnswers, { places, pairs, good, wide }: Shown): string {
  const findings = reports.flatMap(({ node, paths }) =>
    paths.findings.map(
      ({ place, message }) => `LOST at ${printable(node)} (${printable(place)}): ${printable(message)}\n`,
    ),
  )
  const proofs = proofLines(reports)
  const tables = wide ? wideTable(reports) : matrix(places, pairs)
  return [
    tables,
    '\n',
    ...proofs,
    ...findings,
    ...silent.map(text => `NO ANSWER: ${printable(text)}\n`),
    ...(good ? ['Nothing is lost.\n'] : []),
  ].join('')
}

/** A line for each BGPPeer and what is said of its switch; the good ones without details. */
function proofLines(reports: readonly CheckReport[]): string[] {
  const said = reports.flatMap(({ node, paths }) => paths.switches.map(one => ({ node, ...one })))
  const groups = Map.groupBy(
    said,
    ({ bgpPeer, status }) => `BGPPeer ${bgpPeer}: routes of the switch ${PROOF_TEXT[status]}`,
  )
  return [...groups].sort().map(([text, group]) => {
    const [one] = group
    const detail = one === undefined || one.status === 'True' ? '' : `: ${one.message}`
    return `${printable(`${text} (${group.map(({ node }) => node).join(', ')})${detail}`)}\n`
  })
}

/** A line from each place, a column to each; where that is too wide, pairs that are not good. */
function matrix(places: readonly string[], pairs: readonly LanPair[]): string {
  const columns = [{ title: 'FROM \\ TO' }, ...places.map(title => ({ title }))]
  const rows = places.map(from => [from, ...pairs.filter(pair => pair.from === from).map(pairText)])
  const table = formatTable(columns, rows)
  const width = terminalWidth() ?? MOST_COLUMNS
  if (table.split('\n').every(line => Bun.stringWidth(line) <= width)) return table
  const bad = pairs.filter(({ state }) => state !== 'good')
  const good = `${pairs.length - bad.length} of ${pairs.length} pairs of LANs are good\n`
  if (bad.length === 0) return good
  const list = bad.map(pair => [pair.from, pair.to, pairText(pair)])
  return `${formatTable([{ title: 'FROM' }, { title: 'TO' }, { title: 'PACKETS' }], list)}\n${good}`
}

/** Where there is no terminal that says how wide it is. */
const MOST_COLUMNS = 200

function wideTable(reports: readonly CheckReport[]): string {
  const rows = reports.flatMap(({ node, lan, paths }) => paths.kinds.map(row => [lan, node, ...pathCells(row)]))
  const titles = ['FROM', 'NODE', 'PATH', 'TO', 'FAMILY', 'SIZE', 'ANSWERED', 'ROUND TRIP']
  return formatTable(
    titles.map((title, index) => ({ title, align: index < 6 ? 'left' : 'right' })),
    rows,
  )
}
