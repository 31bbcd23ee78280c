/**
 * Whole calls of CNI plugins, process start included, as a runtime makes them: ours beside those of
 * the CNI project, in a network namespace that stands for a node. Ours is called twice: with its
 * server, as installed, and without.
 *
 * Sets up namespaces; `cni-measure.ts` measures inside.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, run, TestNetwork } from '../../test/support/namespaces.ts'
import type { Measured, Plugin } from './cni-measure.ts'
import { markdownTable, median, type Section, type SectionOptions } from './section.ts'
import { EXECUTABLE, versionOf } from './start.ts'

const PLUGINS = '/usr/lib/cni'
const AT_ONCE = 100

export const cni: Section = {
  title: 'CNI: attaching and detaching a pod',
  versions: () => [versionOf(EXECUTABLE, ['version']), `containernetworking-plugins ${pluginsVersion()}`],
  async run({ rounds }: SectionOptions): Promise<string> {
    if (!existsSync(EXECUTABLE)) throw new Error(`${EXECUTABLE} is missing: scripts/build makes it`)
    if (!existsSync(`${PLUGINS}/ptp`)) throw new Error('Debian: apt-get install containernetworking-plugins iptables')
    const network = new TestNetwork()
    const folder = mkdtempSync(join(tmpdir(), 'terway-edge-bench-'))
    try {
      return await measure({ network, folder, rounds })
    } finally {
      await network.close()
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

async function measure(at: { network: TestNetwork; folder: string; rounds: number }): Promise<string> {
  const { network, folder, rounds } = at
  const node = network.namespace('node')
  network.ip(node, 'link add uplink type veth peer name switch')
  network.ip(node, 'link set switch up')
  network.ip(node, 'addr add 192.0.2.11/24 dev uplink')
  network.ip(node, 'link set uplink up')
  network.ip(node, 'route add default via 192.0.2.1')
  // as on every node: interfaces that are made from now on forward
  network.exec(node, ['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
  const pods = Array.from({ length: AT_ONCE }, (_, index) => network.path(network.namespace(`pod${index}`)))
  const served = join(folder, 'served')
  const process = await startServer(network, node, served)
  const task = { plugins: plugins(folder, served), pods, rounds, cniPath: PLUGINS }
  const child = network.spawn(node, [
    globalThis.process.execPath,
    `${import.meta.dir}/cni-measure.ts`,
    JSON.stringify(task),
  ])
  const [output, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  if (status !== 0) throw new Error(`measuring failed: ${errors}`)
  const measured: Measured[] = JSON.parse(output)
  const memory = /VmRSS:\s+(\d+)/.exec(await Bun.file(`/proc/${process}/status`).text())?.[1] ?? 'NaN'
  return report(measured, { rounds, serverMegabytes: Number(memory) / 1024 })
}

/** Starts the server of the plugin, and waits until it serves. Returns its process id. */
export async function startServer(network: TestNetwork, node: string, state: string): Promise<number> {
  mkdirSync(state, { recursive: true })
  const config = join(state, 'config.yaml')
  writeFileSync(config, JSON.stringify({ state }))
  const child = network.spawn(node, [EXECUTABLE, 'cni-server', '--config', config, '--log-level', 'error'])
  await eventually('the server serves', () => existsSync(join(state, 'cni/cni.sock')))
  return child.pid
}

function plugins(folder: string, served: string): Plugin[] {
  let subnets = 0
  const own = (name: string, stateDir: string): Plugin => ({
    name,
    program: EXECUTABLE,
    config: { type: 'terway-edge', podCIDRs: [`10.9.${subnets++}.0/24`], stateDir },
  })
  const theirs = (type: string, ipMasq: boolean): Plugin => {
    const subnet = `10.9.${subnets++}.0/24`
    const ipam = {
      type: 'host-local',
      ranges: [[{ subnet }]],
      routes: [{ dst: '0.0.0.0/0' }],
      dataDir: `${folder}/ipam`,
    }
    const bridge = type === 'bridge' ? { bridge: `bench${subnets}`, isGateway: true } : {}
    return {
      name: `\`${type}\` + \`host-local\`${ipMasq ? ', ipMasq' : ''}`,
      program: `${PLUGINS}/${type}`,
      config: { type, ipMasq, ...bridge, ipam },
    }
  }
  return [
    own('`terway-edge`', served),
    own('`terway-edge` without its server', join(folder, 'alone')),
    theirs('ptp', false),
    theirs('bridge', false),
    theirs('ptp', true),
    theirs('bridge', true),
  ]
}

function report(
  measured: readonly Measured[],
  { rounds, serverMegabytes }: { rounds: number; serverMegabytes: number },
): string {
  const reference = measured.find(({ name }) => name === '`ptp` + `host-local`')
  const ratio = (value: number, of: number | undefined) => (value / (of ?? Number.NaN)).toFixed(2)
  const rows = measured.map(({ name, add, del, addAtOnce, delAtOnce, megabytes }) => [
    name,
    median(add).toFixed(1),
    ratio(median(add), reference && median(reference.add)),
    median(del).toFixed(1),
    median(addAtOnce).toFixed(0),
    ratio(median(addAtOnce), reference && median(reference.addAtOnce)),
    median(delAtOnce).toFixed(0),
    megabytes.toFixed(0),
  ])
  const heads = [
    '',
    'ADD, ms',
    '/ ptp',
    'DEL, ms',
    `${AT_ONCE} ADDs at once, ms`,
    '/ ptp',
    `${AT_ONCE} DELs, ms`,
    'memory, MB',
  ]
  const table = markdownTable(heads, rows)
  return `One pod after the other: medians of ${rounds}, start of the process and end included. ${AT_ONCE} at once: medians of 3. Memory: the largest of the processes of a call; the server (terway-edge-cni.service), which does the work of the first row, has ${serverMegabytes.toFixed(0)} MB.\n\n${table}`
}

function pluginsVersion(): string {
  const { stdout } = run(['dpkg', '-s', 'containernetworking-plugins'], { mayFail: true })
  return /^Version: (.*)$/m.exec(stdout)?.[1] ?? ''
}
