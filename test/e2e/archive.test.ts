/**
 * From the archive alone: a release is made, and what its archive holds is all that there is of
 * this project on a site of two LANs. An operator prepares the cluster, installs the nodes,
 * configures the switches (BIRD, FRR) from the output of `switch-config`, verifies; upgrades, goes
 * back, uninstalls. Each test goes on where the one before ended.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { version } from '../../package.json'
import { eventually } from '../support/namespaces.ts'
import { COUNTING_NEEDS, countingPackets } from '../support/packets.ts'
import { copyOfTree, makeRelease } from '../support/release.ts'
import { missing, testNeeding } from '../support/requires.ts'
import { SYSTEMD_NEEDS } from '../support/systemd-machine.ts'
import { ArchiveSite, LAN_NAMES, LANS, NAMES, NODES, type NodeName } from './archive-site.ts'
import { ROUTER_NEEDS } from './archive-switch.ts'
import { addPod, doctor } from './systemd-calls.ts'

const NEEDS = [...SYSTEMD_NEEDS, ...COUNTING_NEEDS, 'KUBEBUILDER_ASSETS', 'git', 'tar', 'nft', 'ping', ...ROUTER_NEEDS]
const test = testNeeding(...NEEDS)
const MINUTE = 60_000
const NEWER = '9.0.0'
const TARGET = process.arch === 'x64' ? 'linux-x64' : 'linux-arm64'
const folder = mkdtempSync(join(tmpdir(), 'te-archive-'))

let site: ArchiveSite
const pods = new Map<NodeName, string>()

if (missing(NEEDS).length === 0) {
  beforeAll(async () => {
    const tree = copyOfTree(join(folder, 'tree'))
    const archives = { first: archiveOf(tree, version), newer: archiveOf(tree, NEWER) }
    rmSync(tree, { recursive: true }) // nothing may want the sources
    site = await ArchiveSite.start(archives)
  }, 10 * MINUTE) // two releases, on a machine that may do much else
  afterAll(async () => {
    await site?.close()
    rmSync(folder, { recursive: true, force: true })
  }, 5 * MINUTE)
}

/** Makes a release of the tree as this version of it, and keeps the archive. */
function archiveOf(tree: string, wanted: string): string {
  const file = join(tree, 'package.json')
  writeFileSync(file, readFileSync(file, 'utf8').replace(`"version": "${version}"`, `"version": "${wanted}"`))
  const kept = join(folder, `${wanted}.tar.gz`)
  renameSync(join(makeRelease(tree, '--only', TARGET), `terway-edge-${wanted}-${TARGET}.tar.gz`), kept)
  return kept
}

const address = (name: NodeName) => pods.get(name) ?? ''

/** Whether packets go from every switch to every pod, and from every pod to every other. */
function podsAreReached(): boolean {
  const switches = LAN_NAMES.flatMap(lan => NAMES.map(to => site.pings(site.switchOf(lan).namespace, address(to))))
  const pairs = NAMES.flatMap(from => NAMES.filter(to => to !== from).map(to => podReaches(from, to)))
  return [...switches, ...pairs].every(Boolean)
}

function podReaches(from: NodeName, to: NodeName): boolean {
  const command = ['ip', 'netns', 'exec', `pod-${from}`, 'ping', '-c1', '-W1', address(to)]
  return site.machine(from).exec(command, { mayFail: true }).status === 0
}

/** That the speakers said it (RFC 4724), not what the switch can itself. */
const RESTARTS = {
  bird: /Neighbor capabilities\n(?: {6,}\S.*\n)*? {6,}Graceful restart/,
  frr: /Graceful Restart Capability: advertised and received/,
} as const

/** The BGPPeer of the example for the first LAN, and its like for the second. */
function peersOfBothLans(): string {
  const first = readFileSync(site.path('first/examples/bgppeer-example.yaml'), 'utf8')
  const [peer, ...others] = first.split('\n---\n')
  const second = (peer ?? '')
    .replace('name: peer', `name: ${LANS['lan-b'].peer}`)
    .replace(/( *- )node-1\n *- node-2\n/, '$1node-3\n')
    .replace('65010', '65020')
    .replace('65001', '65002')
    .replace(LANS['lan-a'].switch, LANS['lan-b'].switch)
    .replace(LANS['lan-a'].pool, LANS['lan-b'].pool)
  return [peer, second, ...others].join('\n---\n')
}

test(
  'the cluster is prepared: CRDs, roles, an identity for each node, the controller',
  () => {
    site.server.applyYaml(site.atDesk('manifests', '--part', 'crds'))
    const pools = ['--pod-cidrs', '10.0.0.0/16', '--data-center-cidrs', '172.16.0.0/16']
    const chosen = [
      ...['--image', `localhost/terway-edge:${version}`],
      ...['--edge-nodes', 'alibabacloud.com/nodepool-id in (npxxx, npyyy)'],
    ]
    const passwords = ['--bgp-secret', 'bgp-secret=node-1,node-2,node-3']
    site.server.applyYaml(site.atDesk('manifests', ...chosen, ...pools, ...passwords, '--no-disruption-budget'))
    const admin = ['--kubeconfig', site.server.kubeconfig]
    writeFileSync(site.path('nodes.txt'), `${NAMES.join('\n')}\n`)
    site.atDesk('kubeconfig', '--nodes', site.path('nodes.txt'), ...admin, '--out', site.path('kubeconfigs'))
    site.atDesk('kubeconfig', '--controller', ...admin, '--out', site.path('controller.kubeconfig'))
    site.startController()
    site.server.applyYaml(peersOfBothLans())
  },
  5 * MINUTE,
)

