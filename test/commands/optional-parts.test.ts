/**
 * The parts of a node's process that forwarding does not need, each broken alone: routes come, a
 * packet arrives by them, and the switch is dialled.
 */
import { afterAll, beforeAll, expect } from 'bun:test'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeClusterState } from '../../src/kube/cluster-state.ts'
import { bgpPeer, entry } from '../support/cluster.ts'
import { kubeconfigText } from '../support/kubeconfig.ts'
import { eventually, TestNetwork } from '../support/namespaces.ts'
import { missing, testNeeding } from '../support/requires.ts'

const NEEDS = ['root', 'mounts', 'ip', 'ping', 'unshare', 'mount', 'nft'] as const
const folder = mkdtempSync(join(tmpdir(), 'te-optional-'))
const network = new TestNetwork()
const lan = missing(NEEDS).length === 0 ? network.namespace('lan') : ''

beforeAll(() => {
  if (lan === '') return
  network.ip(lan, 'link add br0 type bridge')
  network.ip(lan, 'addr add 172.16.0.12/24 dev br0')
  network.ip(lan, 'addr add 10.0.2.1/32 dev lo')
  for (const link of ['br0', 'lo']) network.ip(lan, `link set ${link} up`)
  const listen = `Bun.listen({ hostname: '172.16.0.12', port: 179, socket: { open: socket => {
    require('node:fs').appendFileSync('${join(folder, 'dialled')}', socket.remoteAddress + '\\n') }, data() {} } })`
  network.spawn(lan, [process.execPath, '-e', listen])
})
afterAll(async () => {
  await network.close()
  rmSync(folder, { recursive: true })
})

interface Broken {
  readonly part: string
  /** What takes its place before the process starts. */
  readonly squat?: string
  readonly folder?: string
  readonly file?: string
  readonly hidden?: string
  /** A file that says that the part was broken. */
  readonly until?: string
}

const taken = (hostname: string, port: number) =>
  `Bun.listen({ hostname: '${hostname}', port: ${port}, socket: { data() {} } })`
const takenUdp = (port: number) => `await Bun.udpSocket({ hostname: '0.0.0.0', port: ${port} })`
/** An API server that knows who asks and lets him do nothing. */
const refusing = `Bun.serve({ hostname: '127.0.0.1', port: 1, fetch: request => {
  if (request.method === 'POST') require('node:fs').writeFileSync('${join(folder, 'refused')}', request.url)
  return Response.json({ kind: 'Status', code: 403, reason: 'Forbidden' }, { status: 403 }) } })`
const PARTS: readonly Broken[] = [
  { part: 'the status interface: its port is taken', squat: taken('127.0.0.1', 9179) },
  { part: 'proofs by packets: their port is taken', squat: takenUdp(9179) },
  { part: 'BFD: its port is taken', squat: takenUdp(3784) },
  { part: 'listening for the switch: its port is taken', squat: taken('0.0.0.0', 179) },
  { part: 'the CNI configuration: a file is where its folder should be', file: 'net.d' },
  { part: 'the mark of a restart: a folder is there', folder: 'state/speaker.json' },
  { part: 'readiness for the plugin: a folder is there', folder: 'state/cni/readiness.json' },
  { part: 'the configuration that is kept: a folder is there', folder: 'state/config.yaml' },
  { part: 'Events: the API server refuses them, as all else', squat: refusing, until: join(folder, 'refused') },
  { part: 'firewall rules: no nft', hidden: Bun.which('nft') ?? '' },
]

for (const [index, broken] of PARTS.entries()) {
  testNeeding(...NEEDS)(
    broken.part,
    async () => {
      const address = `172.16.0.${20 + index}`
      const namespace = nodeAt(address, index)
      const own = join(folder, String(index))
      mkdirSync(join(own, 'state'), { recursive: true })
      writeState(join(own, 'state'), address)
      if (broken.folder !== undefined) mkdirSync(join(own, broken.folder), { recursive: true })
      if (broken.file !== undefined) writeFileSync(join(own, broken.file), '')
      if (broken.squat !== undefined) {
        network.spawn(namespace, [process.execPath, '-e', broken.squat])
        await eventually('it is taken', () => network.exec(namespace, ['ss', '-Htulna']).stdout.trim() !== '')
      }
      const child = network.spawn(namespace, nodeCommand(own, broken.hidden))
      const log = new Response(child.stderr).text()
      try {
        const arrives = () =>
          network.exec(namespace, ['ping', '-c1', '-W1', '10.0.2.1'], { mayFail: true }).status === 0
        await eventually('a packet arrives', arrives)
        await eventually('the switch is dialled', () => dialled().includes(address))
        if (broken.until !== undefined) {
          await eventually('it was refused', () => existsSync(broken.until ?? ''))
          expect(arrives()).toBe(true)
        }
        expect(child.exitCode).toBeNull()
      } catch (cause) {
        child.kill('SIGKILL')
        throw new Error(await log, { cause })
      }
      child.kill('SIGTERM')
      expect(await child.exited).toBe(0)
    },
    300_000,
  )
}

function dialled(): string[] {
  try {
    return readFileSync(join(folder, 'dialled'), 'utf8').split('\n')
  } catch {
    return []
  }
}

function nodeAt(address: string, index: number): string {
  const namespace = network.namespace(`node-${index}`)
  network.connect(
    { namespace, interface: 'eth0', addresses: [`${address}/24`] },
    { namespace: lan, interface: `port-${index}` },
  )
  network.ip(lan, `link set port-${index} master br0`)
  network.ip(lan, `route replace 10.0.1.0/25 via ${address}`)
  return namespace
}

function writeState(stateDir: string, address: string): void {
  const entries = [
    entry('edge-1', [address], ['10.0.1.0/25'], ['lan']),
    entry('edge-2', ['172.16.0.12'], ['10.0.2.0/25'], ['lan']),
  ]
  const bfd = { enabled: true, minimumIntervalMilliseconds: 300, multiplier: 3 }
  const peers = new Map([['lan', bgpPeer('lan', { peerIP: '172.16.0.12', localSpeakers: ['edge-1'], bfd })]])
  const slices = new Map([['routes-1', entries]])
  writeFileSync(join(stateDir, 'cluster.json'), encodeClusterState({ slices, peers, passwords: new Map() }))
}

function nodeCommand(own: string, hidden: string | undefined): string[] {
  const config = join(own, 'config.yaml')
  const kubeconfig = join(own, 'kubeconfig')
  const cni = { confDir: join(own, 'net.d'), binDir: join(own, 'bin') }
  writeFileSync(config, JSON.stringify({ cni, kubeconfig, state: join(own, 'state'), node: 'edge-1' }))
  writeFileSync(kubeconfig, kubeconfigText('http://127.0.0.1:1'))
  const command = [process.execPath, 'src/main.ts', 'node', '--config', config]
  if (hidden === undefined) return command
  return ['unshare', '--mount', 'sh', '-c', 'mount --bind /dev/null "$0" && exec "$@"', hidden, ...command]
}
