/**
 * Pods on elastic network interfaces beside pods of a podCIDR: whole calls of the plugin, and the
 * way of a packet between pods of two nodes, with few pods and with many, also in the layout with
 * two rules for each pod that other programs make.
 *
 * Sets up namespaces; `cni-measure.ts` measures the calls.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatInterfacePool, type InterfacePool } from '../../src/model/interface-pool.ts'
import { CloudNetwork, NUMBERS } from '../../test/eni/cloud-network.ts'
import { run, TestNetwork } from '../../test/support/namespaces.ts'
import { startServer } from './cni.ts'
import type { Measured } from './cni-measure.ts'
import { type ControllerMemory, controllerMemory } from './eni-memory.ts'
import { markdownTable, median, type Section, type SectionOptions } from './section.ts'
import { EXECUTABLE, versionOf } from './start.ts'

const AT_ONCE = 20
const MANY = 250
const PINGS = 20_000

export const eni: Section = {
  title: 'Elastic network interfaces: attaching a pod, and a packet between pods of two nodes',
  versions: () => [versionOf(EXECUTABLE, ['version'])],
  async run(options: SectionOptions): Promise<string> {
    if (!existsSync(EXECUTABLE)) throw new Error(`${EXECUTABLE} is missing: scripts/build makes it`)
    return `${await attaching(options)}\n\n${await packets(options)}\n\n${await controller()}`
  },
}

/** ADD and DEL in turns, both served by one process. */
async function attaching({ rounds }: SectionOptions): Promise<string> {
  const network = new TestNetwork()
  const folder = mkdtempSync(join(tmpdir(), 'terway-edge-bench-'))
  try {
    const node = network.namespace('node')
    for (const name of ['uplink', 'eth1']) {
      network.ip(node, `link add ${name} type veth peer name ${name}-far`)
      for (const end of [name, `${name}-far`]) network.ip(node, `link set ${end} up`)
    }
    network.ip(node, 'link set eth1 address 00:16:3e:00:00:01')
    network.ip(node, 'addr add 192.0.2.11/24 dev uplink')
    network.ip(node, 'route add default via 192.0.2.1')
    network.exec(node, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
    mkdirSync(join(folder, 'cni'), { recursive: true })
    writeFileSync(join(folder, 'cni/interfaces.json'), formatInterfacePool(pool()))
    await startServer(network, node, folder)
    const own = { type: 'terway-edge', stateDir: folder }
    const plugins = [
      { name: '`route` mode', program: EXECUTABLE, config: { ...own, podCIDRs: ['10.9.0.0/24'] } },
      { name: 'elastic network interface', program: EXECUTABLE, config: { ...own, addressSource: 'interfaces' } },
    ]
    const pods = Array.from({ length: AT_ONCE }, (_, index) => network.path(network.namespace(`pod${index}`)))
    const task = JSON.stringify({ plugins, pods, rounds, cniPath: '/usr/lib/cni' })
    const words = [process.execPath, `${import.meta.dir}/cni-measure.ts`, task]
    const measured: Measured[] = JSON.parse(network.exec(node, words, { timeoutMilliseconds: 600_000 }).stdout)
    const first = median(measured[0]?.add ?? [])
    const rows = measured.map(({ name, add, del, addAtOnce }) => [
      name,
      median(add).toFixed(1),
      (median(add) / first).toFixed(2),
      median(del).toFixed(1),
      median(addAtOnce).toFixed(0),
    ])
    const heads = ['', 'ADD, ms', '/ route', 'DEL, ms', `${AT_ONCE} ADDs at once, ms`]
    return `One pod after the other, with the plugin's server: medians of ${rounds} calls, start and end of the process included.\n\n${markdownTable(heads, rows)}`
  } finally {
    await network.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function pool(): InterfacePool {
  const addresses = Array.from({ length: MANY }, (_, index) => `192.168.32.${index + 1}`)
  const one = { id: 'eni-1', mac: '00:16:3e:00:00:01', gateways: ['192.168.63.253'], addresses }
  return { numbers: NUMBERS, dualStack: false, interfaces: [one] }
}

/** The controller with nodes of the cloud, that of the first row with none. */
async function controller(): Promise<string> {
  const rows: ControllerMemory[] = []
  for (const nodes of [0, 1, 300, 1000]) rows.push(await controllerMemory(nodes))
  const base = rows[0]?.memory.proportional ?? 0
  const cells = rows.map(({ nodes, memory }) => [
    String(nodes),
    ...[memory.proportional, memory.proportional - base, memory.anonymous, memory.peak].map(value => value.toFixed(0)),
  ])
  const heads = ['nodes', 'memory (Pss), MB', 'more than without', 'of that anonymous', 'peak (VmHWM), MB']
  const text =
    'The controller beside nodes of the cloud with three interfaces and 45 addresses each, 20 s after it has judged all of them; API server and cloud are processes of their own.'
  return `${text}\n\n${markdownTable(heads, cells)}`
}

/**
 * The average of flood pings between pods of two nodes, in turns, with the rules of so many others
 * before theirs.
 */
async function packets({ rounds }: SectionOptions): Promise<string> {
  const cloud = new CloudNetwork()
  try {
    const { node1: node, node2 } = cloud
    node.writePool()
    node2.writePool()
    const [near, far] = [await node.startPod('near'), await node2.startPod('far')]
    const flood = () => {
      const words = ['ip', 'netns', 'exec', near.namespace, 'ping', '-f', '-q', '-c', `${PINGS}`, far.address]
      return Number(/= [\d.]+\/([\d.]+)\//.exec(run(words, { timeoutMilliseconds: 120_000 }).stdout)?.[1])
    }
    const others = Array.from({ length: MANY - 1 }, (_, index) => `10.99.${index >> 8}.${index & 255}`)
    const rules = (words: (address: string) => string) => (verb: 'add' | 'del') =>
      run(['ip', '-n', node.namespace, '-batch', '-'], {
        stdin: others.map(address => `rule ${verb} ${words(address)}\n`).join(''),
      })
    const from = rules(address => `from ${address} lookup 1003 pref 2047`)
    // before ours, as one rule would be among them
    const to = rules(address => `to ${address} lookup main pref 511`)
    const times = { few: [] as number[], many: [] as number[], both: [] as number[] }
    for (let round = 0; round < Math.min(rounds, 5); round++) {
      times.few.push(flood())
      from('add')
      times.many.push(flood())
      to('add')
      times.both.push(flood())
      to('del')
      from('del')
    }
    const first = median(times.few)
    const row = (name: string, values: readonly number[]) => {
      return [name, (median(values) * 1000).toFixed(1), (median(values) / first).toFixed(2)]
    }
    const rows = [
      row('1 pod', times.few),
      row(`${MANY} pods`, times.many),
      row(`${MANY} pods, with a rule to each pod as well`, times.both),
    ]
    const text = `Flood pings between pods of two nodes, ${PINGS} each: medians of ${times.few.length} averages, in turns. Pods are those of one of the nodes; the rules of all others come first.`
    return `${text}\n\n${markdownTable(['', 'round trip, µs', '/ 1 pod'], rows)}`
  } finally {
    await cloud.close()
  }
}