test(
  'the nodes are installed, and get their pod CIDRs',
  async () => {
    for (const name of NAMES) {
      const there = site.machine(name).path('/root/kubeconfig')
      writeFileSync(there, readFileSync(site.path('kubeconfigs', `${name}.kubeconfig`)), { mode: 0o600 })
      expect(site.brought(name, 'first', 'install', '--kubeconfig', '/root/kubeconfig')).toContain('the service runs')
    }
    await eventually('each has one', () => NAMES.every(name => site.podCIDR(name) !== ''), 60)
  },
  5 * MINUTE,
)

test(
  'the switches take what switch-config prints: sessions with a password, routes, pods that are reached',
  async () => {
    const admin = ['--kubeconfig', site.server.kubeconfig]
    for (const lan of LAN_NAMES) {
      const words = ['switch-config', LANS[lan].peer, '--vendor', LANS[lan].router, ...admin]
      const text = site.atDesk(...words, '--password')
      await site.startSwitch(lan, text)
      writeFileSync(site.path('pasted.conf'), text)
      site.atDesk(...words, '--verify', site.path('pasted.conf')) // fails where something differs
    }
    await site.established()
    // what an upgrade lives on
    for (const lan of LAN_NAMES) expect(site.sessionsOf(lan)).toMatch(RESTARTS[LANS[lan].router])
    for (const name of NAMES) {
      const conflist = '/etc/cni/net.d/10-terway-edge.conflist'
      const there = () => site.machine(name).exec(['test', '-e', conflist], { mayFail: true }).status === 0
      await eventually('the CNI configuration', there)
      pods.set(name, addPod(site.machine(name), `pod-${name}`))
    }
    expect(podsAreReached()).toBe(true)
  },
  5 * MINUTE,
)

test(
  'check and doctor find the site sound, by packets',
  async () => {
    for (const name of NAMES) {
      // a node that was just installed may not have told its neighbour yet that it answers
      await eventually(`check on ${name}`, () => site.on(name, 'check').status === 0, 60)
      const { stdout } = site.on(name, 'check')
      expect(stdout).toContain('to another LAN')
      expect(stdout.includes('to neighbours')).toBe(NODES[name].lan === 'lan-a') // node-3 has none
      await eventually('the doctor is content', () => doctor(site.machine(name)).bad.length === 0)
    }
  },
  5 * MINUTE,
)

test(
  'is upgraded by the next archive and goes back: no packet is lost',
  async () => {
    const running = (name: NodeName): string => JSON.parse(site.on(name, 'status', '-o', 'json').stdout).version
    // one sender at a time: it goes before all other programs of the machine
    const lossless = async (to: NodeName, during: () => Promise<void>) => {
      const from = { namespace: site.switchOf('lan-a').namespace, to: address(to) }
      const counted = await countingPackets(site.network, from, during)
      expect(counted.lost).toBe(0)
      expect(counted.sent).toBeGreaterThan(1000)
    }
    await lossless('node-1', async () => {
      for (const name of NAMES) expect(site.brought(name, 'newer', 'upgrade')).toContain(`${NEWER} runs`)
      expect(NAMES.map(running)).toEqual(NAMES.map(() => NEWER))
      await site.established()
    })
    await lossless('node-3', async () => {
      for (const name of NAMES) expect(site.on(name, 'rollback').stdout).toContain(`from ${NEWER} to ${version}`)
      expect(NAMES.map(running)).toEqual(NAMES.map(() => version))
      await site.established()
    })
    expect(podsAreReached()).toBe(true)
  },
  10 * MINUTE,
)

test(
  'is uninstalled: the switches forget it, and nothing is left on the nodes',
  async () => {
    for (const name of NAMES) {
      expect(site.on(name, 'uninstall', '--purge')).toMatchObject({ status: 0, stderr: '' })
      expect(leftOn(name)).toEqual({ routes: '', tables: '', links: '', user: '', units: '', files: [] })
    }
    await eventually('no route is left', () => LAN_NAMES.every(lan => site.switchRoutes(lan).length === 0))
  },
  5 * MINUTE,
)

/** What there is of this project on a node, but for what the operator brought. */
function leftOn(name: NodeName) {
  const machine = site.machine(name)
  const shell = (command: string) => machine.exec(['sh', '-c', command]).stdout.trim()
  return {
    routes: shell('ip route show proto 187; ip -6 route show proto 187'),
    tables: shell('nft list tables'),
    links: shell('ip -o link show type veth | grep -v eth0 || true'),
    user: shell('grep terway-edge /etc/passwd /etc/group /etc/shadow || true'),
    units: shell('systemctl list-units --all --no-legend "terway-edge*"'),
    files: machine.changedFiles().filter(path => /terway-edge|cni/.test(path) && !path.startsWith('/root/')),
  }
}
