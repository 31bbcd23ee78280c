/**
 * A cluster of a thousand nodes and of five: what the controller and one node's process cost and
 * how fast they are, beside a program that only watches Nodes. On the lab's API server, or with
 * KUBEBUILDER_ASSETS on a real one.
 *
 * Sets up namespaces; `scale/measure.ts` measures inside.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TestNetwork } from '../../test/support/namespaces.ts'
import { nodeAddress, SERVER_ADDRESS } from './scale/site.ts'
import type { Measured, Task } from './scale/task.ts'
import { markdownTable, median, type Section, type SectionOptions } from './section.ts'
import { EXECUTABLE, versionOf } from './start.ts'

const SIZES = [1000, 5000]
const SECONDS = 60

export const scale: Section = {
  title: 'Many nodes',
  versions: () => [versionOf(EXECUTABLE, ['version'])],
  async run(options: SectionOptions): Promise<string> {
    if (!existsSync(EXECUTABLE)) throw new Error(`${EXECUTABLE} is missing: scripts/build makes it`)
    const measured: Measured[] = []
    for (const nodes of options.nodes ?? SIZES) measured.push(await measure(nodes, options))
    return report(measured, options)
  },
}

async function measure(nodes: number, { rounds, seconds = SECONDS }: SectionOptions): Promise<Measured> {
  const network = new TestNetwork()
  const folder = mkdtempSync(join(tmpdir(), 'te-scale-'))
  try {
    const [site, node, watcher] = ['site', 'node', 'watcher'].map(name => network.namespace(name))
    if (site === undefined || node === undefined || watcher === undefined) throw new Error('no namespaces')
    network.connect(
      { namespace: site, interface: 'lan', addresses: [`${SERVER_ADDRESS}/16`] },
      { namespace: node, interface: 'uplink', addresses: [`${nodeAddress(0)}/16`] },
    )
    network.ip(node, `route add default via ${SERVER_ADDRESS}`)
    network.connect(
      { namespace: site, interface: 'other', addresses: ['198.51.100.1/30'] },
      { namespace: watcher, interface: 'uplink', addresses: ['198.51.100.2/30'] },
    )
    network.ip(watcher, 'route add default via 198.51.100.1')
    const real = process.env.KUBEBUILDER_ASSETS !== undefined
    const namespaces = { node, watcher }
    const task: Task = { executable: EXECUTABLE, folder, real, nodes, seconds, rounds, namespaces }
    const words = [process.execPath, `${import.meta.dir}/scale/measure.ts`, JSON.stringify(task)]
    const child = Bun.spawn(['ip', 'netns', 'exec', site, ...words], { stdout: 'pipe', stderr: 'inherit' })
    const [output, status] = await Promise.all([child.stdout.text(), child.exited])
    if (status !== 0) throw new Error(`measuring ${nodes} nodes failed`)
    return JSON.parse(output)
  } finally {
    await network.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function report(measured: readonly Measured[], { rounds, seconds = SECONDS }: SectionOptions): string {
  const [first] = measured
  const heads = ['', ...measured.map(({ nodes }) => `${nodes.toLocaleString('en-GB')} nodes`)]
  const row = (name: string, cell: (of: Measured) => string) => [name, ...measured.map(cell)]
  const beside = (ours: number, theirs: number, digits: number) => `${ours.toFixed(digits)} (${theirs.toFixed(digits)})`
  const rows = [
    row('controller: CPU while kubelets report, % of a core (watch)', ({ controller, watch }) =>
      beside(controller.cpuPercent, watch.cpuPercent, 2),
    ),
    row('controller: memory at rest, MB (watch)', ({ controller, watch }) =>
      beside(controller.restMegabytes, watch.restMegabytes, 0),
    ),
    row('controller: most memory from its start on, MB (watch)', ({ controller, watch }) =>
      beside(controller.peakMegabytes, watch.peakMegabytes, 0),
    ),
    row('controller: from start until all is published, s (watch: until listed)', ({ controller, watch }) =>
      beside(controller.startSeconds, watch.startSeconds, 1),
    ),
    row('a Node created until its route is in a kernel, ms: p50, p99', ({ created }) => twoOf(created, 0.99, 0)),
    row('node: cold start until its routes are there, ms: p50, most', ({ coldStart }) => twoOf(coldStart, 1, 0)),
    row('a route deleted by hand until it is back, ms: p50, p99', ({ repaired }) => twoOf(repaired, 0.99, 1)),
    row('node: CPU at rest, % of a core', ({ node }) => node.cpuPercent.toFixed(2)),
    row('node: memory at rest, MB', ({ node }) => node.restMegabytes.toFixed(0)),
    row('node: of that anonymous, MB', ({ node }) => node.anonymousMegabytes.toFixed(0)),
    row('node: most memory while Nodes come, MB', ({ churnPeakMegabytes }) => churnPeakMegabytes.toFixed(0)),
    row('node: lives in a cgroup of 96 MB', ({ livesInSmallCgroup: lives }) =>
      lives === undefined ? 'not tried' : lives ? 'yes' : '**no**',
    ),
    row('node and cni-server together, PSS, MB', ({ pairMegabytes }) => pairMegabytes.toFixed(0)),
    row('node: received over its uplink at rest, kB an hour', ({ node }) => hourly(node.bytesPerSecond)),
    row('received by a watch of Nodes, kB an hour', ({ watch }) => hourly(watch.bytesPerSecond)),
  ]
  return `API server: ${first?.server}. Nodes of ${((first?.nodeBytes ?? 0) / 1000).toFixed(1)} kB in 20 LANs; each kubelet reports every 5 minutes. In parentheses, measured
in the same run: a program that lists and watches Nodes, keeps them, and does nothing else. Steady states over ${seconds} s;
${rounds} Nodes created, one after the other, without podCIDRs; ${rounds} routes deleted.

${markdownTable(heads, rows)}`
}

function twoOf(values: readonly number[], share: number, digits: number): string {
  const sorted = [...values].sort((a, b) => a - b)
  const high = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
  return `${median(values).toFixed(digits)}, ${high.toFixed(digits)}`
}

function hourly(bytesPerSecond: number): string {
  return ((bytesPerSecond * 3600) / 1000).toFixed(0)
}
